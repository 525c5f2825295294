"""The progress bar: one line on a terminal, a line of text per epoch everywhere else."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from vitruvian.core import progress as module
from vitruvian.core.progress import ProgressBar, all_batches, shown_values
from vitruvian.core.verbosity import QUIET, VARIABLE

MODULE: Any = None  # the bar never looks at the LightningModule


def trainer(**changes: Any) -> Any:
    """As much of a trainer as the bar asks for: 5 batches an epoch, 3 cases to validate."""
    state: dict[str, Any] = {
        "is_global_zero": True,
        "max_epochs": 4,
        "max_steps": -1,
        "accumulate_grad_batches": 1,
        "global_step": 10,
        "current_epoch": 1,
        "datamodule": SimpleNamespace(position=lambda: (1, 0)),
        "train_dataloader": SimpleNamespace(batches_per_epoch=5),
        "num_val_batches": [3],
        "num_test_batches": [3],
        "progress_bar_metrics": {"train/loss": 0.123456, "val/liver_dice": torch.tensor(0.5)},
    }
    return SimpleNamespace(**state | changes)


def run_an_epoch(bar: ProgressBar, fake: Any) -> Iterator[str]:
    """Call the hooks as Lightning does; yield the name of each."""
    bar.setup(fake, MODULE, "fit")
    bar.on_train_epoch_start(fake, MODULE)
    for _ in range(5):
        bar.on_train_batch_end(fake, MODULE, None, None, 0)
        yield "batch"
    bar.on_validation_start(fake, MODULE)
    for _ in range(3):
        bar.on_validation_batch_end(fake, MODULE, None, None, 0)
        yield "case"
    bar.on_validation_end(fake, MODULE)
    bar.on_train_epoch_end(fake, MODULE)
    bar.teardown(fake, MODULE, "fit")
    bar.setup(fake, MODULE, "test")
    bar.on_test_start(fake, MODULE)
    bar.on_test_batch_end(fake, MODULE, None, None, 0)
    bar.on_test_end(fake, MODULE)
    bar.teardown(fake, MODULE, "test")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is drawn, as on a terminal of 160 columns."""
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=160, color_system=None)
    monkeypatch.setattr(module, "Console", lambda: console)
    return drawn


@pytest.mark.parametrize(
    ("enabled", "watched", "first", "shown"),
    [
        ("auto", True, True, True),
        ("auto", False, True, False),
        (True, False, True, True),
        (False, True, True, False),
        ("auto", True, False, False),
        (True, True, False, False),
    ],
)
def test_who_sees_it(
    enabled: bool | str,
    watched: bool,
    first: bool,
    shown: bool,
    terminal: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: watched)
    hooks = list(run_an_epoch(ProgressBar(enabled), trainer(is_global_zero=first)))
    assert len(hooks) == 8
    assert (terminal.getvalue() != "") is shown


def test_lines_where_nobody_watches(capfd: pytest.CaptureFixture[str]) -> None:
    """The output of a test, as that of a cluster's job, is no terminal."""
    list(run_an_epoch(ProgressBar(), trainer()))
    out, err = capfd.readouterr()
    epoch, evaluated = out.splitlines()
    assert re.fullmatch(r"epoch 2/4  step 10  loss 0\.1235  val/liver_dice 0\.5  \d+\.\d s", epoch)
    assert re.fullmatch(r"evaluated 3 cases in \d+\.\d s", evaluated)
    assert err == ""


@pytest.mark.parametrize(
    ("enabled", "first", "chosen"), [(False, True, ""), ("auto", False, ""), ("auto", True, QUIET)]
)
def test_no_lines(
    enabled: bool | str,
    first: bool,
    chosen: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Switched off, of further ranks, and with -q."""
    monkeypatch.setenv(VARIABLE, chosen)
    list(run_an_epoch(ProgressBar(enabled), trainer(is_global_zero=first)))
    assert capfd.readouterr() == ("", "")


def test_one_line_however_many_epochs(terminal: io.StringIO) -> None:
    bar = ProgressBar(True, refresh_hz=1000.0)
    bar.setup(trainer(), MODULE, "fit")
    for epoch in range(3):
        fake = trainer(current_epoch=epoch, datamodule=SimpleNamespace(position=lambda: (0, 0)))
        bar.on_train_epoch_start(fake, MODULE)
        for _ in range(5):
            bar.on_train_batch_end(fake, MODULE, None, None, 0)
        bar.on_train_epoch_end(fake, MODULE)
    terminal.truncate(0)
    bar.teardown(trainer(), MODULE, "fit")
    last = [line for line in terminal.getvalue().splitlines() if "epoch" in line]
    assert len(last) == 1, "the line that stays"
    assert "epoch 3/4" in last[0]
    assert "15/20" in last[0]


@pytest.mark.parametrize(
    ("changes", "batches"),
    [
        ({}, 20),
        ({"max_steps": 7}, 7),
        ({"max_steps": 7, "accumulate_grad_batches": 2}, 14),
        ({"max_epochs": -1, "max_steps": 7}, 7),
        ({"max_epochs": None}, None),
    ],
)
def test_batches_of_the_whole_training(changes: dict[str, Any], batches: int | None) -> None:
    assert all_batches(trainer(**changes)) == batches


def test_what_it_shows(terminal: io.StringIO) -> None:
    list(run_an_epoch(ProgressBar(True, refresh_hz=1000.0), trainer()))
    drawn = terminal.getvalue()
    for part in (
        "epoch 2/4",
        "10/20",
        "/s",
        "loss 0.1235",
        "val/liver_dice 0.5",
        "validate",
        "cases",
    ):
        assert part in drawn, part
    assert "0:00:0" in drawn, "the remaining time"
    assert "evaluate" in drawn


def test_continued_epoch_starts_where_it_was_cut(terminal: io.StringIO) -> None:
    bar = ProgressBar(True)
    fake = trainer(datamodule=SimpleNamespace(position=lambda: (1, 3)))
    bar.setup(fake, MODULE, "fit")
    bar.on_train_epoch_start(fake, MODULE)
    bar.on_train_batch_end(fake, MODULE, None, None, 0)
    bar.teardown(fake, MODULE, "fit")
    assert "9/20" in terminal.getvalue()


@pytest.mark.parametrize(
    ("max_epochs", "title"), [(4, "epoch 2/4"), (-1, "epoch 2 "), (None, "epoch 2 ")]
)
def test_number_of_epochs(max_epochs: int | None, title: str, terminal: io.StringIO) -> None:
    list(run_an_epoch(ProgressBar(True), trainer(max_epochs=max_epochs)))
    assert title in terminal.getvalue()


def test_terminal_is_given_back_before_an_error(terminal: io.StringIO) -> None:
    bar = ProgressBar(True)
    hooks = run_an_epoch(bar, trainer())
    next(hooks)
    bar.on_exception(trainer(), MODULE, RuntimeError())
    shows_cursor = "\x1b[?25h"
    assert terminal.getvalue().rstrip().endswith(shows_cursor)
    length = len(terminal.getvalue())
    assert list(hooks).count("case") == 3, "later hooks do no harm"
    assert "validate" not in terminal.getvalue()[length:]


def test_shown_values() -> None:
    assert shown_values(trainer()) == "loss 0.1235  val/liver_dice 0.5"
    assert shown_values(trainer(), room=31) == "loss 0.1235  val/liver_dice 0.5"
    assert shown_values(trainer(), room=30) == "loss 0.1235"
    assert shown_values(trainer(), room=3) == "loss 0.1235", "never nothing"


@pytest.mark.parametrize("enabled", ["yes", None, 2])
def test_bad_value(enabled: Any) -> None:
    with pytest.raises(ValueError, match="enabled must be true, false or auto"):
        ProgressBar(enabled)
