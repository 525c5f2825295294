"""Processes that may die: the job fails, the others go on, nobody is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.spine.processes import alive_in_group, gone

import vitruvian
from vitruvian.spine.extract.worker_pool import Done, Event, Failed, NoProcesses, Told, WorkerPool

ROOT = Path(vitruvian.__file__).parents[2]


def work(job: str, tell: Callable[[Any], None]) -> Any:
    order, _, argument = job.partition(" ")
    if order == "tell":
        for i in range(int(argument)):
            tell(i)
    if order == "raise":
        raise ValueError(f"{argument}\nsecond line")
    if order == "kill":
        os.kill(os.getpid(), signal.Signals[argument])
    if order == "exit":
        os._exit(int(argument))
    if order == "sleep":
        tell(os.getpid())
        time.sleep(float(argument))
    if order == "big":
        return "x" * int(argument)
    return job, os.getpid()


def finish(pool: WorkerPool[str], jobs: Iterable[str]) -> list[Event[str]]:
    """Give the jobs one after the other; everything that is heard."""
    queue, heard = list(jobs), []
    while queue or pool.busy:
        while queue and pool.has_room:
            pool.give(queue.pop(0))
        heard += list(pool.wait(0.2))
    return heard


def test_jobs_are_done_by_few_processes() -> None:
    with WorkerPool[str](work, 2) as pool:
        heard = finish(pool, [f"job {i}" for i in range(6)])
    answers = [event.answer for event in heard if isinstance(event, Done)]
    assert sorted(job for job, _ in answers) == [f"job {i}" for i in range(6)]
    assert len({pid for _, pid in answers}) <= 2


def test_they_tell_on_the_way() -> None:
    with WorkerPool[str](work, 1) as pool:
        heard = finish(pool, ["tell 3"])
    assert [e.message for e in heard if isinstance(e, Told)] == [0, 1, 2]
    assert isinstance(heard[-1], Done)


def test_an_answer_larger_than_a_pipe() -> None:
    with WorkerPool[str](work, 1) as pool:
        (event,) = finish(pool, ["big 3000000"])
    assert isinstance(event, Done)
    assert len(event.answer) == 3_000_000


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ("kill SIGKILL", r"its process was ended by SIGKILL (out of memory?)"),
        ("kill SIGSEGV", "its process was ended by SIGSEGV"),
        ("exit 3", "its process ended with exit code 3"),
        ("raise no such joint", "ValueError: no such joint"),
    ],
)
def test_a_job_that_fails_fails_alone(job: str, reason: str) -> None:
    with WorkerPool[str](work, 1) as pool:
        heard = finish(pool, ["before", job, "after", "after that"])
    failed = [event for event in heard if isinstance(event, Failed)]
    assert [(event.job, event.reason) for event in failed] == [(job, reason)]
    assert ("Traceback" in failed[0].trace) == job.startswith("raise")
    done = [event.job for event in heard if isinstance(event, Done)]
    assert done == ["before", "after", "after that"]


def test_a_process_that_dies_idle_is_replaced() -> None:
    with WorkerPool[str](work, 1) as pool:
        (event,) = finish(pool, ["first"])
        assert isinstance(event, Done)
        os.kill(event.answer[1], signal.SIGKILL)
        while not gone(event.answer[1]):
            time.sleep(0.01)
        (event,) = finish(pool, ["second"])
    assert isinstance(event, Done)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_they_leave_signals_to_the_program(signum: int) -> None:
    with WorkerPool[str](work, 1) as pool:
        pool.give("sleep 0.5")
        (told,) = first_heard(pool)
        assert isinstance(told, Told)
        os.kill(told.message, signum)
        assert isinstance(first_heard(pool)[0], Done)


def first_heard(pool: WorkerPool[str]) -> list[Event[str]]:
    while True:
        heard = list(pool.wait(0.2))
        if heard:
            return heard


def test_more_jobs_than_processes_are_refused() -> None:
    with WorkerPool[str](work, 1) as pool:
        pool.give("sleep 60")
        assert not pool.has_room
        with pytest.raises(ValueError, match="all processes are busy"):
            pool.give("job")


def test_closing_ends_what_is_running() -> None:
    with WorkerPool[str](work, 1) as pool:
        pool.give("sleep 60")
        (told,) = first_heard(pool)
        assert isinstance(told, Told)
    assert gone(told.message)


def test_without_processes() -> None:
    with NoProcesses[str](work) as pool:
        heard = list(pool.wait(0))
        for job in ("tell 3", "raise no such joint", "job"):
            assert pool.has_room
            pool.give(job)
            assert pool.busy
            heard += pool.wait(0)
    done, failed, last = heard
    assert isinstance(done, Done)
    assert isinstance(failed, Failed)
    assert (failed.reason, last) == ("ValueError: no such joint", Done("job", ("job", os.getpid())))


PROGRAM = """
import sys, time
from tests.spine.extract.test_worker_pool import first_heard, work
from vitruvian.spine.extract.worker_pool import WorkerPool
with WorkerPool(work, 2) as pool:
    for _ in range(2):
        pool.give("sleep 60")
    first_heard(pool), first_heard(pool)
    print("running", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nobody_outlives_the_program(signum: int) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src{os.pathsep}{ROOT}"},
        text=True,
        start_new_session=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "running\n"
    assert len(alive_in_group(program.pid)) >= 3
    program.send_signal(signum)
    program.wait(60)
    deadline = time.monotonic() + 30
    while alive_in_group(program.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert alive_in_group(program.pid) == []
