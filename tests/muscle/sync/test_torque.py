"""Torque: gravity, passive offset, smoothing."""

from __future__ import annotations

import numpy as np
import pytest

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.muscle.recording import Signal
from vitruvian.muscle.sync.torque import TorqueFilter

RATE = 500.0
T = np.arange(2000) / RATE
ANGLE = Signal(20 * np.sin(2 * np.pi * 0.3 * np.arange(420) / 100), 100.0, -0.1, "deg")


def test_gravity_is_that_of_the_angle_at_the_time():
    angle = np.interp(T, ANGLE.times_s, ANGLE.values)
    torque = Signal(5 + 3 * np.cos(np.radians(angle - 10)), RATE, unit="Nm")
    clean = TorqueFilter(gravity_nm=3, gravity_zero_deg=10).apply(torque, ANGLE)
    np.testing.assert_allclose(clean.values, 5, atol=1e-3)
    assert clean.unit == "Nm"


def test_rest_becomes_zero():
    torque = Signal(4 + np.where(T > 2, 10.0, 0.0), RATE)
    clean = TorqueFilter(offset="rest", rest_s=1).apply(torque).values
    assert clean[200] == pytest.approx(0, abs=1e-6)
    assert clean[-200] == pytest.approx(10, abs=1e-3)


def test_fast_noise_goes_and_slow_torque_stays():
    slow, hum = 10 * np.sin(2 * np.pi * 0.5 * T), np.sin(2 * np.pi * 50 * T)
    clean = TorqueFilter().apply(Signal(slow + hum, RATE)).values
    np.testing.assert_allclose(clean[200:-200], slow[200:-200], atol=0.01)


def test_causal_sees_no_later_sample():
    step = np.where(T > 2, 10.0, 0.0)
    assert np.all(TorqueFilter(causal=True).apply(Signal(step, RATE)).values[T <= 2] == 0)
    assert np.any(TorqueFilter().apply(Signal(step, RATE)).values[T <= 2] != 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lowpass_hz": 0}, "lowpass_hz: must be above 0"),
        ({"rest_s": -1}, "rest_s: must be above 0"),
        ({"gravity_nm": float("inf")}, "gravity_nm: must be a finite number"),
        ({"gravity_zero_deg": float("nan")}, "gravity_zero_deg: must be a finite number"),
        ({"offset": "mean"}, "offset: must be none or rest, got 'mean'"),
    ],
)
def test_senseless_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        TorqueFilter(**settings)


def test_gravity_needs_an_angle():
    with pytest.raises(DataError, match="gravity_nm=3 needs the joint angle"):
        TorqueFilter(gravity_nm=3).apply(Signal(T, RATE))
