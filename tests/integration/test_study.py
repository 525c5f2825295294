"""A study over two workers, killed in the middle with SIGKILL and continued."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.runs import SMALL_SPINE
from vitruvian.core.rundir import COMPLETE, RUNNING, RunDirectory
from vitruvian.sweeps.claims import NAME
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.objectives import read_rows
from vitruvian.sweeps.trials import Trials

PATIENCE_S = 400.0
EPOCHS = 60


def start(folder: Path, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )


def wait(until: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not until():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def holders(sweep: SweepDirectory) -> dict[int, Path]:
    """The workers by their process numbers, with the run that each trains."""
    found = {}
    for claim in sweep.path.glob(f"*/{NAME}"):
        with suppress(OSError, ValueError):
            found[int(json.loads(claim.read_text())["pid"])] = claim.parent
    return found


def trains(run: RunDirectory) -> bool:
    """Whether a checkpoint is there, and half of the epochs are still to come."""
    rows = read_rows(run.metrics_file)
    begun = run.status == RUNNING and run.last.exists() and rows
    return bool(begun) and rows[-1]["epoch"] < EPOCHS / 2


@pytest.mark.slow
def test_six_trials_over_two_workers_killed_and_continued(tmp_path: Path) -> None:
    sweep, log = SweepDirectory(tmp_path / "sweep"), tmp_path / "log"
    command = (
        *("vitruvian.train", "-m", *SMALL_SPINE, "hydra/sweeper=optuna", "threads=1"),
        *(f"trainer.max_epochs={EPOCHS}", "trainer.check_val_every_n_epoch=5"),
        *("optimizer.lr=tag(log,interval(1e-3,1e-1))", "hydra.sweeper.n_trials=6"),
        *("hydra.launcher.jobs=2", f"hydra.sweep.dir={sweep.path}"),
    )
    coordinator = start(tmp_path, log, *command)
    wait(
        lambda: (
            coordinator.poll() is not None
            or (
                len(active := holders(sweep)) == 2
                and RunDirectory(sweep.path / "0000").status == COMPLETE
                and any(trains(RunDirectory(path)) for path in active.values())
            )
        ),
        "two workers never trained",
    )
    assert coordinator.poll() is None, log.read_text()
    victims = holders(sweep)
    victim, run = next((p, RunDirectory(r)) for p, r in victims.items() if trains(RunDirectory(r)))
    child = run.read_status()["pid"]
    for pid in (child, victim, coordinator.pid):  # one worker is left, and told
        kill(pid)
    coordinator.wait()
    wait(lambda: not any(lives(pid) for pid in victims), "an orphan works on")
    assert run.status != COMPLETE
    begun = len(Trials(sweep).study.get_trials(deepcopy=False))

    again = start(tmp_path, log, *command)
    assert again.wait(PATIENCE_S) == 0, log.read_text()
    trials = Trials(sweep).study.get_trials(deepcopy=False)
    assert [one.state.name for one in trials] == ["COMPLETE"] * 6
    assert begun <= 6
    assert len({one.params["optimizer.lr"] for one in trials}) == 6
    assert [one.name for one in sweep.runs()] == [f"000{number}" for number in range(6)]
    for one in trials:
        frozen = sweep.run(one.number).config
        assert frozen["optimizer"]["lr"] == one.params["optimizer.lr"]
    printed = "".join(file.read_text() for file in sweep.logs.glob("worker-*.log"))
    assert "6 of 6 trials: 6 complete" in printed

    whole = tmp_path / "whole"  # the killed trial ended as one that was never stopped
    whole.mkdir()
    shutil.copy(run.config_file, whole)
    assert start(tmp_path, log, "vitruvian.run", str(whole)).wait(PATIENCE_S) == 0
    assert (whole / "metrics.csv").read_bytes() == run.metrics_file.read_bytes()
