"""Bringing a channel with a time for each sample onto an even grid; its gaps stay gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import Floats

_EVEN = 0.02  # of a period: jitter (SD) below it is left alone
_GAP = 0.5  # of a period, beyond one, and ...
_BEYOND_JITTER = 5.0  # robust SDs of the steps: in a longer step samples are missing
_EMPTY = 0.5  # share of samples that may be empty


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
        longest_s: of two of them between which no sample is missing.
    """

    rate_hz: float
    start_s: float
    note: str = ""
    count: int = 0
    given_s: Floats | None = None
    longest_s: float = np.inf

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
        return cls(1 / period, start_s, note, count, times_s, _longest(steps))

    def values(self, values: Floats) -> Floats:
        """Samples at the times of the grid, linear between those at the times that were given.

        Where samples are missing they are NaN: what may be bridged is for `sync` to decide.
        """
        if self.given_s is None:
            return values
        times_s = self.start_s + np.arange(self.count) / self.rate_hz
        return np.where(self._missing(times_s), np.nan, np.interp(times_s, self.given_s, values))

    def _missing(self, times_s: Floats) -> npt.NDArray[np.bool_]:
        """Which times lie in a gap, nearer to no sample than half a period."""
        assert self.given_s is not None
        after = np.clip(np.searchsorted(self.given_s, times_s), 1, len(self.given_s) - 1)
        left, right = self.given_s[after - 1], self.given_s[after]
        away = np.minimum(times_s - left, right - times_s)
        return (right - left > self.longest_s) & (away > 0.5 / self.rate_hz)


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
    return float(steps[steps <= _longest(steps)].mean() if np.median(steps) > 0 else steps.mean())


def _longest(steps: Floats) -> float:
    """The longest step that jitter explains."""
    usual = float(np.median(steps))
    jitter = 1.4826 * float(np.median(np.abs(steps - usual)))
    return usual + max(_GAP * usual, _BEYOND_JITTER * jitter)


def _rounded(times_s: Floats, errors: Floats, period: float) -> str:
    """Say that equal times were taken for rounded ones, where they can be that."""
    if np.abs(errors - errors.mean()).max() > 1.5 * max(period, _resolution(times_s)):
        number = int((np.diff(times_s) <= 0).argmax())
        raise DataError(f"time does not rise at sample {number + 2}: {times_s[number]:.9g} s twice")
    return f"times are rounded so that some are equal; taken as even at {1 / period:.6g} Hz"


def _resolution(times_s: Floats) -> float:
    steps = np.diff(times_s)
    return float(steps[steps > 0].min())


def empty_note(values: Floats) -> str:
    """How many samples are empty, in words; "" for none.

    Raises:
        DataError: there are no samples, or more than half of them are empty, as where a slow
            channel shares a table with a fast one.
    """
    empty = int((~np.isfinite(values)).sum())
    if empty > _EMPTY * len(values) or not len(values):
        raise DataError(
            f"{empty} of {len(values)} samples are empty; a channel that was sampled more slowly "
            "belongs into a file of its own"
        )
    return f"{empty} of {len(values)} samples are empty" if empty else ""
