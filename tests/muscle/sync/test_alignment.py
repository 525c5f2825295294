"""Alignment: right values at right times, no aliases, nothing where nothing was recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.muscle.sync.scenes import recording, trigger
from vitruvian.core.errors import ConfigError, DataError
from vitruvian.muscle.recording import ClockSource, Signal
from vitruvian.muscle.sync.alignment import Synchronisation
from vitruvian.muscle.sync.emg import EmgEnvelope
from vitruvian.muscle.sync.torque import TorqueFilter

RATE, FRAMES = 25.0, 150
TIMES = 1.0 + np.arange(FRAMES) / RATE
T = np.arange(8000) / 1000
MIDDLE = slice(20, 130)
NAMES = ["angle_deg", "torque_nm", "emg_v"]


def _trial(**signals):
    angle = Signal(10 * np.sin(2 * np.pi * 0.4 * T), 1000.0, unit="deg")
    noise = np.random.default_rng(0).normal(size=len(T))
    channels = {
        "angle_deg": angle,
        "torque_nm": Signal(5 + 20 * np.cos(2 * np.pi * 0.3 * T), 1000.0, unit="Nm"),
        "emg_v": Signal(1e-4 * noise * (1.5 + np.sin(2 * np.pi * 0.2 * T)), 1000.0, unit="V"),
    }
    return recording(ClockSource("pulses", times_s=TIMES), FRAMES, channels | signals)


def test_values_are_those_at_the_times_of_the_frames():
    aligned = Synchronisation().align(_trial(), NAMES)
    assert aligned.frames.tolist() == list(range(FRAMES))
    np.testing.assert_array_equal(aligned.times_s, TIMES)
    angle, torque = (np.sin(2 * np.pi * 0.4 * TIMES), np.cos(2 * np.pi * 0.3 * TIMES))
    np.testing.assert_allclose(aligned.values["angle_deg"], 10 * angle, atol=0.01)
    np.testing.assert_allclose(aligned.values["torque_nm"], 5 + 20 * torque, atol=0.02)
    size = 1e-4 * np.sqrt(2 / np.pi) * (1.5 + np.sin(2 * np.pi * 0.2 * TIMES))
    assert np.corrcoef(aligned.values["emg_v"], size)[0, 1] > 0.95
    assert aligned.values["emg_v"].mean() == pytest.approx(size.mean(), rel=0.05)
    assert (aligned.dropped, aligned.faults) == (0, ())


@pytest.mark.parametrize("rate", [200.0, 1000.0, 1777.0])
@pytest.mark.parametrize("start", [-0.5, 0.0123, 0.4])
def test_channels_keep_their_own_rates_and_starts(rate, start):
    times = start + np.arange(round(8 * rate)) / rate
    angle = Signal(10 * np.sin(2 * np.pi * 0.4 * times), rate, start)
    aligned = Synchronisation().align(_trial(angle_deg=angle), ["angle_deg"])
    np.testing.assert_allclose(
        aligned.values["angle_deg"], 10 * np.sin(2 * np.pi * 0.4 * aligned.times_s), atol=0.02
    )


@settings(max_examples=20, deadline=None)
@given(tone=st.floats(16, 400), name=st.sampled_from(["angle_deg", "torque_nm", "force_n"]))
def test_tones_that_frames_cannot_show_do_not_alias(tone, name):
    channel = Signal(np.sin(2 * np.pi * tone * T), 1000.0)
    aligned = Synchronisation().align(_trial(**{name: channel}), [name])
    assert np.abs(aligned.values[name][MIDDLE]).max() < 0.05


def test_without_antialiasing_a_tone_aliases():
    channel = Signal(np.cos(2 * np.pi * 26 * T), 1000.0)  # one above the frame rate
    aligned = Synchronisation(antialias=False).align(_trial(force_n=channel), ["force_n"])
    np.testing.assert_allclose(aligned.values["force_n"], np.cos(2 * np.pi * TIMES), atol=0.02)


def test_fast_hum_on_emg_does_not_alias():
    emg = Signal(np.abs(np.sin(2 * np.pi * 60.5 * T)), 1000.0)
    values = Synchronisation(emg=EmgEnvelope(kind="rms")).align(_trial(emg_v=emg), ["emg_v"])
    assert np.ptp(values.values["emg_v"][MIDDLE]) < 0.02


def test_an_envelope_is_not_rectified_again():
    envelope = Signal(2 + np.sin(2 * np.pi * 0.3 * T), 1000.0)
    trial = replace(_trial(emg_v=envelope), raw=())
    aligned = Synchronisation().align(trial, ["emg_v"])
    expected = 2 + np.sin(2 * np.pi * 0.3 * TIMES)
    np.testing.assert_allclose(aligned.values["emg_v"], expected, atol=0.01)


def test_frames_outside_a_signal_are_dropped_and_counted():
    short = Signal(np.zeros(3000), 1000.0, 2.0)
    aligned = Synchronisation().align(_trial(torque_nm=short), NAMES)
    inside = np.flatnonzero((TIMES >= 2.0) & (TIMES <= 4.999))
    np.testing.assert_array_equal(aligned.frames, inside)
    assert aligned.dropped == FRAMES - len(inside)
    assert aligned.faults == ("torque_nm: never changes (0 throughout); dead or locked?",)


@pytest.mark.parametrize(("gap_s", "kept"), [(0.08, True), (0.3, False)])
def test_short_gaps_are_bridged_and_long_ones_drop_frames(gap_s, kept):
    trial = _trial()
    angle = trial.signals["angle_deg"].values.copy()
    angle[3000 : 3000 + round(1000 * gap_s)] = np.nan
    aligned = Synchronisation().align(_trial(angle_deg=Signal(angle, 1000.0)), ["angle_deg"])
    inside = (TIMES > 2.999) & (3 + gap_s > TIMES)
    assert aligned.dropped == (0 if kept else inside.sum())
    assert "missing for" in aligned.faults[0]
    truth = 10 * np.sin(2 * np.pi * 0.4 * aligned.times_s)
    np.testing.assert_allclose(aligned.values["angle_deg"], truth, atol=0.3)


def test_frames_without_a_pulse_are_dropped():
    trial = replace(_trial(), frame_count=FRAMES + 2)
    aligned = Synchronisation().align(trial, NAMES)
    assert aligned.dropped == 2
    assert aligned.frames[-1] == FRAMES - 1


def test_gravity_uses_the_angle_of_the_recording():
    weight = 3 * np.cos(np.radians(10 * np.sin(2 * np.pi * 0.4 * T)))
    trial = _trial(torque_nm=Signal(weight, 1000.0))
    aligned = Synchronisation(torque=TorqueFilter(gravity_nm=3)).align(trial, ["torque_nm"])
    np.testing.assert_allclose(aligned.values["torque_nm"], 0, atol=1e-3)


def test_causal_alignment_sees_no_later_sample():
    online = Synchronisation(emg=EmgEnvelope(causal=True), torque=TorqueFilter(causal=True))
    whole = _trial()
    cut = {}
    for name, signal in whole.signals.items():
        values = signal.values.copy()
        values[4001:] = values[4001:] * -3 + 1
        cut[name] = replace(signal, values=values)
    early = TIMES <= 4.0
    now = online.align(whole, NAMES).values
    then = online.align(_trial(**cut), NAMES).values
    for name in NAMES:
        np.testing.assert_allclose(now[name][early], then[name][early], atol=1e-12)


def test_one_number_for_each_frame_is_taken_as_it_is():
    labels = np.random.default_rng(0).normal(size=20)
    labels[4] = np.nan
    trial = recording(ClockSource("frames"), 20, {"fascicle_angle_deg": Signal(labels, 25.0)})
    aligned = Synchronisation().align(trial, ["fascicle_angle_deg"])
    np.testing.assert_array_equal(aligned.values["fascicle_angle_deg"], np.delete(labels, 4))
    assert aligned.frames.tolist() == [0, 1, 2, 3, *range(5, 20)]


def test_an_envelope_may_have_one_number_for_each_frame():
    signals = {"emg_v": Signal(T[:20], 25.0)}
    trial = replace(recording(ClockSource("frames"), 20, signals), raw=())
    aligned = Synchronisation().align(trial, ["emg_v"])
    np.testing.assert_array_equal(aligned.values["emg_v"], T[:20])


def test_the_clock_of_a_channel_carries_through():
    edges = trigger(TIMES, 8)
    trial = replace(_trial(trigger=edges), clock=ClockSource("pulses", "trigger"))
    aligned = Synchronisation().align(trial, ["angle_deg"])
    truth = 10 * np.sin(2 * np.pi * 0.4 * TIMES)
    np.testing.assert_allclose(aligned.values["angle_deg"], truth, atol=0.03)


ERRORS = [
    (_trial(), ["angle_deg", "knee_deg"], "no channel 'knee_deg'; there are: angle_deg, "),
    (_trial(emg_v=Signal(T, 25.0)), ["emg_v"], "emg_v: EMG at 25 Hz cannot be raw"),
    (_trial(torque_nm=Signal(T, 1000.0, 99.0)), NAMES, "no frame lies where angle_deg, torque_nm"),
    (_trial(torque_nm=Signal(T[:0], 1000.0)), NAMES, "no frame lies where"),
    (_trial(torque_nm=Signal(T * np.nan, 1000.0)), NAMES, "no frame lies where"),
    (
        recording(ClockSource("frames"), 20, {"emg_v": Signal(T[:20], 25.0)}),
        ["emg_v"],
        "the signals hold one value for each frame, so emg_v cannot be raw EMG; set raw: false in",
    ),
    (replace(_trial(), frame_count=10), NAMES, "10 frames but 150 trigger pulses"),
]


@pytest.mark.parametrize(("trial", "names", "message"), ERRORS)
def test_recordings_that_cannot_be_aligned(trial, names, message):
    with pytest.raises(DataError, match=f"P01_1: {message}"):
        Synchronisation().align(trial, names)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tolerance_frames": -1}, "tolerance_frames: must be 0 or more"),
        ({"angle_lowpass_hz": 0}, "angle_lowpass_hz: must be above 0"),
        ({"max_gap_s": -0.1}, "max_gap_s: must be 0 or more"),
    ],
)
def test_senseless_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Synchronisation(**settings)
