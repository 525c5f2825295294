"""Edges are found between samples, and trains come out with one pulse a beat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.muscle.sync.scenes import trigger
from vitruvian.muscle.recording import Signal
from vitruvian.muscle.sync.pulses import repaired, rising_edges

BEATS = 0.3 + np.arange(50) / 25


def test_edges_of_short_noisy_pulses():
    found = rising_edges(trigger(BEATS, 3, width=1))
    assert len(found) == len(BEATS)
    assert np.abs(found - BEATS).max() <= 0.001


def test_an_edge_lies_between_samples():
    values = np.array([0, 0, 1, 4, 5, 5, 0, 0, 0, 0], float)
    assert rising_edges(Signal(values, 10.0, 2.0)) == pytest.approx([2.0 + (2 + 1.5 / 3) / 10])


def test_bouncing_within_the_hysteresis_is_one_edge():
    values = np.array([0] * 30 + [2, 3, 2.4, 2.7, 5, 5, 0, 0, 0, 5, 5, 0])
    assert len(rising_edges(Signal(values, 10.0))) == 2


@pytest.mark.parametrize("spike", [12.0, 50.0])
def test_one_spike_does_not_hide_the_pulses(spike):
    channel = trigger(BEATS, 3)
    channel.values[20] = spike
    assert len(rising_edges(channel)) == len(BEATS) + 1


@pytest.mark.parametrize(
    "values", [[], [1.0], [3.0] * 50, np.random.default_rng(0).normal(size=2000)]
)
def test_no_pulses_no_edges(values):
    assert len(rising_edges(Signal(np.array(values, float), 1000.0))) == 0


def test_a_pulse_that_has_begun_before_the_channel_has_no_edge():
    assert len(rising_edges(Signal(np.array([5, 5, 0, 0, 5, 5, 0, 0.0]), 10.0))) == 1


def test_missing_samples_make_no_edge():
    channel = trigger(BEATS, 3)
    channel.values[10:20] = np.nan
    assert len(rising_edges(channel)) == len(BEATS)


CASES = {
    "sound": (BEATS, 0, 0),
    "one missing": (np.delete(BEATS, 7), 1, 0),
    "three in a row missing": (np.delete(BEATS, [7, 8, 9]), 3, 0),
    "a third missing": (np.delete(BEATS, np.arange(1, 49, 3)), 16, 0),
    "one bounced": (np.insert(BEATS, 8, BEATS[7] + 0.002), 0, 1),
    "all bounced twice": (np.sort(np.r_[BEATS, BEATS + 0.002, BEATS + 0.004]), 0, 100),
    "a stray pulse between beats": (np.insert(BEATS, 8, BEATS[7] + 0.017), 0, 1),
    "a stray pulse just before a beat": (np.insert(BEATS, 8, BEATS[8] - 0.004), 0, 1),
    "a glitch before the first": (np.insert(BEATS, 0, BEATS[0] - 0.027), 0, 1),
    "a glitch after the last": (np.append(BEATS, BEATS[-1] + 0.06), 0, 1),
    "a long pause": (np.delete(BEATS, np.arange(5, 45)), 40, 0),
}


@pytest.mark.parametrize("case", CASES)
def test_repair(case):
    edges, missing, doubled = CASES[case]
    train = repaired(edges)
    assert (int(train.filled.sum()), len(train.removed_s)) == (missing, doubled)
    np.testing.assert_allclose(train.times_s, BEATS, atol=0.005)
    assert train.period_s == pytest.approx(0.04, rel=0.06)
    assert train.found == len(edges)


@settings(max_examples=60, deadline=None)
@given(
    lost=st.sets(st.integers(1, 48), max_size=8),
    doubled=st.sets(st.integers(0, 49), max_size=8),
    seed=st.integers(0, 99),
)
def test_jitter_losses_and_doubles_keep_the_count(lost, doubled, seed):
    jittered = BEATS + np.random.default_rng(seed).uniform(-0.003, 0.003, 50)
    kept = np.delete(jittered, sorted(lost))
    doubles = jittered[sorted(doubled - lost)] + 0.005
    train = repaired(np.sort(np.r_[kept, doubles]))
    assert int(train.filled.sum()) == len(lost)
    assert len(train.removed_s) == len(doubles)
    np.testing.assert_allclose(train.times_s, BEATS, atol=0.01)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pulses_are_left_alone(count):
    train = repaired(BEATS[:count])
    np.testing.assert_array_equal(train.times_s, BEATS[:count])
    assert (train.filled.sum(), len(train.removed_s)) == (0, 0)
