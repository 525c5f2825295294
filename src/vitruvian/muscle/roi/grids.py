"""Images brought to a grid of fixed millimetres per pixel, and windows cut from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vitruvian.muscle.recording import Floats, Image, Mask
from vitruvian.muscle.roi.masks import mask_to_bounds


@dataclass(frozen=True)
class Grid:
    """The pixels that all images of a recording are brought to.

    Attributes:
        image: (h, w) of the recording's images.
        size: (rows, columns) of the grid, which covers the whole image.
    """

    image: tuple[int, ...]
    size: tuple[int, int]

    @classmethod
    def of_spacing(
        cls, image: tuple[int, ...], mm_per_pixel: tuple[float, float], spacing_mm: float
    ) -> Grid:
        """The grid whose pixels are `spacing_mm` high and wide, to half a pixel in the whole."""
        height, width = np.multiply(image, mm_per_pixel) / spacing_mm
        return cls(image, (max(round(height), 1), max(round(width), 1)))

    @classmethod
    def within(cls, image: tuple[int, ...], size: tuple[int, int]) -> Grid:
        """The largest grid within `size` in which the image keeps its proportions."""
        scale = min(size[0] / image[0], size[1] / image[1])
        return cls(image, (max(round(image[0] * scale), 1), max(round(image[1] * scale), 1)))

    def reduce(self, image: Image) -> Image:
        """The image on the grid: averaged along an axis that shrinks, else interpolated."""
        rows, columns = self.size
        # OpenCV takes one method for both axes, and lines may be dense where rows are not.
        shrunk = min(columns, image.shape[1]), min(rows, image.shape[0])
        averaged = cv2.resize(image, shrunk, interpolation=cv2.INTER_AREA)
        if shrunk == (columns, rows):
            return np.asarray(averaged)
        return np.asarray(cv2.resize(averaged, (columns, rows), interpolation=cv2.INTER_LINEAR))

    def bounds(self, mask: Mask) -> Floats:
        """Bounds (2, columns) on the grid of a mask (h, w) of an image, fractional."""
        rows, columns = self.size
        height, width = self.image
        nearest = ((np.arange(columns) + 0.5) * width / columns).astype(np.int64)
        return mask_to_bounds(mask)[:, nearest].astype(np.float64) * (rows / height)


@dataclass(frozen=True)
class Box:
    """A window on a grid; parts of it may lie beyond the grid.

    Attributes:
        top: first row.
        left: first column.
        height: in rows.
        width: in columns.
    """

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def around(cls, bounds: Floats, height: int, width: int) -> Box:
        """The box of this size in whose middle lies the region that the bounds outline."""
        columns = np.flatnonzero(bounds[1] > bounds[0])
        row = (bounds[0, columns].min() + bounds[1, columns].max()) / 2
        column = (columns[0] + columns[-1] + 1) / 2
        return cls(round(row - height / 2), round(column - width / 2), height, width)

    def moved(self, down: int, right: int) -> Box:
        """The box elsewhere."""
        return Box(self.top + down, self.left + right, self.height, self.width)

    def cut(self, image: Image) -> Image:
        """What of the image lies in the box, (height, width); 0 beyond the image."""
        rows = _overlap(self.top, self.height, image.shape[0])
        columns = _overlap(self.left, self.width, image.shape[1])
        window = np.zeros((self.height, self.width), image.dtype)
        window[rows[1], columns[1]] = image[rows[0], columns[0]]
        return window

    def columns_of(self, bounds: Floats) -> Floats:
        """The bounds in the columns of the box, (2, width); 0 beyond the grid."""
        there, here = _overlap(self.left, self.width, bounds.shape[1])
        window = np.zeros((2, self.width))
        window[:, here] = bounds[:, there]
        return window

    def bounds_in(self, bounds: Floats) -> npt.NDArray[np.int16]:
        """The bounds in rows and columns of the box, (2, width); both 0 where a column has none."""
        columns = self.columns_of(bounds)
        first, last = np.clip(np.round(columns) - self.top, 0, self.height)
        inside = (last > first) & (columns[1] > columns[0])
        return np.where(inside, [first, last], 0).astype(np.int16)


def _overlap(start: int, length: int, available: int) -> tuple[slice, slice]:
    """Where a window and an image share pixels: counted in the image, and in the window."""
    first = min(max(start, 0), available)
    last = max(min(start + length, available), first)
    return slice(first, last), slice(first - start, last - start)


def straighten(image: Image, bounds: Floats, left: int, height: int, down: int) -> Image:
    """Stretch each column between its bounds to the same height.

    Args:
        image: on the grid.
        bounds: (2, width) rows of the image.
        left: column of the image that the first of `bounds` belongs to.
        height: rows of the result.
        down: rows by which everything is displaced.

    Returns:
        (height, width), 0 where a column has no bounds or lies beyond the image.
    """
    first, last = bounds
    samples = (np.arange(2 * height) + 0.5) / (2 * height)  # two for each row: no aliasing
    rows = first + down + samples[:, None] * (last - first) - 0.5
    last_row = image.shape[0] - 1
    at_edge = (rows >= -0.5) & (rows <= last_row + 0.5)  # the outer halves of its pixels
    rows = np.where(at_edge, np.clip(rows, 0, last_row), rows)
    columns = np.broadcast_to(left + np.arange(len(first)), rows.shape)
    maps: tuple[Any, Any] = columns.astype(np.float32), rows.astype(np.float32)
    doubled = cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    averaged = cv2.resize(doubled, (len(first), height), interpolation=cv2.INTER_AREA)
    return np.where(last > first, averaged, 0).astype(np.uint8)
