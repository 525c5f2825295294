"""A session as a video file, with the times that its frames really had."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from vitruvian.core.errors import RunError
from vitruvian.core.files import atomic
from vitruvian.spine.live.drawing import Picture
from vitruvian.spine.live.views import View

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

_TICKS = 1000  # of the clock of the file, per second
_H264 = {"preset": "veryfast", "crf": "23"}
_THREADS = 2  # more would take the cores that pose and head need


class NoFrameError(Exception):
    """No frame came: there is nothing to keep."""


class Recording:
    """Writes views into an MP4 file; it lives within a `with` block.

    The file appears under its name when the block ends, whatever ended it: what a camera saw cannot
    be recorded again.

    Args:
        path: of the file.

    Raises:
        ConfigError: PyAV is not installed.
        RunError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = ExitStack()
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._last = -1

    def __enter__(self) -> Recording:
        self._temporary = self._file.enter_context(atomic(self.path))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._container is None:
            self._file.__exit__(NoFrameError, NoFrameError(), None)
            return
        with self._file:
            self._finish()

    def show(self, view: View) -> None:
        """Append a view."""
        if self._stream is None:
            self._stream = self._begin(view.whole)
        self._last = max(self._last + 1, round(view.reading.time_s * _TICKS))
        self._write(self._stream, view.whole, self._last)

    def _begin(self, first: Picture) -> VideoStream:
        import av

        container = av.open(str(self._temporary), "w", format="mp4")
        if "libx264" in av.codecs_available:
            stream = container.add_stream("libx264", rate=30, options=_H264)
        else:  # some distributions build FFmpeg without it
            stream = container.add_stream("mpeg4", rate=30)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"  # the one that every player knows
        stream.codec_context.time_base = Fraction(1, _TICKS)
        stream.codec_context.thread_count = _THREADS
        self._container = container
        return stream

    def _write(self, stream: VideoStream, picture: Picture, ticks: int) -> None:
        import av

        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts, frame.time_base = ticks, Fraction(1, _TICKS)
        self._mux(stream.encode(frame))

    def _mux(self, packets: Any) -> None:
        assert self._container is not None
        try:
            self._container.mux(packets)
        except OSError as error:
            raise self._unwritable(error) from error

    def _finish(self) -> None:
        assert self._container is not None
        assert self._stream is not None
        try:
            self._mux(self._stream.encode(None))
        finally:
            self._container.close()

    def _unwritable(self, error: OSError) -> RunError:
        reason = error.strerror or str(error)
        return RunError(f"cannot write {self.path}: {reason}; free space or choose another disk")
