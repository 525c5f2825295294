"""The sign of life in `status.json`: what it says, how often, and what it must never do."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vitruvian.core import heartbeat
from vitruvian.core.errors import RunError
from vitruvian.core.heartbeat import LEAST_S, PERIOD_S, Heartbeat
from vitruvian.core.rundir import COMPLETE, RunDirectory
from vitruvian.core.task import SIMULATED_KEY, Task


class Clock:
    """Stands where the module reads the time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(heartbeat, "time", made)
    return made


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


def trainer(step: int = 0, rank: int = 0, **metrics: float) -> Any:
    task = Task.__new__(Task)
    torch.nn.Module.__init__(task)
    task.total_steps = 40
    task.origin = {SIMULATED_KEY: True}
    return SimpleNamespace(
        global_step=step,
        current_epoch=step // 5,
        is_global_zero=rank == 0,
        lightning_module=task,
        state=SimpleNamespace(fn="fit"),
        callback_metrics={k.replace("_", "/", 1): torch.tensor(v) for k, v in metrics.items()},
    )


def begun(run: RunDirectory, step: int = 0) -> Heartbeat:
    beat = Heartbeat(run)
    one = trainer(step)
    beat.on_train_start(one, one.lightning_module)
    return beat


def test_what_it_says(run: RunDirectory, clock: Clock) -> None:
    beat = begun(run, 10)
    clock.now += 60
    beat.on_train_batch_end(trainer(17))
    status = run.read_status()
    assert status["state"] == "running"
    kept = {key: status[key] for key in ("step", "started_step", "total_steps", "epoch")}
    assert kept == {"step": 17, "started_step": 10, "total_steps": 40, "epoch": 3}
    assert {"updated", "started", "pid", "host", "metrics"} < set(status)
    assert status["simulated"] is True


@pytest.mark.parametrize("hook", ["train", "validation", "test"])
def test_how_often(hook: str, run: RunDirectory, clock: Clock) -> None:
    beat = begun(run)
    call = getattr(beat, f"on_{hook}_batch_end")
    clock.now += 0.79 * PERIOD_S
    call(trainer(1))
    assert run.read_status()["step"] == 0
    clock.now += 0.42 * PERIOD_S
    call(trainer(2))
    assert run.read_status()["step"] == 2


def test_a_validation_is_told_soon(run: RunDirectory, clock: Clock) -> None:
    beat = begun(run)
    one = trainer(3, val_dice=0.5, train_loss=0.1)
    beat.on_validation_end(one, one.lightning_module)
    assert run.read_status()["metrics"] == {}  # the first sign was a moment ago
    clock.now += LEAST_S
    beat.on_validation_end(one, one.lightning_module)
    assert run.read_status()["metrics"] == {"val/dice": 0.5}


def test_a_continued_run_remembers_its_last_validation(run: RunDirectory, clock: Clock) -> None:
    run.write_status("interrupted", step=5, metrics={"val/dice": 0.25})
    begun(run, 5)
    assert run.read_status()["metrics"] == {"val/dice": 0.25}


def test_the_last_word_repeats_it(run: RunDirectory, clock: Clock) -> None:
    begun(run, 7).on_exception(trainer(9))
    run.write_status(COMPLETE, **run.progress())
    status = run.read_status()
    assert (status["state"], status["step"], status["total_steps"]) == ("complete", 9, 40)


def test_other_ranks_are_silent(run: RunDirectory, clock: Clock) -> None:
    beat, other = Heartbeat(run), trainer(1, rank=1, val_dice=1.0)
    beat.on_train_start(other, other.lightning_module)
    clock.now += 10 * PERIOD_S
    beat.on_train_batch_end(other)
    beat.on_validation_end(other, other.lightning_module)
    beat.on_train_end(other, other.lightning_module)
    beat.on_exception(other)
    assert not run.status_file.exists()


def test_a_full_disk_ends_no_training(
    run: RunDirectory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RunError("cannot write: the disk is full")

    monkeypatch.setattr(RunDirectory, "write_status", refuse)
    beat = begun(run)
    clock.now += 10 * PERIOD_S
    beat.on_train_batch_end(trainer(1))
    assert caplog.messages == ["cannot write: the disk is full; the training goes on"] * 2


def test_the_random_numbers_of_the_training_are_left_alone(run: RunDirectory, clock: Clock) -> None:
    before = random.getstate(), torch.get_rng_state()
    beat = begun(run)
    clock.now += 10 * PERIOD_S
    beat.on_train_batch_end(trainer(1))
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"state": "runn', "\x00"])
def test_a_damaged_status_says_nothing(text: str, run: RunDirectory) -> None:
    run.status_file.write_text(text)
    assert (run.read_status(), run.status, run.progress()) == ({}, None, {})


def test_not_a_number_is_written_and_read(run: RunDirectory, clock: Clock) -> None:
    beat, one = begun(run), trainer(1, val_dice=float("nan"))
    clock.now += LEAST_S
    beat.on_validation_end(one, one.lightning_module)
    assert json.dumps(run.read_status()["metrics"]) == '{"val/dice": NaN}'
