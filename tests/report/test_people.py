"""The best participant: which end is good, who it is, and what a baseline has on the same."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from vitruvian.core.evaluation import Row
from vitruvian.report.people import Best, best_subjects, show_best


def rows(metric: str, **values: tuple[float, ...]) -> list[Row]:
    """Rows of participants p0, p1 ... of each predictor."""
    return [
        {"case": f"c{i}", "participant": f"p{i}", "predictor": who.replace("_", " "), metric: v}
        for who, figures in values.items()
        for i, v in enumerate(figures)
    ]


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [
        ("angle_rmse_deg", (3.0, 1.0, 2.0), "p1"),
        ("abs_error", (3.0, 1.0, 2.0), "p1"),
        ("angle_ratio", (0.9, 1.2, 0.8), "p2"),
        ("rvd", (-0.3, 0.2, 0.25), "p1"),
        ("voe_paper", (0.3, 0.2, 0.1), "p2"),
        ("hd95_mm", (3.0, math.nan, 4.0), "p0"),
        ("torque_r2", (-3.0, 0.1, -5.0), "p1"),
        ("emg_pearson_r", (-0.9, 0.5, 0.1), "p1"),
        ("dice", (0.8, 0.9, 0.7), "p1"),
        ("within_01", (0.0, 0.0, 1.0), "p2"),
    ],
)
def test_the_good_end_follows_from_the_name(
    metric: str, values: tuple[float, ...], best: str
) -> None:
    (found,) = best_subjects(rows(metric, model=values), [metric])
    assert found.subject == best
    assert (found.rival, math.isnan(found.rival_value)) == ("", True)


@pytest.mark.parametrize("metric", ["index", "truth", "volume_ml", "drift_r2"])
def test_where_no_end_is_good_there_is_no_best(metric: str) -> None:
    assert best_subjects(rows(metric, model=(1.0, 2.0)), [metric]) == []


def test_rows_of_a_participant_are_averaged_first() -> None:
    made = [*rows("rmse", model=(1.0, 2.0)), *rows("rmse", model=(4.0, 2.2))]
    for i, row in enumerate(made):
        row["case"] += f"_{i}"
    (best,) = best_subjects(made, ["rmse"])
    assert (best.subject, best.value) == ("p1", pytest.approx(2.1))


def test_the_best_baseline_stands_beside_on_the_same_participant() -> None:
    made = rows("rmse", model=(3.0, 1.0), baseline_a=(0.1, 2.0), baseline_b=(0.2, 1.5))
    assert best_subjects(made, ["rmse", "absent"]) == [Best("rmse", "p1", 1.0, "baseline b", 1.5)]


def test_a_line_for_each_metric() -> None:
    said = io.StringIO()
    found = [Best("rmse", "p7", 0.02251, "baseline: ridge", 0.3), Best("dice", "p1", 0.9)]
    show_best(found, Console(file=said, width=10))
    lines = [" ".join(line.split()) for line in said.getvalue().splitlines()]
    assert "rmse p7 0.02251 0.3 (baseline: ridge)" in lines
    assert "dice p1 0.9 -" in lines
    assert "chosen afterwards" in lines[-1]
    show_best([], Console(file=said))
    assert said.getvalue().count("best participant") == 1
