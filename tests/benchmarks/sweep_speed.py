"""A sweep of small liver runs: our local launcher, and Hydra's basic one as a laboratory would.

Both sides are started from a shell and timed until the last run is complete: reading the command
line, importing, composing and training. The training is the same code, on simulated scans that were
converted before; our two jobs share the cores, the basic launcher's one process has all of them.
What a job costs before it trains is timed as well: a process of its own that imports what its
config names, and one that is forked from a process which has.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import Ratio, Row, Scale, Work, side_by_side
from tests.integration.runs import SMALL
from vitruvian.core.processes import Process, Share, Start, start
from vitruvian.core.rundir import COMPLETE, RunDirectory
from vitruvian.core.warm import WarmServer, modules_of

ROOT = Path(__file__).resolve().parents[2]
IMPORTS = "tests.benchmarks.job_imports"
JOBS = 2  # side by side


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """The whole sweep, then what a job costs beside its training."""
    place = folder / "sweep_speed"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    overrides = _overrides(scale)
    ours, theirs = _ours(place, overrides, scale.trained), _theirs(place, overrides, scale.trained)
    ratio = side_by_side(ours, theirs, min(scale.repetitions, 3))
    what = f"sweep_speed: {scale.trained} runs, {JOBS} at a time, Hydra's basic launcher, per run"
    yield Row(what, ratio, "s")
    finished = next(place.glob("ours/*/0000"))
    yield Row("sweep_speed: start of a job, warm, cold", _start_up(finished, scale), "s")


def _overrides(scale: Scale) -> list[str]:
    """A few seconds of training, written down as often as the defaults do it.

    SMALL writes a checkpoint at every second step; two jobs would then wait for one disk.
    """
    samples = 10 if scale.trained <= 2 else 120  # of an epoch, two in a batch
    return [
        *SMALL,
        f"datamodule.samples_per_epoch={samples}",
        "trainer.max_epochs=2",
        "trainer.log_every_n_steps=10",
        "callbacks.checkpoints.every_n_steps=200",
        "callbacks.progress=null",
    ]


def _ours(place: Path, overrides: list[str], runs: int) -> Work:
    return _sweep(
        place / "ours",
        ["-m", "vitruvian.train", "-m", *overrides, f"hydra.launcher.jobs={JOBS}"],
        runs,
    )


def _theirs(place: Path, overrides: list[str], runs: int) -> Work:
    template = str(Path(__file__).with_name("basic_sweep.py"))
    basic = ["hydra/launcher=basic", "hydra/sweeper=basic"]
    return _sweep(place / "theirs", [template, "-m", *overrides, *basic], runs)


def _sweep(place: Path, command: list[str], runs: int) -> Work:
    """A sweep over the learning rate, each time in a folder of its own."""
    rates = ",".join(f"{0.001 * (index + 1):.3f}" for index in range(runs))

    def work() -> int:
        target = place / str(time.monotonic_ns())
        target.parent.mkdir(exist_ok=True)
        keys = [f"optimizer.lr={rates}", f"hydra.sweep.dir={target}"]
        done = subprocess.run(
            [sys.executable, *command, *keys],
            cwd=place.parent,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "src", ROOT)))},
            capture_output=True,
            text=True,
            check=False,
        )
        states = [RunDirectory(path.parent).status for path in target.glob("*/config.yaml")]
        assert states == [COMPLETE] * runs, (states, done.stdout[-2000:], done.stderr[-2000:])
        return runs

    return work


def _start_up(finished: Path, scale: Scale) -> Ratio:
    """A process that imports what a run does, and ends."""
    share = Share(threads=1)
    with WarmServer(modules_of([RunDirectory(finished).config]), 1) as server:
        warm, cold = (_starting(begin, finished, share) for begin in (server.start, start))
        return side_by_side(warm, cold, scale.repetitions)


def _starting(begin: Start, finished: Path, share: Share) -> Work:
    log = finished.parent / "start.log"

    def work() -> int:
        process: Process = begin(IMPORTS, finished, log, share)
        while process.poll() is None:
            time.sleep(0.005)
        assert process.poll() == 0, log.read_text()
        return 1

    return work
