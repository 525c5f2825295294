"""What SLURM's own commands say: which jobs wait or run, which partitions there are."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from vitruvian.core.errors import ConfigError, RunError
from vitruvian.sweeps.jobs import Alive

_AT_ONCE = 200  # job numbers on one command line
_PATIENCE_S = 120.0  # a busy controller answers late
_WAITING = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
_ARRAY_DEFAULT = 1001  # SLURM's own


def needed(command: str) -> None:
    """Make sure that a command of SLURM is there.

    Raises:
        ConfigError: it is not.
    """
    if shutil.which(command) is None:
        raise ConfigError(
            f"hydra/launcher=slurm: there is no `{command}` on this machine; submit from a node of "
            "the cluster, or choose hydra/launcher=local"
        )


def queue(ids: Collection[str], called: str) -> dict[str, Alive]:
    """Which of these jobs wait or run.

    SLURM forgets jobs that have ended; what became of them is in their run directories.

    Args:
        ids: their numbers: `12`, or `12_3` of an array.
        called: the name that they all have; SLURM may give a number a second time.

    Raises:
        ConfigError: SLURM's commands are not installed here.
        RunError: the controller does not answer.
    """
    found: dict[str, Alive] = {}
    for some in _batches(sorted({one.partition("_")[0] for one in ids}, key=int)):
        # -r: one line for each task of an array, also while they wait together
        for line in _asked(
            "squeue", "-h", "-r", "-o", "%i %T %j", "-j", ",".join(some)
        ).splitlines():
            one, state, name = line.strip().split(" ", 2)
            if name == called:
                found[one] = "queued" if state in _WAITING else "running"
    return {one: found[one] for one in ids if one in found}


def cancel(ids: Iterable[str]) -> None:
    """End jobs for good: running ones are told by SIGTERM and have SLURM's KillWait to save.

    Raises:
        RunError: the controller does not answer.
    """
    for some in _batches(ids):
        _asked("scancel", *some)


def longest_array() -> int:
    """How many jobs one array may hold."""
    settings = dict(_setting(line) for line in _asked("scontrol", "show", "config").splitlines())
    number = settings.get("MaxArraySize", "")
    return max(1, int(number)) if number.isdecimal() else _ARRAY_DEFAULT


def partitions() -> list[str]:
    """The names of the cluster's partitions."""
    return sorted(set(_asked("sinfo", "-h", "-a", "-o", "%R").split()))


def _setting(line: str) -> tuple[str, str]:
    key, _, value = line.partition("=")
    return key.strip(), value.strip()


def _batches(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


def _asked(command: str, *arguments: str) -> str:
    needed(command)
    try:
        answer = subprocess.run(
            (command, *arguments), capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunError(f"SLURM's {command} does not answer ({error}); try again later") from error
    if answer.returncode and not _forgotten(answer.stderr):
        told = " ".join(answer.stderr.split()) or f"exit code {answer.returncode}"
        raise RunError(f"SLURM's {command} does not answer ({told}); try again later")
    return answer.stdout


def _forgotten(words: str) -> bool:
    """A single job that SLURM has forgotten is an error to squeue; to us it is not alive."""
    return "Invalid job id" in words
