"""Faults of channels, told in plain words; sound channels have none."""

from __future__ import annotations

import re

import numpy as np
import pytest

from vitruvian.muscle.recording import Signal
from vitruvian.muscle.sync.faults import faults

RATE = 1000.0
NOISE = np.random.default_rng(0).normal(size=10000)


def _set(values, part, value):
    changed = values.copy()
    changed[part] = value
    return changed


OFTEN = np.arange(10000) // 10 % 32 == 5
STILL = np.round(0.02 * NOISE, 2) + np.where(np.arange(10000) < 5000, 0, 10)

CASES = [
    ("emg_v", NOISE, []),
    ("emg_v", np.round(NOISE, 1), []),
    ("torque_nm", STILL, []),
    ("angle_deg", np.clip(np.linspace(-30, 30, 10000), -20, 20), []),
    ("emg_v", _set(NOISE, OFTEN, 9.0), ["emg_v: railed for 3.2 % of the time"]),
    ("torque_nm", _set(NOISE, OFTEN, -9.0), ["torque_nm: railed for 3.2 % of the time"]),
    ("emg_v", np.clip(NOISE, -1, 1), ["emg_v: railed for .* % of the time"]),
    ("emg_v", np.full(9, 0.5), ["emg_v: never changes \\(0.5 throughout\\); dead or locked\\?"]),
    ("angle_deg", np.zeros(9), ["angle_deg: never changes \\(0 throughout\\)"]),
    ("emg_v", np.full(9, np.nan), ["emg_v: no samples"]),
    (
        "emg_v",
        _set(NOISE, slice(500, 750), np.nan),
        ["emg_v: missing for 2.5 % of the time, 0.25 s at most"],
    ),
    (
        "angle_deg",
        _set(NOISE, 7, np.nan),
        ["angle_deg: missing for under 0.1 % of the time, 0.001 s at most"],
    ),
    (
        "emg_v",
        _set(NOISE, slice(500, 800), NOISE[500]),
        ["emg_v: flat for 3.0 % of the time, 0.3 s at most"],
    ),
    ("emg_v", np.round(NOISE), ["emg_v: only .* levels of its converter; electrode off"]),
]


@pytest.mark.parametrize(("name", "values", "expected"), CASES)
def test_faults(name, values, expected):
    found = faults(name, Signal(values, RATE))
    assert len(found) == len(expected), found
    assert all(re.match(e, f) for e, f in zip(expected, found, strict=True)), found
