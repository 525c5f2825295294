"""The frame clock of a scanner that sends a pulse for each frame."""

from __future__ import annotations

import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import Floats, FrameClock, Recording, Signal
from vitruvian.muscle.sync.nominal import drift_ppm, nominal_rate_hz, rate_notes
from vitruvian.muscle.sync.pulses import Pulses, repaired, rising_edges

_CUT_S = 1.0  # that the signals may start after the frames, or end before them


def pulse_train(recording: Recording) -> Pulses:
    """The trigger pulses of a recording, repaired.

    Raises:
        DataError: there is neither a trigger channel nor a list of times.
    """
    clock = recording.clock
    if clock.times_s is not None:
        return repaired(np.sort(clock.times_s[np.isfinite(clock.times_s)]))
    return repaired(rising_edges(clock_channel(recording, "its trigger")))


def clock_channel(recording: Recording, what: str) -> Signal:
    """The channel that the clock of a recording names.

    Raises:
        DataError: it names none, or there is none of that name; says that it is that of `what`.
    """
    name = recording.clock.channel
    if name is None:
        raise DataError(f"{recording.name}: clock: name the channel of {what}")
    if name not in recording.signals:
        have = ", ".join(recording.signals) or "none"
        raise DataError(f"{recording.name}: clock: no channel {name!r}; there are: {have}")
    return recording.signals[name]


def pulse_clock(recording: Recording, tolerance_frames: int) -> FrameClock:
    """When each frame was taken: at its pulse.

    Missing pulses count, unless there are exactly as many pulses as frames without them: then the
    scanner made a pause, however short. Signals that begin or end within the train lack its first
    or last pulses; there, and only there, a second's worth of frames may be without.

    Raises:
        DataError: there is no trigger, or frames and pulses differ by more than the tolerance.
    """
    train = pulse_train(recording)
    times, missing, notes = _placed(recording, train, tolerance_frames)
    rate, residuals = _evenness(train)
    nominal = nominal_rate_hz(recording)
    first = int(np.argmax(np.isfinite(times)))
    return FrameClock(
        kind="pulses",
        times_s=times,
        rate_hz=rate,
        offset_s=float(times[first] - (first / rate if first else 0)),
        drift_ppm=drift_ppm(rate, nominal),
        residual_ms=float(residuals.std()),
        residual_max_ms=float(np.abs(residuals).max()),
        pulses=train.found,
        missing=missing,
        doubled=len(train.removed_s),
        notes=(*notes, *rate_notes(rate, nominal)),
    )


def _placed(recording: Recording, train: Pulses, tolerance: int) -> tuple[Floats, int, list[str]]:
    """Time of each frame, NaN without a pulse; the number of missing pulses; and notes."""
    times, frames = train.times_s, recording.frame_count
    missing, seen = int(train.filled.sum()), train.times_s[~train.filled]
    if missing and len(seen) == frames:
        text = f"{missing} beat(s) without a pulse are pauses of the scanner: the frames say so"
        return seen, 0, [text]
    late, early = _cut(recording, train)
    lacking = frames - len(times)
    bearable = _CUT_S / train.period_s if late != early else 0
    if abs(lacking) > tolerance and not 0 < lacking <= bearable:
        raise DataError(_disagreement(recording, train))
    lead = max(0, lacking) if late and not early else 0
    placed = np.full(frames, np.nan)
    placed[lead : lead + len(times)] = times[: frames - lead]
    return placed, missing, _surplus(lacking, lead, early and not late)


def _cut(recording: Recording, train: Pulses) -> tuple[bool, bool]:
    """Whether the train runs already where its channel begins, and still where it ends."""
    if recording.clock.times_s is not None or len(train.times_s) == 0:
        return False, False
    times = clock_channel(recording, "its trigger").times_s
    before, after = train.times_s[0] - times[0], times[-1] - train.times_s[-1]
    return bool(before < train.period_s), bool(after < train.period_s)


def _disagreement(recording: Recording, train: Pulses) -> str:
    missing, doubled = int(train.filled.sum()), len(train.removed_s)
    rate = f"at {1 / train.period_s:.4g} Hz" if train.period_s > 0 else "without a rate"
    return (
        f"{recording.name}: {recording.frame_count} frames but {len(train.times_s)} trigger pulses "
        f"({train.found} found {rate}, {missing} missing filled in, {doubled} double left out); "
        "name the right trigger channel or the right frames, or raise tolerance_frames"
    )


def _surplus(lacking: int, lead: int, cut: bool) -> list[str]:
    if lacking == 0:
        return []
    if lacking < 0:
        return [f"{-lacking} more pulse(s) than frames: the last are taken to have no frame"]
    which = "first" if lead else "last"
    why = "signals start too late" if lead else "signals end too early" if cut else "most likely"
    return [f"{lacking} more frame(s) than pulses: the {which} are taken to have none ({why})"]


def _evenness(train: Pulses) -> tuple[float, Floats]:
    """Rate of the even clock nearest to the pulses, and the deviations from it in ms."""
    beats = np.flatnonzero(~train.filled)
    if len(beats) < 2:
        return np.nan, np.zeros(1)
    slope, start = np.polyfit(beats, train.times_s[beats], 1)
    return 1 / slope, 1000 * (train.times_s[beats] - start - slope * beats)
