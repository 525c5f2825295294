"""Signals, filtered and sampled at the times of the frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.muscle.recording import Aligned, Floats, FrameClock, Recording, Signal
from vitruvian.muscle.sync.clocks import frame_clock
from vitruvian.muscle.sync.emg import EmgEnvelope
from vitruvian.muscle.sync.faults import faults
from vitruvian.muscle.sync.filters import bridged, lowpass
from vitruvian.muscle.sync.torque import TorqueFilter

_PASSED = 0.4  # of the frame rate: half is the fastest that frames can show
_SLOW = 0.2  # of the frame rate: what is slower than this cannot alias
_STEEP = 12  # order of the filter against aliasing: 0.6 of the frame rate is down to 2 %


@dataclass(frozen=True)
class Synchronisation:
    """Brings the signals of a recording to the times of its frames (docs/muscle.md).

    Attributes:
        tolerance_frames: by how many frames and trigger pulses may differ in number, after repair.
        antialias: low-pass to 0.4 of the frame rate before sampling, where a channel is faster.
        angle_lowpass_hz: of joint angles; causal if the torque's filter is.
        max_gap_s: longest gap in a channel that is bridged by a straight line; frames in longer
            ones are dropped.
        emg: envelope of raw EMG channels.
        torque: filter of torques.

    Raises:
        ConfigError: a value makes no sense.
    """

    tolerance_frames: int = 2
    antialias: bool = True
    angle_lowpass_hz: float = 10.0
    max_gap_s: float = 0.1
    emg: EmgEnvelope = field(default_factory=EmgEnvelope)
    torque: TorqueFilter = field(default_factory=TorqueFilter)

    def __post_init__(self) -> None:
        if self.tolerance_frames < 0:
            raise ConfigError(f"tolerance_frames: must be 0 or more, got {self.tolerance_frames}")
        if not self.angle_lowpass_hz > 0:
            raise ConfigError(f"angle_lowpass_hz: must be above 0, got {self.angle_lowpass_hz}")
        if not self.max_gap_s >= 0:
            raise ConfigError(f"max_gap_s: must be 0 or more, got {self.max_gap_s}")

    def align(self, recording: Recording, quantities: Sequence[str]) -> Aligned:
        """Quantities at the times of the frames; frames without any of them are left out.

        Args:
            recording: raw.
            quantities: names of channels, such as angle_deg.

        Raises:
            DataError: a channel is missing or too slow to be raw EMG, frames and pulses do not
                agree, or no frame has all quantities.
        """
        channels = {name: _channel(recording, name) for name in quantities}
        if recording.clock.kind == "frames":
            _check_not_raw(recording, quantities)
        clock = frame_clock(recording, self.tolerance_frames)
        if clock.kind == "frames":
            sampled = {name: _one_each(s, clock) for name, s in channels.items()}
        else:
            rate = clock.rate_hz
            clean = {name: self.cleaned(recording, name, rate) for name in quantities}
            sampled = {name: _at(signal, clock.times_s) for name, signal in clean.items()}
        known = np.isfinite(clock.times_s)
        for values in sampled.values():
            known &= np.isfinite(values)
        if not known.any():
            names = ", ".join(quantities)
            raise DataError(f"{recording.name}: no frame lies where {names} were recorded")
        return Aligned(
            clock=clock,
            frames=np.flatnonzero(known).astype(np.int64),
            times_s=clock.times_s[known],
            values={name: values[known] for name, values in sampled.items()},
            dropped=int((~known).sum()),
            faults=tuple(line for name, s in channels.items() for line in faults(name, s)),
        )

    def cleaned(self, recording: Recording, name: str, frame_rate_hz: float) -> Signal:
        """A channel as it is sampled: filtered, NaN in gaps that are too long to bridge.

        Raises:
            DataError: the channel is missing, or too slow to be raw EMG.
        """
        whole, lost = bridged(_channel(recording, name), self.max_gap_s)
        try:
            filtered, bandwidth = self._filtered(recording, name, whole)
        except DataError as error:
            raise DataError(f"{recording.name}: {name}: {error}") from error
        values = filtered.values
        if self.antialias and bandwidth > _SLOW * frame_rate_hz:
            limit, causal = _PASSED * frame_rate_hz, self._causal(recording, name)
            values = lowpass(values, filtered.rate_hz, limit, _STEEP, causal)
        if name in recording.raw:
            values = np.maximum(values, 0)  # an envelope stays one
        return replace(filtered, values=np.where(lost, np.nan, values))

    def _filtered(self, recording: Recording, name: str, whole: Signal) -> tuple[Signal, float]:
        """The channel after its own filter, and the frequency that this lets through."""
        if name in recording.raw:
            return self.emg.apply(recording.signals[name]), self.emg.bandwidth_hz
        if name.startswith("torque"):
            angle = recording.signals.get("angle_deg")
            at = None if angle is None else bridged(angle, np.inf)[0]
            return self.torque.apply(whole, at), self.torque.lowpass_hz
        if name.startswith("angle"):
            limit, causal = self.angle_lowpass_hz, self.torque.causal
            values = lowpass(whole.values, whole.rate_hz, limit, causal=causal)
            return replace(whole, values=values), limit
        return whole, whole.rate_hz / 2

    def _causal(self, recording: Recording, name: str) -> bool:
        return self.emg.causal if name in recording.raw else self.torque.causal


def _channel(recording: Recording, name: str) -> Signal:
    if name in recording.signals:
        return recording.signals[name]
    have = ", ".join(recording.signals) or "none"
    raise DataError(f"{recording.name}: no channel {name!r}; there are: {have}")


def _check_not_raw(recording: Recording, quantities: Sequence[str]) -> None:
    for name in quantities:
        if name in recording.raw:
            raise DataError(
                f"{recording.name}: the signals hold one value for each frame, so {name} cannot be "
                "raw EMG; set raw: false in recording.yaml"
            )


def _one_each(signal: Signal, clock: FrameClock) -> Floats:
    values = np.full(len(clock.times_s), np.nan)
    count = min(len(values), len(signal.values))
    values[:count] = signal.values[:count]
    return values


def _at(signal: Signal, times_s: Floats) -> Floats:
    """Between samples on a straight line; NaN outside and beside a missing sample."""
    if len(signal.values) == 0:
        return np.full(len(times_s), np.nan)
    return np.interp(times_s, signal.times_s, signal.values, left=np.nan, right=np.nan)
