"""The audit: numbers that exclude each other are told with their arithmetic, all others pass."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruvian.core.errors import DataError
from vitruvian.papers.paper import AuditLine
from vitruvian.report.audit import AuditFinding, audit_lines


def found(*rows: dict[str, str]) -> list[AuditFinding]:
    names = "abcdefgh"
    return audit_lines([AuditLine(names[i], row) for i, row in enumerate(rows)])


# Numbers as printed, and what must stand in the only finding. The arithmetic is worked out by hand.
IMPOSSIBLE = {
    "liver, Table 1": ({"dice": "92.20", "voe": "93.05"}, "which allows 7.80 to 14.47"),
    "SAR-U-Net": ({"dice": "95.71", "voe": "9.52"}, "which allows 4.29 to 8.23"),
    "spine, 29 people": (
        {"accuracy": "98.4", "people": "29"},
        "a: accuracy 98.4 % is impossible with 29 people: the nearest are 28/29 = 96.55 % and "
        "29/29 = 100.00 %; the fewest that allow 98.4 % are 61 (60/61 = 98.36 %)",
    ),
    "three clips each": (
        {"accuracy": "98.4", "people": "29", "items": "3"},
        "29 people x 3 = 87: the nearest are 85/87 = 97.70 % and 86/87 = 98.85 %",
    ),
    "of n": ({"accuracy": "50", "n": "3"}, "1/3 = 33.33 % and 2/3 = 66.67 %"),
    "of both classes": ({"accuracy": "50", "positives": "2", "negatives": "1"}, "33.33 %"),
    "sensitivity": ({"sensitivity": "95.0", "positives": "10"}, "9/10 = 90.00 % and 10/10"),
    "specificity": ({"specificity": "81%", "negatives": "7"}, "5/7 = 71.43 % and 6/7 = 85.71 %"),
    "percent of": ({"percent": "96", "of": "10"}, "9/10 = 90.00 % and 10/10 = 100.00 %"),
    "percent and count": ({"percent": "79", "count": "114", "of": "150"}, "114/150 = 76.00 %"),
    "count": ({"percent": "79", "count": "151", "of": "150"}, "count 151 is impossible of 150"),
    "whole scores": (
        {"mean": "3.47", "n": "20", "step": "1"},
        "69/20 = 3.4500 and 70/20 = 3.5000",
    ),
    "scores of two questions": (
        {"mean": "3.47", "n": "10", "items": "2", "step": "1"},
        "in steps of 0.5 is impossible",
    ),
    "scores from a lowest one": ({"mean": "1.4", "n": "3", "step": "3", "min": "1"}, "impossible"),
    "sd of whole scores": (
        {"mean": "3.44", "sd": "2.47", "n": "18", "step": "1"},  # Anaya's own example
        "no sum of their squares",
    ),
    "sd of a range": (
        {"mean": "3.45", "sd": "2.40", "n": "20", "min": "1", "max": "5"},
        "reach only 2.001 (n = 20)",
    ),
    "sd of a range, no mean": ({"sd": "2.9", "n": "100", "min": "1", "max": "5"}, "only 2.01 "),
    "mean beyond the scale": ({"mean": "5.3", "max": "5"}, "above the highest score, 5"),
    "ends of an interval": ({"ci_low": "5", "ci_high": "3", "n": "9"}, "the wrong way round"),
    "ends of an interval, no n": ({"ci_low": "0.7", "ci_high": "0.5"}, "the wrong way round"),
    "sd below that of whole scores": (
        {"mean": "2.50", "sd": "0.30", "n": "100", "step": "1"},
        "even scores next to the mean alone have 0.500 or more",
    ),
    "sd below that of scores of three questions": (
        {"mean": "2.50", "sd": "0.10", "n": "6", "items": "3", "step": "1"},
        "even scores next to the mean alone have 0.167 or more",
    ),
    "mean Jaccard above mean precision": (
        {"jaccard": "90", "precision": "80"},
        "precision 80.00 is impossible with jaccard 90.00, which allows 90.00 to 100.00",
    ),
    "mean Jaccard above mean recall": (
        {"voe": "10", "recall": "80"},
        "recall 80.00 is impossible with voe 10.00, which allows 90.00 to 100.00",
    ),
    "accuracy of a total": ({"accuracy": "98.4", "of": "29"}, "with a total of 29: the nearest"),
    "accuracy of people beside masks": (
        {"dice": "95.1", "accuracy": "98.4", "people": "29"},
        "impossible with 29 people",
    ),
    "a share of people in a row with recall": (
        {"accuracy": "50", "n": "3", "recall": "40", "precision": "60"},
        "impossible with n = 3",
    ),
    "small and true to its unit": ({"percent": "0.7%", "of": "200"}, "2/200 = 1.00 %"),
    "rmse and bias": ({"rmse": "0.20", "bias": "-0.30"}, "which allows 0.30 or more"),
    "a bias of a size": ({"mae": "1.2", "bias": "<= -3"}, "with bias <= -3, which allows 3.00 or"),
    "rmse and mae": ({"rmse": "0.20", "mae": "0.25"}, "which allows 0.25 or more"),
    "a negative error": ({"rmse": "-0.2"}, "it cannot be below 0"),
    "balanced accuracy": (
        {"balanced_accuracy": "84.0", "sensitivity": "90.0", "specificity": "80.0"},
        "which allows 85.00 %",
    ),
    "balanced accuracy, one a limit": (
        {"balanced_accuracy": "92.0", "sensitivity": ">= 90", "specificity": "80.0"},
        "with sensitivity >= 90 % and specificity 80.0 %, which allows 85.00 % to 90.00 %",
    ),
    "a Dice that is a limit": (
        {"dice": ">= 90", "voe": "30.0"},
        "voe 30.00 is impossible with dice >= 90.00, which allows 0.00 to 18.18",
    ),
    "a VOE that is a limit": (
        {"dice": "90.0", "voe": "<= 5.0"},
        "voe <= 5.00 is impossible with dice 90.00, which allows 10.00 to 18.18",
    ),
    "percent and count, small": ({"percent": "0.8 %", "count": "4", "of": "250"}, "4/250 = 1.60 %"),
    "accuracy out of both": (
        {"accuracy": "95", "sensitivity": "90", "specificity": "80"},
        "which allows 80.00 % to 90.00 %",
    ),
    "accuracy and prevalence": (
        {"accuracy": "89.0", "sensitivity": "90.0", "specificity": "80.0", "prevalence": "50.0"},
        "which allows 85.00 %",
    ),
    "ppv": (
        {"ppv": "90.0", "sensitivity": "90.0", "specificity": "90.0", "prevalence": "10.0"},
        "which allows 50.00 %",
    ),
    "auc above one": ({"auc": "1.02"}, "it lies in 0 to 1"),
    "auc through a point": (
        {"auc": "0.70", "sensitivity": "90.0", "specificity": "90.0"},
        "which allows 0.81 to 0.99",
    ),
    "r": ({"r": "1.2"}, "it lies in -1 to 1"),
    "r that is a limit": ({"r": ">= 1.2"}, "r >= 1.2 is impossible"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_is_impossible_is_told_with_its_arithmetic(name: str) -> None:
    numbers, told = IMPOSSIBLE[name]
    (finding,) = found(numbers)
    assert told in finding.message
    assert finding.impossible
    assert finding.message.startswith("a: ")


DOUBTFUL = {
    "digits cut": ({"accuracy": "66.6", "n": "3"}, "unless its digits were cut"),
    "mean with its digits cut": ({"mean": "2.66", "n": "3", "step": "1"}, "digits were cut"),
    "1 - dice": ({"dice": "92.20", "voe": "7.80"}, "is 1 - dice (100 - 92.20)"),
    "formula": (
        {"dice": "92.20", "formula": "voe: 1 - 2|A∩B|/(|A|+|B|)"},
        "this is 1 - Dice, the official VOE is 1 - Jaccard = 1 - |A∩B|/|A\N{UNION}B|; "
        "at dice 92.20 % it gives 7.80 %, the official one 14.47 %",
    ),
    "formula in words": ({"formula": "voe:1-dice"}, "this is 1 - Dice"),
    "another formula": ({"formula": "dice:|A∩B|/|B|"}, "this is precision"),
    "formula in percent": ({"formula": "voe:100*(1-dice)"}, "this is 1 - Dice"),
    "formula of percentages": ({"formula": "voe:100-dice"}, "this is 1 - Dice"),
    "product of sets": ({"formula": "voe:1-2AB/(A+B)"}, "this is 1 - Dice"),
    "product of sizes": ({"formula": "dice:|A||B|/(|A|+|B|)"}, "none of the measures"),
    "a formula of nothing": ({"formula": "voe:1/2"}, "none of the measures of overlap"),
    "distance": ({"dice": "92.20", "asd": "7.65", "volume_ml": "1600"}, "reach 3.77 mm"),
    "distance as a limit": (
        {"dice": "92.20", "asd": ">= 7.65", "volume_ml": "1600"},
        "assd_mm >= 7.65 is implausible",
    ),
    "r2": ({"r": "0.90", "r2": "0.95"}, "which allows 0.81 or less"),
    "standard error": ({"sd": "2.0", "n": "25", "se": "0.9"}, "2/sqrt(25) = 0.40"),
    "one sd for an interval": (
        {"mean": "10.0", "sd": "2.0", "n": "25", "ci_low": "8.0", "ci_high": "12.0"},
        "it reaches one SD to either side",
    ),
    "mean outside": ({"mean": "9", "n": "25", "ci_low": "2", "ci_high": "4"}, "outside its own"),
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_what_may_have_another_reason_is_only_doubted(name: str) -> None:
    numbers, told = DOUBTFUL[name]
    (finding,) = found(numbers)
    assert told in finding.message
    assert not finding.impossible


POSSIBLE = {
    "of 63": {"accuracy": "98.4", "accuracy_method": "93.7", "n": "63"},
    "21 people": {"accuracy": "98.4", "people": "21", "items": "3"},
    "halves either way": {"accuracy": "12", "n": "8"},  # 1/8 = 12.5 %
    "the other way": {"accuracy": "13", "n": "8"},
    "all": {"accuracy": "100", "people": "29"},
    "a limit": {"accuracy": ">=79", "people": "29"},
    "no people named": {"accuracy": "98.4"},
    "97 % of 150": {"percent": "97", "of": "150"},
    "114 of 150": {"percent": "76", "count": "114", "of": "150"},
    "formula": {"formula": "voe:1-|A∩B|/(|A|+|B|-|A∩B|)"},
    "formula of Dice": {"formula": "dice: 2*A∩B / (A + B)"},
    "formula in percent": {"formula": "voe:100*(1-jaccard)"},
    "formula in % of sets": {"formula": "voe: (1 - |A∩B|/|A\N{UNION}B|) · 100 %"},
    "formula of percentages": {"formula": "voe: 100 - jaccard"},
    "formula of a product": {"formula": "dice: 2AB/(A+B)"},
    "formula of a product in bars": {"formula": "dice: 2|A·B|/(|A|+|B|)"},
    "a bias below a limit": {"bias": "<= 3", "mae": "1.2", "rmse": "1.5"},
    "a bias above a limit": {"bias": ">= -3", "mae": "1.2"},
    "a Dice above a limit": {"dice": ">= 90", "voe": "10.0"},
    "a VOE below a limit": {"dice": "92.20", "voe": "<= 7.80"},
    "distance at a limit": {"dice": "<= 90", "asd": "7.65", "volume_ml": "1600"},
    "r below a limit": {"r": "<= 1.2"},
    "VOE of cases alike": {"dice": "92.20", "voe": "14.4"},
    "small 1 - dice": {"dice": "99.9", "voe": "0.1"},  # cannot be told from 0.2 cut
    "mean": {"mean": "3.45", "sd": "1.50", "n": "20", "step": "1", "min": "1", "max": "5"},
    "steps of a half": {"mean": "3.475", "n": "20", "step": "0.5"},
    "all alike": {"mean": "3.0", "sd": "0.0", "n": "5", "step": "1", "min": "1", "max": "5"},
    "one score": {"mean": "3", "n": "1", "step": "1"},
    "no bias": {"rmse": "0.01", "bias": "0.0"},
    "rmse": {"rmse": "0.2", "mae": "0.25"},  # 0.25 and 0.249
    "auc in percent": {"auc": "95.2", "sensitivity": "90", "specificity": "90"},
    "interval": {"mean": "10.0", "sd": "2.0", "n": "25", "ci_low": "9.2", "ci_high": "10.8"},
    "no prevalence": {"ppv": "40", "sensitivity": "90", "specificity": "100", "prevalence": "0"},
    "nothing": {"accuracy": "", "people": "29"},
    "1 of 200": {"percent": "0.5%", "of": "200"},
    "small, in percent": {"percent": "0.5", "of": "200", "unit": "percent"},
    "mean accuracy over voxels": {"n": "131", "accuracy": "99.63", "dice": "95.1"},
    "voxels of few organs": {"positives": "3", "negatives": "2", "accuracy": "99.6", "hd": "9"},
    "mean sensitivity over voxels": {"positives": "3", "sensitivity": "91.2", "dice": "91"},
    "means of accuracies": {
        "dice": "60",
        "accuracy": "40",
        "sensitivity": "50",
        "specificity": "50",
    },
    "least sd": {"mean": "2.50", "sd": "0.50", "n": "100", "step": "1"},
    "least sd of a sample": {"mean": "2.5000", "sd": "0.5025", "n": "100", "step": "1"},
    "a population's sd and a sample's se": {"mean": "4.00", "sd": "1.15", "n": "6", "se": "0.52"},
    "a sample's sd and a population's se": {"mean": "4.00", "sd": "1.26", "n": "6", "se": "0.47"},
    "one score's se": {"sd": "0.0", "n": "1", "se": "0.0"},
    "interval, no n": {"ci_low": "0.5", "ci_high": "0.7"},
    "more sums than are looked through": {"mean": "3", "sd": "0.1", "n": "900000000", "step": "1"},
    "many digits": {"mean": "1e99", "rmse": "1e99", "mae": "1e99", "r": "1e-99", "r2": "1e-99"},
}


@pytest.mark.parametrize("name", POSSIBLE)
def test_what_is_possible_passes(name: str) -> None:
    assert [f for f in found(POSSIBLE[name], {"dice": "90"}) if f.row == "a"] == []


def test_a_formula_has_no_example_where_the_dice_is_a_limit() -> None:
    (finding,) = found({"dice": ">= 90", "formula": "voe:1-dice"})
    assert finding.message.endswith("the official VOE is 1 - Jaccard = 1 - |A∩B|/|A\N{UNION}B|")


SMALL = [
    {"percent": "0.8 %", "of": "250", "count": "2"},
    {"rvd": "-0.84 %", "asd": "1.54"},
    {"rvd": "-0.84", "asd": "1.54"},
    {"voe": "0.8%", "hd": "3.1"},
    {"percent": "0", "of": "250", "count": "0"},
]


@pytest.mark.parametrize("numbers", SMALL, ids=str)
def test_small_percentages_are_no_fractions(numbers: dict[str, str]) -> None:
    """No other row is in percent: the unit is told by the number itself, or cannot be."""
    assert found(numbers) == []


def test_the_fewest_that_allow_every_accuracy_of_the_table() -> None:
    """B4 of papers.md: 63 people or clips allow both accuracies of the spine paper."""
    first, second = found(
        {"accuracy": "98.4", "people": "29"}, {"accuracy": "93.7", "people": "29"}
    )
    assert "98.4 % and 93.7 % are 63 (62/63 = 98.41 %, 59/63 = 93.65 %)" in first.message
    assert second.row == "b"


def test_shares_of_a_group_make_a_hundred() -> None:
    rows = [{"percent": ">=79", "group": "volunteers"}, {"percent": "76", "group": "volunteers"}]
    (finding,) = found(*rows)
    assert finding.message == (
        "b: the shares of volunteers are impossible: >= 79 % + 76 % = 155 %, not 100 %"
    )
    thirds = [{"percent": "33.3", "group": "x"}] * 3
    assert found(*thirds) == [], "rounding"
    assert found({"percent": "60", "group": "x"}, {"percent": "60", "group": "y"}) != []


def test_claims_and_note_of_the_line() -> None:
    line = AuditLine("EAS", {"dice": "92.20", "voe": "93.05"}, ("voe",), "Table 1")
    (finding,) = audit_lines([line])
    assert (finding.row, finding.claims) == ("EAS", ("voe",))
    assert finding.message.endswith("[Table 1]")


def test_units() -> None:
    line = AuditLine("a", {"dice": "0.9220", "voe": "0.9305"})
    assert len(audit_lines([line], "fraction")) == 1
    own = AuditLine("b", {"accuracy": "0.984", "people": "29", "unit": "fraction"})
    assert "98.4 % is impossible" in audit_lines([own])[0].message
    signed = AuditLine("c", {"accuracy": "98.4%", "people": "29"})
    assert len(audit_lines([signed], "fraction")) == 1


ERRORS = [
    ({"acuracy": "9"}, "row 'a': unknown number 'acuracy'; did you mean `accuracy`?"),
    ({"accuracy": "high"}, "accuracy='high' is not a number"),
    ({"accuracy": "120"}, "accuracy cannot be 120"),
    (
        {"accuracy": "0.98", "people": "29"},
        "is it in fractions? Say so as unit; if it is",
    ),
    ({"percent": "0.8", "rvd": "12", "r": "0.5"}, "write the shares with their %"),
    ({"people": "29.5", "accuracy": "98"}, "people='29.5' is not a whole number"),
    ({"n": "0", "mean": "1"}, "n='0' is not a whole number, 1 or more"),
    ({"mean": "inf"}, "mean='inf' is not finite"),
    ({"mean": "5%"}, "is no share"),
    ({"mean": "1e400"}, "row 'a': mean='1e400' is too large"),
    ({"accuracy": "1e999999999"}, "accuracy='1e999999999' is too large"),
    ({"volume_ml": "1e-400"}, "is too large or too long for a number of a table"),
    ({"n": "9" * 5000}, "is not a whole number, 1 or more, up to 1,000,000,000"),
    (
        {"accuracy": "98.4", "people": ">=20"},
        "1,000,000,000; it cannot be a limit",
    ),
    ({"count": "-1", "of": "9"}, "count='-1' is not a whole number, 0 or more"),
    ({"step": "0"}, "row 'a': step='0' is not above 0"),
    ({"step": "-1"}, "row 'a': step='-1' is not above 0"),
    ({"volume_ml": "0", "dice": "90", "asd": "1"}, "volume_ml='0' is not above 0"),
    ({"dice": "91", "dsc": "93"}, "row 'a': dice and dsc are the same; keep the one to be judged"),
    ({"jaccard": "90", "iou": "86"}, "jaccard and iou are the same"),
    ({"Accuracy": "90", "accuracy": "86"}, "Accuracy and accuracy are the same"),
    ({"unit": "mm"}, "expected percent or fraction"),
    ({"formula": "1-dice"}, "write METRIC:FORMULA"),
    ({"formula": "voe:__import__('os')"}, "cannot be read"),
    ({"formula": "voe:1-dcie"}, "cannot be read"),
    ({"formula": "voe:1/(dice-dice)"}, "cannot be read"),
    ({"formula": f"voe:1/1{'0' * 400}"}, "cannot be read"),
    ({"formula": "dice:2XY/(X+Y)"}, "'2XY/(X+Y)' cannot be read: 'xy' is no set and no measure"),
]


@pytest.mark.parametrize(("numbers", "message"), ERRORS)
def test_errors(numbers: dict[str, str], message: str) -> None:
    with pytest.raises(DataError) as error:
        found(numbers)
    assert message in str(error.value)


# -- what was measured and rounded is never impossible, what was not is told ---------------------

ROUNDING = st.integers(0, 3)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=30), ROUNDING)
def test_scores_that_were_given_are_possible(scores: list[int], places: int) -> None:
    n = len(scores)
    row = {
        "mean": f"{np.mean(scores):.{places}f}",
        "sd": f"{np.std(scores, ddof=1):.{places}f}",
        "n": str(n),
        "step": "1",
        "min": "0",
        "max": "4",
    }
    assert found(row) == []
    half, between = 0.5 * 10**-places, (math.floor(sum(scores)) + 0.5) / n
    if 1 / n > 2.1 * half and sum(scores) < 4 * n and between - half > sum(scores) / n:
        text = f"{between:.{places + 2}f}"
        (finding, *_) = found(row | {"mean": text})
        assert "mean" in finding.message


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60).filter(
        lambda cases: {truth for truth, _ in cases} == {True, False}
    ),
    ROUNDING,
)
def test_a_classification_that_was_made_is_possible(
    cases: list[tuple[bool, bool]], places: int
) -> None:
    truth, said = np.array(cases).T
    right, positives = truth == said, int(truth.sum())
    shares = {
        "accuracy": right.mean(),
        "sensitivity": right[truth].mean(),
        "specificity": right[~truth].mean(),
        "balanced_accuracy": (right[truth].mean() + right[~truth].mean()) / 2,
        "prevalence": truth.mean(),
    }
    if said.any():
        shares["ppv"] = truth[said].mean()
    row = {name: f"{100 * share:.{places}f}" for name, share in shares.items()}
    row |= {"positives": str(positives), "negatives": str(len(cases) - positives)}
    assert found(row, {"dice": "90"}) == []
    wrong = shares["balanced_accuracy"] * 100
    wrong += (3 if wrong < 50 else -3) * max(1, 10**-places)
    assert found(row | {"balanced_accuracy": f"{wrong:.3f}"}, {"dice": "90"}) != []


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(1, 50)), min_size=1),
    ROUNDING,
)
def test_overlap_that_was_measured_is_possible(
    counts: list[tuple[int, int, int]], places: int
) -> None:
    hits, false, missed = np.array(counts, float).T
    dice, jaccard = 2 * hits / (2 * hits + false + missed), hits / (hits + false + missed)
    row = {"dice": dice.mean(), "jaccard": jaccard.mean(), "voe": 1 - jaccard.mean()}
    text = {name: f"{100 * value:.{places}f}" for name, value in row.items()}
    other = {"dice": "90"}
    assert [f for f in found(text, other) if f.impossible] == []
    text["voe"] = f"{min(99.0, 100 * row['voe'] + 2.5):.{places}f}"
    if row["voe"] < 0.95:
        assert any(f.impossible for f in found(text, other))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-400, 400), min_size=3, max_size=30), ROUNDING)
def test_errors_that_were_measured_are_possible(errors: list[int], places: int) -> None:
    error = np.array(errors) / 100
    rmse, mae, bias = math.sqrt(np.mean(error**2)), np.abs(error).mean(), error.mean()
    row = {"rmse": rmse, "mae": mae, "bias": bias}
    text = {name: f"{value:.{places}f}" for name, value in row.items()}
    assert found(text) == []
    text["mae"] = f"{rmse + 2.2 * 10**-places:.{places}f}"
    assert len(found(text)) == 1
