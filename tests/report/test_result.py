"""What a verb prints at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitruvian.core.engine import Result
from vitruvian.core.evaluation import Evaluation, Row, summarise
from vitruvian.report.result import pooled_lines, show_result


def result(rows: list[Row], simulated: bool = True) -> Result:
    pooled = {"baseline: empty mask": {"global_dice": 0.0}, "model": {"global_dice": 0.91234}}
    found = Evaluation(rows, summarise(rows), simulated)
    return Result("test", "5-fold, fold 0", ("dice", "absent"), found, pooled)


ROWS: list[Row] = [
    {"case": case, "predictor": who, "dice": dice}
    for who, dices in (("model", (0.9, 0.8)), ("baseline: empty mask", (0.0, 0.0)))
    for case, dice in zip("12", dices, strict=True)
]


def test_pooled_figures_stand_model_first() -> None:
    assert pooled_lines(result(ROWS)) == [
        "global_dice, all cases as one: model 0.9123, baseline: empty mask 0.0000"
    ]


def test_split_data_and_run_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    show_result(result(ROWS), tmp_path)
    said = capsys.readouterr().out
    assert said.startswith("test (5-fold, fold 0)\n")
    assert "SIMULATED" in said
    assert said.endswith(f"run: {tmp_path}\n")


def test_impossible_figures_are_flagged(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = [{**row, "voe": 0.95} for row in ROWS]
    show_result(result(rows, simulated=False), tmp_path)
    assert "impossible:" in capsys.readouterr().out
