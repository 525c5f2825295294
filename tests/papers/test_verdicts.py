"""What becomes of a claim: every verdict with its reason, from evidence made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.papers.evidence import cost, evidence, figure, order, paper, repeat, rows
from vitruvian.core.errors import ConfigError
from vitruvian.papers.evidence import Evidence
from vitruvian.papers.measured import Measurement, measurements
from vitruvian.papers.paper import Claim
from vitruvian.papers.results import Verdict
from vitruvian.papers.verdicts import judge

REPRODUCED, NOT, UNDECIDED = Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.NOT_COMPARABLE
GOOD = [0.88, 0.90, 0.92, 0.91, 0.89, 0.90, 0.93, 0.87]
MIXED = [0.9, 0.5, 0.8, 0.6, 0.7, 0.5]
LESS = [0.70, 0.80, 0.75, 0.71, 0.78, 0.74, 0.79, 0.69]
OTHER = figure(90.0, comparable=False, why="another organ")
NET = Claim("claim", "few", "Table 1", "cost", "new", "old", "parameters", unit="parameters")
TIME = Claim("claim", "fast", "abstract", "measured", value=11, unit="ms", bound="<=",
             measure={"_target_": "vitruvian.spine.head.timing.HeadTime", "calls": 1})  # fmt: skip


def judged(claim, found=None, simulated=False, impossible=None, measured=None, departures=()):
    (one,) = judge(
        paper(claim), simulated, found or {}, impossible or {}, measured or {}, departures
    )
    return one


def bare(values):
    """Cases of a net and of a baseline."""
    own = rows(values) + rows([0.95] * len(values), predictor="baseline: HU threshold")
    return Evidence("", (repeat(own),), (1, 1))


@pytest.mark.parametrize(
    ("claim", "verdict", "reason"),
    [
        (figure(90.0), REPRODUCED, "the printed 90 % lies in our interval, 90 ["),
        (figure(80.0), NOT, "is better than the printed 80 %, which lies outside of our interval"),
        (figure(97.0), NOT, "does not reach the printed 97 %"),
        (figure(97.0, higher_is_better=False), NOT, "is better than the printed 97 %"),
        (figure(80.0, higher_is_better=False), NOT, "does not reach the printed 80 %"),
        (figure(85.0, bound=">="), REPRODUCED, "keeps within the limit of 85 %"),
        (figure(89.99, bound=">="), NOT, "keeps within it only on average"),
        (figure(95.0, bound=">="), NOT, "the limit is 95 %, ours 90 [88.8, 91.3] % does not keep"),
        (figure(95.0, bound="<="), REPRODUCED, "keeps within the limit of 95 %"),
        (figure(None), Verdict.NOT_COMPARABLE, "nothing printed to hold it against"),
        (OTHER, Verdict.NOT_COMPARABLE, "another organ; the printed 90 %"),
    ],
)  # fmt: skip
def test_a_printed_number(claim, verdict, reason):
    found = judged(claim, {"new": evidence(GOOD)})
    assert found.verdict is verdict
    assert reason in found.reason
    assert found.ours is not None
    assert found.ours.mean == pytest.approx(90.0)


@pytest.mark.parametrize(
    ("claim", "values", "verdict", "reason"),
    [
        # ten of them are enough, and five are not, however narrow their interval is
        (figure(90.0), [0.895, 0.905] * 5, REPRODUCED, "lies in our interval, 90 ["),
        (figure(90.0), [0.895, 0.905, 0.9], UNDECIDED, "%, of 3 subjects only"),
        (figure(90.0), GOOD[:5], UNDECIDED, "%, of 5 subjects only"),
        (figure(90.0), GOOD[:6], REPRODUCED, "lies in our interval, 90 ["),
        # an interval from 60 to 90 % agrees with too much
        (figure(70.0), [0.5, 0.98] * 5, UNDECIDED, "[59.6, 88.4] %, which is too wide to tell"),
        # a tenth of a small number is little
        (figure(10.0), [0.06, 0.14] * 5, UNDECIDED, "which is too wide to tell"),
        (figure(10.0), [0.08, 0.12] * 9, REPRODUCED, "lies in our interval, 10 ["),
        (figure(0.0), [-0.01, 0.01] * 9, UNDECIDED, "too wide to tell"),
        (figure(85.0, bound=">="), GOOD[:5], UNDECIDED, "the limit of 85 %, of 5 subjects only"),
        (figure(85.0, bound=">="), GOOD[:6], REPRODUCED, "keeps within the limit of 85 %"),
        (figure(95.0, bound="<="), GOOD[:2], UNDECIDED, "of 2 subjects only"),
        # one value has no interval
        (figure(90.0), [0.9], UNDECIDED, "ours 90 % is one value without an interval, too little"),
        (figure(80.0), [0.9], UNDECIDED, "one value without an interval"),
        (figure(80.0, bound=">="), [0.9], UNDECIDED, "too little to hold the printed 80 % against"),
        # what lies outside is no question of the width
        (figure(99.0), GOOD[:5], NOT, "does not reach the printed 99 %"),
    ],
)  # fmt: skip
def test_little_data_reproduce_nothing(claim, values, verdict, reason):
    found = judged(claim, {"new": evidence(values)})
    assert reason in found.reason
    assert found.verdict is verdict


def test_a_baseline_that_does_as_well_leaves_nothing_to_reproduce():
    found = judged(figure(90.0), {"new": bare(GOOD)})
    assert found.verdict is Verdict.NOT_COMPARABLE
    assert found.baseline is not None
    assert found.baseline[0] == "HU threshold"
    assert "HU threshold does better, 95 %" in found.reason
    assert "HU threshold" not in judged(figure(90.0), {"new": bare([0.96] * 8)}).reason


def test_a_claim_is_held_against_the_baseline_that_it_names():
    cases = bare(GOOD).repeats[0].views[""].rows
    easy = rows([0.5] * len(GOOD), predictor="baseline: empty mask")
    found = {"new": Evidence("", (repeat([*cases, *easy]),), (1, 1))}
    named = judged(figure(90.0, baseline="baseline: empty mask"), found)
    assert named.baseline is not None
    assert named.baseline[0] == "empty mask"
    assert named.verdict is REPRODUCED
    any_of_all = judged(figure(90.0), found)
    assert any_of_all.baseline is not None
    assert any_of_all.baseline[0] == "HU threshold"


def test_a_claim_about_a_baseline_looks_at_the_baseline():
    claim = figure(79.0, predictor="baseline: HU threshold", bound=">=")
    found = judged(claim, {"new": bare(GOOD)})
    assert found.verdict is REPRODUCED
    assert found.ours is not None
    assert found.ours.mean == pytest.approx(95.0)


def test_the_best_participant_stands_beside_all():
    own = [
        {"case": f"{who}1", "predictor": "model", "participant": who, "rmse": value}
        for who, value in {"A": 0.5, "B": 0.2, "C": 0.8}.items()
    ]
    claim = figure(0.3, metric="rmse", unit="deg", factor=1.0, best=True, higher_is_better=False)
    found = judged(claim, {"new": Evidence("", (repeat(own),), (1, 1))})
    assert found.verdict is UNDECIDED
    assert found.ours is not None
    assert found.ours.mean == 0.2
    assert "(best participant; over all 0.5 ± 0.3 deg)" in found.reason


@pytest.mark.parametrize(
    ("best", "verdict", "reason"),
    [
        ((0.30, 0.31, 0.29), REPRODUCED, "0.3 lies in our interval, 0.3 [0.275, 0.325]"),
        ((0.20, 0.50), UNDECIDED, "our interval, 0.35 [-1.56, 2.26], which is too wide"),
        ((0.25, 0.30, 0.40), UNDECIDED, "which is too wide to tell"),
        ((0.50, 0.51, 0.49), NOT, "does not reach the printed 0.3"),
        ((0.20,), UNDECIDED, "ours 0.2 is one value without an interval"),
    ],
)  # fmt: skip
def test_the_best_participant_is_one_value_a_repetition(best, verdict, reason):
    """Few repetitions are no few subjects, but a wide interval is one here as well."""
    repeats = tuple(repeat(rows([0.4]), f"{one}", model={"r_best": one}) for one in best)
    claim = figure(0.3, metric="r_best", pooled=True, best=True, unit="", factor=1.0,
                   higher_is_better=False)  # fmt: skip
    found = judged(claim, {"new": Evidence("", repeats, (1, 1))})
    assert reason in found.reason
    assert found.verdict is verdict


@pytest.mark.parametrize(
    ("claim", "new", "old", "verdict", "reason"),
    [
        (order(), GOOD, LESS, REPRODUCED, "the order holds, 0.9 v 0.745, p 0.0078 over 8 pairs"),
        (order(), LESS, GOOD, NOT, "the order does not hold, 0.745 v 0.9, p 0.0078 over 8 pairs"),
        (order(higher_is_better=False), LESS, GOOD, REPRODUCED, "the order holds"),
        (order(), GOOD, GOOD, NOT, "all 8 pairs are equal"),
        (order(), [*GOOD[:4], *LESS[4:]], [*LESS[:3], *GOOD[3:]], NOT, "does not hold"),
        (order(), MIXED, [0.6, 0.7, 0.6, 0.7, 0.6, 0.6], NOT, "may be chance"),
        # four pairs can give no p below 0.125: nobody can decide
        (order(), GOOD[:4], LESS[:4], Verdict.NOT_COMPARABLE, "so few pairs give no p below 0.12"),
        # a printed difference has to be reached as well
        (order(value=15, factor=100), GOOD, LESS, REPRODUCED, "reaches the printed 15"),
        (order(value=10, factor=100), GOOD, LESS, NOT, "does not reach the printed 10"),
        (order(value=10, value_high=16, factor=100), GOOD, LESS, REPRODUCED, "printed 10 to 16"),
        (order(value=40, factor=100), GOOD, LESS, NOT, "does not reach the printed 40"),
    ],
)  # fmt: skip
def test_an_order(claim, new, old, verdict, reason):
    found = judged(claim, {"new": evidence(new), "old": evidence(old)})
    assert found.verdict is verdict
    assert reason in found.reason


def shifted(by, far, n=40):
    """Two nets of which one is `by` ahead in all cases but four, where it is `far` behind."""
    base = [0.5 + 0.001 * number for number in range(n)]
    moved = [value + (far if number < 4 else by) for number, value in enumerate(base)]
    return moved, base


@pytest.mark.parametrize(
    ("new", "old", "higher"),
    [
        (*shifted(-0.01, 0.4), True),  # worse in 36 of 40, and better on average
        (*shifted(0.01, -0.4), True),
        (*shifted(0.01, -0.4), False),
        (*shifted(-0.01, 0.4), False),
    ],
)
def test_a_mean_and_ranks_that_disagree_decide_nothing(new, old, higher):
    claim = order(higher_is_better=higher)
    found = judged(claim, {"new": evidence(new), "old": evidence(old)})
    assert found.verdict is UNDECIDED
    assert found.reason.startswith("mean and ranks point in opposite directions, ")
    assert "over 40 pairs" in found.reason


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ([0.99, 0.69, 0.68, 0.67, 0.66, 0.65, 0.64], [0.7] * 7),  # ahead in one case of seven
        ([0.72, 0.73, 0.74, 0.75, 0.76, 0.77, 0.2], [0.7] * 7),
    ],
)
def test_ranks_that_may_be_chance_contradict_no_mean(new, old):
    found = judged(order(), {"new": evidence(new), "old": evidence(old)})
    assert found.verdict is NOT
    assert "opposite" not in found.reason


def test_nobody_whom_both_were_tested_on_tells_no_order():
    other = [row | {"case": f"other {row['case']}"} for row in rows(LESS)]
    found = {"new": evidence(GOOD), "old": Evidence("", (repeat(other),), (1, 1))}
    one = judged(order(), found)
    assert one.verdict is UNDECIDED
    assert one.reason == "the order cannot be told, 0.9 v 0.745, no subject was tested by both"


def test_few_pairs_that_were_enough_are_not_called_too_few():
    """With six tests the seven pairs of one could not reach 0.05 first, but they come last."""
    names = [f"m{number}" for number in range(5)]
    both = {"new": [0.9 + 0.001 * n for n in range(20)], "old": [0.8] * 20}
    small = {"new": [0.6 + 0.01 * n for n in range(7)], "old": [0.5] * 7}
    found = {
        key: Evidence("", (repeat([
            dict.fromkeys(names, value) | {"case": f"{n}", "predictor": "model"}
            | {"few": small[key][n] if n < 7 else float("nan")}
            for n, value in enumerate(both[key])
        ]),), (1, 1))
        for key in both
    }  # fmt: skip
    claims = [replace(order(metric=name), key=name) for name in (*names, "few")]
    *_, last = judge(paper(*claims), False, found, {}, {})
    assert last.verdict is REPRODUCED
    assert last.reason == "the order holds, 0.63 v 0.5, p 0.016 over 7 pairs"


def test_the_order_is_that_of_the_subjects_that_both_have():
    """Cases that only one was tested on, easy ones, change nothing."""
    easy = rows([*LESS, *[0.99] * 12])
    found = {"new": Evidence("", (repeat(easy),), (1, 1)), "old": evidence(GOOD)}
    one = judged(order(), found)
    assert one.verdict is NOT
    assert "the order does not hold" in one.reason


def test_several_orders_are_adjusted_together():
    one, two = order(), order(metric="voe")
    both = [row | {"voe": row["dice"]} for row in rows(GOOD)]
    less = [row | {"voe": row["dice"]} for row in rows(LESS)]
    found = {
        "new": Evidence("", (repeat(both),), (1, 1)),
        "old": Evidence("", (repeat(less),), (1, 1)),
    }
    claims = (one, Claim("other", *(getattr(two, f) for f in ("quote", "where", "kind")),
                         "new", "old", "voe"))  # fmt: skip
    for judgement in judge(paper(*claims), False, found, {}, {}):
        assert "Holm's p 0.016" in judgement.reason


RECIPE = ("trainer.max_epochs=1", "3 of 5 folds")
SEEN = "judged on the people it was trained on"


@pytest.mark.parametrize(
    ("new", "old", "departures", "simulated", "starts"),
    [
        ("", "", RECIPE, False, "not the paper's recipe (trainer.max_epochs=1; 3 of 5 folds): "),
        (SEEN, "", (), False, f"{SEEN}: "),
        ("", SEEN, (), False, f"{SEEN}: "),
        (SEEN, SEEN, (), False, f"{SEEN}: "),
        ("leaky", SEEN, (), False, f"leaky; {SEEN}: "),
        (SEEN, "", RECIPE[:1], False, f"not the paper's recipe (trainer.max_epochs=1); {SEEN}: "),
        (SEEN, "", RECIPE[:1], True, "simulated; not the paper's recipe (trainer.max_epochs=1); "),
    ],
)
@pytest.mark.parametrize(("kind", "shown"), [
    (order(), "the order holds, 0.9 v 0.745"),
    (order(comparable=False, why="another organ"), "over 8 pairs; besides, another organ"),
    (figure(90.0, rival="old"), "the printed 90 % lies in our interval"),
])  # fmt: skip
def test_runs_that_cannot_speak_of_the_claim_reproduce_nothing(
    kind, shown, new, old, departures, simulated, starts
):
    found = {"new": evidence(GOOD, unfit=new), "old": evidence(LESS, unfit=old)}
    one = judged(kind, found, simulated, departures=departures)
    assert one.verdict is UNDECIDED
    assert one.reason.startswith(starts)
    assert shown in one.reason


@pytest.mark.parametrize(
    ("claim", "found", "verdict"),
    [
        (NET, {"new": cost(7), "old": cost(9)}, REPRODUCED),
        (TIME, {}, REPRODUCED),
        (Claim("claim", "first", "abstract", "untested", why="no experiment"), {}, UNDECIDED),
        (figure(), {}, Verdict.PENDING),
    ],
)
def test_a_recipe_says_nothing_of_what_needs_no_runs(claim, found, verdict):
    measured = {"claim": Measurement(6.2, "here")} if claim is TIME else {}
    one = judged(claim, found, measured=measured, departures=RECIPE)
    assert one.verdict is verdict
    assert "recipe" not in one.reason


def test_what_is_shown_beside_the_impossible_says_what_it_is():
    found = {"new": evidence(GOOD, unfit=SEEN)}
    one = judged(figure(), found, impossible={"claim": "93 > 14"}, departures=RECIPE[:1])
    assert one.reason.startswith(
        f"93 > 14; not the paper's recipe (trainer.max_epochs=1), {SEEN}, ours 90 ["
    )


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("claim", [figure(80.0), figure(97.0), order(), figure(80.0, bound=">=")])
def test_simulated_data_never_reproduce_a_claim(claim, told):
    """Whether the caller says so, or only the rows do."""
    found = {
        "new": evidence(GOOD, simulated=not told),
        "old": evidence(LESS, simulated=not told),
    }
    one = judged(claim, found, simulated=told)
    assert one.verdict is Verdict.NOT_COMPARABLE
    assert one.reason.startswith("simulated: ")
    assert one.ours is not None


def test_simulated_or_not_the_other_reason_is_kept():
    claim = figure(80.0, comparable=False, why="another organ")
    reason = judged(claim, {"new": evidence(GOOD)}, simulated=True).reason
    assert reason.startswith("simulated: ")
    assert "another organ" in reason


def test_what_is_impossible_stays_so_whatever_we_find():
    claim = figure(93.05, metric="dice")
    found = judged(claim, {"new": evidence(GOOD)}, True, {"claim": "93.05 > 14.47"})
    assert found.verdict is Verdict.IMPOSSIBLE
    assert found.reason.startswith("93.05 > 14.47; simulated, ours 90 [")
    assert judged(claim, impossible={"claim": "no"}).reason == "no"


@pytest.mark.parametrize(
    ("claim", "found", "reason"),
    [
        (figure(), {}, "no run of it is complete yet"),
        (figure(), {"new": Evidence("", (), (0, 2))}, "no run of it is complete yet"),
        (order(), {"new": evidence(GOOD)}, "no run of it is complete yet"),
        (
            figure(metric="auc"),
            {"new": evidence(GOOD)},
            "its runs are complete, and have no finite auc",
        ),
        (figure(experiment="late"), {}, "no run of it is complete; preset=full has them"),
        (NET, {"new": cost(7)}, "no run of it is complete yet"),
        (TIME, {}, "it has not been measured yet"),
    ],
)
def test_what_is_not_known_yet_waits(claim, found, reason):
    one = judged(claim, found, simulated=True)
    assert (one.verdict, one.reason) == (Verdict.PENDING, reason)


def test_missing_runs_are_counted():
    found = judged(figure(90.0), {"new": evidence(GOOD, runs=(1, 3))})
    assert "(of 3 runs 1 so far)" in found.reason
    assert found.verdict is Verdict.PENDING


def test_an_untested_claim_says_why():
    claim = Claim("claim", "first", "abstract", "untested", why="no experiment")
    one = judged(claim)
    assert (one.verdict, one.reason) == (Verdict.NOT_COMPARABLE, "no experiment")


@pytest.mark.parametrize(("new", "verdict"), [(5, REPRODUCED), (20, NOT), (10, NOT)])
def test_costs_are_judged_whatever_the_data(new, verdict):
    found = judged(NET, {"new": cost(new), "old": cost(10)}, simulated=True)
    assert found.verdict is verdict
    assert found.reason == f"{new} v 10 parameters, {new / 10:.2f} of it"


def test_large_costs_are_said_in_words():
    found = judged(NET, {"new": cost(8_661_226), "old": cost(31_036_546)})
    assert found.reason == "8.66 M v 31.0 M parameters, 0.28 of it"


@pytest.mark.parametrize(
    ("value", "verdict", "reason"),
    [
        (6.2, REPRODUCED, "measured 6.2 ms, here; that is within the printed 11 ms"),
        (30.0, NOT, "measured 30 ms, here; that is beyond the printed 11 ms"),
        (None, Verdict.PENDING, "here"),
    ],
)
def test_measured_claims_are_judged_whatever_the_data(value, verdict, reason):
    found = judged(TIME, simulated=True, measured={"claim": Measurement(value, "here")})
    assert (found.verdict, found.reason) == (verdict, reason)
    assert (found.ours.mean if found.ours else None) == value


def test_a_measure_is_built_and_called():
    value = measurements(paper(TIME))["claim"]
    assert value.value is not None
    assert value.value > 0
    assert "one core" in value.about


def test_what_a_measure_needs_and_has_not_is_told(monkeypatch):
    monkeypatch.delenv("VITRUVIAN_POSE_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/nonexistent")
    claim = Claim("claim", "", "", "measured", value=2,
                  measure={"_target_": "vitruvian.spine.pose.timing.ModelSize"})  # fmt: skip
    found = measurements(paper(claim))["claim"]
    assert found.value is None
    assert "VITRUVIAN_POSE_MODELS" in found.about


def test_a_misspelt_measure_is_refused():
    node = {"_target_": "vitruvian.spine.head.timing.HeadTime", "frame": 1}
    claim = Claim("claim", "", "", "measured", measure=node)
    with pytest.raises(ConfigError, match="frames"):
        measurements(paper(claim))
