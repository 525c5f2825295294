"""Curves over time from which movements are made."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vitruvian.spine.simulator.body import Array


def smooth(share: Array | float) -> Array:
    """From 0 to 1 with minimum jerk (Flash and Hogan, 1985), constant outside."""
    x = np.clip(share, 0.0, 1.0)
    return np.asarray(x * x * x * (10.0 - 15.0 * x + 6.0 * x * x))


def drift(rng: np.random.Generator, frames: int, channels: int, width: float) -> Array:
    """(frames, channels) smooth noise of unit variance; `width` is its time scale in frames."""
    white = rng.standard_normal((frames, channels))
    return gaussian_filter1d(white, width, axis=0, mode="wrap") * np.sqrt(2 * width * np.pi**0.5)


class Keys:
    """A value over time by key frames, with minimum-jerk movements between them."""

    def __init__(self, value: float, wait_s: float) -> None:
        """Stay at `value` for `wait_s`."""
        self.times, self.values = [0.0], [value]
        self.hold(wait_s)

    @property
    def now(self) -> float:
        """Time of the last key."""
        return self.times[-1]

    def to(self, value: float, seconds: float) -> Keys:
        """Move to `value`."""
        self.times.append(self.now + seconds)
        self.values.append(value)
        return self

    def hold(self, seconds: float) -> Keys:
        """Rest."""
        return self.to(self.values[-1], seconds)

    def at(self, times: Array) -> Array:
        """Values at `times`; the first and the last one hold outside."""
        knots, values = np.array(self.times), np.array(self.values)
        right = np.clip(np.searchsorted(knots, times, side="right"), 1, len(knots) - 1)
        span = np.maximum(knots[right] - knots[right - 1], 1e-9)
        way = smooth((times - knots[right - 1]) / span)
        return values[right - 1] + (values[right] - values[right - 1]) * way
