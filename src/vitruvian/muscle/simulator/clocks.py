"""Two clocks: that of the scanner, which goes a little wrong, and that of the acquisition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vitruvian.muscle.recording import Floats

SIGNAL_HZ = 1000.0
TTL_V = 5.0

_PULSE_S = 0.004  # or, of fast scanners,
_PULSE = 0.1  # of a period
_ECHO = 0.3  # of a period, by which the second of two pulses follows


@dataclass(frozen=True)
class Clocks:
    """When the frames of a recording are taken, and what its trigger shows of them.

    Attributes:
        frames: number of them.
        nominal_hz: frame rate that the scanner claims.
        rate_hz: what it really is.
        offset_s: time of the first frame, after the first sample of the signals.
        samples: of each signal, at `SIGNAL_HZ`.
        dropped: numbers of the frames whose pulse is missing.
        doubled: numbers of the frames that have two pulses.
    """

    frames: int
    nominal_hz: float
    rate_hz: float
    offset_s: float
    samples: int
    dropped: tuple[int, ...] = ()
    doubled: tuple[int, ...] = ()

    @classmethod
    def drawn(cls, frames: int, nominal_hz: float, random: np.random.Generator) -> Clocks:
        """Clocks of a recording.

        The scanner is off by up to 2 %. Three recordings in ten miss a few pulses, never the first
        or the last two; one in four has double ones. In one of ten the signals end too early.
        """
        rate = nominal_hz * (1.0 + random.uniform(-0.02, 0.02))
        offset = random.uniform(0.2, 1.5)
        spare = random.uniform(-0.3, -0.1) if random.random() < 0.1 else random.uniform(0.3, 1.0)
        seconds = offset + (frames - 1) / rate + spare
        inner = np.arange(2, max(frames - 2, 2))
        dropped = _some(inner, random.random() < 0.3, random)
        doubled = _some(np.setdiff1d(inner, dropped), random.random() < 0.25, random)
        samples = max(round(seconds * SIGNAL_HZ), 2)
        return cls(frames, nominal_hz, rate, offset, samples, dropped, doubled)

    @property
    def times_s(self) -> Floats:
        """(frames,) when each frame is taken, on the clock of the signals."""
        return self.offset_s + np.arange(self.frames) / self.rate_hz

    @property
    def signal_times_s(self) -> Floats:
        """(samples,) of the signals."""
        return np.arange(self.samples) / SIGNAL_HZ

    def trigger(self) -> Floats:
        """(samples,) TTL channel: 5 V for a tenth of a frame, at most 4 ms, but see `dropped`."""
        starts = np.delete(self.times_s, list(self.dropped))
        echoes = self.times_s[list(self.doubled)] + _ECHO / self.nominal_hz
        first = np.ceil(np.concatenate([starts, echoes]) * SIGNAL_HZ).astype(np.int64)
        width = max(round(min(_PULSE_S, _PULSE / self.nominal_hz) * SIGNAL_HZ), 1)
        high = (first[:, None] + np.arange(width)).ravel()
        volts = np.zeros(self.samples)
        volts[high[high < self.samples]] = TTL_V
        return volts


def _some(
    numbers: npt.NDArray[np.int64], any_at_all: bool, random: np.random.Generator
) -> tuple[int, ...]:
    """One to three of the numbers, ascending, or none."""
    count = min(int(random.integers(1, 4)), len(numbers))
    chosen = random.choice(numbers, count, replace=False) if count else numbers[:0]
    return tuple(sorted(int(n) for n in chosen)) if any_at_all else ()
