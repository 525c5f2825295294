"""Recordings made up for these tests, with clocks that are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from vitruvian.muscle.recording import ClockSource, Floats, Frames, Image, Recording, Signal


@dataclass(frozen=True)
class Sliding:
    """Frames of one texture that slides along x, to `positions` in px."""

    positions: Floats
    claimed_rate_hz: float | None = None

    @property
    def count(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Image]:
        rows, columns = np.mgrid[0:32, 0:64].astype(float)
        for x in self.positions:
            waves = np.sin((columns - x) / 4) + np.sin((columns - x) / 2.3 + rows / 5)
            yield np.clip(128 + 50 * waves, 0, 255).astype(np.uint8)


def trigger(times_s: Floats, duration_s: float, rate_hz: float = 1000.0, width: int = 3) -> Signal:
    """A channel of 5 V pulses, with a little noise."""
    values = np.random.default_rng(0).normal(0, 0.03, round(duration_s * rate_hz))
    for first in np.ceil(np.asarray(times_s) * rate_hz).astype(int):
        values[first : first + width] += 5
    return Signal(values, rate_hz, unit="V")


def recording(
    clock: ClockSource,
    frames: int,
    signals: Mapping[str, Signal],
    images: Frames | None = None,
    simulated: bool = False,
) -> Recording:
    """A trial called P01_1."""
    return Recording(
        name="P01_1",
        participant="P01",
        task="combined",
        frames=images,
        frame_count=frames,
        signals=signals,
        clock=clock,
        simulated=simulated,
    )
