"""Clocks of a recording: pulses against frames, drift, and the ends of the signals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vitruvian.core.sampling import generator
from vitruvian.muscle.recording import Signal
from vitruvian.muscle.simulator.clocks import SIGNAL_HZ, TTL_V, Clocks
from vitruvian.muscle.sync.pulses import repaired, rising_edges

EVEN = Clocks(50, 25.0, 25.2, 0.5, samples=3000)


def rises(clocks: Clocks) -> np.ndarray:
    """Times at which the trigger goes up."""
    return np.flatnonzero(np.diff(clocks.trigger(), prepend=0.0) > TTL_V / 2) / SIGNAL_HZ


def test_one_pulse_of_4_ms_for_each_frame() -> None:
    assert len(rises(EVEN)) == 50
    assert np.count_nonzero(EVEN.trigger()) == 200
    assert set(EVEN.trigger()) == {0.0, TTL_V}
    late = rises(EVEN) - EVEN.times_s
    assert late.min() >= 0
    assert late.max() <= 0.001


@pytest.mark.parametrize(
    ("changed", "pulses"),
    [
        ({"dropped": (7, 20)}, 48),
        ({"doubled": (7,)}, 51),
        ({"dropped": (7,), "doubled": (9, 30)}, 51),
        ({"samples": 2000}, 38),  # the signals end at 2 s: frames 0 to 37 have begun
    ],
)
def test_pulses_are_missing_doubled_or_too_late(changed: dict, pulses: int) -> None:
    clocks = replace(EVEN, **changed)
    assert len(rises(clocks)) == pulses
    assert len(clocks.times_s) == 50  # the frames exist all the same


def test_at_25_hz_the_second_pulse_follows_12_ms_after_the_first() -> None:
    both = rises(replace(EVEN, doubled=(7,)))[7:9]
    assert np.diff(both) == pytest.approx([0.012], abs=1.1e-3)


@pytest.mark.parametrize("rate_hz", [5.0, 25.0, 50.0, 90.0, 100.0])
def test_the_pulses_of_any_scanner_can_be_repaired(rate_hz: float) -> None:
    for number in range(30):
        drawn = Clocks.drawn(200, rate_hz, generator(3, number))
        clocks = replace(drawn, dropped=(20, 90), doubled=(7, 21, 150), samples=10**5)
        train = repaired(rising_edges(Signal(clocks.trigger(), SIGNAL_HZ)))
        np.testing.assert_allclose(train.times_s, clocks.times_s, atol=1.5e-3)
        assert np.flatnonzero(train.filled).tolist() == [20, 90]
        assert len(train.removed_s) == 3


def test_drawn_clocks_are_off_by_little_and_faults_are_not_the_rule() -> None:
    many = [Clocks.drawn(250, 25.0, generator(0, n)) for n in range(300)]
    rates = np.array([clocks.rate_hz for clocks in many])
    assert rates.min() >= 24.5
    assert rates.max() <= 25.5
    assert rates.std() > 0.2
    offsets = [clocks.offset_s for clocks in many]
    assert min(offsets) >= 0.2
    assert max(offsets) <= 1.5
    assert 0.2 < np.mean([bool(clocks.dropped) for clocks in many]) < 0.4
    assert 0.15 < np.mean([bool(clocks.doubled) for clocks in many]) < 0.35
    early = np.mean([clocks.samples / SIGNAL_HZ < clocks.times_s[-1] for clocks in many])
    assert 0.04 < early < 0.18
    assert not any(set(clocks.dropped) & {0, 1, 248, 249} for clocks in many)
    assert not any(set(clocks.dropped) & set(clocks.doubled) for clocks in many)


def test_pulses_and_frames_account_for_each_other() -> None:
    for number in range(50):
        clocks = Clocks.drawn(100, 25.0, generator(1, number))
        seen = np.count_nonzero(np.ceil(clocks.times_s * SIGNAL_HZ) < clocks.samples)
        expected = seen - len(clocks.dropped) + len(clocks.doubled)
        assert abs(len(rises(clocks)) - expected) <= (seen < 100)  # a fault may be after the end


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_few_frames_have_no_faults_that_cannot_be(frames: int) -> None:
    for number in range(30):
        clocks = Clocks.drawn(frames, 25.0, generator(2, number))
        assert all(1 < n < frames - 2 for n in (*clocks.dropped, *clocks.doubled))
        assert clocks.signal_times_s[-1] > 0
