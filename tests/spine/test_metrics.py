"""Metrics of the index: known answers, other libraries' answers, and what must never change."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_auroc

from vitruvian.core.evaluation import checked, summarise
from vitruvian.spine.metrics import (
    clip_row,
    evaluate_clip,
    majority,
    per_exercise,
    per_person,
    pooled,
    train_mean,
    wilson,
    within_name,
)

NAN = math.nan
SHARES = ("within_01", "accuracy", "sensitivity", "specificity")
NAMES = (
    *("n", "n_missing", "n_red_flags", "mae", "rmse", "spearman", "balanced_accuracy", "auc"),
    *(f"{name}{end}" for name in SHARES for end in ("", "_low", "_high")),
)


def rows_of(index, truth, **strings):
    return [
        {"case": f"clip {i}", "predictor": "model", **strings, **evaluate_clip(*pair)}
        for i, pair in enumerate(zip(index, truth, strict=True))
    ]


def random_rows(seed, n=40, ties=False):
    rng = np.random.default_rng(seed)
    index, truth = rng.random((2, n))
    return rows_of(index.round(1) if ties else index, truth)


CLIPS = {
    # index, truth: reported index, absolute and squared error, within 0.1, same side of 0.5
    "equal": (0.3, 0.3, (0.3, 0.3, 0.0, 0.0, 1, 1)),
    "a tenth off": (0.4, 0.3, (0.4, 0.3, 0.1, 0.01, 1, 1)),
    "a tenth off in single precision": (float(np.float32(0.6)), 0.7, (0.6, 0.7, 0.1, 0.01, 1, 1)),
    "more": (0.42, 0.3, (0.42, 0.3, 0.12, 0.0144, 0, 1)),
    "near and on the other side": (0.49, 0.55, (0.49, 0.55, 0.06, 0.0036, 1, 0)),
    "on the threshold is no red flag": (0.5, 0.2, (0.5, 0.2, 0.3, 0.09, 0, 1)),
    "above it": (0.501, 0.5, (0.501, 0.5, 0.001, 1e-6, 1, 0)),
    "below 0 is reported as 0": (-0.4, 0.1, (0, 0.1, 0.1, 0.01, 1, 1)),
    "above 1 is reported as 1": (7.0, 0.9, (1, 0.9, 0.1, 0.01, 1, 1)),
    "no rating": (0.3, NAN, (0.3, NAN, NAN, NAN, NAN, NAN)),
    "no index": (NAN, 0.3, (NAN, 0.3, NAN, NAN, NAN, NAN)),
}


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_by_hand(name):
    index, truth, expected = CLIPS[name]
    metrics = evaluate_clip(index, truth)
    keys = ("index", "truth", "abs_error", "squared_error", "within_01", "correct")
    assert tuple(metrics) == keys
    assert tuple(metrics.values()) == pytest.approx(expected, abs=1e-7, nan_ok=True)
    assert {type(value) for value in metrics.values()} == {float}
    checked({"case": "clip", "predictor": "model", **metrics})


def test_a_row_says_who_and_what():
    row = clip_row("anna-1", "anna", "walk", "model", 0.6, 0.4)
    strings = {"case": "anna-1", "predictor": "model", "participant": "anna", "exercise": "walk"}
    assert row == {**strings, **evaluate_clip(0.6, 0.4)}
    (person,) = per_person([row])
    assert person == {**row, "case": "anna", "clips": 1.0}


def test_the_tolerance_names_its_column():
    assert [within_name(t) for t in (0.1, 0.05, 0.25)] == ["within_01", "within_005", "within_025"]
    assert evaluate_clip(0.34, 0.3, tolerance=0.05)["within_005"] == 1
    assert pooled(rows_of([0.36], [0.3]), tolerance=0.05)["within_005"] == 0


def test_the_threshold_is_a_key():
    assert evaluate_clip(0.45, 0.42, threshold=0.4)["correct"] == 1
    assert pooled(rows_of([0.45, 0.1], [0.42, 0.1]), threshold=0.4)["n_red_flags"] == 1


def test_pooled_by_hand():
    index = [0.1, 0.2, 0.6, 0.4, 0.9, 0.7]
    truth = [0.2, 0.2, 0.3, 0.6, 0.9, 0.7]
    figures = pooled(rows_of(index, truth))
    assert tuple(figures) == NAMES
    assert figures == pytest.approx(
        {
            "n": 6,
            "n_missing": 0,
            "n_red_flags": 3,
            "mae": (0.1 + 0.3 + 0.2) / 6,
            "rmse": math.sqrt((0.01 + 0.09 + 0.04) / 6),
            "spearman": scipy.stats.spearmanr(index, truth).statistic,
            "balanced_accuracy": 2 / 3,
            "auc": 8 / 9,  # of nine pairs only (0.4, 0.6) is the wrong way round
            **interval("within_01", 4, 6),
            **interval("accuracy", 4, 6),
            **interval("sensitivity", 2, 3),
            **interval("specificity", 2, 3),
        }
    )


def interval(name, hits, n):
    ends = scipy.stats.binomtest(hits, n).proportion_ci(method="wilson")
    return {name: hits / n, f"{name}_low": ends.low, f"{name}_high": ends.high}


ONE_CLASS = {
    "nobody flagged": ([0.1, 0.6, 0.3], [0.2, 0.3, 0.4], "sensitivity", "specificity"),
    "everybody flagged": ([0.9, 0.6, 0.3], [0.7, 0.8, 0.9], "specificity", "sensitivity"),
}


@pytest.mark.parametrize("name", ONE_CLASS)
def test_one_class_leaves_the_rest_defined(name):
    index, truth, empty, full = ONE_CLASS[name]
    figures = pooled(rows_of(index, truth))
    undefined = {key for key, value in figures.items() if math.isnan(value)}
    assert undefined == {empty, f"{empty}_low", f"{empty}_high", "balanced_accuracy", "auc"}
    assert figures[full] == figures["accuracy"] == pytest.approx(2 / 3)


def test_nothing_at_all_is_nan():
    figures = pooled([])
    assert tuple(figures) == NAMES
    assert [figures[key] for key in ("n", "n_missing", "n_red_flags")] == [0, 0, 0]
    assert all(math.isnan(figures[key]) for key in NAMES[3:])


def test_clips_without_a_rating_are_counted_and_left_out():
    rated = rows_of([0.1, 0.8, 0.4], [0.2, 0.9, 0.7])
    unrated = rows_of([0.9, NAN], [NAN, 0.1])
    assert pooled([*rated, *unrated]) == {**pooled(rated), "n_missing": 2.0}


@pytest.mark.parametrize(
    ("index", "truth"), [([0.4, 0.4, 0.4], [0.1, 0.7, 0.9]), ([0.1, 0.7, 0.9], [0.4, 0.4, 0.4])]
)
def test_a_constant_has_no_correlation(index, truth):
    assert math.isnan(pooled(rows_of(index, truth))["spearman"])


def test_a_constant_cannot_rank():
    figures = pooled(rows_of([0.4] * 4, [0.1, 0.6, 0.7, 0.8]))
    assert (figures["auc"], figures["balanced_accuracy"]) == (0.5, 0.5)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_other_libraries_agree(seed, ties):
    rows = random_rows(seed, ties=ties)
    index, truth = (np.array([row[key] for row in rows]) for key in ("index", "truth"))
    figures = pooled(rows)
    flagged = torch.from_numpy(truth > 0.5)
    assert figures["auc"] == pytest.approx(float(binary_auroc(torch.from_numpy(index), flagged)))
    assert figures["spearman"] == pytest.approx(scipy.stats.spearmanr(index, truth).statistic)
    assert figures["mae"] == pytest.approx(np.mean([row["abs_error"] for row in rows]))
    assert figures["rmse"] ** 2 == pytest.approx(np.mean([row["squared_error"] for row in rows]))
    assert figures["accuracy"] == pytest.approx(np.mean([row["correct"] for row in rows]))


SCORES = st.lists(
    st.tuples(st.integers(0, 1000).map(lambda n: n / 1000), st.sampled_from([0.2, 0.8])),
    min_size=2,
    max_size=30,
).filter(lambda pairs: len({truth for _, truth in pairs}) == 2)


@given(SCORES)
def test_auc_is_of_the_order_alone(pairs):
    index, truth = np.array(pairs).T
    auc, cubed, turned = (
        pooled(rows_of(scores, truth))["auc"] for scores in (index, index**3, 1 - index)
    )
    assert cubed == pytest.approx(auc)
    assert turned == pytest.approx(1 - auc)
    above = [(p > n) + (p == n) / 2 for p in index[truth > 0.5] for n in index[truth < 0.5]]
    assert auc == pytest.approx(np.mean(above))


@given(SCORES)
def test_figures_are_within_their_bounds(pairs):
    figures = pooled(rows_of(*np.array(pairs).T))
    assert figures["mae"] <= figures["rmse"] + 1e-12
    for name in SHARES:
        low, share, high = (figures[f"{name}{end}"] for end in ("_low", "", "_high"))
        assert 0 <= low <= share + 1e-12
        assert share <= high + 1e-12
        assert high <= 1


INTERVALS = [
    # hits, n, low, high; the first three are quoted of the paper's accuracy
    (28, 29, 0.82824, 0.99389),
    (62, 63, 0.91542, 0.99719),
    (143, 145, 0.95111, 0.99621),
    (0, 10, 0.0, 0.27753),
    (10, 10, 0.72247, 1.0),
    (5, 10, 0.23659, 0.76341),
    (0, 0, NAN, NAN),
]


@pytest.mark.parametrize(("hits", "n", "low", "high"), INTERVALS)
def test_wilson_by_hand(hits, n, low, high):
    assert wilson(hits, n) == pytest.approx((low, high), abs=1e-5, nan_ok=True)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_as_scipy_has_it(counts):
    hits, n = counts
    ends = scipy.stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((ends.low, ends.high), abs=1e-12)
    mirrored = wilson(n - hits, n)
    assert wilson(hits, n) == pytest.approx((1 - mirrored[1], 1 - mirrored[0]))


# -- people, exercises ---------------------------------------------------------------------------

CLIPS_OF_PEOPLE = [
    *rows_of([0.2, 0.6], [0.1, 0.3], participant="anna", exercise="walk", fold="0"),
    *rows_of([0.9], [0.8], participant="ben", exercise="walk", fold="1"),
    *rows_of([0.7], [0.4], participant="anna", exercise="jump", fold="0"),
]


def test_a_person_is_the_mean_of_the_clips():
    anna, ben = per_person(CLIPS_OF_PEOPLE)
    assert anna == pytest.approx(
        {
            "case": "anna",
            "predictor": "model",
            "participant": "anna",
            "fold": "0",
            **evaluate_clip((0.2 + 0.6 + 0.7) / 3, (0.1 + 0.3 + 0.4) / 3),
            "clips": 3.0,
        }
    )
    assert (ben["case"], ben["exercise"], ben["index"], ben["clips"]) == ("ben", "walk", 0.9, 1)
    assert summarise([anna, ben]).cases == 2


def test_people_are_told_apart_by_predictor_and_fold():
    other = [{**row, "predictor": "train mean", "index": 0.3} for row in CLIPS_OF_PEOPLE]
    again = [{**row, "fold": "7"} for row in CLIPS_OF_PEOPLE]
    people = per_person([*CLIPS_OF_PEOPLE, *other, *again])
    identities = [(row["predictor"], row["fold"], row["case"]) for row in people]
    assert len(people) == len(set(identities)) == 6
    assert per_person(CLIPS_OF_PEOPLE) == [row for row in people if row in people[:2]]


def test_clips_without_a_rating_do_not_enter_a_rated_person():
    rows = rows_of([0.2, 0.9, 0.4], [0.1, NAN, 0.3], participant="anna")
    (anna,) = per_person(rows)
    assert (anna["index"], anna["truth"], anna["clips"]) == pytest.approx((0.3, 0.2, 2))
    (unrated,) = per_person(rows[1:2])
    assert (unrated["index"], math.isnan(unrated["truth"])) == (0.9, True)


def test_exercises_in_the_order_they_come():
    groups = per_exercise(CLIPS_OF_PEOPLE)
    assert {name: len(rows) for name, rows in groups.items()} == {"walk": 3, "jump": 1}
    assert list(groups) == ["walk", "jump"]
    assert pooled(groups["walk"])["mae"] == pytest.approx((0.1 + 0.3 + 0.1) / 3)


# -- baselines -----------------------------------------------------------------------------------

TARGETS = {
    # training targets: their mean, the mean of the larger class
    "mostly healthy": ([0.1, 0.2, 0.3, 0.9], 0.375, 0.2),
    "mostly flagged": ([0.1, 0.7, 0.9], 1.7 / 3, 0.8),
    "as many": ([0.2, 0.8], 0.5, 0.2),
    "on the threshold": ([0.5, 0.8], 0.65, 0.5),
    "one class": ([0.6, 0.8], 0.7, 0.7),
    "some without a rating": ([0.1, NAN, 0.3, NAN], 0.2, 0.2),
}


@pytest.mark.parametrize("name", TARGETS)
def test_baselines_by_hand(name):
    targets, mean, larger = TARGETS[name]
    assert train_mean(targets) == pytest.approx(mean)
    assert majority(iter(targets)) == pytest.approx(larger)


def test_the_majority_is_right_as_often_as_its_class_is_frequent():
    truth = [0.1, 0.2, 0.3, 0.9]
    figures = pooled(rows_of([majority(truth)] * 4, truth))
    assert (figures["accuracy"], figures["balanced_accuracy"]) == (0.75, 0.5)
    assert majority(truth, threshold=0.15) == pytest.approx(1.4 / 3)


ERRORS = [
    (lambda: evaluate_clip(0.1, 0.2, tolerance=-0.1), "tolerance must not be negative, got -0.1"),
    (lambda: pooled([], tolerance=NAN), "tolerance must not be negative, got nan"),
    (lambda: wilson(3, 2), r"hits must lie within 0\.\.2, got 3"),
    (lambda: wilson(-1, 2), r"hits must lie within 0\.\.2, got -1"),
    (lambda: per_person(rows_of([0.1], [0.2])), "cannot group by 'participant'"),
    (lambda: per_exercise(rows_of([0.1], [0.2], participant="a")), "cannot group by 'exercise'"),
    (lambda: train_mean([]), "no training clip has a rating"),
    (lambda: majority([NAN]), "no training clip has a rating"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
