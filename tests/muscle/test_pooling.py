"""Rows taken together are the metrics of all their frames in one array."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.muscle.trials import trial_of
from vitruvian.muscle.metrics import trial_row
from vitruvian.muscle.pooling import best_participant, over_people, pool

KINDS = ("change", "centred", "absolute")


def cohort(seed=0, people=3, lengths=(12, 7)):
    """Trials of random walks, with predictions of a kind that are near, and here and there NaN."""
    rng = np.random.default_rng(seed)
    for person in range(people):
        for length in lengths:
            yield trial_of(
                name=f"P{person}_{length}",
                participant=f"P{person}",
                task=f"task{length}",
                follows=(np.arange(length) > 0) & (rng.random(length) > 0.1),
                angle_deg=20 + 10 * rng.normal(size=length).cumsum(),
                torque_nm=rng.normal(size=length) * 0.1,
                emg_v=rng.random(length) * 1e-4,
                emg_mvc_v=3e-4,
            )


def predicted(trial, kind, seed):
    rng = np.random.default_rng(seed)
    said = {}
    for name in trial.values:
        truth = trial.truth(name, kind)
        noise = rng.normal(size=truth.shape) * np.nanstd(truth)
        said[name] = np.where(rng.random(truth.shape) < 0.1, np.nan, 0.7 * truth + noise)
    return said


def rows_of(trials, kind, seed=0, predictor="model", half_widths=None):
    trials = list(trials)
    said = [predicted(trial, kind, seed + i) for i, trial in enumerate(trials)]
    rows = [
        trial_row(trial, predictor, words, kind, half_widths)
        for trial, words in zip(trials, said, strict=True)
    ]
    return trials, said, rows


def numbers(row):
    return {key: value for key, value in row.items() if not isinstance(value, str)}


def concatenated(trials, said):
    """One trial of all frames; the trial's means are lost, so only for change and absolute."""
    values = {
        name: np.concatenate([trial.values[name] for trial in trials]) for name in trials[0].values
    }
    follows = np.concatenate([trial.follows for trial in trials])
    whole = trial_of(**values, follows=follows, emg_mvc_v=trials[0].emg_mvc_v)
    return whole, {name: np.concatenate([words[name] for words in said]) for name in values}


# Of the pooled metrics these are not those of one long trial: the range is the largest within a
# trial, nrmse goes by it, and the drift begins anew in each.
NOT_CONCATENATED = ("nrmse", "range", "drift")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["change", "absolute"]))
def test_pooled_is_concatenated(seed, kind):
    widths = {"angle_deg": 5.0, "emg_v": 2e-5}
    trials, said, rows = rows_of(cohort(seed), kind, seed, half_widths=widths)
    whole, words = concatenated(trials, said)
    expected = numbers(trial_row(whole, "model", words, kind, widths))
    (pooled,) = pool(rows, by=())
    assert pooled["trials"] == 6
    assert pooled["case"] == "all"
    assert numbers(pooled).keys() == expected.keys() | {"trials"}
    compared = [name for name in expected if not any(part in name for part in NOT_CONCATENATED)]
    assert len(compared) > 30
    for name in compared:
        tolerance = {"rel": 1e-9, "abs": 1e-12, "nan_ok": True}
        assert pooled[name] == pytest.approx(expected[name], **tolerance), name


def test_centred_values_pool_to_their_concatenation():
    trials, said, rows = rows_of(cohort(), "centred")
    (pooled,) = pool(rows, by=())
    truth = np.concatenate([trial.truth("angle_deg", "centred") for trial in trials])
    words = np.concatenate([word["angle_deg"] for word in said])
    known = np.isfinite(words)
    truth, words = truth[known], words[known]
    assert pooled["angle_centred_frames"] == known.sum()
    assert pooled["angle_centred_rmse_deg"] == pytest.approx(np.sqrt(np.mean((truth - words) ** 2)))
    assert pooled["angle_centred_r"] == pytest.approx(np.corrcoef(truth, words)[0, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_pooling_in_two_steps_is_pooling_at_once(kind):
    _, _, rows = rows_of(cohort(), kind, half_widths={"angle_deg": 5.0})
    (steps,) = pool(pool(rows, by=("participant",)), by=())
    (once,) = pool(rows, by=())
    assert numbers(steps) == pytest.approx(numbers(once), rel=1e-9, abs=1e-12, nan_ok=True)


def test_drift_range_and_nrmse_over_trials():
    first, second = trial_of(angle_deg=[0, 1, 3]), trial_of(angle_deg=[0, 4, 0, 4])
    rows = [
        trial_row(first, "model", {"angle_deg": np.array([0.0, 2, 2])}, "change"),
        trial_row(second, "model", {"angle_deg": np.array([0.0, 5, -4, 4])}, "change"),
    ]
    (pooled,) = pool(rows, by=("task",))
    # summed errors 1, 1 and 1, 1, 1
    assert pooled["angle_drift_deg"] == pooled["angle_drift_end_deg"] == 1
    assert pooled["angle_range_deg"] == 4
    # RMSE by the range of the changes, 1 and 8, weighted by frames
    nrmse = (2 * math.sqrt(1 / 2) / 1 + 3 * math.sqrt(1 / 3) / 8) / 5
    assert pooled["angle_change_nrmse"] == pytest.approx(nrmse)


def test_a_joint_locked_at_several_angles_does_not_vary():
    rows = [
        trial_row(trial_of(angle_deg=[level] * 5), "model", {"angle_deg": np.zeros(5)}, "absolute")
        for level in (-10, 10)
    ]
    (pooled,) = pool(rows, by=("participant",))
    assert pooled["angle_truth_sd_deg"] == pooled["angle_rmse_deg"] == 10
    assert math.isnan(pooled["angle_r2"])
    assert math.isnan(pooled["angle_ratio"])


def test_groups_keep_what_their_rows_agree_on():
    _, _, rows = rows_of(cohort(people=2), "change")
    _, _, others = rows_of(cohort(people=2), "change", 5, predictor="other")
    rows = [{**row, "fold": "1"} for row in rows + others]
    people = pool(rows, by=("participant",))
    named = [(row["case"], row["predictor"], row["fold"], row.get("task")) for row in people]
    assert named == [
        ("P0", "model", "1", None),
        ("P1", "model", "1", None),
        ("P0", "other", "1", None),
        ("P1", "other", "1", None),
    ]
    pairs = pool(rows, by=("participant", "task"))
    assert [row["case"] for row in pairs[:2]] == ["P0 / task12", "P0 / task7"]
    assert all(row["trials"] == 1 for row in pairs)
    assert pool([], by=("task",)) == []
    with pytest.raises(ValueError, match="cannot group by 'site'"):
        pool(rows, by=("site",))


def test_a_predictor_that_says_nothing_pools_to_nothing():
    trial = trial_of(angle_deg=[0, 1, 3], torque_nm=[0, 1, 3])
    silent = {"angle_deg": np.full(3, np.nan), "torque_nm": np.zeros(3)}
    (pooled,) = pool([trial_row(trial, "spring", silent, "change")] * 2, by=())
    assert pooled["angle_change_frames"] == 0
    assert math.isnan(pooled["angle_change_rmse_deg"])
    assert pooled["torque_ratio"] == 1


def test_figures_over_people_are_means_of_participants():
    _, _, rows = rows_of(cohort(people=4), "change")
    people = [row["angle_ratio"] for row in pool(rows, by=("participant",))]
    figures = over_people(rows)
    assert figures["n_participants"] == 4
    assert figures["angle_ratio"] == pytest.approx(np.mean(people))
    assert figures["angle_ratio_sd"] == pytest.approx(np.std(people, ddof=1))
    half = 3.182446305284263 * np.std(people, ddof=1) / 2  # t with 3 degrees of freedom
    assert figures["angle_ratio_low"] == pytest.approx(np.mean(people) - half)
    assert figures["angle_ratio_high"] == pytest.approx(np.mean(people) + half)
    assert {"emg_change_rmse_v", "emg_change_rmse_mvc_percent", "angle_drift_end_deg"} <= set(
        figures
    )
    assert math.isnan(figures["torque_ratio"])  # it does not vary


def test_of_one_person_there_is_no_spread():
    _, _, rows = rows_of(cohort(people=1), "absolute")
    figures = over_people(rows)
    assert math.isfinite(figures["angle_rmse_deg"])
    assert math.isnan(figures["angle_rmse_deg_sd"])
    assert math.isnan(figures["angle_rmse_deg_low"])
    assert over_people([]) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_stands_beside_the_paper(kind):
    _, _, rows = rows_of(cohort(), kind)
    best = best_participant(rows)
    error, still = "angle_change_rmse_deg", "angle_zero_change_rmse_deg"
    people = [row[error] for row in pool(rows, by=("participant",))]
    pairs = sorted(pool(rows, by=("participant", "task")), key=lambda row: row[error])
    assert best[f"{error}_best_participant"] == min(people)
    assert best[f"{error}_best_participant_task"] == pairs[0][error] <= min(people)
    assert best[f"{still}_best_participant_task"] == pairs[0][still]
    papers = {name: value for name, value in best.items() if name.endswith("_paper")}
    assert papers == {
        "angle_change_rmse_deg_paper": 0.022,
        "torque_change_rmse_nm_paper": 0.256,
        "emg_change_rmse_v_paper": 0.0001,
    }


def test_a_quantity_the_paper_does_not_report_has_no_claim():
    trial = trial_of(fascicle_angle_deg=[10, 12, 11])
    row = trial_row(trial, "model", {"fascicle_angle_deg": np.zeros(3)}, "change")
    assert not any(name.endswith("_paper") for name in best_participant([row]))
    assert best_participant([]) == {}
