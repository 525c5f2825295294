"""Processes that train, started with a share of the machine; core/pool.py runs several."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PARENT = "VITRUVIAN_PARENT"  # whose death a process wants to be told of, see `vitruvian.run`

# What schedulers and launchers tell the ranks of a run: a process of ours is none of these, and
# Lightning would take it for one (a sweep inside an sbatch job), or wait for the others.
_KEPT = ("SLURM_TMPDIR",)  # the node's own disk, on some clusters
_OF_RANKS = ("SLURM_", "SRUN_", "PMI_", "PMIX_", "OMPI_", "TORCHELASTIC_", "JSM_NAMESPACE_")
_RANKS = {
    *("RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"),
    *("MASTER_ADDR", "MASTER_PORT"),
}


@dataclass(frozen=True)
class Share:
    """What a process may use of this machine.

    Attributes:
        cores: numbers of the processor's cores; None: all that we may use.
        gpus: entries of CUDA_VISIBLE_DEVICES; None: all that we see.
        threads: of each process; None: one a core of the share. OMP_NUM_THREADS goes before both.
    """

    cores: tuple[int, ...] | None = None
    gpus: tuple[str, ...] | None = None
    threads: int | None = None

    def environment(self, of: Mapping[str, str]) -> dict[str, str]:
        """The variables of an environment with what the share says."""
        changed = dict(of)
        if self.gpus is not None:
            changed["CUDA_VISIBLE_DEVICES"] = ",".join(self.gpus)
        if self.thread_count is not None:
            changed.setdefault("OMP_NUM_THREADS", str(self.thread_count))
        return changed

    @property
    def thread_count(self) -> int | None:
        """Threads of each process; None: as many as the libraries like."""
        return self.threads or (len(self.cores) if self.cores else None)

    def take(self) -> None:
        """Keep the calling thread, and what it starts, to the cores of the share."""
        if self.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self.cores)


EVERYTHING = Share()


class Process(Protocol):
    """A process that was started; `subprocess.Popen` is one."""

    pid: int

    def poll(self) -> int | None:
        """The exit code (negative: the signal that ended it), or None while it runs."""

    def send_signal(self, sig: int, /) -> None:
        """Send a signal, unless it has ended."""


class Start(Protocol):
    """Starts a process; `start` does, and so does `WarmServer.start` of core/warm.py."""

    def __call__(
        self, module: str, path: Path, log: Path | None = None, share: Share | None = None
    ) -> Process: ...


def start(module: str, path: Path, log: Path | None = None, share: Share | None = None) -> Process:
    """Start `python -m MODULE PATH` in a session of its own.

    Args:
        module: such as `vitruvian.run`.
        path: its one argument.
        log: where it prints, appended; None: where we do.
        share: what it may use.
    """
    share = share or EVERYTHING
    stream = log.open("ab") if log is not None else None
    try:
        with _on(share):
            return subprocess.Popen(
                [sys.executable, "-m", module, str(path)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream and subprocess.STDOUT,
                env=share.environment(own_environment()) | {PARENT: str(os.getpid())},
                start_new_session=True,
            )
    finally:
        if stream is not None:
            stream.close()


def own_environment() -> dict[str, str]:
    """Our environment for a process that stands alone: without what tells ranks who they are."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or not (name.startswith(_OF_RANKS) or name in _RANKS)
    }


@contextmanager
def _on(share: Share) -> Iterator[None]:
    """A process inherits the cores of the thread that starts it; no code runs before exec."""
    if not share.cores or not hasattr(os, "sched_getaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    share.take()
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def birth(pid: int) -> str | None:
    """When a process of this machine began, as a text to compare; None if it is not there.

    Numbers of processes are used again: the pair of both names a process for good. One that has
    ended and only waits for its parent's goodbye is not there.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return _birth_by_ps(pid) if not Path("/proc/self/stat").exists() else None
    state, *rest = fields.rpartition(")")[2].split()
    return None if state in "ZX" else rest[18]


def _birth_by_ps(pid: int) -> str | None:
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None
