"""Two processes, one run: one directory, the numbers of one process, exact resume."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runs import (
    MOMENTS,
    SMALL,
    SMALL_MUSCLE,
    SMALL_SPINE,
    Kill,
    log_of,
    same,
    state,
    train,
    verb,
)

pytestmark = pytest.mark.slow

TABLE = "evaluation/test_simulated.csv"

DDP = (
    *(key for key in SMALL if not key.startswith(("trainer=", "datamodule.simulator.cases"))),
    "trainer=ddp",
    "trainer.accelerator=cpu",
    "datamodule.simulator.cases=9",
    "split.folds=3",  # three cases on two ranks: one of them is evaluated twice
    "model.net.eas_dropout=0.5",
)

SPINE = (
    *(key for key in SMALL_SPINE if not key.startswith(("trainer=", "datamodule.simulator.pe"))),
    "trainer=ddp",
    "trainer.accelerator=cpu",
    "datamodule.simulator.people=9",
    "datamodule.simulator.complete=1",
    "split.folds=3",  # nine clips on two ranks
)

MUSCLE = (
    *(key for key in SMALL_MUSCLE if not key.startswith("trainer=")),
    "trainer=ddp",
    "trainer.accelerator=cpu",  # three trials of one person on two ranks: one is evaluated twice
    "model.net.dropout=0.5",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"datamodule.cache_dir={tmp_path_factory.mktemp('cache')}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Path:
    """A run of two processes that nobody interrupts."""
    run = tmp_path_factory.mktemp("ddp") / "whole"
    assert train(run, (*DDP, cache)) == 0, log_of(run)
    return run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_one_directory_and_one_voice(whole: Path) -> None:
    assert [p.name for p in whole.parent.iterdir() if p.is_dir()] == ["whole"]
    assert log_of(whole).count("run: ") == 1
    assert json.loads((whole / "status.json").read_text())["state"] == "complete"


def test_each_case_counts_once(whole: Path) -> None:
    model = [
        r for r in rows(whole / "evaluation" / "test_simulated.csv") if r["predictor"] == "model"
    ]
    expected = json.loads((whole / "splits.json").read_text())["test"]
    assert len(expected) == 3
    assert sorted(r["case"] for r in model) == sorted(expected)


def test_same_metrics_as_one_process(whole: Path) -> None:
    before = (whole / "evaluation" / "test_simulated.csv").read_bytes()
    assert verb("evaluate", f"run={whole}", "name=alone") == 0
    assert (whole / "evaluation" / "alone_simulated.csv").read_bytes() == before


def test_validation_metric_is_that_of_one_process(whole: Path) -> None:
    cells = [row["val/liver_dice"] for row in rows(whole / "metrics.csv")]
    logged = [float(cell) for cell in cells if cell]
    assert verb("evaluate", f"run={whole}", "split=val") == 0
    model = [
        r for r in rows(whole / "evaluation" / "val_simulated.csv") if r["predictor"] == "model"
    ]
    mean = sum(float(r["dice"]) for r in model) / len(model)
    assert mean == pytest.approx(max(logged), rel=1e-6)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_continued(moment: str, tmp_path: Path, cache: str, whole: Path) -> None:
    run = tmp_path / "run"
    assert train(run, (*DDP, cache), MOMENTS[moment]) == -signal.SIGKILL, log_of(run)
    assert train(run) == 0, log_of(run)
    assert_alike(run, whole)


def test_signal_to_one_rank_stops_all(tmp_path: Path, cache: str, whole: Path) -> None:
    run = tmp_path / "run"
    kill = Kill("on_train_batch_end", 4, signal.SIGTERM)
    assert train(run, (*DDP, cache), kill) == 128 + signal.SIGTERM, log_of(run)
    assert json.loads((run / "status.json").read_text())["state"] == "interrupted"
    assert train(run) == 0, log_of(run)
    assert_alike(run, whole)


class KillRank(Kill):
    """Ends rank 1 instead, from outside."""

    def callback(self) -> Any:
        from pytorch_lightning.callbacks import Callback

        calls = 0

        def strike(trainer: Any, *_: Any, **__: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == self.count:
                trainer.strategy.launcher.ranks[0].send_signal(self.signum)

        return type("Killer", (Callback,), {self.hook: staticmethod(strike)})()


@pytest.mark.parametrize(("hook", "count"), [("on_train_batch_end", 5), ("on_test_start", 1)])
def test_a_rank_that_dies_alone_ends_the_run(
    hook: str, count: int, tmp_path: Path, cache: str, whole: Path
) -> None:
    run = tmp_path / "run"
    assert train(run, (*DDP, cache), KillRank(hook, count)) == 2, log_of(run)
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "failed"
    assert "rank 1 was ended by SIGKILL" in status["reason"]
    assert "Traceback" not in log_of(run)
    assert train(run) == 0, log_of(run)
    assert_alike(run, whole)


# -- the spine study ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Path:
    """A run of the spine study by two processes that nobody interrupts."""
    run = tmp_path_factory.mktemp("spine") / "whole"
    assert train(run, (*SPINE, cache)) == 0, log_of(run)
    return run


def test_each_clip_counts_once(people: Path) -> None:
    found = [r for r in rows(people / TABLE) if r["predictor"] == "model"]
    held_out = json.loads((people / "splits.json").read_text())["test"]
    assert len(held_out) == 3
    assert len({r["case"] for r in found}) == len(found) == 9
    assert {r["participant"] for r in found} == set(held_out)


def test_same_index_as_one_process(people: Path) -> None:
    assert verb("evaluate", f"run={people}", "name=alone") == 0
    for table in ("", "_per_person", "_exercise_walk"):
        names = (f"{name}_simulated{table}.csv" for name in ("test", "alone"))
        before, after = ((people / "evaluation" / name).read_bytes() for name in names)
        assert after == before


@pytest.mark.parametrize("moment", MOMENTS)
def test_people_killed_and_continued(moment: str, tmp_path: Path, cache: str, people: Path) -> None:
    run = tmp_path / "run"
    assert train(run, (*SPINE, cache), MOMENTS[moment]) == -signal.SIGKILL, log_of(run)
    assert train(run) == 0, log_of(run)
    assert_alike(run, people)


# -- the muscle study -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calves(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Path:
    """A run of the muscle study by two processes that nobody interrupts."""
    run = tmp_path_factory.mktemp("muscle") / "whole"
    assert train(run, (*MUSCLE, cache)) == 0, log_of(run)
    return run


def test_each_trial_counts_once(calves: Path) -> None:
    found = [r for r in rows(calves / TABLE) if r["predictor"] == "model"]
    (held_out,) = json.loads((calves / "splits.json").read_text())["test"]
    tasks = ("combined", "isometric", "passive")
    assert sorted(r["case"] for r in found) == [f"{held_out}_{task}" for task in tasks]


def test_same_trials_as_one_process(calves: Path) -> None:
    """Intervals and fusion too, which are fitted on what all ranks have validated."""
    assert verb("evaluate", f"run={calves}", "name=alone") == 0
    for table in ("", "_per_participant", "_per_task"):
        names = (f"{name}_simulated{table}.csv" for name in ("test", "alone"))
        before, after = ((calves / "evaluation" / name).read_bytes() for name in names)
        assert after == before


def test_validation_figures_are_those_of_one_process(calves: Path) -> None:
    logged = [row for row in rows(calves / "metrics.csv") if row["val/nrmse"]]
    best = min(logged, key=lambda row: float(row["val/nrmse"]))
    assert verb("evaluate", f"run={calves}", "split=val") == 0
    table = calves / "evaluation" / "val_simulated_per_participant.csv"
    (model,) = (row for row in rows(table) if row["predictor"] == "model")
    for name in ("angle_change_rmse_deg", "torque_change_rmse_nm", "emg_change_rmse_v"):
        assert float(model[name]) == pytest.approx(float(best[f"val/{name}"]), rel=1e-5)


@pytest.mark.parametrize("moment", MOMENTS)
def test_trials_killed_and_continued(moment: str, tmp_path: Path, cache: str, calves: Path) -> None:
    run = tmp_path / "run"
    assert train(run, (*MUSCLE, cache), MOMENTS[moment]) == -signal.SIGKILL, log_of(run)
    assert train(run) == 0, log_of(run)
    assert_alike(run, calves)


def assert_alike(run: Path, whole: Path) -> None:
    ours, theirs = (state(r / "checkpoints" / "last.ckpt") for r in (run, whole))
    for part in theirs.keys() - {"loops"}:
        assert same(ours[part], theirs[part]), f"{part} differs"
    for name in ("metrics.csv", TABLE):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), f"{name} differs"
