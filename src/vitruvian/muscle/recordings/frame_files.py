"""The frames of a recording from its files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import Image
from vitruvian.muscle.recordings.depth import Depth, Picture
from vitruvian.muscle.recordings.description import FramesPart
from vitruvian.muscle.recordings.picture_sources import (
    ARRAYS,
    IMAGES,
    ArrayPictures,
    ImagePictures,
    PictureSource,
    VideoPictures,
)
from vitruvian.muscle.recordings.screen import Screen


@dataclass(frozen=True)
class RecordedFrames:
    """Frames that are read each time somebody iterates; satisfies `recording.Frames`.

    Attributes:
        source: of the pictures.
        screen: which part of them the frames are.
        depth: how they become 8 bits.
        count: of frames, really there.
        shape: (h, w) of each.
        claimed_rate_hz: frame rate that the file claims.
    """

    source: PictureSource
    screen: Screen
    depth: Depth
    count: int
    shape: tuple[int, int]
    claimed_rate_hz: float | None

    def __iter__(self) -> Iterator[Image]:
        """Yield the frames, (h, w) uint8.

        Raises:
            DataError: a frame is broken or of another size, or there are more or fewer than were
                counted; names it.
        """
        number = 0
        for number, picture in enumerate(self.source.pictures(), 1):
            yield self._frame(number, picture)
        if number != self.count:
            raise DataError(
                f"{self.source.name}: {number} frames can be read, but it holds {self.count}; "
                "copy or export it again"
            )

    def _frame(self, number: int, picture: Picture) -> Image:
        try:
            frame = self.screen.frame(self.depth.eight_bits(picture))
        except DataError as error:
            raise DataError(f"{self.source.name}: frame {number}: {error}") from error
        if frame.shape != self.shape:
            raise DataError(
                f"{self.source.name}: frame {number} has {_size(frame.shape)} pixels, those "
                f"before it {_size(self.shape)}; keep frames of one size"
            )
        return frame


def open_frames(folder: Path, part: FramesPart) -> RecordedFrames | None:
    """Open the frames that a description names; None where it gives only their number.

    Raises:
        DataError: they are missing, none, or the first cannot be read.
    """
    if part.file is None:
        return None
    source = _source(folder / part.file, part.key)
    depth = _depth(source)
    first = next(source.pictures(), None)
    if first is None:
        raise DataError(f"{source.name}: holds no frame; record or export it again")
    try:
        shape = part.screen.frame(depth.eight_bits(first)).shape
    except DataError as error:
        raise DataError(f"{source.name}: {error}") from error
    rate_hz = source.claimed_rate_hz
    return RecordedFrames(source, part.screen, depth, source.count(), shape[:2], rate_hz)


def _source(path: Path, key: str | None) -> PictureSource:
    ending = path.suffix.lower()
    if ending in ARRAYS:
        if not path.is_file():
            raise DataError(f"{path}: there is no such file; check frames.file in recording.yaml")
        return ArrayPictures(path, key)
    if key is not None:
        raise DataError(f"{path}: frames.key names an array, but this is no .npz")
    if path.is_dir() or ending in IMAGES or "*" in path.name:
        return ImagePictures.find(path)
    return VideoPictures(path)


def _depth(source: PictureSource) -> Depth:
    if isinstance(source, VideoPictures):
        return Depth()
    try:
        return Depth.of(source.pictures())
    except DataError as error:
        text = str(error)
        raise DataError(text if source.name in text else f"{source.name}: {text}") from error


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]}x{shape[0]}"
