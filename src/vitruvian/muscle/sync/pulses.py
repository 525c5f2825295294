"""Trigger pulses: finding their edges, and repairing trains with missing and double ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from vitruvian.muscle.recording import Floats, Signal
from vitruvian.muscle.sync.filters import bridged

_HYSTERESIS = 0.2  # of the height of a pulse, to either side of the threshold
_NOISE = 6.0  # standard deviations that no noise exceeds
_SAME = 1.15  # intervals of one period differ by less than this factor
_OFF_BEAT = 0.25  # of a period
_MUCH = 0.3  # share of the time that intervals of the period cover at least
_RARE = 0.05  # share of intervals below which they are accidents, such as one long pause

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pulses:
    """A repaired train.

    Attributes:
        times_s: (n,) ascending, one for each beat.
        filled: (n,) True where the pulse was missing and its time is drawn between its neighbours.
        removed_s: times of the pulses that were too many.
        period_s: between two pulses; NaN of fewer than two.
    """

    times_s: Floats
    filled: Flags
    removed_s: Floats
    period_s: float

    @property
    def found(self) -> int:
        """Number of pulses that were there before the repair."""
        return int((~self.filled).sum()) + len(self.removed_s)


def rising_edges(trigger: Signal) -> Floats:
    """Times at which a trigger rises midway between its levels, (n,) seconds, between samples.

    The upper level is that of most pulses, so one spike does not raise it; noise on an edge makes
    no second pulse, since the signal has to fall well below the threshold first.
    """
    values = bridged(trigger, np.inf)[0].values
    levels = _levels(values)
    if levels is None:
        return np.zeros(0)
    low, high = levels
    middle, margin = (low + high) / 2, _HYSTERESIS * (high - low)
    firsts = _crossings(values, middle - margin, middle + margin)
    below = np.maximum.accumulate(np.where(values <= middle, np.arange(len(values)), 0))[firsts]
    rise = values[below + 1] - values[below]
    edges: Floats = trigger.start_s + (below + (middle - values[below]) / rise) / trigger.rate_hz
    return edges


def _levels(values: Floats) -> tuple[float, float] | None:
    """Lower and upper level; None where nothing stands out of the noise."""
    if len(values) < 2:
        return None
    low = float(np.quantile(values, 0.01))
    noise = 1.4826 * float(np.median(np.abs(np.diff(values)))) / np.sqrt(2)
    floor = low + max(2 * _NOISE * noise, 0.05 * (float(values.max()) - low))
    numbers, count = ndimage.label(values > floor)
    if count == 0:
        return None
    heights = np.asarray(ndimage.maximum(values, numbers, np.arange(1, count + 1))) - low
    usual = np.median(heights[heights > np.quantile(heights, 0.9, method="lower") / 2])
    return low, low + float(usual)


def _crossings(values: Floats, lower: float, upper: float) -> npt.NDArray[np.int64]:
    """First samples above `upper` since one below `lower`."""
    state = np.where(values > upper, 1, np.where(values < lower, -1, 0))
    decided = np.maximum.accumulate(np.where(state != 0, np.arange(len(state)), 0))
    held = state[decided]
    return np.flatnonzero((held[1:] == 1) & (held[:-1] != 1)) + 1


def repaired(edges_s: Floats) -> Pulses:
    """Bring a train to one pulse a beat.

    Of several pulses on a beat the one nearest to it stays. A gap of about k periods has k - 1
    pulses filled in. Neither doubles nor gaps shift the period.

    Args:
        edges_s: (n,) times, ascending.
    """
    if len(edges_s) < 2:
        return Pulses(edges_s, np.zeros(len(edges_s), np.bool_), np.zeros(0), np.nan)
    period = _period(np.diff(edges_s))
    kept = _one_a_beat(edges_s, period)
    if len(kept) > 1:  # where every pulse is doubled, the first estimate is short of a bounce
        period = _period(np.diff(edges_s[kept]))
        kept = _one_a_beat(edges_s, period)
    times, filled = _filled(edges_s[kept], period)
    return Pulses(times, filled, np.delete(edges_s, kept), period)


def _period(intervals: Floats) -> float:
    """Mean of the shortest group of alike intervals that covers much of the time.

    Those between bounces cover little of it, and those with pulses missing are longer.
    """
    ordered = np.sort(intervals)
    first = np.searchsorted(ordered, ordered / _SAME, "left")
    last = np.searchsorted(ordered, ordered * _SAME, "right")
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    often = (last - first) >= min(len(ordered), max(2, _RARE * len(ordered)))
    if not often.any():
        return float(np.median(ordered))
    covered = np.where(often, sums[last] - sums[first], 0.0)
    much = covered >= min(_MUCH * sums[-1], covered.max())
    shortest = _SAME * ordered[np.argmax(much)]  # which may lie at the edge of its group
    best = int(np.argmax(np.where(ordered <= shortest, covered, 0.0)))
    return float(ordered[first[best] : last[best]].mean())


def _one_a_beat(edges: Floats, period: float) -> list[int]:
    """Numbers of the pulses that stay, followed both ways from a pair that is surely a period."""
    start = int(np.argmin(np.abs(np.log(np.maximum(np.diff(edges), 1e-12) / period))))
    forwards = [start + number for number in _followed(edges[start:], period)]
    backwards = [start - number for number in _followed(-edges[start::-1], period)]
    return [*backwards[:0:-1], *forwards]


def _followed(edges: Floats, period: float) -> list[int]:
    """Numbers of the pulses that stay, from the first one on."""
    kept = [0]
    for number in range(1, len(edges)):
        phase = (edges[number] - edges[kept[-1]]) / period
        beat, off = round(phase), abs(phase - round(phase))
        if number + 1 < len(edges):
            rival = (edges[number + 1] - edges[kept[-1]]) / period
            stays = round(rival) != beat or abs(rival - beat) >= off
        else:
            stays = off <= _OFF_BEAT  # a last pulse off the beat is a glitch of switching
        if beat >= 1 and stays:
            kept.append(number)
    return kept


def _filled(times: Floats, period: float) -> tuple[Floats, Flags]:
    steps = np.maximum(1, np.round(np.diff(times) / period)).astype(np.int64)
    beats = np.concatenate([[0], np.cumsum(steps)])
    every = np.arange(beats[-1] + 1)
    return np.interp(every, beats, times), ~np.isin(every, beats)
