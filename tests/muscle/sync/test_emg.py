"""EMG envelopes: what they show, what they ignore, and that they can arrive in pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.muscle.recording import Signal
from vitruvian.muscle.sync.emg import EmgEnvelope

RATE = 1000.0
NOISE = np.random.default_rng(3).normal(size=4000)
KINDS = [{"kind": "lowpass"}, {"kind": "rms"}]


def _signal(values):
    return Signal(np.asarray(values, float), RATE, 0.5, "V")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("causal", [False, True])
def test_envelope_follows_the_activity(kind, causal):
    activity = np.where(np.arange(4000) < 2000, 0.1, 1.0)
    envelope = EmgEnvelope(**kind, causal=causal).apply(_signal(NOISE * activity))
    quiet, active = envelope.values[500:1500].mean(), envelope.values[2700:3700].mean()
    expected = np.sqrt(2 / np.pi) if kind["kind"] == "lowpass" else 1.0
    assert quiet == pytest.approx(0.1 * expected, rel=0.1)
    assert active == pytest.approx(expected, rel=0.1)
    assert (envelope.rate_hz, envelope.start_s, envelope.unit) == (RATE, 0.5, "V")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("causal", [False, True])
def test_offset_and_drift_do_not_matter(kind, causal):
    filter_ = EmgEnvelope(**kind, causal=causal)
    drift = 50 + np.linspace(0, 30, 4000)
    plain = filter_.apply(_signal(NOISE)).values
    shifted = filter_.apply(_signal(NOISE + drift)).values
    np.testing.assert_allclose(plain[200:-200], shifted[200:-200], atol=0.02)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("causal", [False, True])
def test_envelope_is_never_negative(kind, causal):
    burst = np.where(np.abs(np.arange(4000) - 2000) < 30, 100 * NOISE, 0)
    assert EmgEnvelope(**kind, causal=causal).apply(_signal(burst)).values.min() >= 0


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["lowpass", "rms"]),
    cuts=st.lists(st.integers(0, 600), max_size=8),
    missing=st.booleans(),
)
def test_pieces_give_what_the_whole_gives(kind, cuts, missing):
    values = NOISE[:600] + 3
    if missing:
        values[100:130] = np.nan
    causal = EmgEnvelope(kind=kind, causal=True)
    stream = causal.stream(RATE)
    pieces = [stream.push(piece) for piece in np.split(values, sorted(cuts))]
    whole = causal.apply(_signal(values)).values
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-9, atol=1e-12)


def test_causal_sees_no_later_sample():
    changed = np.where(np.arange(4000) < 2000, NOISE, 0)
    causal = EmgEnvelope(causal=True)
    now, then = (causal.apply(_signal(v)).values[:2000] for v in (NOISE, changed))
    np.testing.assert_array_equal(now, then)


def test_trailing_rms_is_the_root_of_the_mean_square():
    tone = np.sin(2 * np.pi * 100 * np.arange(4000) / RATE)  # whole periods in 40 ms
    values = EmgEnvelope(kind="rms", causal=True).apply(_signal(tone)).values
    np.testing.assert_allclose(values[1000:], 0.5**0.5, rtol=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_missing_samples_do_not_look_like_rest(kind):
    holed = NOISE.copy()
    holed[2000:2060] = np.nan
    envelope = EmgEnvelope(**kind).apply(_signal(holed)).values
    assert np.isfinite(envelope).all()
    assert envelope[1980:2080].min() > 0.5


def test_a_channel_without_samples_gives_zeros():
    assert EmgEnvelope().apply(_signal(np.full(50, np.nan))).values.tolist() == [0.0] * 50


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"highpass_hz": 0}, "highpass_hz: must be above 0"),
        ({"lowpass_hz": -1}, "lowpass_hz: must be above 0"),
        ({"rms_ms": float("nan")}, "rms_ms: must be above 0"),
        ({"kind": "mean"}, "kind: must be lowpass or rms, got 'mean'"),
        ({"lowpass_hz": 20}, "lowpass_hz: must be below highpass_hz"),
    ],
)
def test_senseless_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        EmgEnvelope(**settings)


@pytest.mark.parametrize("causal", [False, True])
def test_a_slow_channel_is_no_raw_emg(causal):
    with pytest.raises(DataError, match="25 Hz cannot be raw"):
        EmgEnvelope(causal=causal).apply(Signal(NOISE, 25.0))


def test_only_a_causal_envelope_streams():
    with pytest.raises(ConfigError, match="causal: must be true on-line"):
        EmgEnvelope().stream(RATE)
