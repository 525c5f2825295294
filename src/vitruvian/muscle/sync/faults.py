"""What is wrong with a channel, in plain words: missing samples, rails, flat stretches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from vitruvian.muscle.recording import Floats, Signal

_RUN = 3  # samples at an extreme in a row that make a rail: one or two are peaks
_LEAP = 3  # steps of resolution by which a signal jumps onto a rail; onto a plateau it creeps
_FLAT_S = 0.1  # unchanged for so long is a drop-out
_LEVELS = 32  # of its converter that a channel of EMG uses at least
_SHARE = 0.005  # of the time; shorter drop-outs are not worth a line

Flags = npt.NDArray[np.bool_]


def faults(name: str, channel: Signal) -> list[str]:
    """What is wrong with a channel.

    A joint angle may rest at the end stops of a pedal, so it is not checked for rails and
    drop-outs, only for never moving at all.

    Args:
        name: of the channel, for the words.
        channel: as recorded, before any filter.

    Returns:
        One line for each fault, such as `emg_v: railed for 3.1 % of the time`.
    """
    known = np.isfinite(channel.values)
    if not known.any():
        return [f"{name}: no samples"]
    found = _missing(name, ~known, channel.rate_hz) if not known.all() else []
    values = channel.values[known]
    if np.ptp(values) == 0:
        return [*found, f"{name}: never changes ({values[0]:g} throughout); dead or locked?"]
    if name.startswith("angle"):
        return found
    if name.startswith("emg"):
        found += _coarse(name, values)
    return [*found, *_railed(name, values), *_flat(name, values, channel.rate_hz)]


def _missing(name: str, missing: Flags, rate_hz: float) -> list[str]:
    longest = _runs(missing).max() / rate_hz
    return [f"{name}: missing for {_percent(missing.mean())} of the time, {longest:.2g} s at most"]


def _coarse(name: str, values: Floats) -> list[str]:
    levels = round(np.ptp(values) / _resolution(values)) + 1
    if levels >= _LEVELS:
        return []
    return [f"{name}: only {levels} levels of its converter; electrode off or gain too low?"]


def _resolution(values: Floats) -> float:
    steps = np.abs(np.diff(values))
    return float(steps[steps > 0].min())


def _railed(name: str, values: Floats) -> list[str]:
    at_rail = sum(_at(values, extreme) for extreme in (values.min(), values.max()))
    share = at_rail / len(values)
    return [f"{name}: railed for {_percent(share)} of the time"] if share else []


def _at(values: Floats, extreme: float) -> int:
    """Number of samples that a limit holds at `extreme`."""
    steps, leap = np.abs(np.diff(values)), _LEAP * _resolution(values)
    numbers, _ = ndimage.label(values == extreme)
    railed = 0
    for (run,) in ndimage.find_objects(numbers):
        before = steps[run.start - 1] if run.start else 0.0
        after = steps[run.stop - 1] if run.stop < len(values) else 0.0
        if run.stop - run.start >= _RUN and max(before, after) >= leap:
            railed += run.stop - run.start
    return railed


def _flat(name: str, values: Floats, rate_hz: float) -> list[str]:
    runs = _runs(np.diff(values) == 0) + 1
    long = runs[runs >= max(_RUN, _FLAT_S * rate_hz)]
    share = long.sum() / len(values)
    if share < _SHARE:
        return []
    return [f"{name}: flat for {_percent(share)} of the time, {long.max() / rate_hz:.2g} s at most"]


def _runs(flags: Flags) -> npt.NDArray[np.int64]:
    """Lengths of the stretches of True."""
    numbers, _ = ndimage.label(flags)
    return np.bincount(numbers)[1:].astype(np.int64)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 else "under 0.1 %"
