"""Bright, wide, nearly level lines in an image: straight ones found, curved ones followed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Rows = npt.NDArray[np.float64]  # (..., columns): the row of a line in each column
Indices = npt.NDArray[np.int64]

STEP = 2  # straight lines are searched in every second row and column


def level_lines(brightness: Array, slopes: Sequence[float], apart: int) -> tuple[Rows, Array]:
    """The straight lines that are brighter than all others near them.

    Args:
        brightness: (rows, columns) along which lines are averaged; nothing is beyond the image.
        slopes: rows per column that are tried.
        apart: least distance in rows between the middles of two lines.

    Returns:
        (n, columns) rows of the lines, from the top, and (n,) mean brightness.
    """
    rows, columns = brightness.shape
    row, column, inside = _rays(rows, columns, tuple(slopes))
    mean = (brightness[row, column] * inside).mean(axis=2)  # (rows / STEP, slopes)
    best, strength = mean.argmax(axis=1), mean.max(axis=1)
    peaks = _peaks(strength, max(apart // STEP, 1))
    from_middle = np.arange(columns) - (columns - 1) / 2
    lines = peaks[:, None] * STEP + np.asarray(slopes)[best[peaks], None] * from_middle
    return lines, strength[peaks]


@lru_cache(maxsize=8)
def _rays(rows: int, columns: int, slopes: tuple[float, ...]) -> tuple[Indices, Indices, Array]:
    """Pixels along all lines, every STEP rows and columns: rows, columns, and 1 where inside."""
    column = np.arange(0, columns, STEP)
    tilts = np.outer(slopes, column - (columns - 1) / 2)
    row = np.round(np.arange(0, rows, STEP)[:, None, None] + tilts).astype(np.int64)
    inside = (row >= 0) & (row < rows)
    return np.clip(row, 0, rows - 1), column, inside.astype(np.float32)


def _peaks(strength: npt.NDArray[np.floating], apart: int) -> Indices:
    """Where a positive strength is the largest of all within `apart`."""
    padded = np.pad(strength, apart, constant_values=-np.inf)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * apart + 1)
    return np.flatnonzero((strength == around.max(axis=1)) & (strength > 0))


def brightest_paths(brightness: Array, near: Rows, reach: int, stiffness: float) -> Rows:
    """Bend lines to the brightest path near them, by dynamic programming.

    A path's worth is its brightness less `stiffness` for each row by which it moves off the shape
    of its line from one column to the next, at most one row a column.

    Args:
        brightness: (rows, columns).
        near: (n, columns) the lines.
        reach: how many rows a path may lie off its line.
        stiffness: in units of brightness.

    Returns:
        (n, columns) the paths.
    """
    offsets = np.arange(-reach, reach + 1)
    worth = _beside(brightness, near, offsets)
    best, steps = _accumulated(worth, stiffness)
    return near + offsets[_traced(best, steps)].T


def _beside(brightness: Array, lines: Rows, offsets: Indices) -> Array:
    """Brightness at rows beside lines: (columns, n, offsets)."""
    rows, columns = brightness.shape
    wanted = np.round(lines).astype(np.int64).T[:, :, None] + offsets
    return brightness[np.clip(wanted, 0, rows - 1), np.arange(columns)[:, None, None]]


def _accumulated(worth: Array, stiffness: float) -> tuple[Array, Indices]:
    """Worth of the best path to each offset of the last column, and the step into each offset."""
    columns, count, offsets = worth.shape
    steps = np.empty(worth.shape, np.int64)
    best = np.full((count, offsets + 2), -np.inf, np.float32)
    best[:, 1:-1] = worth[0]
    moves = np.empty((3, count, offsets), np.float32)
    for column in range(1, columns):
        moves[0] = best[:, 1:-1]
        np.subtract(best[:, :-2], stiffness, out=moves[1])
        np.subtract(best[:, 2:], stiffness, out=moves[2])
        moves.argmax(axis=0, out=steps[column])
        best[:, 1:-1] = moves.max(axis=0) + worth[column]
    return best[:, 1:-1], steps


def _traced(best: Array, steps: Indices) -> Indices:
    """Follow the steps back: (columns, n) offset numbers of the best paths."""
    back = np.array([0, -1, 1])
    traced = np.empty(steps.shape[:2], np.int64)
    traced[-1] = best.argmax(axis=1)
    each = np.arange(steps.shape[1])
    for column in range(len(steps) - 1, 0, -1):
        here = traced[column]
        traced[column - 1] = here + back[steps[column, each, here]]
    return traced
