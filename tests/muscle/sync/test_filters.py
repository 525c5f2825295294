"""Filters: half the power at the cut-off, no lag where none is promised, gaps bridged."""

from __future__ import annotations

import numpy as np
import pytest

from vitruvian.muscle.recording import Signal
from vitruvian.muscle.sync.filters import bridged, highpass, lowpass

RATE = 1000.0
T = np.arange(8000) / RATE
MIDDLE = slice(3000, 5000)


def _gain(filtered, tone):
    return np.std(filtered[MIDDLE]) / np.std(tone[MIDDLE])


@pytest.mark.parametrize("order", [2, 4, 8])
@pytest.mark.parametrize("causal", [False, True])
def test_half_the_power_is_left_at_the_cutoff(order, causal):
    tone = np.sin(2 * np.pi * 10 * T)
    assert _gain(lowpass(tone, RATE, 10, order, causal), tone) == pytest.approx(0.5**0.5, abs=0.01)


def test_highpass_halves_the_power_at_its_cutoff_and_removes_offset():
    tone = np.sin(2 * np.pi * 20 * T)
    filtered = highpass(tone + 7, RATE, 20)
    assert _gain(filtered, tone) == pytest.approx(0.5**0.5, abs=0.01)
    assert abs(filtered[MIDDLE].mean()) < 1e-3


def test_zero_lag_has_no_lag_and_causal_has_one():
    bump = np.exp(-(((T - 4) / 0.1) ** 2))
    assert np.argmax(lowpass(bump, RATE, 5)) == 4000
    assert np.argmax(lowpass(bump, RATE, 5, causal=True)) > 4020


def test_causal_sees_no_later_sample():
    values = np.random.default_rng(0).normal(size=500)
    changed = np.where(np.arange(500) < 300, values, 99.0)
    now, then = (lowpass(v, RATE, 10, causal=True)[:300] for v in (values, changed))
    np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_short_signals_and_constants_pass(count, causal):
    values = np.full(count, 3.0)
    np.testing.assert_allclose(lowpass(values, RATE, 10, causal=causal), values, atol=1e-9)
    np.testing.assert_allclose(highpass(values, RATE, 20), 0 * values, atol=1e-9)


@pytest.mark.parametrize("cutoff", [5.0, 4.9])
def test_slow_signals_stay_as_they_are(cutoff):
    values = np.random.default_rng(0).normal(size=50)
    np.testing.assert_array_equal(lowpass(values, 10.0, cutoff), values)


def test_gaps_are_bridged_by_a_line_and_long_ones_are_marked():
    values = np.arange(20.0)
    values[[0, 4, 5, 10, 11, 12, 13]] = np.nan
    whole, lost = bridged(Signal(values, 10.0), max_gap_s=0.25)
    np.testing.assert_allclose(whole.values, [1.0, *range(1, 20)])
    assert np.flatnonzero(lost).tolist() == [10, 11, 12, 13]


def test_a_channel_without_samples_is_lost():
    whole, lost = bridged(Signal(np.full(3, np.nan), 10.0), max_gap_s=9.0)
    assert whole.values.tolist() == [0, 0, 0]
    assert lost.all()
