"""A recording: frames of ultrasound, signals of other devices, and what is known about both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]  # (h, w) grey
Mask = npt.NDArray[np.bool_]  # (h, w), True inside the muscle

USUAL_RATE_HZ = 25.0  # of the group's ultrasound (docs/muscle.md), where nothing tells a frame rate

ClockKind = Literal["pulses", "start", "motion", "frames"]


@dataclass(frozen=True)
class Signal:
    """An evenly sampled channel.

    Attributes:
        values: (n,) in `unit`, after gain and scale.
        rate_hz: samples per second.
        start_s: time of the first sample on the clock that all signals of a recording share.
        unit: such as deg, Nm or V.
    """

    values: Floats
    rate_hz: float
    start_s: float = 0.0
    unit: str = ""

    @property
    def times_s(self) -> Floats:
        """Time of every sample, (n,)."""
        return self.start_s + np.arange(len(self.values)) / self.rate_hz


class Frames(Protocol):
    """The images of a recording, cropped and flipped as its description says."""

    @property
    def count(self) -> int:
        """Number of frames that there really are."""

    @property
    def claimed_rate_hz(self) -> float | None:
        """Frame rate that the file claims; a trigger is believed over it."""

    def __iter__(self) -> Iterator[Image]:
        """Yield the frames in order, (h, w) uint8."""


@dataclass(frozen=True)
class ClockSource:
    """How the time of a frame on the clock of the signals can be found.

    Attributes:
        kind: `pulses`: one trigger pulse for each frame; `start`: one trigger at the first frame,
            then a rate; `motion`: no trigger, the image's motion is matched with a channel;
            `frames`: the signals hold one sample for each frame.
        channel: name of the trigger's channel, or for `motion` of the channel that moves with the
            image, such as angle_deg.
        times_s: times of the pulses where a file lists them in place of a channel.
        rate_hz: nominal frame rate, None where unknown; for `start` a first guess, which is fitted
            where the signals allow it.
    """

    kind: ClockKind = "pulses"
    channel: str | None = None
    times_s: Floats | None = None
    rate_hz: float | None = None


@dataclass(frozen=True)
class Recording:
    """One trial of one person, as it was recorded: nothing is filtered or aligned yet.

    Attributes:
        name: unique within a data root, such as `P01_passive_1`.
        participant: who.
        task: what the person did, such as passive, isometric or combined.
        frames: the images; None where only the number of frames is known.
        frame_count: number of frames.
        signals: by channel name: quantities such as angle_deg, torque_nm, emg_v, and triggers.
        clock: how frames and signals are brought together.
        mm_per_pixel: (along y, along x) of the frames; None where unknown.
        masks: the muscle in each frame, (n, h, w) bool, or (1, h, w) for all; None: not given.
        emg_mvc_v: EMG envelope at maximum voluntary contraction, in volts; None where unknown.
        raw: names of EMG channels that are raw (to be rectified and filtered); torque and angle
            channels are always raw.
        person: what else is known about the participant, such as sex and age.
        simulated: whether a simulator made it.
        sources: every file that it was read from.
        notes: what was repaired or assumed while it was read, for a person to know.
    """

    name: str
    participant: str
    task: str
    frames: Frames | None
    frame_count: int
    signals: Mapping[str, Signal]
    clock: ClockSource
    mm_per_pixel: tuple[float, float] | None = None
    masks: Mask | None = None
    emg_mvc_v: float | None = None
    raw: Sequence[str] = ("emg_v",)
    person: Mapping[str, str | float] = field(default_factory=dict)
    simulated: bool = False
    sources: Sequence[Path] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class FrameClock:
    """When each frame was taken, on the clock of the signals.

    Attributes:
        kind: how it was found.
        times_s: (frames,) NaN where it cannot be known.
        rate_hz: measured frame rate.
        offset_s: time of the first frame.
        drift_ppm: by how much the frame clock runs against its nominal rate, in parts per million;
            NaN without a nominal rate.
        residual_ms: standard deviation of the found times about an even clock.
        residual_max_ms: largest deviation.
        pulses: pulses found, 0 without a trigger.
        missing: pulses that were missing and have been filled in.
        doubled: pulses that were too many and have been left out.
        notes: what a person should know.
    """

    kind: ClockKind
    times_s: Floats
    rate_hz: float
    offset_s: float
    drift_ppm: float
    residual_ms: float
    residual_max_ms: float
    pulses: int = 0
    missing: int = 0
    doubled: int = 0
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Aligned:
    """Frames with the quantities at their times.

    Attributes:
        clock: when the frames were taken.
        frames: (T,) numbers of the frames that are kept, ascending.
        times_s: (T,) their times on the clock of the signals.
        values: by quantity, (T,) in native units at those times.
        dropped: frames without signal, left out.
        faults: what is wrong with channels, such as "emg_v: railed for 3.1 % of the time".
    """

    clock: FrameClock
    frames: npt.NDArray[np.int64]
    times_s: Floats
    values: Mapping[str, Floats]
    dropped: int = 0
    faults: Sequence[str] = ()
