"""Sweeps on a real SLURM: whatever befalls a run, it ends in the bits of an undisturbed one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.sweeps.slurm.cluster import alike, eventually, locally, submitted, told, warn
from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED
from vitruvian.sweeps.jobs import RUN, Job
from vitruvian.sweeps.slurm import Slurm

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.usefixtures("slurm")]

REQUEUED, KILLED, OUT_OF_TIME, EARLY, CANCELLED, DIVERGING = range(6)
GRID = ("optimizer.lr=0.02,0.025,0.03,0.035,0.04,1e30", "trainer.max_epochs=14")
DDP = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.max_epochs=20")


def test_one_requeued_one_killed_one_cancelled_one_failing(tmp_path: Path, cache: str) -> None:
    with submitted(tmp_path, cache, *GRID) as sweep:
        eventually("Python has begun", lambda: "submitit INFO" in sweep.log(EARLY))
        assert not sweep.status(EARLY)
        warn(sweep.id(EARLY))
        sweep.trains(REQUEUED)
        told("scontrol", "requeue", sweep.id(REQUEUED))
        sweep.trains(KILLED)
        os.kill(sweep.status(KILLED)["pid"], signal.SIGKILL)
        sweep.trains(CANCELLED)
        told("scancel", sweep.id(CANCELLED))
        sweep.trains(OUT_OF_TIME)
        warn(sweep.id(OUT_OF_TIME))
        assert sweep.end() == 1

        assert not told("squeue", "-h")
        assert sweep.status(CANCELLED)["state"] == INTERRUPTED
        assert sweep.status(DIVERGING)["state"] == FAILED
        err = sweep.err.read_text()
        assert "error: 0004 failed: stopped by SIGTERM" in err
        assert "error: 0005 failed: " in err
        assert "diverged" in err
        assert "Traceback" not in err + sweep.log(DIVERGING)
        assert "killed (exit code 137): back to the queue" in sweep.log(KILLED)
        assert "stopped by SIGUSR1" in sweep.log(EARLY)
        for index in (REQUEUED, KILLED, OUT_OF_TIME):
            assert sweep.status(index)["started_step"] > 0, "not continued, but begun anew"
        assert sweep.status(EARLY)["state"] == COMPLETE

        again = Job("0004", RUN, sweep.sweep.run(CANCELLED).path, sweep.sweep.run(CANCELLED).config)
        assert Slurm(wait=True, poll_s=0.5).start(sweep.sweep, [again]) == {}
        for index in range(DIVERGING):
            assert sweep.status(index)["state"] == COMPLETE
            locally(sweep.sweep.run(index), tmp_path / "local" / f"{index}")
        assert not list((sweep.sweep.path / "slurm").glob("*_killed"))


def test_ranks_on_two_nodes_and_on_one(tmp_path: Path, cache: str) -> None:
    """The first is pre-empted by a partition that goes before it; the second loses a rank."""
    points = "hydra.sweeper.points=[{trainer.devices: 1,trainer.num_nodes: 2},{trainer.devices: 2}]"
    preempted, bereft = 0, 1
    with submitted(tmp_path, cache, *DDP, "hydra/sweeper=list", points) as sweep:
        sweep.trains(preempted)
        told("sbatch", "-p", "high", "-N2", "--exclusive", "-o", "/dev/null", "--wrap=sleep 3")
        sweep.trains(bereft)
        os.kill(rank_1(sweep.sweep.run(bereft).path), signal.SIGKILL)
        assert sweep.end() == 0, sweep.err.read_text()

        assert "stopped by SIGTERM; the state is saved, SLURM" in sweep.log(preempted)
        assert "back to the queue" in sweep.log(bereft)
        for index in (preempted, bereft):
            assert sweep.status(index)["started_step"] > 0, "not continued, but begun anew"
            assert (sweep.sweep.logs / f"{index:04d}-rank1.log").is_file()
        locally(sweep.sweep.run(bereft), tmp_path / "local")
        alike(sweep.sweep.run(preempted).path, tmp_path / "local")


def rank_1(run: Path) -> int:
    """The process of the second rank of a run."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_text().split("\0")
            ours = "vitruvian.run" in line and str(run) in line
            if ours and "SLURM_PROCID=1" in (process / "environ").read_text().split("\0"):
                return int(process.name)
        except OSError:
            continue
    raise AssertionError(f"no second rank of {run}")
