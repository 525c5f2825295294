"""Bringing a channel with a time for each sample onto an even grid, and bridging its gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import Floats

_EVEN = 0.02  # of a period: jitter (SD) below it is left alone
_GAP = 0.5  # of a period, beyond one, and ...
_BEYOND_JITTER = 5.0  # robust SDs of the steps: in a longer step samples are missing
_BRIDGED = 0.1  # share of empty samples that may be filled in


@dataclass(frozen=True)
class EvenGrid:
    """An even grid of times in place of those of a file.

    Attributes:
        rate_hz: of the grid.
        start_s: its first time.
        note: what was uneven; "" for nothing.
        count: times on the grid.
        given_s: the times of the samples to interpolate between; None: the samples stay as they
            are, since their times are even as far as they were written.
    """

    rate_hz: float
    start_s: float
    note: str = ""
    count: int = 0
    given_s: Floats | None = None

    @classmethod
    def of_times(cls, times_s: Floats) -> EvenGrid:
        """The grid for samples taken at `times_s`, (n,).

        Its rate is n - 1 samples over their span, without the steps in which samples are missing.
        Times that were rounded in the file, so that some are equal, are taken as even.

        Raises:
            DataError: fewer than two times, an empty one, or they run backwards; says where.
        """
        steps = _steps(times_s)
        period = _period(steps)
        grid_s = times_s[0] + period * np.arange(len(times_s))
        errors = times_s - grid_s
        start_s = float(times_s[0])
        if errors.std() <= _EVEN * period and np.abs(errors).max() < _GAP * period:
            return cls(1 / period, start_s)
        if steps.min() <= 0:
            return cls(1 / period, start_s, _rounded(times_s, errors, period))
        count = int((times_s[-1] - times_s[0]) / period + 1.5)
        note = (
            f"uneven sampling brought onto {1 / period:.6g} Hz: steps vary by "
            f"{1000 * steps.std():.3g} ms (SD), the longest is {1000 * steps.max():.3g} ms"
        )
        return cls(1 / period, start_s, note, count, times_s)

    def values(self, values: Floats) -> Floats:
        """Samples at the times of the grid, linear between those at the times that were given."""
        if self.given_s is None:
            return values
        times_s = self.start_s + np.arange(self.count) / self.rate_hz
        return np.interp(times_s, self.given_s, values)


def _steps(times_s: Floats) -> Floats:
    if len(times_s) < 2:
        raise DataError(f"{len(times_s)} times; two samples are needed at least")
    if np.isnan(times_s).any():
        raise DataError(f"sample {int(np.isnan(times_s).argmax()) + 1} has no time")
    steps = np.diff(times_s)
    if steps.min() < 0 or times_s[-1] <= times_s[0]:
        number = int(steps.argmin())
        raise DataError(
            f"time does not rise: {times_s[number]:.9g} s, then {times_s[number + 1]:.9g} s at "
            f"sample {number + 2}"
        )
    return steps


def _period(steps: Floats) -> float:
    """The mean step, without those in which samples are missing."""
    usual = float(np.median(steps))
    jitter = 1.4826 * float(np.median(np.abs(steps - usual)))
    longest = usual + max(_GAP * usual, _BEYOND_JITTER * jitter)
    return float(steps[steps <= longest].mean()) if usual > 0 else float(steps.mean())


def _rounded(times_s: Floats, errors: Floats, period: float) -> str:
    """Say that equal times were taken for rounded ones, where they can be that."""
    if np.abs(errors - errors.mean()).max() > 1.5 * max(period, _resolution(times_s)):
        number = int((np.diff(times_s) <= 0).argmax())
        raise DataError(f"time does not rise at sample {number + 2}: {times_s[number]:.9g} s twice")
    return f"times are rounded so that some are equal; taken as even at {1 / period:.6g} Hz"


def _resolution(times_s: Floats) -> float:
    steps = np.diff(times_s)
    return float(steps[steps > 0].min())


def bridged(values: Floats) -> tuple[Floats, str]:
    """Fill empty samples linearly between their neighbours.

    Returns:
        The values, and a note; "" where nothing was empty.

    Raises:
        DataError: there are no samples, or more than a tenth of them are empty.
    """
    empty = ~np.isfinite(values)
    share = float(empty.mean()) if len(values) else 1.0
    if share > _BRIDGED:
        raise DataError(f"{empty.sum()} of {len(values)} samples are empty")
    if not share:
        return values, ""
    there = np.flatnonzero(~empty)
    filled = np.interp(np.arange(len(values)), there, values[there])
    return filled, f"{empty.sum()} of {len(values)} samples are empty and were bridged linearly"
