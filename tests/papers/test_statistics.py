"""Figures over subjects and seeds, tests of pairs: against values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tests.papers.evidence import evidence, repeat, rows
from vitruvian.papers.evidence import Evidence
from vitruvian.papers.results import PairedTest
from vitruvian.papers.statistics import (
    RESAMPLES,
    adjusted,
    estimate,
    holm,
    interval_of,
    least_p,
    paired,
    pooled_estimate,
    student_interval,
    subject_means,
)

NAN = math.nan


def by_case(values):
    return {f"case {number}": float(value) for number, value in enumerate(values)}


# -- figures --------------------------------------------------------------------------------------


def test_a_case_counts_once_however_many_seeds_it_has():
    one = estimate(evidence([0.8, 0.9, 1.0]).repeats, "dice")
    three = estimate(evidence(*[[0.8, 0.9, 1.0]] * 3).repeats, "dice")
    assert one is not None
    assert three is not None
    assert (one.mean, one.sd, one.n) == pytest.approx((0.9, 0.1, 3))
    assert (three.ci_low, three.ci_high, three.n) == (one.ci_low, one.ci_high, 3)
    assert one.ci_low < one.mean < one.ci_high
    assert math.isnan(one.sd_runs)


def test_seeds_are_averaged_in_each_case_before_cases_are_compared():
    found = estimate(evidence([0.0, 1.0], [1.0, 0.0]).repeats, "dice")
    assert found is not None
    assert (found.mean, found.sd, found.sd_runs) == (0.5, 0.0, 0.0)
    seeds = estimate(evidence([0.5, 0.5], [0.7, 0.7]).repeats, "dice")
    assert seeds is not None
    assert (seeds.sd, seeds.sd_runs) == pytest.approx((0.0, 0.02**0.5))


def test_clips_of_a_person_are_one_participant():
    clips = [
        {"case": f"{who}-{clip}", "predictor": "model", "participant": who, "mae": value}
        for who, values in {"A": (0.1, 0.3), "B": (0.4,)}.items()
        for clip, value in enumerate(values)
    ]
    repeats = (repeat(clips),)
    found = estimate(repeats, "mae")
    assert found is not None
    assert (found.n, found.mean) == (2, pytest.approx(0.3))
    assert subject_means(repeats, "mae") == pytest.approx({"A": 0.2, "B": 0.4})


def test_what_nobody_measured_has_no_figure():
    assert estimate(evidence([NAN, NAN]).repeats, "dice") is None
    assert estimate(evidence([0.5]).repeats, "voe") is None
    assert estimate((), "dice") is None
    assert pooled_estimate(evidence([0.5]), "auc") is None


def share(of):
    values = [row["dice"] for row in of]
    return {"share": float(np.mean(np.array(values) > 0.5))} if values else {}


@pytest.mark.parametrize(
    ("figures", "pool", "expected"),
    [
        # over people: the task's own interval
        ([{"r": 1.0, "r_sd": 0.2, "r_low": 0.8, "r_high": 1.2, "n_participants": 5.0}], None,
         (1.0, 0.2, 0.8, 1.2, 5)),
        # over people of whom there is one: three repetitions make no more of them
        ([{"r": 1.0, "r_sd": NAN, "r_low": NAN, "r_high": NAN, "n_participants": 1.0}] * 3, None,
         (1.0, NAN, NAN, NAN, 1)),
        # one value a repetition: Student's over them
        ([{"r": 1.0}, {"r": 2.0}], None,
         (1.5, NAN, *student_interval([1.0, 2.0]), 2)),
        ([{"r": 1.0}], None, (1.0, NAN, NAN, NAN, 1)),
        # an extreme among means over people is not resampled, even where it could be
        ([{"r": 1.0, "s": 3.0, "s_sd": 1.0}], share, (1.0, NAN, NAN, NAN, 1)),
    ],
)  # fmt: skip
def test_a_pooled_figure_has_the_interval_that_it_can_have(figures, pool, expected):
    repeats = tuple(repeat(rows([0.4, 0.6]), model=one) for one in figures)
    found = pooled_estimate(Evidence("", repeats, (1, 1), pool=pool), "r")
    assert found is not None
    got = (found.mean, found.sd, found.ci_low, found.ci_high, found.n)
    assert got == pytest.approx(expected, nan_ok=True)


def test_subjects_are_drawn_again_where_the_figure_can_be_made_anew():
    cases = rows([0.2, 0.4, 0.6, 0.8])
    found = pooled_estimate(
        Evidence("", (repeat(cases, model={"share": 0.5}),), (1, 1), pool=share), "share"
    )
    assert found is not None
    assert (found.mean, found.n) == (0.5, 4)
    assert 0 <= found.ci_low < 0.5 < found.ci_high <= 1


def test_subjects_are_drawn_once_for_all_figures():
    asked = []

    def counted(of):
        asked.append(of)
        return share(of) | {"most": max(row["dice"] for row in of)}

    found = Evidence("", (repeat(rows([0.2, 0.8]), model={"share": 0.5, "most": 0.8}),), (1, 1),
                     pool=counted)  # fmt: skip
    ends = [pooled_estimate(found, metric) for metric in ("share", "most")]
    assert len(asked) == RESAMPLES
    assert [(one.ci_low, one.ci_high) for one in ends if one] == [(0.0, 1.0), (0.2, 0.8)]


@pytest.mark.parametrize(
    ("pool", "told"),
    [
        (None, ["Student's, over the repetitions"]),
        (share, [
            f"subjects drawn again ({RESAMPLES} times)",
            "Student's over people where the figure is a mean over them",
            "Student's over the repetitions where it is that of the best participant",
        ]),
    ],
)  # fmt: skip
def test_the_reader_is_told_how_each_interval_is_made(pool, told):
    text = interval_of(Evidence("", (), (1, 1), pool=pool))
    assert all(part in text for part in told)


# -- tests of pairs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("differences", "p", "least"),
    [
        ([0.1, 0.2, 0.3, 0.4], 0.125, 0.125),  # all of four: 2 of 16 choices of signs
        ([1, 2, 3, 4, 5, 6], 0.03125, 0.03125),
        ([-1, 2, 3, 4, 5, 6], 0.0625, 0.03125),  # the smallest one against: 4 of 64
        ([1, 1, 1, 1, 1, 1], 0.03125, 0.03125),  # ties, and still exact
        ([0, 1, 2, 3, 4], 0.125, 0.125),  # a pair without a difference is not ranked
        ([1, -1], 1.0, 0.5),
    ],
)
def test_wilcoxon_by_hand(differences, p, least):
    test = paired(by_case(differences), by_case([0.0] * len(differences)))
    assert test.p == pytest.approx(p)
    assert test.least_p == pytest.approx(least)
    assert test.n == len(differences)
    assert test.difference == pytest.approx(float(np.median(differences)))
    assert test.why == ""


@pytest.mark.parametrize("unit", [1.0, 1e-6])
@pytest.mark.parametrize("n", [12, 30, 60])
def test_noise_of_the_arithmetic_ranks_nothing(n, unit):
    """5/9 - 4/9 and 8/9 - 7/9 are one ninth, and a ninth of a microvolt is no noise."""
    ours, theirs = np.random.default_rng(1).integers(0, 10, (2, n))
    ninths = paired(by_case(ours / 9 * unit), by_case(theirs / 9 * unit))
    assert ninths.p == paired(by_case(ours), by_case(theirs)).p


def test_small_differences_of_large_values_are_kept():
    test = paired(by_case([1.0 + k * 1e-6 for k in range(1, 7)]), by_case([1.0] * 6))
    assert (test.n, test.p, test.lean) == (6, pytest.approx(0.03125), 1)


@pytest.mark.parametrize(
    ("differences", "lean"),
    [
        ([1, 2, 3], 1),
        ([-1, -2, -3], -1),
        ([1, 2, -3], 0),
        ([0, 0, -1], -1),
        ([50, -1, -2, -3], -1),  # the mean is above, most ranks are below
        ([0, 0], 0),
    ],
)
def test_the_ranks_keep_their_direction(differences, lean):
    assert paired(by_case(differences), by_case([0.0] * len(differences))).lean == lean


@pytest.mark.parametrize("n", [10, 30, 80])
def test_wilcoxon_agrees_with_scipy(n):
    ours, theirs = np.random.default_rng(n).normal(size=(2, n))
    test = paired(by_case(ours), by_case(theirs))
    assert test.p == pytest.approx(stats.wilcoxon(ours, theirs).pvalue, rel=1e-6)
    low, high = stats.ttest_rel(ours, theirs).confidence_interval()
    assert (test.ci_low, test.ci_high) == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("ours", "theirs", "why"),
    [
        ([0.5, 0.6], [0.5, 0.6], "all 2 pairs are equal"),
        ([0.1 + 0.2, 0.6], [0.3, 0.6], "all 2 pairs are equal"),
        ([], [0.5], "no subject was tested by both"),
    ],
)
def test_nothing_to_rank_has_no_p_and_says_why(ours, theirs, why):
    test = paired(by_case(ours), by_case(theirs))
    assert math.isnan(test.p)
    assert test.why == why


def test_only_subjects_of_both_are_compared():
    assert paired({"a": 1.0, "b": 2.0}, {"b": 1.0, "c": 9.0}).n == 1


@pytest.mark.parametrize(
    ("ps", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.2, NAN, 0.01], [0.2, NAN, 0.02]),
        ([0.9, 0.8], [1.0, 1.0]),
        ([], []),
    ],
)
def test_holm_by_hand(ps, adjusted):
    assert holm(ps) == pytest.approx(adjusted, nan_ok=True)


@pytest.mark.parametrize(
    ("ps", "leasts", "holms", "least_holms"),
    [
        ([0.04], [0.03], [0.04], [0.03]),
        # the last of three counts once: its seven pairs do reach 0.016
        (
            [1e-9, 1e-9, 0.0156],
            [1e-12, 1e-12, 0.0156],
            [3e-9, 3e-9, 0.0156],
            [3e-12, 3e-12, 0.0156],
        ),
        # the first of two counts twice, however small the other could be
        ([0.0312, 0.5], [0.0312, 0.0001], [0.0624, 0.5], [0.0624, 0.0002]),
        ([NAN, 0.01], [NAN, 0.01], [NAN, 0.01], [NAN, 0.01]),
    ],
)
def test_the_smallest_adjusted_p_by_hand(ps, leasts, holms, least_holms):
    tests = {
        str(place): PairedTest(9, 0.1, p, p, least_p=least)
        for place, (p, least) in enumerate(zip(ps, leasts, strict=True))
    }
    found = adjusted(tests).values()
    assert [test.p_holm for test in found] == pytest.approx(holms, nan_ok=True)
    assert [test.least_p for test in found] == pytest.approx(least_holms, nan_ok=True)
    assert [test.p for test in found] == pytest.approx(ps, nan_ok=True)


def test_the_smallest_p():
    assert [least_p(n) for n in (1, 2, 4, 8)] == [1.0, 0.5, 0.125, 0.0078125]
    assert math.isnan(least_p(0))
