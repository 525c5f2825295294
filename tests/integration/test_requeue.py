"""Jobs that are stopped from outside: by SLURM, at any moment, or by the death of their parent.

The processes are real; `scontrol` is a script that writes down what it is asked.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runs import SMALL, same, state
from vitruvian.core.compose import compose_from_shell
from vitruvian.core.config import freeze
from vitruvian.core.errors import RunError
from vitruvian.core.files import write_text
from vitruvian.core.rundir import RunDirectory, dump_yaml
from vitruvian.core.signals import STOP_SIGNALS

pytestmark = pytest.mark.slow

EPOCHS = 30
COMMAND = (sys.executable, "-m", "vitruvian.run")
SCONTROL = """#!/bin/sh
echo "$@" >> {log}
[ "$1" = show ] && echo "JobId=7 PreemptTime={preempted} StartTime=2026-11-20T10:00:00"
exit 0
"""
PREEMPTED = "2026-11-20T11:00:00"


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run that has not begun."""
    folder = tmp_path_factory.mktemp("frozen")
    keys = (f"datamodule.cache_dir={folder / 'cache'}", f"trainer.max_epochs={EPOCHS}", "threads=1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["vitruvian-train", *SMALL, *keys])
        composed = compose_from_shell("train", lambda *_: None)
    assert composed is not None
    run = RunDirectory(folder / "run")
    run.claim(freeze(composed[0]), composed[1])
    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, frozen: RunDirectory) -> RunDirectory:
    """The same run, which nobody stops."""
    run = copy(frozen, tmp_path_factory.mktemp("whole") / "run")
    assert start(run).wait(300) == 0, log_of(run)
    return run


def copy(frozen: RunDirectory, path: Path) -> RunDirectory:
    return RunDirectory(shutil.copytree(frozen.path, path))


def start(
    run: RunDirectory, environment: Mapping[str, str] | None = None, held: bool = False
) -> subprocess.Popen[bytes]:
    """Start the job; `held`: its stop signals are held back, as a launcher does."""
    with Path(f"{run.path}.log").open("ab") as log:
        return subprocess.Popen(
            (*COMMAND, str(run.path)),
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            preexec_fn=_hold if held else None,
            start_new_session=True,
        )


def _hold() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def log_of(run: RunDirectory) -> str:
    return Path(f"{run.path}.log").read_text(encoding="utf-8")


def wait_for(found: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := found():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


def is_free(run: RunDirectory) -> bool:
    """Whether no process holds it."""
    try:
        with run.lock():
            return True
    except RunError:
        return False


def training(run: RunDirectory) -> bool:
    """Whether it is well under way, and far from its end."""
    return run.last.is_file()


def assert_alike(run: RunDirectory, whole: RunDirectory) -> None:
    ours, theirs = state(run.last), state(whole.last)
    for part in theirs.keys() - {"loops"}:
        assert same(ours[part], theirs[part]), f"{part} differs"
    names = ["metrics.csv", *(f"evaluation/{p.name}" for p in whole.evaluation.iterdir())]
    for name in names:
        assert (run.path / name).read_bytes() == (whole.path / name).read_bytes(), name


class Cluster:
    """A batch job, and the `scontrol` that it finds."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._log = folder, folder / "calls"
        self.environment = {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NAME": "sweep",
        }
        self.says("None")

    def says(self, preempted: str) -> None:
        script = self._folder / "scontrol"
        script.write_text(SCONTROL.format(log=self._log, preempted=preempted))
        script.chmod(0o755)

    def requeued(self) -> bool:
        return self._log.exists() and "requeue 7\n" in self._log.read_text()


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    folder = tmp_path / "cluster"
    folder.mkdir()
    return Cluster(folder)


@pytest.mark.parametrize(
    ("signum", "preempted"), [(signal.SIGUSR1, "None"), (signal.SIGTERM, PREEMPTED)]
)
def test_a_job_is_requeued_and_goes_on(
    signum: int,
    preempted: str,
    cluster: Cluster,
    frozen: RunDirectory,
    whole: RunDirectory,
    tmp_path: Path,
) -> None:
    run = copy(frozen, tmp_path / "run")
    cluster.says(preempted)
    job = start(run, cluster.environment, held=True)
    wait_for(lambda: training(run), "the training")
    job.send_signal(signum)
    wait_for(cluster.requeued, "scontrol requeue")
    status = run.read_status()
    assert (status["state"], status["requeued"]) == ("interrupted", True)
    assert 0 < status["step"] < status["total_steps"] == 5 * EPOCHS
    assert state(run.last)["global_step"] == status["step"]
    assert job.poll() is None, "a job that leaves by itself is COMPLETED for SLURM"
    wait_for(lambda: "SLURM will start the job again" in log_of(run), "its last word")
    job.terminate()  # now SLURM ends it
    assert job.wait(30) == -signal.SIGTERM

    assert start(run, {**cluster.environment, "SLURM_RESTART_COUNT": "1"}).wait(300) == 0
    assert_alike(run, whole)


def test_scancel_is_final(cluster: Cluster, frozen: RunDirectory, tmp_path: Path) -> None:
    run = copy(frozen, tmp_path / "run")
    job = start(run, cluster.environment)
    wait_for(lambda: training(run), "the training")
    job.send_signal(signal.SIGTERM)
    assert job.wait(60) == 128 + signal.SIGTERM
    status = run.read_status()
    assert (status["state"], status["requeued"]) == ("interrupted", False)
    assert not cluster.requeued()


def test_a_signal_before_training(cluster: Cluster, frozen: RunDirectory, tmp_path: Path) -> None:
    run = copy(frozen, tmp_path / "run")
    job = start(run, cluster.environment, held=True)
    job.send_signal(signal.SIGUSR1)
    wait_for(cluster.requeued, "scontrol requeue")
    assert run.read_status()["requeued"] is True
    assert not run.last.exists()
    job.kill()
    job.wait(30)


def test_a_time_limit_that_is_too_short(
    cluster: Cluster, frozen: RunDirectory, tmp_path: Path
) -> None:
    run = copy(frozen, tmp_path / "run")
    job = start(run, {**cluster.environment, "SLURM_RESTART_COUNT": "3"}, held=True)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(60) == 2
    assert run.status == "failed"
    assert run.read_status()["reason"].startswith("the time limit is too short")
    assert log_of(run).startswith("error: the time limit is too short")
    assert not cluster.requeued()


def test_other_ranks_wait_for_the_first(
    cluster: Cluster, frozen: RunDirectory, tmp_path: Path
) -> None:
    """Of a job of two tasks, the second one alone, before it has met the first."""
    run = copy(frozen, tmp_path / "run")
    rank = start(run, {**cluster.environment, "SLURM_PROCID": "1"}, held=True)
    rank.send_signal(signal.SIGUSR1)
    with pytest.raises(subprocess.TimeoutExpired):
        rank.wait(5)
    run.write_status("interrupted", requeued=False)  # the first one's word
    assert rank.wait(60) == 128 + signal.SIGUSR1
    assert not cluster.requeued()
    assert log_of(run) == ""


@pytest.mark.parametrize("seed", range(12))
def test_struck_at_a_random_moment(
    seed: int, frozen: RunDirectory, whole: RunDirectory, tmp_path: Path
) -> None:
    """Of its start most of all: imports, data, the first steps."""
    chance = random.Random(seed)
    run, signum = copy(frozen, tmp_path / "run"), chance.choice(STOP_SIGNALS)
    job = start(run, held=True)
    time.sleep(chance.uniform(0.0, 12.0))
    job.send_signal(signum)
    code = job.wait(120)
    assert (code, run.status) in [(128 + signum, "interrupted"), (0, "complete")], log_of(run)
    assert "Traceback" not in log_of(run)
    assert "Exception ignored" not in log_of(run)
    assert start(run).wait(300) == 0, log_of(run)
    assert_alike(run, whole)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_signal_to_all_processes_of_a_job(
    workers: int, frozen: RunDirectory, whole: RunDirectory, tmp_path: Path
) -> None:
    """As SLURM sends it: also to those that load data."""
    run = copy(frozen, tmp_path / "run")
    config = run.config
    config["datamodule"]["workers"] = workers
    write_text(run.config_file, dump_yaml(config))
    job = start(run, held=True)
    wait_for(lambda: training(run), "the training")
    os.killpg(job.pid, signal.SIGTERM)
    assert job.wait(60) == 128 + signal.SIGTERM, log_of(run)
    status = run.read_status()
    assert state(run.last)["global_step"] == status["step"], "no step is lost"
    assert start(run).wait(300) == 0, log_of(run)
    assert same(state(run.last)["state_dict"], state(whole.last)["state_dict"])


PARENT = """
import os, subprocess, sys, time
process = subprocess.Popen(sys.argv[1:], env={**os.environ, "VITRUVIAN_PARENT": str(os.getpid())})
print(process.pid, flush=True)
time.sleep(600)
"""


def test_no_orphan_trains_on(frozen: RunDirectory, tmp_path: Path) -> None:
    run = copy(frozen, tmp_path / "run")
    command = (sys.executable, "-c", PARENT, *COMMAND, str(run.path))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        wait_for(lambda: training(run), "the training")
        parent.kill()
    wait_for(lambda: is_free(run), "the end of the orphan")
    assert run.status == "interrupted"
    assert run.read_status()["reason"] == "stopped by SIGTERM"
    assert not (run.evaluation / "test_simulated.csv").exists()


MODULES = """
import atexit, runpy, sys
atexit.register(lambda: print("hydra:", "hydra" in sys.modules))
runpy.run_module("vitruvian.run", run_name="__main__", alter_sys=True)
"""


def test_hydra_is_not_imported(whole: RunDirectory, tmp_path: Path) -> None:
    """By a run that trains, to its last figure."""
    run = copy(whole, tmp_path / "run")
    run.status_file.unlink()  # it has only to be evaluated
    command = (sys.executable, "-c", MODULES, str(run.path))
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("hydra: False\n")
    assert json.loads(run.status_file.read_text())["state"] == "complete"
