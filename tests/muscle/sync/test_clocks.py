"""Frame clocks: pulses over nominal rates, both counts in errors, starts, motion, one each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.muscle.sync.scenes import Sliding, recording, trigger
from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import ClockSource, Signal
from vitruvian.muscle.sync.clocks import frame_clock
from vitruvian.muscle.sync.nominal import nominal_rate_hz

RATE, START, FRAMES = 25.01, 1.3, 200
TIMES = START + np.arange(FRAMES) / RATE
PULSES = ClockSource("pulses", "trigger", rate_hz=25.0)


def _pulsed(times=TIMES, frames=FRAMES):
    return recording(PULSES, frames, {"trigger": trigger(times, 12)})


def test_pulses_say_when_and_how_fast():
    clock = frame_clock(_pulsed())
    np.testing.assert_allclose(clock.times_s, TIMES, atol=6e-4)  # half a sample of the trigger
    assert clock.rate_hz == pytest.approx(RATE, rel=5e-5)
    assert clock.drift_ppm == pytest.approx(400, abs=50)
    assert clock.offset_s == pytest.approx(START, abs=6e-4)
    assert 0 < clock.residual_ms < 0.5
    assert clock.residual_max_ms < 1
    assert (clock.pulses, clock.missing, clock.doubled, clock.notes) == (FRAMES, 0, 0, ())


def test_listed_times_do_without_a_channel():
    source = ClockSource("pulses", times_s=TIMES)
    clock = frame_clock(recording(source, FRAMES, {}))
    np.testing.assert_array_equal(clock.times_s, TIMES)
    assert np.isnan(clock.drift_ppm)
    assert clock.residual_max_ms < 1e-6


def test_the_nominal_rate_is_never_believed_over_the_pulses():
    lies = ClockSource("pulses", times_s=TIMES, rate_hz=30.0)
    clock = frame_clock(recording(lies, FRAMES, {}, Sliding(TIMES, 60.0)))
    np.testing.assert_array_equal(clock.times_s, TIMES)
    assert clock.notes == ("the nominal 30 Hz are wrong: measured 25.01 Hz",)


def test_repairs_are_counted():
    edges = np.sort(np.append(np.delete(TIMES, [40, 90, 91]), TIMES[120] + 0.008))
    clock = frame_clock(_pulsed(edges))
    np.testing.assert_allclose(clock.times_s, TIMES, atol=1.2e-3)
    assert (clock.pulses, clock.missing, clock.doubled) == (FRAMES - 2, 3, 1)


def test_pauses_of_the_scanner_are_no_missing_pulses():
    paused = np.delete(TIMES, np.arange(60, 100))
    clock = frame_clock(_pulsed(paused, FRAMES - 40))
    np.testing.assert_allclose(clock.times_s, paused, atol=6e-4)
    assert clock.missing == 0
    assert "40 beat(s) without a pulse are pauses" in clock.notes[0]


@pytest.mark.parametrize("beats", [[60], [60, 61], [60, 120]])
def test_a_pause_may_be_as_short_as_a_beat(beats):
    paused = np.delete(TIMES, beats)
    clock = frame_clock(_pulsed(paused, FRAMES - len(beats)), tolerance_frames=2)
    np.testing.assert_allclose(clock.times_s, paused, atol=6e-4)
    assert clock.rate_hz == pytest.approx(RATE, rel=5e-5)
    assert clock.missing == 0
    assert clock.notes == (
        f"{len(beats)} beat(s) without a pulse are pauses of the scanner: the frames say so",
    )


def test_more_pulses_than_frames_within_the_tolerance():
    clock = frame_clock(_pulsed(frames=FRAMES - 2), tolerance_frames=2)
    np.testing.assert_allclose(clock.times_s, TIMES[:-2], atol=6e-4)
    assert clock.notes == ("2 more pulse(s) than frames: the last are taken to have no frame",)


def test_more_frames_than_pulses_within_the_tolerance():
    clock = frame_clock(_pulsed(frames=FRAMES + 1))
    np.testing.assert_allclose(clock.times_s[:-1], TIMES, atol=6e-4)
    assert np.isnan(clock.times_s[-1])
    assert "the last are taken to have none" in clock.notes[0]


@pytest.mark.parametrize("lacking", [1, 6, 20])
def test_signals_that_start_too_late_lack_the_first_pulses(lacking):
    late = TIMES - START + 0.01
    clock = frame_clock(_pulsed(late, FRAMES + lacking))
    np.testing.assert_allclose(clock.times_s[lacking:], late, atol=6e-4)
    assert np.isnan(clock.times_s[:lacking]).all()
    assert clock.offset_s == pytest.approx(0.01 - lacking / RATE, abs=1e-3)
    assert "the first are taken to have none (signals start too late)" in clock.notes[0]


@pytest.mark.parametrize("lacking", [1, 6, 20])
def test_signals_that_end_too_early_lack_the_last_pulses(lacking):
    cut = recording(PULSES, FRAMES + lacking, {"trigger": trigger(TIMES, TIMES[-1] + 0.03)})
    clock = frame_clock(cut)
    np.testing.assert_allclose(clock.times_s[:FRAMES], TIMES, atol=6e-4)
    assert np.isnan(clock.times_s[FRAMES:]).all()
    assert "the last are taken to have none (signals end too early)" in clock.notes[0]


@pytest.mark.parametrize(("first_s", "last_s"), [(0.01, 0.03), (START, 0.9)])
def test_many_pulses_are_lacking_only_where_one_end_is_cut(first_s, last_s):
    times = TIMES - START + first_s
    channel = trigger(times, times[-1] + last_s)
    with pytest.raises(DataError, match="206 frames but 200 trigger pulses"):
        frame_clock(recording(PULSES, FRAMES + 6, {"trigger": channel}))


@pytest.mark.parametrize(("frames", "tolerance"), [(203, 2), (197, 2), (201, 0), (150, 10)])
def test_too_different_numbers_are_both_shown(frames, tolerance):
    edges = np.insert(np.delete(TIMES, 50), 20, TIMES[19] + 0.01)
    with pytest.raises(DataError, match=f"P01_1: {frames} frames but 200 trigger pulses") as error:
        frame_clock(_pulsed(edges, frames), tolerance)
    assert "(200 found at 25.01 Hz, 1 missing filled in, 1 double left out)" in str(error.value)


def _started(signal):
    source = ClockSource("start", "trigger", rate_hz=25.0)
    return recording(source, FRAMES, {"trigger": signal})


def test_a_start_alone_leaves_the_nominal_rate_and_says_so():
    clock = frame_clock(_started(trigger([START], 12)))
    np.testing.assert_allclose(clock.times_s, START + np.arange(FRAMES) / 25, atol=6e-4)
    assert clock.notes == ("rate not measured: the nominal 25 Hz are believed",)
    assert np.isnan(clock.residual_ms)


def test_start_and_stop_give_the_rate():
    clock = frame_clock(_started(trigger([START, TIMES[-1]], 12)))
    np.testing.assert_allclose(clock.times_s, TIMES, atol=1.2e-3)
    assert clock.drift_ppm == pytest.approx(400, abs=130)


def test_a_gate_gives_the_rate():
    high = round(FRAMES / RATE * 1000)
    clock = frame_clock(_started(trigger([START], 12, width=high)))
    assert clock.rate_hz == pytest.approx(RATE, rel=2e-4)
    assert clock.notes == ("rate from how long the trigger was high",)


def _moving(claimed, true_rate, frames=150, seed=0):
    """Angle at 200 Hz from 0 to 12 s, and frames that slide with it."""
    t = np.arange(2400) / 200
    angle = 8 * np.sin(2 * np.pi * 0.31 * t) + 5 * np.sin(2 * np.pi * 0.83 * t**1.1)
    noise = np.random.default_rng(seed).normal(0, 0.02, len(t))
    times = START + np.arange(frames) / true_rate
    images = Sliding(-1.5 * np.interp(times, t, angle), claimed)
    return times, Signal(angle + noise, 200.0), images


def test_the_motion_of_the_image_gives_the_rate_after_a_start():
    times, angle, images = _moving(26.0, 25.0)
    signals = {"trigger": trigger([START], 12), "angle_deg": angle}
    clock = frame_clock(recording(ClockSource("start", "trigger"), 150, signals, images))
    np.testing.assert_allclose(clock.times_s, times, atol=0.01)
    assert clock.notes[0] == "rate from the motion of the image"


@pytest.mark.parametrize(("claimed", "true"), [(25.0, 25.0), (25.0, 25.2), (26.0, 25.0)])
def test_motion_places_frames_without_a_trigger(claimed, true):
    times, angle, images = _moving(claimed, true)
    source = ClockSource("motion", "angle_deg")
    clock = frame_clock(recording(source, 150, {"angle_deg": angle}, images))
    np.testing.assert_allclose(clock.times_s, times, atol=0.01)
    assert clock.residual_ms < 10
    assert "matched by motion" in clock.notes[0]


def test_motion_that_does_not_match_is_refused():
    _, angle, images = _moving(25.0, 25.0)
    other = np.random.default_rng(5).normal(size=len(angle.values))
    source = ClockSource("motion", "angle_deg")
    with pytest.raises(DataError, match="does not match angle_deg"):
        frame_clock(recording(source, 150, {"angle_deg": replace(angle, values=other)}, images))


def test_one_sample_for_each_frame():
    source = ClockSource("frames")
    clock = frame_clock(recording(source, 50, {"angle_deg": Signal(np.zeros(50), 20.0, 2.0)}))
    np.testing.assert_allclose(clock.times_s, 2 + np.arange(50) / 20)
    assert (clock.residual_ms, clock.rate_hz) == (0.0, 20.0)


def test_the_description_is_believed_over_the_file():
    images = Sliding(np.zeros(3), 30.0)
    given = recording(ClockSource(rate_hz=25.0), 3, {}, images)
    assert nominal_rate_hz(given) == 25.0
    assert nominal_rate_hz(replace(given, clock=ClockSource())) == 30.0
    assert nominal_rate_hz(replace(given, clock=ClockSource(), frames=None)) is None


FLAT = Signal(np.zeros(5000), 1000.0)
SHORT = Signal(np.zeros(9), 20.0)
ERRORS = [
    (ClockSource("pulses"), {}, "name the channel of its trigger"),
    (ClockSource("pulses", "sync"), {"a": FLAT}, "no channel 'sync'; there are: a"),
    (ClockSource("pulses", "a"), {"a": FLAT}, "50 frames but 0 trigger pulses"),
    (ClockSource("start", "a", rate_hz=25.0), {"a": FLAT}, "no trigger pulse found"),
    (ClockSource("start", "a"), {"a": trigger([1.0], 5)}, "one start trigger and no rate"),
    (ClockSource("motion", "a", rate_hz=25.0), {"a": FLAT}, "kind motion needs images"),
    (ClockSource("motion"), {"a": FLAT}, "name the channel of what moves with the image"),
    (ClockSource("frames"), {"a": SHORT}, "50 frames but 9 samples of a"),
    (ClockSource("frames"), {}, "kind frames needs a channel"),
]


@pytest.mark.parametrize(("source", "signals", "message"), ERRORS)
def test_clocks_that_cannot_be_found(source, signals, message):
    with pytest.raises(DataError, match=f"P01_1: .*{message}"):
        frame_clock(recording(source, 50, signals))


def test_no_frames_no_clock():
    with pytest.raises(DataError, match="no frames to place"):
        frame_clock(_pulsed(frames=0))
