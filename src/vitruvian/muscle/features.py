"""Numbers that plain image processing finds in the muscle: what a net has to beat.

A grid of 3 rows (depths) and 4 columns is laid over the muscle: it bends with the aponeuroses, so
that a cell is the same tissue in a thick and in a thin muscle. Both features of a frame depend on
it and the frame before alone, so that on-line and off-line are the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

__all__ = [
    "FLOW_FEATURES",
    "INTENSITY_FEATURES",
    "SMALLEST",
    "WIDEST",
    "flow_between",
    "flow_features",
    "intensity_features",
    "intensity_of",
]

_ROWS, _COLUMNS = 3, 4
_CELLS = _ROWS * _COLUMNS

FLOW_FEATURES = 2 * _CELLS + 4
INTENSITY_FEATURES = 2 + 2 * _CELLS + _COLUMNS

SMALLEST = 32  # pixels; the pyramid of cv2.DISOpticalFlow crashes on smaller and on very wide ones
WIDEST = 8  # times the height

Image = npt.NDArray[np.uint8]
Bounds = npt.NDArray[np.int16]
Features = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


def flow_features(images: Image, bounds: Bounds, follows: npt.NDArray[np.bool_]) -> Features:
    """Displacement of the muscle between each frame and the one before.

    Args:
        images: (T, H, W) crops, not masked.
        bounds: (T, 2, W) first row of the muscle and the row after its last one.
        follows: (T,) whether the frame before was kept, too; the first is taken as False.

    Returns:
        (T, FLOW_FEATURES), rows as `flow_between` gives them; zeros where none follows.

    Raises:
        ValueError: see `flow_between`.
    """
    features = np.zeros((len(images), FLOW_FEATURES), np.float32)
    for t in np.flatnonzero(follows[1:]) + 1:
        features[t] = flow_between(images[t - 1], images[t], bounds[t])
    return features


def flow_between(before: Image, after: Image, bounds: Bounds) -> Features:
    """Displacement of the muscle between two frames, in pixels of the crop.

    Dense optical flow (Kroeger et al., ECCV 2016, "Fast optical flow using dense inverse search")
    averaged over cells: the group's own earlier method was tracking, too (docs/muscle.md).

    Args:
        before: (H, W).
        after: (H, W).
        bounds: (2, W) of the frame `after`; both frames are read within it.

    Returns:
        (FLOW_FEATURES,): the displacement along x of the cells, row by row, that along y, then four
        differences: deep less superficial along x (shear) and y (thickening), right less left
        along x (lengthening) and y (turning). Zeros where there is no muscle.

    Raises:
        ValueError: the images are too small or too wide for the method.
    """
    height, width = after.shape
    if min(height, width) < SMALLEST or width > WIDEST * height:
        raise ValueError(
            f"optical flow needs {SMALLEST} x {SMALLEST} pixels or more, at most {WIDEST} times "
            f"as wide as high, not {height} x {width}"
        )
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow = method.calc(np.ascontiguousarray(before), np.ascontiguousarray(after), None)
    cells, _ = _Grid(bounds).means(flow)
    deeper = cells[:, -1].mean(axis=-1) - cells[:, 0].mean(axis=-1)
    along = cells[:, :, -1].mean(axis=-1) - cells[:, :, 0].mean(axis=-1)
    return np.concatenate([cells.ravel(), deeper, along]).astype(np.float32)


def intensity_features(images: Image, bounds: Bounds) -> Features:
    """Brightness and contrast of every frame, and how thick the muscle is.

    Args:
        images: (T, H, W) crops, not masked.
        bounds: (T, 2, W) first row of the muscle and the row after its last one.

    Returns:
        (T, INTENSITY_FEATURES), rows as `intensity_of` gives them.
    """
    features = np.zeros((len(images), INTENSITY_FEATURES), np.float32)
    for t, (image, bound) in enumerate(zip(images, bounds, strict=True)):
        features[t] = intensity_of(image, bound)
    return features


def intensity_of(image: Image, bounds: Bounds) -> Features:
    """Brightness and contrast of one frame, and how thick the muscle is.

    Args:
        image: (H, W).
        bounds: (2, W).

    Returns:
        (INTENSITY_FEATURES,): mean and standard deviation of the whole muscle, of the cells the
        means, row by row, and the deviations, and the thickness in pixels of the columns of cells.
        Zeros where there is no muscle.
    """
    grid, grey = _Grid(bounds), image.astype(np.float32)
    cells, whole = grid.means(np.dstack([grey, grey**2]))
    contrast, thickness = _deviation(cells), grid.thickness
    parts = [whole[:1], _deviation(whole), cells[0], contrast, thickness]
    return np.concatenate([np.ravel(part) for part in parts]).astype(np.float32)


def _deviation(powers: Floats) -> Floats:
    """Standard deviation from the means of a value and of its square, (2, ...)."""
    spread: Floats = np.sqrt(np.maximum(powers[1] - powers[0] ** 2, 0))
    return spread


@dataclass(frozen=True)
class _Grid:
    """Cells over the muscle of one frame: depths in each column, columns side by side.

    Attributes:
        bounds: (2, W) of the muscle.
    """

    bounds: Bounds

    @cached_property
    def edges(self) -> npt.NDArray[np.int64]:
        """First row of each depth in each column, and the row after the last, (_ROWS + 1, W)."""
        top, bottom = self.bounds.astype(np.int64)
        depths = np.arange(_ROWS + 1)[:, None]
        return top + np.maximum(bottom - top, 0) * depths // _ROWS

    @cached_property
    def columns(self) -> Floats:
        """Which column of cells each column of pixels belongs to, (W, _COLUMNS) of 0 and 1."""
        inside = np.flatnonzero(self.bounds[1] > self.bounds[0])
        columns = np.zeros((self.bounds.shape[1], _COLUMNS))
        if len(inside):
            place = (inside - inside[0]) * _COLUMNS // (inside[-1] - inside[0] + 1)
            columns[inside, place] = 1
        return columns

    @cached_property
    def pixels(self) -> Floats:
        """Pixels in each cell, (_ROWS, _COLUMNS)."""
        counts: Floats = np.diff(self.edges, axis=0) @ self.columns
        return counts

    @property
    def thickness(self) -> Floats:
        """Mean thickness of each column of cells in pixels, (_COLUMNS,)."""
        total, count = self.pixels.sum(axis=0), self.columns.sum(axis=0)
        return _divided(total, count, _divided(total.sum(), count.sum(), np.zeros(())))

    def means(self, channels: npt.NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Mean of each channel of (H, W, C) in each cell and in the whole muscle.

        Returns:
            (C, _ROWS, _COLUMNS), where a cell without pixels takes the mean of the muscle, and
            (C,), 0 where there is no muscle.
        """
        sums = self._sums(channels)
        total = sums.sum(axis=(1, 2))
        whole = _divided(total, self.pixels.sum(), np.zeros_like(total))
        return _divided(sums, self.pixels, whole[:, None, None]), whole

    def _sums(self, channels: npt.NDArray[np.float32]) -> Floats:
        above = cv2.integral(channels, sdepth=cv2.CV_64F)  # sums of all that is above and left
        column = np.arange(channels.shape[1])
        until = above[self.edges, column + 1] - above[self.edges, column]  # down each column
        sums: Floats = np.moveaxis(np.diff(until, axis=0), -1, 0) @ self.columns
        return sums


def _divided(total: Floats, count: Floats, otherwise: Floats) -> Floats:
    """`total` by `count`, and `otherwise` where there is nothing to divide by."""
    filled = np.broadcast_to(otherwise, np.broadcast_shapes(total.shape, count.shape)).copy()
    return np.divide(total, count, out=filled, where=count > 0)
