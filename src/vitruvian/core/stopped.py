"""The end of a run that a signal has stopped: what is written, said, and asked of SLURM."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from vitruvian.core import slurm
from vitruvian.core.cli import USER_MISTAKE
from vitruvian.core.errors import RunError
from vitruvian.core.ranks import is_first_process
from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED, RunDirectory
from vitruvian.core.signals import Interrupted

FUTILE = (
    "the time limit is too short: between this start and the signal no checkpoint could be "
    "written, as in the starts before it; give the job more time"
)


class Stopped:
    """Answers for a stop signal.

    Args:
        run: the run directory.
        requeue: whether the batch job that we are would continue there if it started once more.
    """

    def __init__(self, run: RunDirectory, requeue: bool) -> None:
        self._run, self._requeue = run, requeue
        self._last = self._written()

    def before_training(self, signum: int) -> int:
        """Nobody trains yet, or any more: note the signal; the exit code of the process."""
        if self._run.status == COMPLETE:
            return 0
        if self._run.read_status().items() >= {"state": FAILED, "pid": os.getpid()}.items():
            return Interrupted(signum).exit_code  # we were about to leave: that is the last word
        if is_first_process() and self._run.exists:
            with suppress(RunError), self._run.lock():  # another process may be training there
                self._note(INTERRUPTED, str(Interrupted(signum)))
        return self.answer(signum)

    def answer(self, signum: int) -> int:
        """The state is saved: say so, and ask SLURM for another start; the exit code."""
        if self._requeue and slurm.batch_job() is not None:
            return self._answer_slurm(signum)
        self._tell(signum, f"continue with: vitruvian-train run={self._run.path}")
        return Interrupted(signum).exit_code

    def _answer_slurm(self, signum: int) -> int:
        if not is_first_process():
            slurm.wait_to_be_killed(self._going_on)  # a rank that leaves early may end the job
        elif not slurm.wants_requeue(signum):
            self._note(INTERRUPTED, str(Interrupted(signum)), requeued=False)
            self._tell(signum, f"continue with: vitruvian-train run={self._run.path}")
        elif self._last == self._written() and slurm.futile(signum):
            self._note(FAILED, FUTILE)
            _say(f"error: {FUTILE}")
            return USER_MISTAKE
        else:
            self._ask_slurm(signum)
        return Interrupted(signum).exit_code

    def _ask_slurm(self, signum: int) -> None:
        """The status comes first: SLURM may end us the moment it has agreed."""
        reason = str(Interrupted(signum))
        self._note(INTERRUPTED, reason, requeued=True)
        if slurm.ask():
            self._tell(signum, "SLURM will start the job again")
            slurm.wait_to_be_killed()
        else:
            self._note(INTERRUPTED, f"{reason}; SLURM refused to start it again", requeued=False)
            self._tell(signum, "SLURM refused to start the job again, see its message above")

    def _going_on(self) -> bool:
        """Whether the first process has not yet said that this is the end."""
        status = self._run.read_status()
        return status.get("state") != FAILED and status.get("requeued") is not False

    def _written(self) -> int | None:
        """When the checkpoint was written that a run continues from."""
        try:
            return self._run.last.stat().st_mtime_ns
        except OSError:
            return None

    def _note(self, state: str, reason: str, **details: bool) -> None:
        with suppress(RunError):  # a full disk; what counts now is to leave in good order
            self._run.write_status(state, **self._run.progress(), reason=reason, **details)

    def _tell(self, signum: int, what: str) -> None:
        if is_first_process():
            _say(f"{Interrupted(signum)}; the state is saved, {what}")


def _say(line: str) -> None:
    """Print a line, even inside a signal handler that has struck in the middle of a print."""
    with suppress(RuntimeError, OSError):  # the reader may be gone, too
        sys.stdout.flush()
    with suppress(OSError):
        os.write(1, f"{line}\n".encode())
