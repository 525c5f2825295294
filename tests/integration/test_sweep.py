"""`--multirun`: every job is a run of its own, on one device, and none ends the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import vitruvian
from tests.integration.runs import SMALL
from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED, RunDirectory

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"datamodule.cache_dir={tmp_path_factory.mktemp('cache')}"


def sweep(folder: Path, cache: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vitruvian.train", "--multirun", *SMALL, cache, *arguments]
    source = str(Path(vitruvian.__file__).parents[1])
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": source},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def jobs(folder: Path) -> list[RunDirectory]:
    """The runs of the one sweep in a folder, in order."""
    found = folder.glob("outputs/sweeps/*/*/*/config.yaml")
    return sorted((RunDirectory(path.parent) for path in found), key=lambda run: run.path.name)


def test_each_job_has_a_directory_of_its_own(tmp_path: Path, cache: str) -> None:
    arguments = ("trainer.max_epochs=1", "optimizer.lr=0.001,0.01", "trainer.devices=auto")
    process = sweep(tmp_path, cache, *arguments)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    first, second = jobs(tmp_path)
    assert [run.status for run in (first, second)] == [COMPLETE, COMPLETE]
    assert [run.config["optimizer"]["lr"] for run in (first, second)] == [0.001, 0.01]
    assert "optimizer.lr=0.01\n" in second.overrides_file.read_text()
    assert first.metrics_file.read_bytes() != second.metrics_file.read_bytes()
    for run in (first, second):
        assert run.config["trainer"]["devices"] == 1
        assert run.last.is_file()
        assert list(run.evaluation.iterdir())
        assert f"run: {run.path}" in out


def test_failed_job_does_not_end_the_others(tmp_path: Path, cache: str) -> None:
    process = sweep(tmp_path, cache, "trainer.max_epochs=1", "optimizer.lr=1e30,0.001")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2
    assert [run.status for run in jobs(tmp_path)] == [FAILED, COMPLETE]
    assert "error: training diverged" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_whole_sweep(signum: int, tmp_path: Path, cache: str) -> None:
    process = sweep(tmp_path, cache, "trainer.max_epochs=1000", "optimizer.lr=0.001,0.01")
    while process.poll() is None and not any(run.last.is_file() for run in jobs(tmp_path)):
        time.sleep(0.05)
    process.send_signal(signum)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 128 + signum, err
    (begun,) = jobs(tmp_path)
    assert begun.status == INTERRUPTED
    assert f"continue with: vitruvian-train run={begun.path}" in out
