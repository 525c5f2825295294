"""Baselines: what they say by hand, planted relations found, and nothing learnt from the test."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.muscle.trials import trial_of
from vitruvian.core.errors import ConfigError, DataError
from vitruvian.muscle.baselines import Baselines
from vitruvian.muscle.features import FLOW_FEATURES, INTENSITY_FEATURES

NAN = math.nan
ZERO, PERSISTENCE, MEAN = "baseline: zero change", "baseline: persistence", "baseline: train mean"
FLOW, INTENSITY = "baseline: ridge on flow", "baseline: ridge on intensity"
SPRING = "baseline: passive spring"
KINDS = ("change", "centred", "absolute")


def fitted(kind, *trials, quantities=("angle_deg",), **options):
    baselines = Baselines(quantities, kind, **options)
    baselines.fit(trials)
    return baselines


TRAINING = trial_of(angle_deg=[0, 3, 0, 9])
TEST = trial_of(angle_deg=[4, 6, 5, 5, 8], follows=[False, True, True, False, True])
SAID = {
    # kind: predictor: what it says of the test
    "change": {
        ZERO: [NAN, 0, 0, NAN, 0],
        PERSISTENCE: [NAN, NAN, 2, NAN, -1],  # over the gap the last one measured
        MEAN: [NAN, 3, 3, NAN, 3],
    },
    "centred": {
        ZERO: [0, 0, 0, 0, 0],
        PERSISTENCE: [NAN, -1.6, 0.4, -0.6, -0.6],
        MEAN: [0, 0, 0, 0, 0],
    },
    "absolute": {
        ZERO: [4, 4, 4, 4, 4],
        PERSISTENCE: [NAN, 4, 6, 5, 5],
        MEAN: [3, 3, 3, 3, 3],
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_guesses_by_hand(kind):
    said = fitted(kind, TRAINING).predict(TEST)
    for predictor, expected in SAID[kind].items():
        np.testing.assert_allclose(said[predictor]["angle_deg"], expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_without_features_ridge_is_the_training_mean(kind):
    said = fitted(kind, TRAINING).predict(TEST)
    for predictor in (FLOW, INTENSITY):
        np.testing.assert_allclose(said[predictor]["angle_deg"], said[MEAN]["angle_deg"], atol=1e-6)


def planted(seed, person, level=0.0, n=200, gaps=True):
    """Angle and torque whose changes are linear in the flow, and a second pair in the intensity."""
    rng = np.random.default_rng(seed)
    follows = np.arange(n) > 0
    follows &= (rng.random(n) > 0.1) | (not gaps)
    flow = rng.normal(size=(n, FLOW_FEATURES)) * follows[:, None]
    intensity = 100 + rng.normal(size=(n, INTENSITY_FEATURES)) @ np.diag(
        np.linspace(0.1, 30, INTENSITY_FEATURES)
    )
    weights = np.linspace(-1, 1, FLOW_FEATURES)
    return trial_of(
        name=f"{person}_{seed}",
        participant=person,
        follows=follows,
        flow=flow,
        intensity=intensity,
        angle_deg=level + np.cumsum(flow @ weights),
        torque_nm=3 + intensity @ np.linspace(0.1, -0.1, INTENSITY_FEATURES),
        emg_v=1e-4 * (5 + flow[:, 0]),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_planted_relations_are_found_in_other_people(kind):
    names = ("angle_deg", "torque_nm")
    training = [planted(seed, f"P{seed}", level=5.0 * seed) for seed in range(4)]
    baselines = fitted(kind, *training, quantities=names, ridge=1e-6)
    test = planted(9, "P9", level=7.5)  # the mean level of the others
    said = baselines.predict(test)
    for predictor, name in ((FLOW, "angle_deg"), (INTENSITY, "torque_nm")):
        truth, error = test.truth(name, kind), said[predictor][name] - test.truth(name, kind)
        if (kind, predictor) == ("absolute", FLOW):  # the level is not in the flow
            error = error - error.mean()
        assert np.nanstd(error) < 1e-3 * np.nanstd(truth)
    wrong = said[FLOW]["torque_nm"] - test.truth("torque_nm", kind)
    assert np.nanstd(wrong) > 0.9 * np.nanstd(test.truth("torque_nm", kind))


def test_the_penalty_halves_a_lone_feature_at_1_whatever_the_number_of_frames():
    for n in (50, 500):
        flow = np.zeros((n, FLOW_FEATURES))
        flow[1:, 3] = np.resize([40.0, -40.0], n - 1)
        trial = trial_of(angle_deg=np.cumsum(flow[:, 3]) / 20, flow=flow)
        said = fitted("change", trial, ridge=1.0).predict(trial)[FLOW]["angle_deg"]
        mean = np.diff(trial.values["angle_deg"]).mean()
        np.testing.assert_allclose(said[1:] - mean, (flow[1:, 3] / 20 - mean) / 2, atol=1e-5)


def test_small_units_are_fitted_like_large_ones():
    trials = [planted(seed, f"P{seed}") for seed in range(3)]
    baselines = fitted("absolute", *trials, quantities=["emg_v"])
    assert baselines.predict(trials[0])[MEAN]["emg_v"][0] == pytest.approx(5e-4, rel=0.05)


def spring_of(angle):
    return -2 + 1.5 * np.exp(0.12 * np.asarray(angle))


def sprung(angle, torque=None, **options):
    angle = np.asarray(angle, np.float64)
    torque = spring_of(angle) if torque is None else torque
    return trial_of(angle_deg=angle, torque_nm=torque, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_an_exponential_spring_is_found(kind):
    training = sprung(np.linspace(-15, 20, 90))
    baselines = fitted(kind, training, quantities=("torque_nm", "angle_deg"))
    test = sprung(10 * np.sin(np.arange(60) / 5))
    said = baselines.predict(test)[SPRING]
    truth = test.truth("torque_nm", kind)
    np.testing.assert_allclose(said["torque_nm"], truth, atol=0.02 * np.nanstd(truth))
    assert np.isnan(said["angle_deg"]).all()


def test_a_linear_spring_is_found_and_held_beyond_what_was_seen():
    angle = np.linspace(-10, 10, 50)
    baselines = fitted("absolute", sprung(angle, 4 + 2 * angle), quantities=["torque_nm"])
    said = baselines.predict(sprung([-50, -5, 5, 50]))[SPRING]["torque_nm"]
    np.testing.assert_allclose(said, [-16, -6, 14, 24], atol=0.01)


def test_the_spring_is_fitted_where_the_joint_moves():
    """Contractions at a locked joint are no spring; of these alone it takes the mean."""
    locked = sprung(np.full(40, 5.0), 50 + 0.0 * np.arange(40), task="isometric")
    moving = sprung(np.linspace(-15, 20, 90))
    baselines = fitted("absolute", locked, moving, quantities=["torque_nm"])
    said = baselines.predict(sprung([0.0, 5.0]))[SPRING]["torque_nm"]
    np.testing.assert_allclose(said, spring_of([0, 5]), rtol=0.01)
    alone = fitted("absolute", locked, quantities=["torque_nm"]).predict(moving)
    np.testing.assert_allclose(alone[SPRING]["torque_nm"], 50)


WITHOUT = {
    "no torque": (trial_of(angle_deg=[0, 1, 3]), ["angle_deg"]),
    "torque that is not asked for": (sprung([0, 1, 3]), ["angle_deg"]),
    "no angle": (trial_of(torque_nm=[0, 1, 3]), ["torque_nm"]),
    "fascicles alone": (trial_of(fascicle_angle_deg=[10, 12, 14]), ["fascicle_angle_deg"]),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_there_is_no_spring_without_torque_and_angle(name):
    trial, quantities = WITHOUT[name]
    said = fitted("absolute", trial, quantities=quantities).predict(trial)
    assert set(said) == {ZERO, PERSISTENCE, MEAN, FLOW, INTENSITY}
    assert all(list(words) == quantities for words in said.values())


@pytest.mark.parametrize("kind", KINDS)
def test_state_travels_in_a_state_dict(kind, tmp_path):
    names = ("angle_deg", "torque_nm", "emg_v")
    trial = planted(1, "P1")
    baselines, fresh = fitted(kind, trial, quantities=names), Baselines(names, kind)
    torch.save(baselines.state_dict(), tmp_path / "state.pt")
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    expected, found = baselines.predict(trial), fresh.predict(trial)
    assert found.keys() == expected.keys()
    for predictor, words in expected.items():
        for name, values in words.items():
            np.testing.assert_array_equal(found[predictor][name], values)


def test_unfitted_baselines_do_not_guess():
    trial = planted(1, "P1")
    said = Baselines(["angle_deg"], "absolute").predict(trial)
    silent = {name for name, words in said.items() if np.isnan(words["angle_deg"]).all()}
    assert silent == {MEAN, FLOW, INTENSITY}


def test_frames_without_a_known_quantity_are_left_out():
    trial = trial_of(angle_deg=[0, 1, NAN, 3], torque_nm=[NAN, 5, 5, 8])
    said = fitted("absolute", trial, quantities=("angle_deg", "torque_nm")).predict(trial)
    assert said[MEAN]["angle_deg"][0] == 2  # frames 1 and 3
    assert said[MEAN]["torque_nm"][0] == 6.5
    np.testing.assert_array_equal(said[ZERO]["torque_nm"], 5)
    np.testing.assert_array_equal(said[PERSISTENCE]["angle_deg"], [NAN, 0, 1, 1])


def test_errors():
    with pytest.raises(ConfigError, match=r"^ridge: must be above 0, not 0"):
        Baselines(["angle_deg"], "change", ridge=0)
    with pytest.raises(ConfigError, match="'knee' is none of"):
        Baselines(["knee"], "change")
    with pytest.raises(DataError, match="no training frame has all of angle_deg"):
        fitted("change")
    with pytest.raises(DataError, match="no training frame"):
        fitted("change", trial_of(angle_deg=[3.0]))
