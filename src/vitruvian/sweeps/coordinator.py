"""Launchers that wait for their jobs: which process does, whether it lives, how it is stopped."""

from __future__ import annotations

import os
import platform
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from vitruvian.core.errors import RunError
from vitruvian.core.files import holding
from vitruvian.core.processes import birth
from vitruvian.core.rundir import INTERRUPTED, RUNNING, RunDirectory
from vitruvian.sweeps.directory import SweepDirectory, read_lines
from vitruvian.sweeps.jobs import RUN, Alive, Job

SAVING_S = 60.0  # how long runs whose coordinator was killed may take to save their state
_POLL_S = 0.2

Launch = Mapping[str, Any]


@contextmanager
def coordinating(sweep: SweepDirectory, launcher: str, jobs: Sequence[Job]) -> Iterator[None]:
    """Hold a sweep for the process that starts its jobs, and write down which one that is.

    Raises:
        RunError: another process of this kind holds it; or nothing can be written here.
    """
    with holding(sweep.path / ".lock", lambda: _taken(sweep)):
        sweep.logs.mkdir(exist_ok=True)
        ours = dict.fromkeys((job.name for job in jobs), "")
        sweep.note_launch(launcher, ours, pid=os.getpid(), started=birth(os.getpid()))
        yield


def _taken(sweep: SweepDirectory) -> str:
    launches = [one for one in read_lines(sweep.launches_file) if "pid" in one]
    by = f" by process {launches[-1]['pid']} on {launches[-1]['host']}" if launches else ""
    return (
        f"{sweep.path}: its jobs are run already{by}; see vitruvian-sweep status, or stop them "
        "with vitruvian-sweep cancel"
    )


# -- what is alive --------------------------------------------------------------------------------


def alive_jobs(sweep: SweepDirectory, launcher: str) -> dict[str, Alive]:
    """The jobs that living processes of this machine are waiting for."""
    found: dict[str, Alive] = {}
    for launch in _living(sweep, launcher):
        for name in launch["jobs"]:
            state = _state(sweep, name, launch)
            if state is not None:
                found[name] = state
    return found


def _living(sweep: SweepDirectory, launcher: str) -> list[Launch]:
    return [
        launch
        for launch in read_lines(sweep.launches_file)
        if launch.get("launcher") == launcher
        and launch["host"] == platform.node()
        and birth(launch["pid"]) == launch["started"] is not None
    ]


def _state(sweep: SweepDirectory, name: str, launch: Launch) -> Alive | None:
    """What a job is doing whose coordinator lives; None if it has ended."""
    if not name.isdecimal():
        return "running"  # a worker of a study, which says nothing of itself
    status = sweep.run(int(name)).read_status()
    if str(status.get("updated", "")) < launch["time"]:
        return "queued"  # what it says is of an earlier start
    if status["state"] != RUNNING:
        return None
    here = status.get("host", platform.node()) == platform.node()
    return "queued" if here and birth(int(status["pid"])) is None else "running"


def stop_jobs(sweep: SweepDirectory, launcher: str) -> int:
    """Tell the processes that wait for jobs to stop them; the number of jobs.

    Raises:
        RunError: the jobs were started on another machine, where no signal of ours reaches.
    """
    told = alive_jobs(sweep, launcher)
    for launch in _living(sweep, launcher):
        os.kill(launch["pid"], signal.SIGTERM)
    launches = [one for one in read_lines(sweep.launches_file) if one.get("launcher") == launcher]
    if not told and launches and launches[-1]["host"] != platform.node():
        host = launches[-1]["host"]
        raise RunError(f"{sweep.path}: its jobs were started on {host}; cancel them there")
    return len(told)


# -- runs whose coordinator was killed ------------------------------------------------------------


def wait_for_orphans(
    jobs: Sequence[Job], announce: Callable[[str], None], patience_s: float = SAVING_S
) -> None:
    """Let runs end that an earlier coordinator has left behind: they are saving their state."""
    held = [job for job in jobs if job.module == RUN and _held(RunDirectory(job.path))]
    if held:
        announce(f"waiting for {len(held)} runs of an earlier start to save their state")
    end = time.monotonic() + patience_s
    while held and time.monotonic() < end:
        time.sleep(_POLL_S)
        held = [job for job in held if _held(RunDirectory(job.path))]


def _held(run: RunDirectory) -> bool:
    """Whether a process is training in a directory."""
    if run.read_status().get("state") not in (RUNNING, INTERRUPTED):
        return False
    try:
        with run.lock():
            return False
    except RunError:
        return True
