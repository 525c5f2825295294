"""Why jobs failed, after they have left SLURM's queue."""

from __future__ import annotations

from pathlib import Path

from vitruvian.core.rundir import COMPLETE, FAILED, PRUNED, RunDirectory
from vitruvian.sweeps.jobs import RUN, Job

_LAST_LINES = 8  # of a log: an error stands before what srun says of it


def failure(job: Job, log: Path, begin: int) -> str | None:
    """Why a job that has left the queue is not done, by its own words; SLURM's are not believed.

    Args:
        job: it.
        log: of it and its earlier starts.
        begin: where that of the last submission begins.
    """
    if job.module != RUN:
        return _last_error(log, begin)
    status = RunDirectory(job.path).read_status()
    state, reason = status.get("state"), status.get("reason")
    if state in (COMPLETE, PRUNED):
        return None
    if state is None:
        return _last_error(log, begin) or f"it has not begun; see {log}"
    if state == FAILED or reason:
        return str(reason or f"see {log}")
    return f"its process was killed; see {log}"


def size_of(log: Path) -> int:
    """Where the next start goes on in a log, which is appended to."""
    return log.stat().st_size if log.is_file() else 0


def _last_error(log: Path, begin: int) -> str | None:
    """The user's mistake that a log ends with; what stands before `begin` is of earlier starts."""
    try:
        lines = log.read_bytes()[begin:].decode(errors="replace").splitlines()[-_LAST_LINES:]
    except OSError:
        return None
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return errors[-1] if errors else None
