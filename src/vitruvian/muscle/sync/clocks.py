"""When each frame was taken, on the clock of the signals, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import ClockKind, Floats, FrameClock, Recording, Signal
from vitruvian.muscle.sync.filters import bridged
from vitruvian.muscle.sync.matching import Match, match
from vitruvian.muscle.sync.motion import image_motion
from vitruvian.muscle.sync.nominal import drift_ppm, nominal_rate_hz, rate_notes
from vitruvian.muscle.sync.pulse_clock import clock_channel, pulse_clock, pulse_train
from vitruvian.muscle.sync.pulses import rising_edges

_MATCHED = 0.6  # correlation of motion and channel below which they do not belong together
_SURE = 0.95  # share of the best correlation that no other place may reach
_MOVING = ("angle_deg", "torque_nm")  # channels that the image may move with, the likelier first


def frame_clock(recording: Recording, tolerance_frames: int = 2) -> FrameClock:
    """Find when each frame was taken.

    The rate that a file claims is only ever a first guess: pulses, a second trigger or the motion
    of the image are believed over it.

    Args:
        recording: with its `clock` saying how.
        tolerance_frames: by how many the number of frames may differ from that of pulses (or, for
            the kind `frames`, of samples).

    Raises:
        DataError: the recording lacks what its clock needs, or the numbers differ by more; both are
            shown.
    """
    kinds: Mapping[ClockKind, Callable[[Recording, int], FrameClock]] = {
        "pulses": pulse_clock,
        "start": _by_start,
        "motion": _by_motion,
        "frames": _by_frames,
    }
    if recording.frame_count < 1:
        raise DataError(f"{recording.name}: there are no frames to place in time")
    return kinds[recording.clock.kind](recording, tolerance_frames)


def _by_start(recording: Recording, tolerance: int) -> FrameClock:
    train = pulse_train(recording)
    seen = train.times_s[~train.filled]
    if len(seen) == 0:
        raise DataError(f"{recording.name}: clock: no trigger pulse found, so no start is known")
    nominal = nominal_rate_hz(recording)
    start, frames = float(seen[0]), recording.frame_count
    rate, residuals, notes = _rate_after(recording, start, seen, nominal)
    return FrameClock(
        kind="start",
        times_s=start + np.arange(frames) / rate,
        rate_hz=rate,
        offset_s=start,
        drift_ppm=drift_ppm(rate, nominal),
        residual_ms=float(residuals.std()) if len(residuals) else np.nan,
        residual_max_ms=float(np.abs(residuals).max()) if len(residuals) else np.nan,
        pulses=train.found,
        notes=(*notes, *rate_notes(rate, nominal)),
    )


def _rate_after(
    recording: Recording, start: float, seen: Floats, nominal: float | None
) -> tuple[float, Floats, list[str]]:
    """Frame rate by a stop trigger, a gate or the motion of the image, at worst the nominal."""
    frames = recording.frame_count
    if len(seen) == 2 and _likely((frames - 1) / (seen[1] - start), nominal):
        return (frames - 1) / (seen[1] - start), np.zeros(0), ["rate from start and stop trigger"]
    gate = _gate_end(recording, start)
    if gate is not None and _likely(frames / (gate - start), nominal):
        return frames / (gate - start), np.zeros(0), ["rate from how long the trigger was high"]
    if nominal is None:
        text = "one start trigger and no rate: give rate_hz as a first guess"
        raise DataError(f"{recording.name}: clock: {text}")
    found = _matched_rate(recording, start, nominal)
    if found is not None:
        return found.rate_hz, found.residuals_ms, ["rate from the motion of the image"]
    return nominal, np.zeros(0), [f"rate not measured: the nominal {nominal:.4g} Hz are believed"]


def _likely(rate: float, nominal: float | None) -> bool:
    """A short pulse is no gate: it would make a rate far from the nominal one."""
    return rate < 1000 if nominal is None else 0.8 < rate / nominal < 1.25


def _gate_end(recording: Recording, start: float) -> float | None:
    """When the trigger falls again after `start`; None if it never does."""
    if recording.clock.times_s is not None:
        return None
    trigger = clock_channel(recording, "its trigger")
    backwards = Signal(trigger.values[::-1], trigger.rate_hz, -trigger.times_s[-1])
    falls = -rising_edges(backwards)[::-1]
    later = falls[falls > start]
    return float(later[0]) if len(later) else None


def _matched_rate(recording: Recording, start: float, nominal: float) -> Match | None:
    if recording.frames is None or recording.frame_count < 3:
        return None
    motion = image_motion(recording.frames)
    for name in _MOVING:
        if name in recording.signals:
            channel = bridged(recording.signals[name], np.inf)[0]
            found = match(motion, channel, nominal, offset_s=start)
            if found.correlation >= _MATCHED:
                return found
    return None


def _by_motion(recording: Recording, tolerance: int) -> FrameClock:
    nominal = nominal_rate_hz(recording)
    channel = bridged(clock_channel(recording, "what moves with the image"), np.inf)[0]
    if recording.frames is None or nominal is None or recording.frame_count < 3:
        raise DataError(f"{recording.name}: clock: kind motion needs images and a rate_hz to try")
    found = match(image_motion(recording.frames), channel, nominal)
    if found.correlation < _MATCHED:
        raise DataError(
            f"{recording.name}: the motion of the image does not match {recording.clock.channel} "
            f"(correlation {found.correlation:.2f} at best); name another channel or a trigger"
        )
    residuals = found.residuals_ms
    return FrameClock(
        kind="motion",
        times_s=found.offset_s + np.arange(recording.frame_count) / found.rate_hz,
        rate_hz=found.rate_hz,
        offset_s=found.offset_s,
        drift_ppm=drift_ppm(found.rate_hz, nominal),
        residual_ms=float(residuals.std()) if len(residuals) else np.nan,
        residual_max_ms=float(np.abs(residuals).max()) if len(residuals) else np.nan,
        notes=(*_match_notes(found), *rate_notes(found.rate_hz, nominal)),
    )


def _match_notes(found: Match) -> list[str]:
    notes = [f"matched by motion, correlation {found.correlation:.2f}"]
    if found.rival > _SURE * found.correlation:
        notes.append(f"the place is not sure: another one has correlation {found.rival:.2f}")
    if len(found.residuals_ms) < 2 or np.abs(found.residuals_ms).max() > 1500 / found.rate_hz:
        notes.append("the place is not sure: parts of the recording do not agree on it")
    return notes


def _by_frames(recording: Recording, tolerance: int) -> FrameClock:
    frames = recording.frame_count
    for name, signal in recording.signals.items():
        if abs(len(signal.values) - frames) > tolerance:
            raise DataError(
                f"{recording.name}: {frames} frames but {len(signal.values)} samples of {name}, "
                "which should have one for each frame"
            )
    if not recording.signals:
        raise DataError(f"{recording.name}: clock: kind frames needs a channel")
    first = next(iter(recording.signals.values()))
    return FrameClock(
        kind="frames",
        times_s=first.start_s + np.arange(frames) / first.rate_hz,
        rate_hz=first.rate_hz,
        offset_s=first.start_s,
        drift_ppm=drift_ppm(first.rate_hz, nominal_rate_hz(recording)),
        residual_ms=0.0,
        residual_max_ms=0.0,
    )
