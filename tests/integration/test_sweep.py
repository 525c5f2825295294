"""`--multirun` with real processes: each job a run of its own, none ends the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import vitruvian
from tests.integration.runs import SMALL, SMALL_SPINE
from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED, RunDirectory
from vitruvian.sweeps.directory import SweepDirectory

pytestmark = pytest.mark.slow

PROBE = "+callbacks.probe._target_=tests.integration.probes.SayValues"
TESTS = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"datamodule.cache_dir={tmp_path_factory.mktemp('cache')}"


def command(module: str, *arguments: str, folder: Path) -> subprocess.Popen[str]:
    source = f"{Path(vitruvian.__file__).parents[1]}{os.pathsep}{TESTS}"
    allowed = {"PYTHONPATH": source, "VITRUVIAN_ALLOW_TARGETS": "tests.integration.probes"}
    return subprocess.Popen(
        [sys.executable, "-m", f"vitruvian.{module}", *arguments],
        cwd=folder,
        env=os.environ | allowed,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sweep(folder: Path, cache: str, *arguments: str) -> subprocess.Popen[str]:
    shared = ("-m", *SMALL, cache, "threads=1", "hydra.sweep.dir=mine")
    return command("train", *shared, *arguments, folder=folder)


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=500)
    return process.returncode, out, err


def runs(folder: Path) -> list[RunDirectory]:
    return [one.run for one in SweepDirectory(folder / "mine").runs()]


def alone(folder: Path, cache: str, *arguments: str) -> RunDirectory:
    """The same run, started by itself."""
    path = folder / f"alone-{len(list(folder.glob('alone-*')))}"
    process = command("train", *SMALL, cache, "threads=1", f"run={path}", *arguments, folder=folder)
    code, _, err = finished(process)
    assert code == 0, err
    return RunDirectory(path)


def same_results(one: RunDirectory, other: RunDirectory) -> None:
    for file in (one.metrics_file, *one.evaluation.iterdir()):
        assert file.read_bytes() == (other.path / file.relative_to(one.path)).read_bytes(), file


def test_jobs_are_the_runs_that_one_would_start_by_hand(tmp_path: Path, cache: str) -> None:
    shared = ("trainer.max_epochs=1", "hydra.launcher.jobs=2")
    code, out, err = finished(sweep(tmp_path, cache, *shared, "optimizer.lr=0.001,0.01"))
    assert code == 0, err
    assert f"frozen in {tmp_path / 'mine'}" in out
    for run, rate in zip(runs(tmp_path), ("0.001", "0.01"), strict=True):
        assert run.status == COMPLETE
        same_results(run, alone(tmp_path, cache, "trainer.max_epochs=1", f"optimizer.lr={rate}"))
    first, second = runs(tmp_path)
    assert first.metrics_file.read_bytes() != second.metrics_file.read_bytes()


def test_a_failed_job_does_not_end_the_others(tmp_path: Path, cache: str) -> None:
    process = sweep(tmp_path, cache, "trainer.max_epochs=1", "optimizer.lr=1e30,0.001")
    code, _, err = finished(process)
    assert code == 1
    assert [run.status for run in runs(tmp_path)] == [FAILED, COMPLETE]
    assert "error: 0000 failed: " in err
    assert "training diverged" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_whole_sweep_and_resume_continues_it(
    signum: int, tmp_path: Path, cache: str
) -> None:
    process = sweep(tmp_path, cache, "trainer.max_epochs=12", "optimizer.lr=0.001,0.01")
    first, second = runs_when_frozen(process, tmp_path)
    while process.poll() is None and not first.last.is_file():
        time.sleep(0.05)
    process.send_signal(signum)
    code, out, err = finished(process)
    assert code == 128 + signum, err
    assert (first.status, second.status) == (INTERRUPTED, None)
    assert f"continue with: vitruvian-sweep resume {tmp_path / 'mine'}" in out
    code, _, err = finished(command("sweep", "resume", "mine", folder=tmp_path))
    assert code == 0, err
    assert [run.status for run in (first, second)] == [COMPLETE, COMPLETE]
    same_results(first, alone(tmp_path, cache, "trainer.max_epochs=12", "optimizer.lr=0.001"))


def runs_when_frozen(process: subprocess.Popen[str], folder: Path) -> list[RunDirectory]:
    while process.poll() is None and not SweepDirectory(folder / "mine").exists:
        time.sleep(0.05)
    return runs(folder)


# -- several processes in each job ----------------------------------------------------------------


def ranks(run: RunDirectory) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(run.path.glob("rank-*.json"))]


def test_both_ranks_of_a_job_train_with_its_values(tmp_path: Path, cache: str) -> None:
    shared = ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.max_epochs=1")
    code, out, err = finished(sweep(tmp_path, cache, *shared, PROBE, "optimizer.lr=0.001,0.01"))
    assert code == 0, out + err
    for run, rate in zip(runs(tmp_path), (0.001, 0.01), strict=True):
        said = ranks(run)
        assert [one["lr"] for one in said] == [rate, rate]
        assert [one["world_size"] for one in said] == [2, 2]
        assert said[0]["pid"] != said[1]["pid"]
        assert run.status == COMPLETE
    directories = [path.parent for path in tmp_path.rglob("config.yaml")]
    assert sorted(directories) == [run.path for run in runs(tmp_path)], "one directory a run"


def test_both_ranks_of_a_trial_train_with_what_was_sampled(tmp_path: Path, cache: str) -> None:
    """The trap: with a sampler, each rank once drew values of its own."""
    arguments = (
        "-m", *SMALL_SPINE, cache, "threads=1", "hydra.sweep.dir=mine", "trainer.max_epochs=1",
        "trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", PROBE,
        "hydra/sweeper=optuna", "hydra/sweeper/sampler=random", "hydra.sweeper.n_trials=2",
        "optimizer.lr=tag(log,interval(1e-4,1e-2))", "model.net.hidden=range(4,12)",
    )  # fmt: skip
    code, out, err = finished(command("train", *arguments, folder=tmp_path))
    assert code == 0, out + err
    found = [(run.config["optimizer"]["lr"], ranks(run)) for run in runs(tmp_path)]
    assert len({rate for rate, _ in found}) == 2, "two different points"
    for rate, said in found:
        assert [one["lr"] for one in said] == [rate, rate]
        assert said[0]["width"] == said[1]["width"]
    assert len(list(tmp_path.rglob("config.yaml"))) == 2
