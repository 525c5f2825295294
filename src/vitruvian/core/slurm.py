"""What SLURM has in mind when it stops us: to start the job again, or to end it.

A job that leaves by itself within its grace time is COMPLETED for SLURM, and never started again.
So one that wants to go on says so (`scontrol requeue`), and then waits to be killed.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable

from vitruvian.core import signals

log = logging.getLogger(__name__)

OFF = "VITRUVIAN_REQUEUE"  # 0: never ask to be started again
PATIENCE_S = 120.0  # SLURM kills a requeued job within its KillWait, 30 s by default
ANSWER_S = 30.0  # a busy controller answers slowly
FUTILE_RESTARTS = 3
WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)  # of the time limit, by `--signal=USR1@120`
_INTERACTIVE = ("bash", "interactive")  # names that salloc and `srun --pty bash` give
_NEVER = ("None", "(null)", "Unknown", "N/A")


def batch_job() -> str | None:
    """The number of the batch job that we are, which may be an element of an array."""
    if os.environ.get(OFF) == "0" or os.environ.get("SLURM_JOB_NAME") in _INTERACTIVE:
        return None
    return os.environ.get("SLURM_JOB_ID")


def wants_requeue(signum: int) -> bool:
    """Whether the job should be started again after this signal.

    After the warning of the time limit, and after a SIGTERM that makes room for other jobs. The
    SIGTERM of a user's `scancel` is final.
    """
    job = batch_job()
    if job is None:
        return False
    return signum in WARNINGS or (signum == signal.SIGTERM and preempted(job))


def preempted(job: str) -> bool:
    """Whether SLURM is taking the nodes away from this start of the job."""
    told = _scontrol("show", "job", "-o", job)
    since, began = _field(told, "PreemptTime"), _field(told, "StartTime")
    if since is None or since in _NEVER:
        return False
    return began is None or began in _NEVER or since >= began  # not an earlier start's


def futile(signum: int) -> bool:
    """Whether a start that has not made one step would only be repeated for ever."""
    restarts = os.environ.get("SLURM_RESTART_COUNT", "0")
    often = restarts.isdecimal() and int(restarts) >= FUTILE_RESTARTS
    job = batch_job()
    return often and signum in WARNINGS and job is not None and not preempted(job)


def requeue(signum: int) -> bool:
    """Ask SLURM to start this job again, if `wants_requeue`; call it in the first process only.

    Returns:
        Whether SLURM has agreed; then call `wait_to_be_killed` and leave with `128 + signum`.
    """
    return wants_requeue(signum) and ask()


def ask() -> bool:
    """Ask SLURM to start this job again; whether it has agreed."""
    return _scontrol("requeue", str(batch_job())) is not None


def wait_to_be_killed(going_on: Callable[[], bool] = lambda: True) -> None:
    """Wait for SLURM to end this job, which is to be started again.

    Args:
        going_on: asked now and then; false ends the wait.
    """
    signals.default()
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and going_on():
        time.sleep(1.0)


def _scontrol(*arguments: str) -> str | None:
    """What `scontrol` prints; None if it fails, which is logged."""
    command = ["scontrol", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S)
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("%s: %s", " ".join(command), error)
        return None
    if done.returncode:
        log.warning("%s: %s", " ".join(command), " ".join(done.stderr.split()))
        return None
    return done.stdout


def _field(told: str | None, name: str) -> str | None:
    found = re.search(rf"(?:^|\s){name}=(\S+)", told or "")
    return found[1] if found else None
