"""`recording.yaml`: what it may say, and one line for each mistake."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.muscle.recordings.folders import MINIMAL, described
from vitruvian.core.errors import DataError
from vitruvian.muscle.recordings import description
from vitruvian.muscle.recordings.description import (
    ChannelPart,
    ClockPart,
    Description,
    FramesPart,
    SignalsPart,
    TimePart,
    read_description,
)

MISTAKES = [
    ("task: passive\n", "", "task: missing"),
    ("task:", "tsk:", "tsk: no such key; did you mean task?"),
    ("task: passive", "task: [passive]", "task: expected text, got [passive]"),
    ("task: passive", "task:", "task: expected text, got nothing"),
    ("task: passive", "participant: P02", "line 2: participant is there twice"),
    ("{count: 4}", "{count: 0}", "frames.count: 0 is not above 0"),
    ("{count: 4}", "{count: 4.5}", "frames.count: expected a whole number, got 4.5"),
    ("{count: 4}", "{}", "frames.file: give a file, or `count`"),
    ("{count: 4}", "{count: 4, file: a.avi}", "frames.file: give a file, or `count`"),
    ("{count: 4}", "frames.avi", "frames: expected keys with values, got frames.avi"),
    ("{count: 4}", "{file: a, mm_per_pixel: -1}", "frames.mm_per_pixel: -1 is not above 0"),
    (
        "{count: 4}",
        "{file: a, mm_per_pixel: [1, nan]}",
        "frames.mm_per_pixel[1]: expected a number",
    ),
    ("{count: 4}", "{file: a, mm_per_pixel: x}", "frames.mm_per_pixel: expected a list of 2"),
    ("{count: 4}", "{file: a, crop: [0, 0, 5]}", "frames.crop: expected a list of 4 numbers"),
    ("{count: 4}", "{file: a, crop: [0, 0, 0, 9]}", "frames.crop: [0, 0, 0, 9] is no [top,"),
    ("{count: 4}", "{file: a, flip: horizontl}", "did you mean horizontal?"),
    ("rate_hz: 100", "rate_hz: -5", "signals.rate_hz: -5 is not above 0"),
    ("rate_hz: 100", "rate_hz: 1, time: t", "signals.rate_hz: give a rate or the column of times"),
    ("rate_hz: 100", "time: {column: t, unit: min}", "signals.time.unit: min is no choice"),
    ("rate_hz: 100", "time: t, start_s: 1", "signals.start_s: the column of times says"),
    ("rate_hz: 100", "time: {column: t, file: x}", "signals.time.file: the times must be"),
    ("signals: {file: signals.csv, rate_hz: 100}\n", "", "signals: missing; name the file"),
    ("Angle}", "{column: Angle, unit: rads}}", "channels.angle_deg.unit: 'rads' is not known"),
    ("Angle}", "{column: Angle, unit: V}}", "channels.angle_deg.scale: missing"),
    ("Angle}", "{colum: Angle}}", "channels.angle_deg.colum: no such key; did you mean column?"),
    ("Angle}", "{column: Angle, raw: true}}", "channels.angle_deg.raw: only EMG"),
    ("Angle}", "{column: Angle, file: b.csv}}", "channels.angle_deg.file: 'b.csv' is none of"),
    ("clock: {kind: frames}\n", "", "clock: missing; say how the frames are timed"),
    ("kind: frames", "kind: frame", "clock.kind: frame is no choice; did you mean frames?"),
    ("kind: frames", "kind: frames, channel: angle_deg", "clock.channel: kind frames has none"),
    ("kind: frames", "kind: pulses", "clock.channel: kind pulses needs a channel, or times"),
    ("kind: frames", "kind: motion", "clock.channel: kind motion needs the channel"),
    (
        "kind: frames",
        "kind: start, channel: triger",
        "clock.channel: 'triger' is none of angle_deg",
    ),
    ("kind: frames", "kind: pulses, times: US.times", "clock.times.file: missing"),
    ("kind: frames", "kind: frames, rate_hz: 0", "clock.rate_hz: 0 is not above 0"),
    ("kind: frames}", "kind: frames}\nemg_mvc_v: 0", "emg_mvc_v: 0 is not above 0"),
    ("kind: frames}", "kind: frames}\nsimulated: 1", "simulated: expected true or false, got 1"),
    ("kind: frames}", "kind: frames", "recording.yaml, line 7:"),
]


def test_the_example_in_the_documentation_is_right(tmp_path: Path) -> None:
    assert description.__doc__ is not None
    example = description.__doc__.split("An example:\n")[1].split("\nThe clock tells")[0]
    read = read_description(described(tmp_path, textwrap.dedent(example)))
    assert read == Description(
        participant="P01",
        task="passive",
        frames=FramesPart("frames.avi", "frames", None, 0.1, (40, 100, 400, 500), "none"),
        signals=(SignalsPart("signals.csv", 1000.0),),
        channels={
            "angle_deg": ChannelPart("Angle", unit="rad"),
            "torque_nm": ChannelPart("Torque", unit="V", scale=50.0),
            "emg_v": ChannelPart("EMG_MG", unit="mV", gain=1000.0, raw=True),
            "trigger": ChannelPart("Trigger"),
        },
        clock=ClockPart("pulses", "trigger", rate_hz=25.0),
        masks="masks.npz",
        emg_mvc_v=0.0004,
        person={"sex": "F", "age": 27.0, "mass_kg": 61.0},
        simulated=False,
    )
    assert read.raw == ("emg_v",)
    assert read.frames.spacing == (0.1, 0.1)


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES)
def test_mistakes_name_file_and_key(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    assert right in MINIMAL
    with pytest.raises(DataError) as raised:
        read_description(described(tmp_path, MINIMAL.replace(right, wrong)))
    assert str(raised.value).startswith(str(tmp_path / "recording.yaml"))
    assert message in str(raised.value)


def test_scalars_are_what_a_person_wrote(tmp_path: Path) -> None:
    text = MINIMAL.replace("P01", "012").replace("passive", "no") + "emg_mvc_v: 4e-4\n"
    read = read_description(described(tmp_path, text))
    assert (read.participant, read.task, read.emg_mvc_v) == ("012", "no", 4e-4)


def test_several_files_of_signals(tmp_path: Path) -> None:
    signals = "signals:\n- {file: a.csv, rate_hz: fs}\n- {file: b.csv, time: {column: t, unit: ms}}"
    text = MINIMAL.replace("signals: {file: signals.csv, rate_hz: 100}", signals)
    text = text.replace("Angle}", "{column: A, file: a.csv}, emg_v: {column: E, file: b.csv}}")
    read = read_description(described(tmp_path, text))
    assert read.signals == (
        SignalsPart("a.csv", "fs"),
        SignalsPart("b.csv", time=TimePart("t", "ms")),
    )
    assert [list(read.in_file(part)) for part in read.signals] == [["angle_deg"], ["emg_v"]]
    with pytest.raises(
        DataError, match=r"channels\.emg_v\.file: missing; there are a\.csv, b\.csv"
    ):
        read_description(described(tmp_path, text.replace(", file: b.csv", "")))


def test_an_envelope_is_not_raw(tmp_path: Path) -> None:
    channels = "emg_v: {column: A, raw: false}, emg_soleus_v: B, angle_deg: C}"
    text = MINIMAL.replace("angle_deg: Angle}", channels)
    assert read_description(described(tmp_path, text)).raw == ("emg_soleus_v",)


def test_frames_alone_need_no_clock(tmp_path: Path) -> None:
    text = "participant: P01\ntask: passive\nframes: {count: 4}\n"
    assert read_description(described(tmp_path, text)).clock is None


def test_a_folder_without_description(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"recording\.yaml: no such file"):
        read_description(tmp_path)
