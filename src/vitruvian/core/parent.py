"""A process that must not outlive the one that started it: a killed worker leaves no orphan."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from vitruvian.core.processes import PARENT

_PR_SET_PDEATHSIG = 1


def follow_parent(signum: int = signal.SIGTERM) -> None:
    """Ask Linux for a signal when our parent dies; nothing elsewhere.

    Only if our parent wants it: it has put its process number into `VITRUVIAN_PARENT`. One that a
    process further up had put there does not count.
    """
    parent = os.environ.get(PARENT)
    if not sys.platform.startswith("linux") or parent != str(os.getppid()):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0)
    if parent != str(os.getppid()):  # it died before Linux knew
        os.kill(os.getpid(), signum)
