"""The metric-consistency check: what no set of cases can give is flagged, and nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vitruvian.core.errors import DataError
from vitruvian.core.evaluation import summarise
from vitruvian.report.consistency import check_means, check_rows, check_summary

# Table 1 of paper 004 and the row of SAR-U-Net (arXiv 2103.06419), as printed, and what the Dice
# allows as mean VOE; then the readings of the VOE column as precision and as Jaccard.
PRINTED = {
    "U-Net": ({"dice": "89.13", "voe": "90.54", "asd": "8.13"}, 10.87, 19.61, "87.76", "95.04"),
    "V-Net": ({"dice": "89.40", "voe": "90.68", "asd": "7.53"}, 10.60, 19.17, "88.16", "95.11"),
    "EAS": ({"dice": "92.20", "voe": "93.05", "asd": "7.65"}, 7.80, 14.47, "91.37", "96.40"),
    "SAR-U-Net": ({"dice": "95.71", "voe": "9.52", "asd": "1.54"}, 4.29, 8.23, None, None),
}


@pytest.mark.parametrize("name", PRINTED)
def test_printed_tables_are_flagged(name):
    cells, low, high, recall, dice = PRINTED[name]
    (finding,) = check_means({name: cells})
    assert (finding.row, finding.metric, finding.impossible) == (name, "voe", True)
    assert finding.printed == pytest.approx(float(cells["voe"]))
    assert (round(finding.low, 2), round(finding.high, 2)) == (low, high)
    assert f"allows {low:.2f} to {high:.2f}" in finding.message
    assert ("as precision" in finding.message) == (recall is not None)
    if recall:
        assert f"leaves a recall of {recall} or more" in finding.message
        assert f"as Jaccard it belongs to a Dice of {cells['voe']} to {dice}" in finding.message


def test_far_distances_are_implausible_not_impossible():
    table = {name: {"dice": c["dice"], "asd": c["asd"]} for name, (c, *_) in PRINTED.items()}
    findings = check_means(table, volume_ml=1600)
    assert [(f.row, f.impossible) for f in findings] == [
        ("U-Net", False),
        ("V-Net", False),
        ("EAS", False),
    ]
    assert findings[2].high == pytest.approx(3.8, abs=0.05)
    assert check_means(table) == []


MEANS = [
    # cells in percent, and the metrics flagged
    ({"dice": "90", "voe": "15"}, []),
    ({"dice": "50", "voe": "50"}, []),  # half the cases perfect, half missed
    ({"dice": "50.00", "voe": "66.67"}, []),  # all cases alike: 2 / 3
    ({"dice": "50.00", "voe": "66.69"}, ["voe"]),
    ({"dice": "50.00", "voe": "49.98"}, ["voe"]),
    ({"dice": "50.0", "voe": "49.9"}, []),  # 50.05 and 49.95 round to these
    ({"dice": "92.20", "jaccard": "85.54"}, []),
    ({"dice": "92.20", "jaccard": "85.50"}, ["jaccard"]),
    ({"dice": "92.20", "iou": "92.25"}, ["jaccard"]),
    ({"jaccard": "80.1", "voe": "19.9"}, []),
    ({"jaccard": "80.1", "voe": "19.7"}, ["voe"]),
    ({"dice": "92.20", "voe_paper": "7.80"}, []),
    ({"dice": "92.20", "voe_paper": "7.90"}, ["voe_paper"]),
    ({"dice": "92.20", "precision": "93.05", "recall": "91.37"}, []),
    ({"dice": "92.20", "precision": "93.05", "recall": "91.30"}, ["dice"]),  # harmonic is 92.167
    ({"dice": "50", "precision": "90", "recall": "60"}, []),
    ({"dice": "49.0", "precision": "90.0", "recall": "60.0"}, ["dice"]),  # below P + R - 1
    ({"dice": "92.20", "precision": "85.0"}, ["precision"]),  # even with recall 100
    ({"dsc": "92.20", "sensitivity": "85.0"}, ["recall"]),
    ({"jaccard": "90", "precision": "80"}, ["precision"]),
    ({"jaccard": "90.0", "recall": "89.9"}, []),  # both are 89.95
    ({"iou": "90.0", "sensitivity": "89.8"}, ["recall"]),
    ({"voe": "10", "precision": "80"}, ["precision"]),
    ({"voe": "10", "recall": "80"}, ["recall"]),
    ({"voe": "25", "recall": "80", "precision": "80"}, []),
    ({"assd": "3.3", "hd": "3.1"}, ["assd_mm"]),
    ({"hd95": "40", "hd": "30"}, ["hd95_mm"]),
    ({"hd95": "1.2", "asd": "1.5", "hd": "30"}, []),  # a few far voxels do that
    ({"dice": "90", "voe": "nan"}, []),
    ({"dice": "90", "voe": ""}, []),
    ({"dice": 0.5, "voe": 0.0}, ["voe"]),
    ({"rvd": "-0.84", "dice": "95.71"}, []),
]


@pytest.mark.parametrize(("cells", "flagged"), MEANS, ids=lambda value: str(value)[:60])
def test_means(cells, flagged):
    padding = {"other": {"dice": "90"}}  # a table that is plainly in percent
    assert [finding.metric for finding in check_means({"row": cells} | padding)] == flagged


LIMITS = [
    # cells in percent, and what the others of the row allow; None: nothing is flagged
    ({"dice": ">= 90", "voe": "30.0"}, (0, 18.18)),
    ({"dice": "<= 90", "voe": "5.0"}, (10, 100)),
    ({"dice": "90.00", "voe": ">= 20"}, (10, 18.18)),
    ({"dice": ">= 90", "voe": "5.0"}, None),
    ({"dice": "90.00", "voe": "<= 20"}, None),
]


@pytest.mark.parametrize(("cells", "allowed"), LIMITS, ids=str)
def test_limits(cells, allowed):
    """A limit stands for all that keep within it, in the arithmetic and in the words."""
    findings = check_means({"row": cells})
    found = [(round(finding.low, 2), round(finding.high, 2)) for finding in findings]
    assert found == ([] if allowed is None else [allowed])
    for finding in findings:
        assert f"allows {allowed[0]:.2f} to {allowed[1]:.2f}" in finding.message
        limit = next(text[:2] for text in cells.values() if text[:2] in (">=", "<="))
        assert f" {limit} " in finding.message
        assert "belongs to" not in finding.message  # readings are of a number, no limit


def test_small_percentages_are_no_fractions():
    assert check_means({"row": {"rvd": "-0.84", "voe": "0.8 %"}}) == []


def test_what_is_said_to_be_in_percent_is():
    assert check_means({"row": {"dice": "0.80", "voe": "99.5"}}, "percent") == []
    (finding,) = check_means({"row": {"dice": "0.80", "voe": "0.50"}}, "percent")
    assert "allows 99.20 to 99.60" in finding.message


CHANGES = [
    # an RVD that is a limit, of a case whose prediction is 44 % smaller than the truth
    ("<= 5", []),
    ("<= -50", ["rvd"]),
    (">= -50", []),
    (">= 5", ["rvd"]),
]


@pytest.mark.parametrize(("rvd", "flagged"), CHANGES)
def test_a_change_of_volume_reaches_below_0_and_above_1(rvd, flagged):
    case = {"precision": "90.0", "recall": "50.0", "rvd": rvd}
    assert [finding.metric for finding in check_rows([case], "percent")] == flagged
    large = {"precision": "20.0", "recall": "90.0", "rvd": ">= 300"}
    assert check_rows([large], "percent") == []


def test_fractions_say_the_same():
    (finding,) = check_means({"EAS": {"dice": "0.9220", "voe": "0.9305"}}, unit="fraction")
    assert (finding.low, finding.high) == pytest.approx((0.0780, 0.1447), abs=5e-5)
    assert "allows 0.0780 to 0.1447" in finding.message


def cases(seed, n=40):
    """Rows of one predictor from random voxel counts, some cases perfect, some missed."""
    rng = np.random.default_rng(seed)
    tp, fp, fn = (rng.integers(0, 1000, n) * rng.integers(0, 2, n) for _ in range(3))
    fn += (tp + fn) == 0  # the truth is never empty
    dice, predicted = 2 * tp / (2 * tp + fp + fn), tp + fp
    jaccard = tp / (tp + fp + fn)
    precision = np.divide(tp, predicted, out=np.zeros(n), where=predicted > 0)
    columns = {
        "dice": dice,
        "jaccard": jaccard,
        "voe": 1 - jaccard,
        "voe_paper": 1 - dice,
        "precision": precision,
        "recall": tp / (tp + fn),
        "rvd": (fp - fn) / (tp + fn),
    }
    return [
        {"case": str(i), "predictor": "model"} | {name: float(c[i]) for name, c in columns.items()}
        for i in range(n)
    ]


@pytest.mark.parametrize("seed", range(25))
def test_nothing_that_is_possible_is_flagged(seed):
    rows = cases(seed)
    assert check_rows(rows) == []
    assert check_summary(summarise(rows, resamples=1)) == []
    text = {key: f"{np.mean([row[key] for row in rows]) * 100:.1f}" for key in list(rows[0])[2:]}
    assert check_means({"printed": text}) == []


GOOD = {"dice": 0.8, "jaccard": 2 / 3, "voe": 1 / 3, "voe_paper": 0.2, "rvd": 0.0} | {
    "precision": 0.8,
    "recall": 0.8,
    "assd_mm": 1.0,
    "hd_mm": 9.0,
    "hd95_mm": 3.0,
    "empty_prediction": 0.0,
}
NOTHING = {"dice": 0.0, "jaccard": 0.0, "voe": 1.0, "voe_paper": 1.0, "rvd": -1.0} | {
    "precision": 0.0,
    "recall": 0.0,
    "assd_mm": math.nan,
    "hd_mm": math.nan,
    "empty_prediction": 1.0,
}
ROWS = [
    (GOOD, []),
    (NOTHING, []),
    (GOOD | {"jaccard": 0.7}, ["jaccard", "voe"]),
    (GOOD | {"voe": 0.2}, ["voe", "voe"]),  # against Dice and against Jaccard
    (GOOD | {"voe_paper": 1 / 3}, ["voe_paper"]),
    (GOOD | {"recall": 0.81}, ["dice", "rvd"]),
    (GOOD | {"rvd": 0.01}, ["rvd"]),
    (GOOD | {"assd_mm": 9.1}, ["assd_mm"]),
    (NOTHING | {"hd_mm": 0.0, "assd_mm": 0.0}, ["assd_mm", "hd_mm"]),
]


@pytest.mark.parametrize(("metrics", "flagged"), ROWS)
def test_rows(metrics, flagged):
    findings = check_rows([{"case": "volume-3", "predictor": "model", "tp": 7.0} | metrics])
    assert [finding.metric for finding in findings] == flagged
    assert all(finding.row == "volume-3 / model" for finding in findings)


def test_summary_passes_over_means_of_other_cases():
    rows = [
        {"case": "a", "predictor": "model", "dice": 1.0, "voe": 0.0},
        {"case": "b", "predictor": "model", "dice": 0.0, "voe": math.nan},
    ]
    assert check_summary(summarise(rows)) == []
    (finding,) = check_summary(summarise([row | {"voe": 0.0} for row in rows]))
    assert (finding.row, finding.metric) == ("model", "voe")


ERRORS = [
    ({"dise": "90"}, "percent", "unknown metric 'dise'"),
    ({"dice": "ninety"}, "percent", "dice='ninety' is not a number"),
    ({"dice": "89.13"}, "fraction", "dice cannot be 89.13 .*unit of shares is fraction"),
    ({"dice": "101"}, "percent", "dice cannot be 101"),
    ({"dice": "-1"}, "percent", "dice cannot be -1"),
    ({"rvd": "-120"}, "percent", "rvd cannot be -120"),
    ({"dice": "90", "asd": "-0.1"}, "percent", "assd_mm cannot be -0.1"),
    ({"dice": "90", "hd": "inf"}, "percent", "hd_mm='inf' is not finite"),
    ({"dice": "0.91", "voe": "0.15"}, None, "is it in fractions"),
    ({"dice": "90", "dsc": "91"}, "percent", "row 'row': dice and dsc are the same; keep the one"),
    ({"dice": "1e400"}, "percent", "dice='1e400' is too large"),
    ({"asd": f"1.{'0' * 101}"}, "percent", "is too large or too long"),
]


@pytest.mark.parametrize(("cells", "unit", "message"), ERRORS)
def test_errors(cells, unit, message):
    with pytest.raises(DataError, match=message):
        check_means({"row": cells}, unit)
