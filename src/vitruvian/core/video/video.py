"""Video from a file, a folder of images, a camera or an address, as frames of one size."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.video.resizing import Image, Letterbox, Size, frame_size
from vitruvian.core.video.video_readers import (
    BrokenError,
    CaptureReader,
    ImagesReader,
    Picture,
    Reader,
    find_images,
    is_image,
    is_pattern,
)

USUAL_FPS = 30.0  # where a source does not tell its own

_CAMERA = re.compile(r"(?:/dev/video)?([0-9]+)")
_SLACK = 0.05  # share of the promised length that may be missing: sound may be longer than pictures
_SLACK_S = 0.5
_SAME_S = 1e-6  # clocks nearer than this are equal: what rounding leaves of two equal ones


class Frame:
    """One frame, as long as nobody takes the next one from an `ImageBuffer`.

    Attributes:
        index: number of the frame in the source, from 0; dropped frames count.
        time_s: seconds since the first frame.
    """

    __slots__ = ("_image", "index", "time_s")

    def __init__(self, index: int, time_s: float, image: Image) -> None:
        self.index, self.time_s = index, time_s
        self._image: Image | None = image

    @property
    def image(self) -> Image:
        """BGR, uint8 (h, w, 3); draw on it as you like.

        Raises:
            RuntimeError: the frame was released.
        """
        if self._image is None:
            raise RuntimeError(f"frame {self.index} was released; copy the images you keep")
        return self._image

    def release(self) -> None:
        """Let go of the image."""
        self._image = None


class Timeline:
    """Times that begin at 0 and rise strictly, whatever the clock of the source does.

    A frame at or before the time of the last one is put half a frame after it; where the clock was
    set back for good, the frames after it keep their distances.

    Args:
        fps: nominal frame rate, for the length of a step; NaN: 30.

    Attributes:
        last_s: time of the last frame, seconds; NaN before the first.
        repaired: how many frames had a time that did not rise.
    """

    def __init__(self, fps: float) -> None:
        self.step_s = 1 / fps if fps > 0 else 1 / USUAL_FPS
        self.last_s = math.nan
        self.repaired = 0
        self._zero: float | None = None  # what the clock showed at time 0
        self._shifted: float | None = None  # the same, after the clock was set back

    def place(self, clock_s: float | None) -> float:
        """The time of the next frame, seconds, whose clock is `clock_s`; None: one step later."""
        if clock_s is None or self._zero is None:
            self.last_s = 0.0 if math.isnan(self.last_s) else self.last_s + self.step_s
            if clock_s is not None:
                self._zero = clock_s - self.last_s
        else:
            self.last_s = self._next(clock_s)
        return self.last_s

    def _next(self, clock_s: float) -> float:
        for zero in (self._zero, self._shifted):
            if zero is not None and clock_s - zero > self.last_s + _SAME_S:
                return clock_s - zero
        self.repaired += 1
        placed = self.last_s + self.step_s / 2
        self._shifted = clock_s - placed
        return placed


class VideoSource:
    """Frames of one size from a reader; made by `open_video`. Iterate over it once.

    Args:
        reader: of the pictures.
        size: width and height of the frames; None: as recorded.

    Attributes:
        name: path, camera or address without password and query.
        fps: nominal frame rate; NaN where unknown. The times of the frames tell the true one.
        frames: how many to expect, for a progress bar; None where unknown.
        live: whether the source goes on whether or not frames are taken.
        letterbox: where the picture lies in the frames.
        broken: after which frame and why the source broke off; None as long as it did not.

    Raises:
        DataError: there is no first frame.
    """

    def __init__(self, reader: Reader, size: Size | None) -> None:
        self.name, self.fps, self.frames = reader.name, reader.fps, reader.frames
        self.live = reader.live
        self.broken: str | None = None
        self._reader, self._size = reader, size
        self._timeline = Timeline(reader.fps)
        self._count = 0
        self._over = False
        self._reading = threading.Lock()  # closed under a thread that reads, FFmpeg crashes
        try:
            self._first = reader.read()
        except BrokenError as reason:
            raise DataError(
                f"{self.name}: no frame can be read: {reason}; check that other programs show it"
            ) from reason
        if self._first is None:
            raise DataError(f"{self.name}: holds no frame; record or export it again")
        self.letterbox = Letterbox.fit(self._first[1].size, size)

    @property
    def size(self) -> Size:
        """Width and height of the frames."""
        return self.letterbox.size

    @property
    def repaired(self) -> int:
        """How many frames so far had a time that did not rise, and were given another."""
        return self._timeline.repaired

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        with self._reading:
            frame = None if self._over else self._next()
        if frame is None:
            raise StopIteration
        return frame

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file or camera, after the picture that is being read."""
        with self._reading:
            self._over = True
            self._reader.close()

    def _next(self) -> Frame | None:
        try:
            read = self._first or self._reader.read()
            self._first = None
            if read is not None:
                return self._frame(*read)
            self._check_length()
        except BrokenError as reason:
            self.broken = self._where(reason)
        self._over = True
        return None

    def _frame(self, clock_s: float | None, picture: Picture) -> Frame:
        if picture.size != self.letterbox.picture:
            self._change_size(picture.size)
        image = self.letterbox.frame(picture.scaled(self.letterbox.inner))
        self._count += 1
        return Frame(self._count - 1, self._timeline.place(clock_s), image)

    def _change_size(self, size: Size) -> None:
        """Browsers change the size of what they record with the load: fit it into the frame."""
        if self._size is None:
            was = self.letterbox.picture
            raise BrokenError(
                f"the pictures change from {was[0]}x{was[1]} to {size[0]}x{size[1]}; choose "
                "resize=1280x720 to read on"
            )
        self.letterbox = Letterbox.fit(size, self._size)

    def _where(self, reason: BrokenError) -> str:
        return f"broke off after {self._count} frames ({self._timeline.last_s:.2f} s): {reason}"

    def _check_length(self) -> None:
        promised = self._reader.promised_s
        if promised is None:
            return
        played = self._timeline.last_s + self._timeline.step_s
        if played < promised - max(_SLACK_S, _SLACK * promised):
            raise BrokenError(f"it should last {promised:.2f} s, the rest is missing")


# --- opening -------------------------------------------------------------------------------------


def open_video(
    source: str | int | Path, resize: str = "1280x720", fps: float = USUAL_FPS
) -> VideoSource:
    """Open a video whatever it comes from.

    Args:
        source: a video file; a folder of images, or their pattern such as `frames/img_%04d.png`; a
            camera by its number, `0` or "0"; or an address such as `rtsp://host/path`.
        resize: a size such as `1280x720`, see `RESIZES`, or `none`; the aspect is kept, the rest
            is black.
        fps: frame rate of images; anything else knows its own.

    Raises:
        DataError: it is missing, empty, damaged from the start, no video, or cannot be reached;
            names the source and says what to do.
        ConfigError: `resize` is none of these, or `fps` is not above 0.
    """
    if not fps > 0:
        raise ConfigError(f"fps: {fps} is not above 0")
    size = frame_size(resize)
    reader = _reader(source, size, fps)
    try:
        return VideoSource(reader, size)
    except BaseException:
        reader.close()
        raise


def _reader(source: str | int | Path, size: Size | None, fps: float) -> Reader:
    name = "" if isinstance(source, Path) else str(source)
    if camera := _CAMERA.fullmatch(name):
        return CaptureReader(int(camera[1]), f"source={source}", size)
    if "://" in name:
        return _video_reader(name, _public(name))
    path = Path(str(source))
    if path.is_dir() or is_pattern(path):
        return ImagesReader(find_images(path), str(path), fps)
    _check_file(path)
    if is_image(path):
        return ImagesReader([path], str(path), fps)
    return _video_reader(path, str(path))


def _video_reader(address: str | Path, name: str) -> Reader:
    try:
        import av  # noqa: F401 - asks only whether it is there
    except ImportError:
        return CaptureReader(str(address), name)
    from vitruvian.core.video.decoding import PyavReader

    return PyavReader(address, name)


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            empty = not stream.read(1)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if empty:
        raise DataError(f"{path}: the file is empty (0 bytes); copy or record it again")


def _public(address: str) -> str:
    """An address without what may be secret in it: user, password and query."""
    scheme, _, rest = address.partition("://")
    host, slash, path = re.split("[?#]", rest)[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
