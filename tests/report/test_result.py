"""What a verb prints at its end."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pytest
from rich.console import Console

from vitruvian.core.evaluating import Result, View
from vitruvian.core.evaluation import Evaluation, Row, summarise
from vitruvian.report.pooled import cell, figure_names, show_pooled
from vitruvian.report.result import show_result


def view(rows: list[Row], simulated: bool = True) -> View:
    pooled = {"baseline: empty mask": {"global_dice": 0.0}, "model": {"global_dice": 0.91234}}
    return View(Evaluation(rows, summarise(rows), simulated), pooled)


def result(rows: list[Row], simulated: bool = True, **views: View) -> Result:
    return Result("test", "5-fold, fold 0", ("dice", "absent"), view(rows, simulated), views)


ROWS: list[Row] = [
    {"case": case, "predictor": who, "dice": dice}
    for who, dices in (("model", (0.9, 0.8)), ("baseline: empty mask", (0.0, 0.0)))
    for case, dice in zip("12", dices, strict=True)
]


def test_pooled_figures_stand_model_first(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    show_result(result(ROWS), tmp_path)
    said = capsys.readouterr().out
    assert "global_dice        0.9123                 0.0000" in said
    assert said.index("all cases as one ") < said.rindex("model") < said.rindex("baseline: empty")


def test_split_data_and_run_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    show_result(result(ROWS), tmp_path)
    said = capsys.readouterr().out
    assert said.startswith("test (5-fold, fold 0)\n")
    assert "SIMULATED" in said
    assert said.endswith(f"run: {tmp_path}\n")


def test_views_follow_under_their_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    show_result(result(ROWS, by_person=view(ROWS[:1])), tmp_path)
    said = capsys.readouterr().out
    assert "test, by person\n" in said
    assert said.count("global_dice") == 2


def test_impossible_figures_are_flagged(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = [{**row, "voe": 0.95} for row in ROWS]
    show_result(result(rows, simulated=False), tmp_path)
    assert "impossible:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"auc": 0.5}, "0.5000"),
        ({"auc": 0.5, "auc_low": 0.25, "auc_high": 0.75}, "0.5000 [0.2500, 0.7500]"),
        ({"auc": 0.5, "auc_low": math.nan, "auc_high": math.nan}, "0.5000"),
        ({"auc": math.nan}, "-"),
        ({}, "-"),
        ({"auc": 12.0}, "12.00"),
        ({"auc": 1.0}, "1.0000"),
    ],
)
def test_a_cell(figures: dict[str, float], expected: str) -> None:
    assert cell(figures, "auc") == expected


def test_counts_have_no_decimals() -> None:
    figures = {"n": 12.0, "n_missing": 0.0}
    assert [cell(figures, name) for name in figures] == ["12", "0"]


def test_ends_of_intervals_are_no_figures() -> None:
    assert figure_names(
        {"model": {"auc": 1.0, "auc_low": 0.9, "auc_high": 1.0, "bone_low": 2.0}}
    ) == [
        "auc",
        "bone_low",
    ]


def test_nothing_is_shown_for_nothing() -> None:
    console = Console(file=io.StringIO())
    show_pooled({"model": {}}, console)
    assert console.file.getvalue() == ""
