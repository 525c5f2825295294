"""`metrics.csv`: whatever is cut off and written again, the bytes are those of one go."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest

from vitruvian.core.errors import RunError
from vitruvian.core.history import History

Log = list[tuple[dict[str, float], int]]

# As a run logs: steps, the mean of an epoch, a validation with new columns, later one column more.
LOG: Log = [
    ({"train/loss": 0.1 + 0.2, "train/lr": 1e-5, "epoch": 0}, 0),
    ({"train/loss": 1 / 3, "train/lr": 1e-5, "epoch": 0}, 1),
    ({"val/liver_dice": 0.5, "val/liver_global_dice": 0.25, "epoch": 0}, 1),
    ({"train/epoch_loss": 0.4, "epoch": 0}, 1),
    ({"train/loss": math.inf, "train/lr": 1e-6, "epoch": 1}, 2),
    ({"val/tumour_dice": math.nan, "val/liver_dice": 1.0, "epoch": 1}, 2),
    ({"a/first_in_the_alphabet": -0.0, "epoch": 1}, 3),
]


def opened(folder: Path) -> History:
    folder.mkdir(exist_ok=True)
    history = History()
    history.open(folder)
    return history


def write(history: History, log: Log) -> None:
    for metrics, step in log:
        history.log_metrics(metrics, step)


def written(folder: Path, log: Log) -> bytes:
    history = opened(folder)
    write(history, log)
    return history.path.read_bytes()


def test_the_table(tmp_path: Path) -> None:
    written(tmp_path, LOG)
    with (tmp_path / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0])[:2] == ["epoch", "step"]
    assert [(row["epoch"], row["step"]) for row in rows] == [
        (str(metrics["epoch"]), str(step)) for metrics, step in LOG
    ]
    for row, (metrics, _) in zip(rows, LOG, strict=True):
        cells = {k: float(v) for k, v in row.items() if v and k not in ("epoch", "step")}
        expected = {k: v for k, v in metrics.items() if k != "epoch"}
        assert cells == pytest.approx(expected, rel=0, abs=0, nan_ok=True), "all digits"


def test_columns_come_in_the_order_of_their_first_value(tmp_path: Path) -> None:
    header = written(tmp_path, LOG).decode().splitlines()[0]
    assert header.split(",") == [
        *("epoch", "step", "train/loss", "train/lr", "val/liver_dice", "val/liver_global_dice"),
        *("train/epoch_loss", "val/tumour_dice", "a/first_in_the_alphabet"),
    ]


@pytest.mark.parametrize("kept", range(len(LOG) + 1))
@pytest.mark.parametrize("lost", range(len(LOG) + 1))
def test_rewound_and_written_again_it_is_the_same(tmp_path: Path, kept: int, lost: int) -> None:
    """A run that was cut after `lost` rows and had a checkpoint at `kept` rows."""
    whole = written(tmp_path / "whole", LOG)
    cut = opened(tmp_path / "cut")
    write(cut, LOG[: max(kept, lost)])
    again = opened(tmp_path / "cut")
    again.rewind(kept)
    write(again, LOG[kept:])
    assert again.path.read_bytes() == whole
    assert again.rows == len(LOG)


def test_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole", LOG)
    history = opened(tmp_path / "torn")
    write(history, LOG[:3])
    with history.path.open("a") as stream:
        stream.write("0,1,0.33")
    again = opened(tmp_path / "torn")
    again.rewind(3)
    write(again, LOG[3:])
    assert again.path.read_bytes() == whole


def test_new_run_starts_a_new_file(tmp_path: Path) -> None:
    written(tmp_path, LOG)
    assert written(tmp_path, LOG[:2]) == written(tmp_path / "other", LOG[:2])


def test_rewind_to_nothing_without_a_file(tmp_path: Path) -> None:
    history = opened(tmp_path)
    history.rewind(0)
    write(history, LOG[:1])
    assert history.path.read_bytes() == written(tmp_path / "other", LOG[:1])


def test_file_that_is_gone_is_told(tmp_path: Path) -> None:
    written(tmp_path, LOG)
    (tmp_path / "metrics.csv").unlink()
    with pytest.raises(RunError, match=r"cannot read .*metrics\.csv: No such file.*; put the file"):
        opened(tmp_path).rewind(3)


def test_rows_that_are_gone_are_told(tmp_path: Path) -> None:
    written(tmp_path, LOG[:2])
    with pytest.raises(RunError, match=r"metrics\.csv has 2 of 3 rows; put the file back"):
        opened(tmp_path).rewind(3)


def test_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv" / "full").mkdir(parents=True)
    with pytest.raises(RunError, match=r"cannot write .*metrics\.csv: the name is already taken"):
        opened(tmp_path).log_metrics({"a": 1.0}, 0)


@pytest.mark.parametrize("value", [1, True, 0.5])
def test_any_number(tmp_path: Path, value: Any) -> None:
    text = written(tmp_path, [({"a": value}, 0)]).decode()
    assert text.splitlines()[1] == f",0,{float(value)!r}"


def test_hyperparameters_are_in_the_config(tmp_path: Path) -> None:
    opened(tmp_path).log_hyperparams({"lr": 1})
    assert list(tmp_path.iterdir()) == []
