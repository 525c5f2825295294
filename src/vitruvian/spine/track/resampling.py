"""Landmarks on an even time grid, of a whole clip or frame by frame, with the same numbers.

Cameras deliver 24 to 60 frames per second, often unevenly; a net counts in frames. The grid is
t0 + k/fps. A grid point takes the first source frame that lies within a millisecond of it as it is;
else it lies on the line between its two neighbours in time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vitruvian.spine.landmarks import Floats, Times

TOLERANCE_S = 1e-3

Weights = npt.NDArray[np.float32]


def blend(start: Floats, end: Floats, weight: Weights) -> Floats:
    """`start` where `weight` is 0, `end` where it is 1, float32.

    Whole clips and streams both come through here, which is what makes them equal to the bit.
    """
    return start + weight * (end - start)


def resample(times: Times, values: Floats, fps: float, reach_s: float) -> tuple[Times, Floats]:
    """Values on the grid of `fps` that begins at the first frame.

    Args:
        times: (T,) seconds, strictly rising, at least one.
        values: (T, ...) finite.
        fps: grid points per second.
        reach_s: between frames that are further apart than this nothing is known: zeros.

    Returns:
        The grid, (G,), and the values at it, (G, ...).
    """
    grid = _grid(times, fps)
    after = np.searchsorted(times, grid - TOLERANCE_S)
    resampled = values[after]
    between = np.flatnonzero(times[after] > grid + TOLERANCE_S)
    if between.size:
        right = after[between]
        left = right - 1
        span = times[right] - times[left]
        shape = (-1, *[1] * (values.ndim - 1))
        weight = ((grid[between] - times[left]) / span).astype(np.float32).reshape(shape)
        near = (span <= reach_s).reshape(shape)
        resampled[between] = np.where(near, blend(values[left], values[right], weight), 0)
    return grid, resampled


def _grid(times: Times, fps: float) -> Times:
    first, last = float(times[0]), float(times[-1])
    count = int((last - first + TOLERANCE_S) * fps) + 2
    grid = first + np.arange(count) / fps
    return grid[grid - TOLERANCE_S <= last]


class StreamingResampler:
    """`resample` frame by frame: grid points leave as soon as a frame at or after them is there.

    Args:
        fps: as in `resample`.
        reach_s: as in `resample`.
    """

    def __init__(self, fps: float, reach_s: float) -> None:
        self.fps, self.reach_s = fps, reach_s
        self._first = 0.0
        self._passed = 0
        self._previous: tuple[float, Floats] | None = None

    def push(self, time_s: float, values: Floats) -> list[tuple[float, Floats]]:
        """Return the grid points up to this frame, each with its values."""
        if self._previous is None:
            self._first = time_s
        ready = []
        while (point := self._first + self._passed / self.fps) - TOLERANCE_S <= time_s:
            ready.append((point, self._at(point, time_s, values)))
            self._passed += 1
        self._previous = time_s, values
        return ready

    def _at(self, point: float, time_s: float, values: Floats) -> Floats:
        if time_s <= point + TOLERANCE_S or self._previous is None:
            return values
        before_s, before = self._previous
        span = time_s - before_s
        if span > self.reach_s:
            return np.zeros_like(values)
        return blend(before, values, np.asarray((point - before_s) / span, np.float32))
