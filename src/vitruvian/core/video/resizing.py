"""Fitting pictures of any shape into frames of one size: scaled evenly, centred, never squashed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import ConfigError

Image = npt.NDArray[np.uint8]  # (h, w, 3), BGR
Size = tuple[int, int]  # width, height

RESIZES: dict[str, Size | None] = {
    "1280x720": (1280, 720),  # paper 003, section III.A, and what it asked volunteers to record
    "1920x1080": (1920, 1080),  # the size of its timings (section III.C)
    "720x480": (720, 480),  # of half of its Table II
    "none": None,
}


def frame_size(resize: str) -> Size | None:
    """Width and height that a value of the key `resize` asks for; None: as recorded.

    Raises:
        ConfigError: it is none of `RESIZES`.
    """
    if resize not in RESIZES:
        raise ConfigError(f"resize: {resize!r} is none of {', '.join(RESIZES)}")
    return RESIZES[resize]


@dataclass(frozen=True)
class Letterbox:
    """Where a picture lies in a frame.

    Attributes:
        picture: width and height of the picture, upright and with square pixels.
        size: width and height of the frame.
        scale: pixels of the frame for one of the picture.
        left: columns of black before the picture.
        top: rows of black above the picture.
    """

    picture: Size
    size: Size
    scale: float = 1.0
    left: int = 0
    top: int = 0

    @classmethod
    def fit(cls, picture: Size, size: Size | None) -> Letterbox:
        """Place `picture` as large as it goes in the middle of `size`; None: as it is."""
        if size is None:
            return cls(picture, picture)
        scale = min(size[0] / picture[0], size[1] / picture[1])
        width, height = _scaled(picture, scale)
        return cls(picture, size, scale, (size[0] - width) // 2, (size[1] - height) // 2)

    @property
    def inner(self) -> Size:
        """Width and height of the picture within the frame."""
        return _scaled(self.picture, self.scale)

    def frame(self, image: Image) -> Image:
        """The frame around `image`, which has the size `inner` already; black elsewhere."""
        if self.inner == self.size:
            return image
        (width, height), (columns, rows) = self.inner, self.size
        framed = np.zeros((rows, columns, 3), np.uint8)
        framed[self.top : self.top + height, self.left : self.left + width] = image
        return framed

    def to_picture(self, points: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Pixels (..., 2) of the picture for pixels (..., 2) of the frame: x, y from the corner."""
        return (np.asarray(points, np.float64) - (self.left, self.top)) / self.scale

    def to_frame(self, points: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """The inverse of `to_picture`."""
        return np.asarray(points, np.float64) * self.scale + (self.left, self.top)


def resized(image: Image, size: Size) -> Image:
    """Scale an image: averaged over areas to make it smaller, interpolated to make it larger."""
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    smaller = size[0] < width or size[1] < height
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=method)


def _scaled(size: Size, scale: float) -> Size:
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)
