"""What `recording.yaml` says of a recording.

All files are named relative to the folder. What is not needed can be left out. An example:

    participant: P01
    task: passive
    person: {sex: F, age: 27, mass_kg: 61}
    simulated: false
    frames:
      file: frames.avi                   # a video (mp4, avi, wmv, mov), a folder of images or their
                                         # pattern (img_%04d.png), .npz, .npy; or only `count: 500`
      key: frames                        # of the array in an .npz that holds several
      mm_per_pixel: 0.1                  # or [along y, along x]
      crop: [40, 100, 400, 500]          # top, left, height, width on the screen, before the flip
      flip: none                         # none, horizontal, vertical, both
    masks: masks.npz                     # (n, h, w) or (1, h, w), or one PNG, of the frames as
                                         # they are after crop and flip
    signals:                             # or a list of such files; a channel then names its own
      file: signals.csv                  # .csv .tsv .txt .parquet .mat .c3d
      rate_hz: 1000                      # or the name of a number in a .mat; C3D has its own
      # time: {column: time, unit: ms}   # in place of a rate; in seconds: `time: time`
    channels:                            # by our name, which ends in the unit that is wanted
      angle_deg: {column: Angle, unit: rad}
      torque_nm: {column: Torque, unit: V, scale: 50, offset: 0}   # 50 Nm per V
      emg_v: {column: EMG_MG, unit: mV, gain: 1000, raw: true}     # raw: not rectified or smoothed
      trigger: Trigger                   # short for {column: Trigger}
    clock: {kind: pulses, channel: trigger, rate_hz: 25}
    emg_mvc_v: 0.0004                    # EMG envelope at maximum voluntary contraction

The clock tells when the frames were taken: `{kind: pulses, channel: trigger}` with one pulse for
each frame; `{kind: pulses, times: {file: US.mat, column: US.times}}` where a file lists them;
`{kind: start, channel: trigger}` with one pulse at the first frame; `{kind: motion, channel:
angle_deg}` without trigger; `{kind: frames}` where signals hold one sample for each frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from vitruvian.core.check import nearest
from vitruvian.core.errors import DataError
from vitruvian.core.typed_yaml import read_typed
from vitruvian.muscle.recording import ClockKind
from vitruvian.muscle.recordings.channel_form import ChannelForm
from vitruvian.muscle.recordings.screen import Flip, Screen

FILE_NAME = "recording.yaml"

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


@dataclass(frozen=True)
class FramesPart:
    """Where the frames are, and how they lie on the screen; see the module."""

    file: str | None = None
    key: str | None = None
    count: int | None = None
    mm_per_pixel: float | tuple[float, float] | None = None
    crop: tuple[int, int, int, int] | None = None
    flip: Flip = "none"

    def __post_init__(self) -> None:
        if (self.file is None) == (self.count is None):
            raise DataError("file: give a file, or `count` where there is none")
        if self.count is not None:
            _positive("count", self.count)
        if self.spacing is not None:
            _positive("mm_per_pixel", *self.spacing)
        if self.crop is not None and (min(self.crop[:2]) < 0 or min(self.crop[2:]) < 1):
            raise DataError(f"crop: {list(self.crop)} is no [top, left, height, width] in pixels")

    @property
    def spacing(self) -> tuple[float, float] | None:
        """Millimetres per pixel along y and x."""
        size = self.mm_per_pixel
        return (size, size) if isinstance(size, float) else size

    @property
    def screen(self) -> Screen:
        """Which part of the pictures the frames are."""
        return Screen(self.crop, self.flip)


@dataclass(frozen=True)
class TimePart:
    """A column of times."""

    short: ClassVar[str] = "column"

    column: str
    unit: Literal["s", "ms", "us"] = "s"
    file: str | None = None

    @property
    def seconds(self) -> float:
        """How long one unit is."""
        return _SECONDS[self.unit]


@dataclass(frozen=True)
class SignalsPart:
    """A file of signals that were sampled together; see the module."""

    file: str
    rate_hz: float | str | None = None
    time: TimePart | None = None
    start_s: float = 0.0

    def __post_init__(self) -> None:
        if self.rate_hz is not None and self.time is not None:
            raise DataError("rate_hz: give a rate or the column of times, not both")
        if isinstance(self.rate_hz, float):
            _positive("rate_hz", self.rate_hz)
        if self.time is not None and self.start_s:
            raise DataError("start_s: the column of times says when the signals start")
        if self.time is not None and self.time.file is not None:
            raise DataError("time.file: the times must be in the file of the signals")


@dataclass(frozen=True)
class ChannelPart:
    """Where a channel is, and in which form."""

    short: ClassVar[str] = "column"

    column: str
    file: str | None = None
    unit: str = ""
    gain: float = 1.0
    scale: float | None = None
    offset: float = 0.0
    raw: bool | None = None

    @property
    def form(self) -> ChannelForm:
        """How its numbers become values."""
        return ChannelForm(self.unit, self.gain, self.scale, self.offset)


@dataclass(frozen=True)
class ClockPart:
    """How the frames are timed; see the module."""

    kind: ClockKind
    channel: str | None = None
    times: TimePart | None = None
    rate_hz: float | None = None

    def __post_init__(self) -> None:
        sources = (self.channel is not None) + (self.times is not None)
        if self.kind in ("pulses", "start") and sources != 1:
            raise DataError(f"channel: kind {self.kind} needs a channel, or times in a file")
        if self.kind == "motion" and (self.channel is None or self.times is not None):
            raise DataError("channel: kind motion needs the channel that moves with the image")
        if self.kind == "frames" and sources:
            raise DataError("channel: kind frames has none: each sample belongs to a frame")
        if self.times is not None and self.times.file is None:
            raise DataError("times.file: missing")
        if self.rate_hz is not None:
            _positive("rate_hz", self.rate_hz)


@dataclass(frozen=True)
class Description:
    """What is known of a recording; see the module for every key."""

    participant: str
    task: str
    frames: FramesPart
    signals: tuple[SignalsPart, ...] = ()
    channels: Mapping[str, ChannelPart] = field(default_factory=dict)
    clock: ClockPart | None = None
    masks: str | None = None
    emg_mvc_v: float | None = None
    person: Mapping[str, float | str] = field(default_factory=dict)
    simulated: bool = False

    def __post_init__(self) -> None:
        for name, part in self.channels.items():
            _check_channel(name, part, [signals.file for signals in self.signals])
        if self.channels and self.clock is None:
            raise DataError("clock: missing; say how the frames are timed, as {kind: pulses, ...}")
        trigger = None if self.clock is None else self.clock.channel
        if trigger is not None and trigger not in self.channels:
            raise DataError(f"clock.channel: {_none_of(trigger, list(self.channels))}")
        if self.emg_mvc_v is not None:
            _positive("emg_mvc_v", self.emg_mvc_v)

    def in_file(self, signals: SignalsPart) -> Mapping[str, ChannelPart]:
        """The channels that a file of signals holds."""
        files = (signals.file, None)
        return {name: part for name, part in self.channels.items() if part.file in files}

    @property
    def raw(self) -> Sequence[str]:
        """The EMG channels that are neither rectified nor smoothed yet."""
        emg = (name for name in self.channels if name.startswith("emg"))
        return tuple(name for name in emg if self.channels[name].raw is not False)


def read_description(folder: Path) -> Description:
    """Read the `recording.yaml` of a folder.

    Raises:
        DataError: it is missing, ill-formed or contradicts itself; names the file and the key.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; `pydoc vitruvian.muscle.recordings.description` shows one"
        )
    return read_typed(path, Description)


def _check_channel(name: str, part: ChannelPart, files: Sequence[str]) -> None:
    key = f"channels.{name}"
    if not files:
        raise DataError(f"signals: missing; name the file that holds {name}")
    if part.file is None and len(files) > 1:
        raise DataError(f"{key}.file: missing; there are {', '.join(files)}")
    if part.file is not None and part.file not in files:
        raise DataError(f"{key}.file: {_none_of(part.file, files)}")
    if part.raw is not None and not name.startswith("emg"):
        raise DataError(f"{key}.raw: only EMG channels can be other than raw")
    try:
        part.form.check(name)
    except DataError as error:
        raise DataError(f"{key}.{error}") from error


def _none_of(name: str, valid: Sequence[str]) -> str:
    near = nearest(name, valid)
    return f"{name!r} is none of {', '.join(valid)}" + (f"; did you mean {near}?" if near else "")


def _positive(key: str, *values: float) -> None:
    if min(values) <= 0:
        raise DataError(f"{key}: {min(values):g} is not above 0")
