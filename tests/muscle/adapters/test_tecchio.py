"""Tecchio et al.: the clock is that of the pulses, not that of the tracker."""

from __future__ import annotations

import numpy as np
import pytest

from vitruvian.core.errors import DataError
from vitruvian.muscle.adapters.tecchio import read_tecchio
from vitruvian.muscle.sync.alignment import Synchronisation
from vitruvian.muscle.sync.figure import draw_alignment

NAMES = ["angle_deg", "torque_nm", "emg_v"]
WORDS = {"recorded": "recording", "tracked": "track"}


@pytest.fixture(scope="module")
def trials(real_data):
    return {trial.name: trial for trial in read_tecchio(real_data / "sync_tecchio2023_ta")}


@pytest.mark.real_data
def test_trials_with_ultrasound_are_read(trials):
    assert list(trials) == [
        *("PL_0_01", "PL_0_02", "PL_100_01", "PL_100_02", "PL_50_01", "PL_50_02", "PL_50_03"),
        *("Ref_Long_01", "Ref_Long_02"),
    ]
    for trial in trials.values():
        assert trial.frame_count == 500
        assert {s.rate_hz for s in trial.signals.values()} == {2000.0}
        assert {len(s.values) for s in trial.signals.values()} == {34000}
    assert [s.unit for s in trials["PL_0_01"].signals.values()] == ["deg", "Nm", "V"]


@pytest.mark.real_data
def test_the_clock_is_that_of_the_pulses(trials):
    for trial in trials.values():
        aligned = Synchronisation().align(trial, NAMES)
        clock = aligned.clock
        assert clock.rate_hz == pytest.approx(1 / 0.03, rel=1e-6)  # 500 frames in 15.0 s
        assert 1.02 < clock.offset_s < 1.06
        assert clock.residual_max_ms < 0.01
        assert (clock.pulses, clock.missing, clock.doubled) == (500, 0, 0)
        assert (len(aligned.frames), aligned.dropped, aligned.faults) == (500, 0, ())
        assert "nominal" in clock.notes[0]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "assumed_hz", "drift_ppm"), [("PL_0_01", 30, 111111), ("Ref_Long_02", 20, 666667)]
)
def test_what_the_tracker_assumes_is_reported_and_harmless(trials, name, assumed_hz, drift_ppm):
    clock = Synchronisation().align(trials[name], NAMES).clock
    assert trials[name].clock.rate_hz == pytest.approx(assumed_hz, rel=1e-4)
    assert clock.drift_ppm == pytest.approx(drift_ppm, rel=1e-3)
    assert clock.times_s[-1] - clock.times_s[0] == pytest.approx(14.97, abs=1e-4)


@pytest.mark.real_data
def test_the_rotation_happens_when_it_was_recorded(trials):
    trial = trials["PL_50_01"]
    raw, aligned = trial.signals["angle_deg"], Synchronisation().align(trial, NAMES)
    recorded_s = raw.times_s[np.argmax(raw.values > 0)]
    aligned_s = aligned.times_s[np.argmax(aligned.values["angle_deg"] > 0)]
    assert 0 <= aligned_s - recorded_s < 0.031
    rest, active = (aligned.values["emg_v"][part] for part in (slice(0, 50), slice(150, 250)))
    assert active.mean() > 20 * rest.mean()


@pytest.mark.real_data
def test_a_figure_is_drawn(trials, tmp_path):
    trial = trials["PL_50_01"]
    draw_alignment(trial, Synchronisation().align(trial, NAMES), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 20000


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="no trials"):
        read_tecchio(tmp_path)


@pytest.mark.parametrize("broken", ["recorded", "tracked"])
def test_broken_files_are_named(tmp_path, broken):
    recorded = tmp_path / "Raw_Data" / "PL_0_01.mat"
    tracked = tmp_path / "Raw_Data" / "US_Data" / "Fas_Data" / "PL_0_01.mat"
    tracked.parent.mkdir(parents=True)
    tracked.write_bytes(b"not MATLAB")
    if broken == "recorded":
        recorded.write_bytes(b"not MATLAB")
    else:
        _write_recorded(recorded)
    with pytest.raises(DataError, match=f"PL_0_01.mat: not a {WORDS[broken]} of this study"):
        read_tecchio(tmp_path)


def _write_recorded(path):
    import h5py

    with h5py.File(path, "w") as file:
        for name in ("Angle", "Torque", "EMG_TA"):
            file[f"{name}/values"] = np.zeros((1, 9))
            file[f"{name}/interval"] = file[f"{name}/start"] = np.ones((1, 1))
        file["US/times"] = np.arange(9.0)[None]
