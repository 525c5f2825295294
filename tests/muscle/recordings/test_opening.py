"""A folder written by hand becomes a recording."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from tests.muscle.recordings.folders import MINIMAL, described, images, simulated
from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import ClockSource, Recording, Signal
from vitruvian.muscle.recordings.opening import open_recording
from vitruvian.muscle.recordings.writing import write_recording
from vitruvian.muscle.sync.alignment import Synchronisation

TABLE = {"signals.csv": "t,Angle\n" + "".join(f"{20 * n},{n}\n" for n in range(30))}


def test_values_are_converted(tmp_path: Path) -> None:
    text = MINIMAL.replace("Angle}", "{column: Angle, unit: rad, scale: -1, offset: 5}}")
    recording = open_recording(described(tmp_path / "P01_7", text, TABLE))
    angle = recording.signals["angle_deg"]
    np.testing.assert_allclose(angle.values, 5 - np.degrees(np.arange(30)))
    assert open_recording(tmp_path / "P01_7", "P01_passive").name == "P01_passive"
    assert (recording.name, angle.unit, angle.rate_hz, angle.start_s) == ("P01_7", "deg", 100, 0)
    assert (recording.frame_count, recording.frames, recording.masks) == (4, None, None)
    assert recording.raw == ()


@pytest.mark.parametrize(
    ("timing", "rate_hz", "start_s"),
    [
        ("rate_hz: 100", 100, 0),
        ("rate_hz: 100, start_s: -2", 100, -2),
        ("time: {column: t, unit: ms}", 50, 0),
        ("time: t", 0.05, 0),
    ],
)
def test_times_of_a_table(tmp_path: Path, timing: str, rate_hz: float, start_s: float) -> None:
    folder = described(tmp_path, MINIMAL.replace("rate_hz: 100", timing), TABLE)
    angle = open_recording(folder).signals["angle_deg"]
    assert angle.rate_hz == pytest.approx(rate_hz)
    assert angle.start_s == start_s


def test_samples_at_frames_have_the_rate_of_the_frames(tmp_path: Path) -> None:
    text = MINIMAL.replace(", rate_hz: 100", "").replace(
        "kind: frames", "kind: frames, rate_hz: 30"
    )
    assert open_recording(described(tmp_path, text, TABLE)).signals["angle_deg"].rate_hz == 30


def test_rates_and_pulses_from_matlab(tmp_path: Path) -> None:
    text = MINIMAL.replace("signals.csv, rate_hz: 100", "s.mat, rate_hz: fs").replace(
        "kind: frames", "kind: pulses, times: {file: s.mat, column: US.times, unit: ms}"
    )
    pulses = {"times": [40.0, 80.0, 120.0]}
    savemat(tmp_path / "s.mat", {"fs": 2000.0, "Angle": np.arange(9.0), "US": pulses})
    recording = open_recording(described(tmp_path, text))
    assert recording.signals["angle_deg"].rate_hz == 2000
    assert recording.clock.times_s is not None
    np.testing.assert_allclose(recording.clock.times_s, [0.04, 0.08, 0.12])
    assert [path.name for path in recording.sources] == ["recording.yaml", "s.mat"]


def test_notes_tell_what_was_unusual(tmp_path: Path) -> None:
    times = 10 * np.arange(50) + np.random.default_rng(0).uniform(-3, 3, 50)
    rows = [f"{time},{'' if n == 9 else n}" for n, time in enumerate(times)]
    text = MINIMAL.replace("rate_hz: 100", "time: {column: t, unit: ms}").replace(
        "{count: 4}", "{file: f.npy}"
    )
    np.save(tmp_path / "f.npy", np.stack(images()).astype(np.uint16) * 16)
    folder = described(tmp_path, text, {"signals.csv": "\n".join(["t,Angle", *rows])})
    notes = open_recording(folder).notes
    assert notes[0].startswith("frames: the brightest pixel is 4080: read as 12 bits")
    assert notes[1].startswith("angle_deg: 1 of 50 samples are empty; uneven sampling brought")
    assert len(notes) == 2


def test_what_is_sound_has_no_notes(tmp_path: Path) -> None:
    assert open_recording(described(tmp_path, MINIMAL, TABLE)).notes == ()


def test_empty_cells_stay_empty(tmp_path: Path) -> None:
    table = {"signals.csv": 'Angle\n1\n""\n3\n'}
    values = open_recording(described(tmp_path, MINIMAL, table)).signals["angle_deg"].values
    np.testing.assert_array_equal(values, [1.0, np.nan, 3.0])


# --- gaps ----------------------------------------------------------------------------------------

PULSES_S = 0.5 + np.arange(150) / 25
HOLE = slice(2000, 3500)  # of samples at 1 kHz: 1.5 s


def holed() -> Recording:
    """A trial of 7 s whose angle lacks 1.5 s."""
    angle = 10 * np.sin(np.arange(7000) / 1000)
    angle[HOLE] = np.nan
    clock = ClockSource("pulses", times_s=PULSES_S)
    signals = {"angle_deg": Signal(angle, 1000.0, unit="deg")}
    changes = {"clock": clock, "signals": signals, "frame_count": 150, "masks": None}
    return simulated(**changes)


def with_cells(folder: Path) -> Path:
    return write_recording(folder, holed(), None)


def with_times(folder: Path) -> Path:
    """No rows at all where the samples are missing, as a logger leaves them out."""
    angle = holed().signals["angle_deg"]
    rows = zip(angle.times_s, angle.values, strict=True)
    lines = [f"{time:.3f},{value}" for time, value in rows if np.isfinite(value)]
    pulses = "\n".join(["p", *map(str, PULSES_S)])
    text = MINIMAL.replace("rate_hz: 100", "time: t").replace("count: 4", "count: 150")
    text = text.replace("kind: frames", "kind: pulses, times: {file: p.csv, column: p}")
    table = "\n".join(["t,Angle", *lines])
    return described(folder, text, {"signals.csv": table, "p.csv": pulses})


@pytest.mark.parametrize("written", [with_cells, with_times])
@pytest.mark.parametrize(("max_gap_s", "dropped"), [(0.1, 37), (2.0, 0)])
def test_a_hole_drops_the_same_frames_from_a_file_as_in_memory(
    tmp_path: Path, written: Callable[[Path], Path], max_gap_s: float, dropped: int
) -> None:
    synchronisation = Synchronisation(max_gap_s=max_gap_s)
    there = synchronisation.align(holed(), ["angle_deg"])
    read = synchronisation.align(open_recording(written(tmp_path / "P")), ["angle_deg"])
    assert there.dropped == dropped
    np.testing.assert_array_equal(read.frames, there.frames)
    found, expected = read.values["angle_deg"], there.values["angle_deg"]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert read.faults == there.faults
    assert "missing for 21.4 % of the time, 1.5 s at most" in read.faults[0]


def test_frames_alone(tmp_path: Path) -> None:
    text = "participant: P01\ntask: passive\nframes: {file: f.npy}\n"
    np.save(tmp_path / "f.npy", np.stack(images()))
    recording = open_recording(described(tmp_path, text))
    assert (recording.frame_count, dict(recording.signals)) == (4, {})
    assert recording.clock.kind == "frames"


def test_a_recording_goes_to_other_processes(tmp_path: Path) -> None:
    opened = open_recording(write_recording(tmp_path / "P", simulated(), images()))
    frames = pickle.loads(pickle.dumps(opened)).frames
    np.testing.assert_array_equal(np.stack(list(frames)), np.stack(images()))


MISTAKES = [
    (", rate_hz: 100", "", "signals.csv: angle_deg (Angle): nothing tells its sampling rate"),
    ("Angle}", "angle}", "signals.csv: has no column 'angle'; there are Angle, t"),
    ("signals.csv", "none.csv", "none.csv: there is no such file"),
    ("rate_hz: 100", "rate_hz: t", "signals.csv: t is no sampling rate, which is one number"),
    ("{count: 4}", "{file: none.avi}", "none.avi: there is no such file"),
    ("task:", "masks: none.npz\ntask:", "none.npz: is no whole numpy file"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES)
def test_mistakes(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    assert right in MINIMAL
    with pytest.raises(DataError) as raised:
        open_recording(described(tmp_path, MINIMAL.replace(right, wrong), TABLE))
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("t,Angle\n0,1\n10,2\n5,3\n", "signals.csv: t: time does not rise: 10 s, then 5 s"),
        ("t,Angle\n0,\n10,\n20,3\n", "signals.csv: angle_deg (Angle): 2 of 3 samples are empty"),
    ],
)
def test_tables_that_are_broken(tmp_path: Path, table: str, message: str) -> None:
    text = MINIMAL.replace("rate_hz: 100", "time: t")
    with pytest.raises(DataError) as raised:
        open_recording(described(tmp_path, text, {"signals.csv": table}))
    assert message in str(raised.value)


def test_samples_and_times_of_different_number(tmp_path: Path) -> None:
    text = MINIMAL.replace("signals.csv, rate_hz: 100", "s.mat, time: t")
    savemat(tmp_path / "s.mat", {"t": np.arange(8.0), "Angle": np.arange(9.0)})
    with pytest.raises(DataError, match=r"angle_deg \(Angle\): 9 samples, but 8 times"):
        open_recording(described(tmp_path, text))
