"""Pictures of the screen from a video, from image files, or from an array."""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import cv2
import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.core.video.video import open_video
from vitruvian.core.video.video_readers import quiet_opencv
from vitruvian.muscle.recordings.depth import Picture
from vitruvian.muscle.recordings.finding import natural_order

IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm", ".bmp")
ARRAYS = (".npz", ".npy")

# Codecs besides those that say so themselves, in which every packet is one frame.
_EACH_PACKET_A_FRAME = {"ffv1", "png", "mjpeg", "rawvideo"}
_NUMBER = re.compile(r"%0?[0-9]*d")  # in a pattern such as img_%04d.png


class PictureSource(Protocol):
    """Pictures in order, as they are in the files.

    Attributes:
        name: of the file or folder, for messages.
        files: that the pictures are read from.
        claimed_rate_hz: frame rate that the file claims; None where it does not.
    """

    @property
    def name(self) -> str: ...

    @property
    def files(self) -> Sequence[Path]: ...

    @property
    def claimed_rate_hz(self) -> float | None: ...

    def count(self) -> int:
        """How many pictures there really are."""

    def pictures(self) -> Iterator[Picture]:
        """The pictures, (h, w), (h, w, 3) BGR or (h, w, 4) BGRA, of any depth.

        Raises:
            DataError: one cannot be read; names it.
        """


# --- videos --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VideoPictures:
    """Pictures of a video file."""

    path: Path

    @property
    def name(self) -> str:
        """See `PictureSource`."""
        return str(self.path)

    @property
    def files(self) -> Sequence[Path]:
        """See `PictureSource`."""
        return (self.path,)

    @property
    def claimed_rate_hz(self) -> float | None:
        """See `PictureSource`."""
        with open_video(self.path, resize="none") as video:
            return None if math.isnan(video.fps) else video.fps

    def count(self) -> int:
        """See `PictureSource`; the header's number counts only if the packets agree with it."""
        import av

        try:
            with av.open(str(self.path)) as container:
                stream: Any = container.streams.video[0]
                codec = stream.codec_context.codec
                sure = codec.intra_only or codec.name in _EACH_PACKET_A_FRAME
                packets = sum(p.size > 0 for p in container.demux(stream)) if sure else -1
                if packets == stream.frames:
                    return packets
        except (av.FFmpegError, IndexError):
            pass  # reading it says in words what is wrong
        return sum(1 for _ in self.pictures())

    def pictures(self) -> Iterator[Picture]:
        """See `PictureSource`."""
        with open_video(self.path, resize="none") as video:
            for frame in video:
                yield frame.image
            if video.broken:
                raise DataError(f"{self.path}: {video.broken}; copy or export it again")


# --- images --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ImagePictures:
    """Pictures of image files in order, of all pages where a TIFF holds several."""

    name: str
    files: Sequence[Path]
    claimed_rate_hz: float | None = None

    @classmethod
    def find(cls, place: Path) -> ImagePictures:
        """The images of a folder, of a pattern such as `img_%04d.png` or `img_*.png`, or one file.

        Raises:
            DataError: there are none, or of several kinds; says what was looked for.
        """
        if place.is_dir():
            found = [p for p in place.iterdir() if p.suffix.lower() in IMAGES]
        elif place.is_file():
            found = [place]
        else:
            found = [p for p in place.parent.glob("*") if _pattern(place.name).fullmatch(p.name)]
        found = sorted((p for p in found if not p.name.startswith(".")), key=natural_order)
        kinds = sorted({p.suffix.lower() for p in found})
        if not found:
            raise DataError(f"{place}: no images there; {', '.join(IMAGES)} are read")
        if len(kinds) > 1:
            raise DataError(f"{place}: holds {' and '.join(kinds)}; name one kind, as *{kinds[0]}")
        return cls(str(place), tuple(found))

    def count(self) -> int:
        """See `PictureSource`."""
        return sum(_pages(path) for path in self.files)

    def pictures(self) -> Iterator[Picture]:
        """See `PictureSource`."""
        for path in self.files:
            yield from _decoded(path)


def _pattern(name: str) -> re.Pattern[str]:
    """What a name such as `img_%04d.png` or `img_*.png` stands for."""
    texts = (".*".join(map(re.escape, text.split("*"))) for text in _NUMBER.split(name))
    return re.compile("[0-9]+".join(texts))


def _pages(path: Path) -> int:
    with quiet_opencv():
        return max(cv2.imcount(str(path)), 1) if path.suffix.lower() in (".tif", ".tiff") else 1


def _decoded(path: Path) -> Sequence[Picture]:
    with quiet_opencv():
        if _pages(path) > 1:
            _, pictures = cv2.imreadmulti(str(path), flags=cv2.IMREAD_UNCHANGED)
        else:
            pictures = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED),)
    if len(pictures) < _pages(path) or any(picture is None for picture in pictures):
        raise DataError(f"{path}: cannot be read as an image; copy or export it again")
    return pictures


# --- arrays --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ArrayPictures:
    """Pictures of a numpy file: (n, h, w), or with colours, (n, h, w, 3) RGB.

    One picture is in memory at a time, whether or not the array is compressed.
    """

    path: Path
    key: str | None = None
    claimed_rate_hz: float | None = None

    @property
    def name(self) -> str:
        """See `PictureSource`."""
        return str(self.path)

    @property
    def files(self) -> Sequence[Path]:
        """See `PictureSource`."""
        return (self.path,)

    def count(self) -> int:
        """See `PictureSource`."""
        with self._opened() as (_, shape, _):
            return shape[0]

    def pictures(self) -> Iterator[Picture]:
        """See `PictureSource`."""
        with self._opened() as (stream, shape, kind):
            size = math.prod(shape[1:]) * kind.itemsize
            for number in range(1, shape[0] + 1):
                try:
                    content = stream.read(size)
                except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
                    raise DataError(f"{self.path}: frame {number} is damaged: {error}") from error
                if len(content) < size:
                    raise DataError(f"{self.path}: cut short in frame {number} of {shape[0]}")
                picture = np.frombuffer(content, kind).reshape(shape[1:])
                yield picture[..., 2::-1] if picture.ndim == 3 else picture

    @contextmanager
    def _opened(self) -> Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype[Any]]]:
        """The stream of the numbers, their shape and type."""
        with array_stream(self.path, self.key) as stream:
            shape, by_column, kind = array_header(self.path, stream)
            if len(shape) != 3 and (len(shape) != 4 or shape[3] not in (1, 3, 4)):
                raise DataError(f"{self.path}: shape {shape} is no (n, h, w) or (n, h, w, 3)")
            if by_column or kind.hasobject:
                raise DataError(
                    f"{self.path}: is not in C order; save np.ascontiguousarray(frames)"
                )
            yield stream, shape, kind


@contextmanager
def array_stream(path: Path, key: str | None, usual: str = "frames") -> Iterator[IO[bytes]]:
    """Open an .npy, or the array `key` in an .npz; None: its only one, or the one called `usual`.

    Raises:
        DataError: it is missing or broken, or holds no such array.
    """
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as stream:
                yield stream
            return
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            wanted = key or (names[0] if len(names) == 1 else usual)
            if wanted not in names:
                raise DataError(f"{path}: has no array {wanted!r}; there are {', '.join(names)}")
            with archive.open(f"{wanted}.npy") as stream:
                yield stream
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: is no whole numpy file: {error}") from error


def array_header(path: Path, stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran's order, and type of the array that begins here.

    Raises:
        DataError: it is no array.
    """
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(stream)
        return np.lib.format.read_array_header_2_0(stream)
    except ValueError as error:
        raise DataError(f"{path}: is no whole numpy file: {error}") from error
