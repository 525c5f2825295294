"""Metrics of one trial: by hand, where they say nothing, and their names."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.muscle.trials import trial_of
from vitruvian.core.errors import ConfigError
from vitruvian.core.evaluation import checked
from vitruvian.muscle.metrics import control_order, metric_name, trial_metrics, trial_row
from vitruvian.muscle.moments import Moments
from vitruvian.muscle.quantities import ANGLE, EMG, TORQUE

NAN = math.nan


def test_changes_by_hand():
    """Changes 1, 2, -1 of values 0, 1, 3, 2; predicted 1, 1, 1; the first frame has none."""
    trial = trial_of(angle_deg=[0, 1, 3, 2])
    metrics = trial_metrics(trial, "angle_deg", np.array([9.0, 1, 1, 1]), "change")
    truth = np.array([1, 2, -1])
    mse, mean = 5 / 3, 2 / 3
    expected = {
        "angle_change_frames": 3,
        "angle_change_rmse_deg": math.sqrt(mse),
        "angle_change_nrmse": math.sqrt(mse) / 3,
        "angle_change_r2": 1 - mse / truth.var(),
        "angle_change_r": NAN,  # a constant prediction
        "angle_change_bias_deg": 1 - mean,
        "angle_change_truth_mean_deg": mean,
        "angle_change_truth_sd_deg": truth.std(),
        "angle_change_predicted_sd_deg": 0,
        "angle_range_deg": 3,
        "angle_zero_change_rmse_deg": math.sqrt(2),
        "angle_ratio": math.sqrt(mse / 2),
        "angle_drift_deg": math.sqrt((0**2 + 1**2 + 1**2) / 3),  # errors 0, -1, 2 summed
        "angle_drift_end_deg": 1,
    }
    assert metrics == pytest.approx(expected, nan_ok=True)


def test_absolute_values_by_hand():
    trial = trial_of(torque_nm=[0, 2, 4, 4])
    metrics = trial_metrics(trial, "torque_nm", np.array([1.0, 2, 3, NAN]), "absolute")
    expected = {
        "torque_frames": 3,
        "torque_rmse_nm": math.sqrt(2 / 3),
        "torque_nrmse": math.sqrt(2 / 3) / 4,
        "torque_r2": 1 - 2 / 8,
        "torque_r": 1,
        "torque_bias_nm": 0,
        "torque_truth_mean_nm": 2,
        "torque_truth_sd_nm": math.sqrt(8 / 3),
        "torque_predicted_sd_nm": math.sqrt(2 / 3),
        "torque_range_nm": 4,
        "torque_zero_change_rmse_nm": 2,  # of the two changes that are predicted
        "torque_change_rmse_nm": 1,
        "torque_change_frames": 2,
        "torque_ratio": 0.5,
    }
    assert metrics == pytest.approx(expected, nan_ok=True)


def test_centred_values_are_compared_with_the_centred_truth():
    trial = trial_of(angle_deg=[10, 12, 14])
    metrics = trial_metrics(trial, "angle_deg", np.array([-2.0, 0, 2]), "centred")
    assert metrics["angle_centred_rmse_deg"] == 0
    assert metrics["angle_centred_r2"] == metrics["angle_centred_r"] == 1
    assert metrics["angle_ratio"] == 0


def test_no_change_is_predicted_across_a_gap():
    """Frame 2 does not follow: its change is neither compared nor summed."""
    trial = trial_of(angle_deg=[0, 1, 50, 51], follows=[False, True, False, True])
    perfect = trial_metrics(trial, "angle_deg", np.array([0.0, 1, -7, 1]), "change")
    assert perfect["angle_change_frames"] == 2
    assert perfect["angle_change_rmse_deg"] == perfect["angle_drift_deg"] == 0
    absolute = trial_metrics(trial, "angle_deg", np.array([5.0, 6, 0, 1]), "absolute")
    assert absolute["angle_change_frames"] == 2
    assert absolute["angle_change_rmse_deg"] == absolute["angle_ratio"] == 0


@pytest.mark.parametrize("kind", ["change", "absolute", "centred"])
def test_ratios_say_nothing_of_what_does_not_vary(kind):
    values = ANGLE.varies * 0.99 * np.array([0, 1, 0, 1, 0.5])
    still = trial_metrics(trial_of(angle_deg=values), "angle_deg", np.arange(5.0), kind)
    infix = {"absolute": ""}.get(kind, f"_{kind}")
    undefined = {f"angle{infix}_{name}" for name in ("nrmse", "r2", "r")} | {"angle_ratio"}
    assert {name for name, value in still.items() if math.isnan(value)} == undefined
    moving = trial_metrics(trial_of(angle_deg=values * 1.1), "angle_deg", np.arange(5.0), kind)
    assert not any(math.isnan(value) for value in moving.values())


def test_of_no_prediction_only_the_truth_is_known():
    metrics = trial_metrics(trial_of(angle_deg=[0, 1, 3]), "angle_deg", np.full(3, NAN), "change")
    known = {name: value for name, value in metrics.items() if not math.isnan(value)}
    assert known == {"angle_change_frames": 0, "angle_range_deg": 3}


def test_emg_is_also_told_as_a_share_of_the_maximum():
    values = np.array([0, 1e-4, 3e-4])
    trial = trial_of(emg_v=values, emg_mvc_v=4e-4)
    metrics = trial_metrics(trial, "emg_v", values + 1e-5, "absolute")
    assert metrics["emg_rmse_mvc_percent"] == pytest.approx(2.5)
    assert "emg_rmse_mvc_percent" not in trial_metrics(
        trial_of(emg_v=values), "emg_v", values, "absolute"
    )


def test_intervals_are_judged_by_what_they_hold():
    trial = trial_of(angle_deg=[0, 1, 2, 3])
    predicted = np.array([0.0, 1.5, 2.6, NAN])
    metrics = trial_metrics(trial, "angle_deg", predicted, "absolute", half_width=0.5)
    assert metrics["angle_coverage"] == pytest.approx(2 / 3)
    assert metrics["angle_interval_deg"] == 0.5
    unknown = trial_metrics(trial, "angle_deg", predicted, "absolute", half_width=NAN)
    assert math.isnan(unknown["angle_coverage"])


def test_a_row_says_what_was_measured():
    trial = trial_of(name="P07_iso", participant="P07", task="isometric", angle_deg=[0, 1, 3])
    predictions = {"angle_deg": np.zeros(3)}
    row = trial_row(trial, "baseline: zero change", predictions, "change", {"angle_deg": 1.0})
    strings = {key: value for key, value in row.items() if isinstance(value, str)}
    assert strings == {
        "case": "P07_iso",
        "predictor": "baseline: zero change",
        "participant": "P07",
        "task": "isometric",
    }
    assert row["angle_ratio"] == 1
    assert row["angle_change_coverage"] == 0.5
    assert checked(row).keys() == row.keys()


NAMES = [
    (ANGLE, "change", "rmse", "angle_change_rmse_deg"),
    (TORQUE, "absolute", "bias", "torque_bias_nm"),
    (EMG, "centred", "r2", "emg_centred_r2"),
    (EMG, None, "ratio", "emg_ratio"),
    (ANGLE, None, "drift", "angle_drift_deg"),
]


@pytest.mark.parametrize(("of", "kind", "metric", "name"), NAMES)
def test_names(of, kind, metric, name):
    assert metric_name(of, kind, metric) == name


def test_errors():
    trial = trial_of(angle_deg=[0, 1, 3])
    with pytest.raises(ConfigError, match="'angle' is none of"):
        trial_metrics(trial, "angle", np.zeros(3), "change")
    with pytest.raises(ValueError, match=r"angle_deg: \(2,\) predicted for \(3,\) frames"):
        trial_metrics(trial, "angle_deg", np.zeros(2), "change")


FLOATS = st.floats(-1e3, 1e3, allow_subnormal=False)


@settings(deadline=None)
@given(st.lists(st.tuples(FLOATS, FLOATS), min_size=2, max_size=20), st.integers(1, 19))
def test_moments_join_to_those_of_all_frames(pairs, cut):
    truth, predicted = np.array(pairs).T
    parts = [Moments.of(truth[:cut], predicted[:cut]), Moments.of(truth[cut:], predicted[cut:])]
    joined, whole = Moments.join(parts), Moments.of(truth, predicted)
    assert vars(joined) == pytest.approx(vars(whole), rel=1e-9, abs=1e-6)


def test_moments_have_numpys_r_and_r2():
    truth, predicted = np.random.default_rng(0).normal([[3], [100]], size=(2, 50))
    moments = Moments.of(truth, predicted)
    assert moments.r == pytest.approx(np.corrcoef(truth, predicted)[0, 1], rel=1e-9)
    assert moments.r2 == pytest.approx(1 - np.mean((truth - predicted) ** 2) / truth.var())


def test_a_constant_told_with_rounding_errors_has_no_correlation():
    truth = np.arange(10.0)
    predicted = 17.3 + 1e-12 * np.arange(10)
    assert math.isnan(Moments.of(truth, predicted).r)
    assert math.isnan(Moments.of(predicted * 0, truth).r)
    assert math.isnan(Moments.of(predicted * 0, truth).r2)


def test_the_control_shuffles_frames_of_each_trial_in_its_own_way():
    first, second = (trial_of(name=name, angle_deg=np.zeros(50)) for name in ("a", "b"))
    order = control_order(first, seed=3)
    np.testing.assert_array_equal(np.sort(order), np.arange(50))
    np.testing.assert_array_equal(order, control_order(first, seed=3))
    assert (order != np.arange(50)).any()
    assert (order != control_order(second, seed=3)).any()
    assert (order != control_order(first, seed=4)).any()
