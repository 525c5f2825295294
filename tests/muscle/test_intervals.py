"""Conformal half widths: by hand, their promise, and what they do not say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruvian.core.errors import ConfigError
from vitruvian.muscle.intervals import Conformal, conformal_half_width

TABLE = {
    # residuals, level, half width
    "nine at 0.9: the largest": (np.arange(1.0, 10), 0.9, 9.0),
    "eight at 0.9: too few": (np.arange(1.0, 9), 0.9, math.nan),
    "nineteen at 0.9: the 18th": (np.arange(1.0, 20), 0.9, 18.0),
    "three at 0.5: the 2nd": (np.array([3.0, 1.0, 2.0]), 0.5, 2.0),
    "signs do not count": (np.array([-3.0, 1.0, -2.0]), 0.5, 2.0),
    "NaN and infinities are left out": (np.array([3, np.nan, 1, np.inf, 2]), 0.5, 2.0),
    "none": (np.empty(0), 0.5, math.nan),
}


@pytest.mark.parametrize("name", TABLE)
def test_half_width_by_hand(name):
    residuals, level, expected = TABLE[name]
    assert conformal_half_width(residuals, level) == pytest.approx(expected, nan_ok=True)


@settings(deadline=None)
@given(
    st.lists(st.floats(-10, 10), min_size=20, max_size=60),
    st.sampled_from([0.5, 0.8, 0.9]),
)
def test_the_promise_holds_exactly_for_exchangeable_residuals(values, level):
    """Of n + 1 residuals in turn left out, at least a share `level` lies within the others'."""
    values = np.array(values)
    held = [
        abs(values[i]) <= conformal_half_width(np.delete(values, i), level)
        for i in range(len(values))
    ]
    assert np.mean(held) >= level - 1e-9


@pytest.mark.parametrize("level", [0, 1, 1.5, -0.1, math.nan])
def test_levels_that_cannot_be(level):
    with pytest.raises(ConfigError, match=r"^level: must be between 0 and 1"):
        conformal_half_width(np.ones(5), level)


def test_a_width_for_each_quantity_over_all_trials():
    conformal = Conformal(["angle_deg", "torque_nm", "emg_v"])
    assert all(math.isnan(width) for width in conformal.half_widths().values())
    angle = [np.array([np.nan, 1.0, -2.0]), np.array([np.nan, 3.0])]
    conformal.fit({"angle_deg": angle, "emg_v": [np.full(9, 1e-5)]}, level=0.5)
    widths = conformal.half_widths()
    assert widths["angle_deg"] == 2.0
    assert math.isnan(widths["torque_nm"])
    assert widths["emg_v"] == pytest.approx(1e-5)


def test_widths_travel_in_a_state_dict(tmp_path):
    fitted, fresh = Conformal(["angle_deg"]), Conformal(["angle_deg"])
    fitted.fit({"angle_deg": [np.arange(20.0)]})
    torch.save(fitted.state_dict(), tmp_path / "state.pt")
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert fresh.half_widths() == fitted.half_widths() == {"angle_deg": 18.0}


def test_an_unknown_quantity_is_named():
    with pytest.raises(ConfigError, match="'angel_deg' is none of"):
        Conformal(["angel_deg"])
