"""A real SLURM for the tests: sweeps submitted as a user does, and what befalls their jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.integration.runs import SMALL, log_of, same, state, verb
from vitruvian.core.rundir import COMPLETE, RunDirectory
from vitruvian.sweeps.directory import SweepDirectory, read_lines

PATIENCE_S = 300.0
PRINTED = ("metrics.csv", "evaluation/test_simulated.csv", "evaluation/test_simulated.json")


def eventually(what: str, condition: Callable[[], Any]) -> Any:
    """Wait until a condition is true; what it answered then."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if answer := condition():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"in vain: {what}\n{told('squeue')}")


def told(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def warn(job: str) -> None:
    """Send what SLURM sends some time before a time limit."""
    with suppress(subprocess.TimeoutExpired):  # scancel tries for long to tell a job that is gone
        subprocess.run(("scancel", "--signal=USR1", job), check=False, timeout=2)


class Submitted:
    """A sweep in the hands of SLURM, and the process that waits for it."""

    def __init__(self, folder: Path, arguments: Sequence[str], base: Sequence[str]) -> None:
        keys = ("hydra/launcher=slurm", "hydra.launcher.wait=true", "hydra.launcher.poll_s=0.5")
        command = [sys.executable, "-m", "vitruvian.train", "-m", *base, "threads=1", *keys]
        self.out, self.err = folder / "out.txt", folder / "err.txt"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [*command, *arguments], cwd=folder, stdout=out, stderr=err, env=dict(os.environ)
            )
        self.sweep = SweepDirectory(eventually("submitted", lambda: self._launched(folder)).parent)

    def _launched(self, folder: Path) -> Path | None:
        found = next(folder.glob("outputs/sweeps/*/*/launches.jsonl"), None)
        assert found or self.process.poll() is None, self.err.read_text()
        return found

    def id(self, index: int) -> str:
        """The number of a run's job."""
        return self.id_of(f"{index:04d}")

    def id_of(self, job: str) -> str:
        """The number of a job."""
        (launch,) = read_lines(self.sweep.launches_file)
        return str(launch["jobs"][job])

    def log(self, index: int) -> str:
        """What a run has printed."""
        return self.log_of(f"{index:04d}")

    def log_of(self, job: str) -> str:
        """What a job has printed."""
        file = self.sweep.logs / f"{job}.log"
        return file.read_text() if file.is_file() else ""

    def status(self, index: int) -> dict[str, Any]:
        """What a run says of itself."""
        return self.sweep.run(index).read_status()

    def trains(self, index: int) -> None:
        """Wait until a run has something to lose."""
        eventually(f"{index} trains", self.sweep.run(index).last.is_file)

    def starts_again(self, index: int) -> None:
        """Wait until a run that was interrupted has gone on."""
        eventually(f"{index} goes on", lambda: self.status(index).get("started_step", 0) > 0)

    def end(self) -> int:
        """Wait for the end; the exit code of the command."""
        return self.process.wait(PATIENCE_S)


def locally(run: RunDirectory, copy: Path) -> None:
    """Train the frozen config of a run here, undisturbed; hold the two against each other."""
    there = RunDirectory(copy)
    there.claim(run.config, [])
    assert verb("run", str(copy), log=Path(f"{copy}.log")) == 0, log_of(copy)
    for ours in (run, there):
        assert ours.status == COMPLETE
    alike(run.path, copy)


def alike(run: Path, whole: Path) -> None:
    """Assert the same weights and figures, bit by bit."""
    for name in ("last", "best"):
        ours, theirs = (state(r / "checkpoints" / f"{name}.ckpt") for r in (run, whole))
        assert same(ours["state_dict"], theirs["state_dict"]), f"{name}.ckpt differs"
    for name in PRINTED:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), f"{name} differs"


@contextmanager
def submitted(folder: Path, *arguments: str, base: Sequence[str] = SMALL) -> Iterator[Submitted]:
    """Submit a sweep from a folder; nothing of it is left when the test ends."""
    sweep = Submitted(folder, arguments, base)
    try:
        yield sweep
    except BaseException:
        for file in (sweep.out, sweep.err, *sorted(sweep.sweep.logs.glob("*.log"))):
            print(f"== {file}\n{file.read_text()}")
        for file in sorted(sweep.sweep.path.glob("*/status.json")):
            print(file.parent.name, json.loads(file.read_text()))
        raise
    finally:
        sweep.process.kill()
        subprocess.run(("scancel", "--state=PENDING"), check=False)
        subprocess.run(("scancel", "--state=RUNNING"), check=False)
        sweep.process.wait()
