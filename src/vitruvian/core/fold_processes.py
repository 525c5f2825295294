"""Folds trained in processes of their own: none ends the others, one signal stops them all."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import IO

from vitruvian.core.rundir import FAILED, RunDirectory
from vitruvian.core.signals import STOP_SIGNALS, Interrupted

POLL_S = 0.05
Command = Callable[[RunDirectory], Sequence[str]]


def train_command(run: RunDirectory) -> list[str]:
    """What trains, or continues, a claimed run directory: exactly `vitruvian-train run=DIR`."""
    return [sys.executable, "-m", "vitruvian.train", f"run={run.path}"]


@dataclass
class _Running:
    fold: int
    run: RunDirectory
    process: subprocess.Popen[bytes]
    log: IO[bytes] | None


class FoldProcesses:
    """Trains run directories in processes, `jobs` at a time.

    Stop signals are passed on to the processes, which save their state; no further one is started.
    The processes are in sessions of their own, so that Ctrl-C on a terminal reaches them once,
    through here. With one job a process prints where we print; with several, each into `fold-N.log`
    beside its run directory.

    Args:
        jobs: how many at a time, at least 1.
        announce: called with a line when a fold begins or ends.
        command: what to start for a run directory.
    """

    def __init__(
        self, jobs: int, announce: Callable[[str], None], command: Command = train_command
    ) -> None:
        self._jobs, self._announce, self._command = jobs, announce, command
        self._running: list[_Running] = []
        self._signum: int | None = None

    def train(self, runs: Mapping[int, RunDirectory]) -> dict[int, str]:
        """Train these folds.

        Returns:
            Why folds have failed, by their numbers; empty if all ended well.

        Raises:
            Interrupted: a signal has stopped the folds; their state is saved.
        """
        failed: dict[int, str] = {}
        waiting = deque(runs.items())
        with self._listening():
            while self._running or (waiting and self._signum is None):
                while waiting and len(self._running) < self._jobs and self._signum is None:
                    self._start(*waiting.popleft())
                failed |= self._reap()
                time.sleep(POLL_S)
        if self._signum is not None:
            raise Interrupted(self._signum)
        return failed

    def _start(self, fold: int, run: RunDirectory) -> None:
        self._announce(f"fold {fold}: {run.path}")
        log = run.path.with_name(f"{run.path.name}.log").open("ab") if self._jobs > 1 else None
        process = subprocess.Popen(
            self._command(run),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log and subprocess.STDOUT,
            start_new_session=True,
        )
        self._running.append(_Running(fold, run, process, log))
        if self._signum is not None:  # it came between the start and the line above
            process.send_signal(self._signum)

    def _reap(self) -> dict[int, str]:
        """Take leave of the processes that have ended; why some failed."""
        ended = [one for one in self._running if one.process.poll() is not None]
        failed = {}
        for one in ended:
            self._running.remove(one)
            if one.log is not None:
                one.log.close()
            if one.process.returncode and self._signum is None:
                failed[one.fold] = _reason(one)
                self._announce(f"fold {one.fold} failed: {failed[one.fold]}")
        return failed

    @contextmanager
    def _listening(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._pass_on) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for one in self._running:  # only after a defect of ours
                one.process.terminate()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass_on(self, signum: int, _: FrameType | None) -> None:
        self._signum = self._signum or signum
        for one in self._running:
            one.process.send_signal(signum)


def _reason(one: _Running) -> str:
    """What the run says of its failure, else how its process ended."""
    try:
        status = json.loads(one.run.status_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        status = {}
    if status.get("state") == FAILED and status.get("reason"):
        return str(status["reason"])
    code = one.process.returncode
    where = f", see {one.log.name}" if one.log is not None else ""
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}{where}"
    return f"its process ended with exit code {code}{where}"
