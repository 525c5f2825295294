"""Processes that do one job after the other, and may be killed without taking the rest along.

The pool of the standard library is broken for good when one of its processes dies. Here that job
alone fails, with the signal as its reason, and a new process goes on. No process outlives the pool:
not a stop by Ctrl-C, and not a SIGKILL of the program itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from vitruvian.core.signals import STOP_SIGNALS

Job = TypeVar("Job")
Tell = Callable[[Any], None]

_END_S = 10.0  # for a killed process to be gone


@dataclass(frozen=True)
class Told(Generic[Job]):
    """What a process says while it works."""

    job: Job
    message: Any


@dataclass(frozen=True)
class Done(Generic[Job]):
    """What a job came to."""

    job: Job
    answer: Any


@dataclass(frozen=True)
class Failed(Generic[Job]):
    """A job that came to nothing.

    Attributes:
        job: that failed.
        reason: in one line.
        trace: of the exception, if there was one; else the process died.
    """

    job: Job
    reason: str
    trace: str = ""


Event = Told[Job] | Done[Job] | Failed[Job]


class WorkerPool(Generic[Job]):
    """Up to `size` spawned processes; a context manager.

    Args:
        work: called in the processes with a job and a function that tells something on the way;
            it must be importable there, and it, the jobs and the answers picklable.
        size: how many processes.
    """

    def __init__(self, work: Callable[[Job, Tell], Any], size: int) -> None:
        self._work, self._size = work, size
        self._workers: list[_Worker[Job]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the processes, whatever they are at."""
        self.close()

    @property
    def has_room(self) -> bool:
        """Whether a process is free for a job."""
        return self.busy < self._size

    @property
    def busy(self) -> int:
        """How many jobs are being done."""
        return sum(worker.job is not None for worker in self._workers)

    def give(self, job: Job) -> None:
        """Hand a job to a process that is free, starting one if need be.

        Raises:
            ValueError: all processes are busy.
        """
        if not self.has_room:
            raise ValueError("all processes are busy")
        for worker in [worker for worker in self._workers if worker.job is None]:
            if worker.take(job):
                return
            self._remove(worker)  # it died idle
        worker = _Worker[Job].start(self._work)
        self._workers.append(worker)
        worker.take(job)

    def wait(self, timeout_s: float) -> Iterator[Event[Job]]:
        """Yield what the processes have to say within some time."""
        busy = [worker for worker in self._workers if worker.job is not None]
        handles = [handle for worker in busy for handle in worker.handles]
        ready = set(wait(handles, timeout_s))
        for worker in busy:
            if not ready.isdisjoint(worker.handles):
                yield from self._heard(worker)

    def _heard(self, worker: _Worker[Job]) -> Iterator[Event[Job]]:
        job = worker.job
        assert job is not None
        try:
            while worker.connection.poll():
                kind, content = worker.connection.recv()
                if kind == "begun":
                    worker.begun = True
                    continue
                if kind == "told":
                    yield Told(job, content)
                    continue
                worker.job, worker.proven = None, True
                yield Done(job, content) if kind == "done" else Failed(job, *content)
                return
            if worker.process.is_alive():
                return
        except (EOFError, OSError):
            pass  # it died in the middle of a message
        self._remove(worker)
        if worker.proven and not worker.begun:  # it died idle, while the job was on its way
            self.give(job)
        else:
            yield Failed(job, _death(worker.process.exitcode))

    def _remove(self, worker: _Worker[Job]) -> None:
        self._workers.remove(worker)
        worker.end()

    def close(self) -> None:
        """End the processes, whatever they are at; killed, because they heed no other signal."""
        for worker in self._workers:
            worker.process.kill()
        while self._workers:
            self._workers.pop().end()


class NoProcesses(Generic[Job]):
    """Does the jobs in this very process, as a pool of one: for debuggers and notebooks.

    Nothing is said on the way, and a job that dies takes the program along.

    Args:
        work: as of `WorkerPool`.
    """

    def __init__(self, work: Callable[[Job, Tell], Any]) -> None:
        self._work, self._jobs = work, list[Job]()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to end."""

    @property
    def has_room(self) -> bool:
        """Whether no job is waiting."""
        return not self._jobs

    @property
    def busy(self) -> int:
        """How many jobs are waiting."""
        return len(self._jobs)

    def give(self, job: Job) -> None:
        """Keep a job for `wait`."""
        self._jobs.append(job)

    def wait(self, timeout_s: float) -> Iterator[Event[Job]]:
        """Do the job, and yield what it came to; without one, let the time pass."""
        if not self._jobs:
            time.sleep(timeout_s)
        while self._jobs:
            kind, content = _answer(self._work, self._jobs[0], lambda _: None)
            job = self._jobs.pop(0)
            yield Done(job, content) if kind == "done" else Failed(job, *content)


@dataclass
class _Worker(Generic[Job]):
    process: SpawnProcess
    connection: Connection
    job: Job | None = None
    begun: bool = False  # the job, as the process says
    proven: bool = False  # it has done a job: it does not die of its own start

    @classmethod
    def start(cls, work: Callable[[Job, Tell], Any]) -> _Worker[Job]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        with _deaf():
            process.start()
        theirs.close()  # so that its end is heard when the process dies
        return cls(process, ours)

    @property
    def handles(self) -> tuple[Any, ...]:
        return self.connection, self.process.sentinel

    def take(self, job: Job) -> bool:
        """Begin a job; False if the process is dead."""
        try:
            self.connection.send(job)
        except OSError:
            return False
        self.job, self.begun = job, False
        return True

    def end(self) -> None:
        self.process.kill()
        self.process.join(_END_S)
        self.connection.close()


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes started in here do not hear Ctrl-C, which a terminal sends to all of a group.

    The signals stay blocked in them for good: the program alone decides how to stop.
    """
    resource_tracker.ensure_running()  # or it starts in here, and unblocks the signals again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _death(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"its process ended with exit code {exitcode}"
    name = signal.Signals(-exitcode).name
    memory = " (out of memory?)" if -exitcode == signal.SIGKILL else ""
    return f"its process was ended by {name}{memory}"


# --- in the processes ----------------------------------------------------------------------------


def _serve(connection: Connection, work: Callable[[Any, Tell], Any]) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # the processes share the cores already
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import cv2

    cv2.setNumThreads(1)

    def tell(message: Any) -> None:
        connection.send(("told", message))

    with suppress(EOFError, OSError):  # the program is gone
        while True:
            job = connection.recv()
            connection.send(("begun", None))
            connection.send(_answer(work, job, tell))


def _answer(work: Callable[[Any, Tell], Any], job: Any, tell: Tell) -> tuple[str, Any]:
    try:
        return "done", work(job, tell)
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        return "failed", (f"{type(error).__name__}: {first}", traceback.format_exc())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
