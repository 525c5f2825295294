"""The processes of one run: which is the first, and what becomes of it when another dies alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from vitruvian.core.cli import USER_MISTAKE
from vitruvian.core.errors import RunError
from vitruvian.core.rundir import FAILED, INTERRUPTED, RunDirectory
from vitruvian.core.signals import STOP_SIGNALS, Interrupted

POLL_S = 1.0
GRACE_S = 10.0  # for the first process to find out by itself, and to say more of the cause


def is_first_process() -> bool:
    """Whether this process is rank 0 (or alone), before any process group exists."""
    ranks = ("RANK", "SLURM_PROCID", "GROUP_RANK", "NODE_RANK", "LOCAL_RANK")
    return all(int(os.environ.get(name, "0")) == 0 for name in ranks)


@dataclass(frozen=True)
class Death:
    """How a rank has ended, if not well.

    Attributes:
        rank: its number.
        code: its exit code; negative: the signal that ended it.
    """

    rank: int
    code: int

    @property
    def signum(self) -> int | None:
        """The stop signal that it has obeyed, if it was one."""
        return self.code - 128 if self.code - 128 in STOP_SIGNALS else None

    def __str__(self) -> str:
        if self.code < 0:
            how = f"was ended by {signal.Signals(-self.code).name}"
        else:
            how = f"ended with exit code {self.code}, see what it printed"
        return f"rank {self.rank} {how}; the run can be continued from its last checkpoint"

    def as_error(self) -> BaseException:
        """What the run ends with."""
        return RunError(str(self)) if self.signum is None else Interrupted(self.signum)


def first_death(ranks: Sequence[subprocess.Popen[bytes]]) -> Death | None:
    """The first of ranks 1, 2, ... that has ended, and not well."""
    codes = ((rank, process.poll()) for rank, process in enumerate(ranks, 1))
    return next((Death(rank, code) for rank, code in codes if code), None)


class RankWatch(threading.Thread):
    """Ends a run one of whose ranks has died, and writes down which.

    The first process may wait for the dead one for ever, inside a library that neither an exception
    nor a signal reaches. So it gets some time to find out by itself, then the process is left from
    here. `stop` it before the ranks are dismissed.
    """

    def __init__(
        self, run: RunDirectory, ranks: Sequence[subprocess.Popen[bytes]], grace_s: float = GRACE_S
    ) -> None:
        super().__init__(daemon=True, name="rank-watch")
        self._run, self._ranks, self._grace_s = run, ranks, grace_s
        self._over = threading.Event()

    def stop(self) -> None:
        """Watch no longer."""
        self._over.set()

    def run(self) -> None:
        """The thread's work."""
        while not self._over.wait(POLL_S):
            death = first_death(self._ranks)
            if death is not None and not self._over.wait(self._grace_s):
                self._end(death)

    def _end(self, death: Death) -> None:
        for process in self._ranks:
            process.kill()
        state = FAILED if death.signum is None else INTERRUPTED
        reason = str(Interrupted(death.signum) if death.signum else death)
        with suppress(RunError):  # the disk may be what has failed
            self._run.write_status(state, **self._run.progress(), reason=reason)
        print(f"error: {reason}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(128 + death.signum if death.signum else USER_MISTAKE)
