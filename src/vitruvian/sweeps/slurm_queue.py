"""What SLURM's own commands say: which jobs wait or run, which partitions there are."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Queued:
    """A job that waits or runs.

    Attributes:
        id: its number: `12`, or `12_3` of an array.
        state: which of the two.
        script: the file that was handed to sbatch, as far as SLURM tells it.
    """

    id: str
    state: Alive
    script: str


def queue(called: str) -> list[Queued]:
    """The jobs of one name that wait or run.

    SLURM forgets jobs that have ended; what became of them is in their run directories.

    Raises:
        ConfigError: SLURM's commands are not installed here.
        RunError: the controller does not answer.
    """
    # -r: one line for each task of an array, also while they wait; -a: in hidden partitions, too
    told = _asked("squeue", "-h", "-r", "-a", f"--name={called}", "-o", "%i|%T|%j|%o")
    lines = (line.split("|", 3) for line in told.splitlines())
    return [
        Queued(one, "queued" if state in _WAITING else "running", script)
        for one, state, name, script in lines
        if name == called
    ]


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
    """A job that has just ended is an error to scancel; to us it is what was wanted."""
    return "Invalid job id" in words
