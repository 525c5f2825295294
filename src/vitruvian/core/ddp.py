"""Several processes, one run: every rank reads the frozen config of the same run directory.

Lightning starts its ranks by re-issuing the command line, which composes anew (and, in a sweep,
starts the whole sweep again). Here rank 1..n are told the run directory and nothing else.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from torch import nn

from vitruvian.core.errors import UserError
from vitruvian.core.processes import PARENT
from vitruvian.core.ranks import Death, RankWatch, first_death
from vitruvian.core.rundir import RunDirectory

T = TypeVar("T")

PATIENCE_S = 60.0  # how long the other ranks may take to end
BURIAL_S = 3.0  # between the end of a rank's connections and that of its process
LOST_PEER = ("gloo", "nccl", "connection", "socket", "tcpstore", "peer")  # in torch's words

RANK_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")


class _RunLauncher(_SubprocessScriptLauncher):
    """Starts the other ranks on a run directory, and watches over them.

    Lightning's own observer kills the first process when another dies, which then can say nothing.
    It watches `procs`: they are kept in `ranks` instead.
    """

    run: Path
    watch: RankWatch | None = None
    ranks: tuple[subprocess.Popen[bytes], ...] = ()

    def kill(self, signum: int) -> None:
        """Pass a signal on to the other ranks."""
        for process in self.ranks:
            process.send_signal(signum)

    def _call_children_scripts(self) -> None:
        self._check_can_spawn_children()
        environment = self.cluster_environment
        os.environ.update(
            MASTER_ADDR=environment.main_address,
            MASTER_PORT=str(environment.main_port),
            NODE_RANK=str(environment.node_rank()),
            LOCAL_RANK=str(environment.local_rank()),
            WORLD_SIZE=str(self.num_processes * self.num_nodes),
        )
        command = [sys.executable, "-m", "vitruvian.run", str(self.run)]
        parent = {PARENT: str(os.getpid())}
        self.ranks = tuple(
            subprocess.Popen(command, env={**os.environ, **parent, "LOCAL_RANK": str(rank)})
            for rank in range(1, self.num_processes)
        )
        self.watch = RankWatch(RunDirectory(self.run), self.ranks)
        self.watch.start()


class RunDDP(DDPStrategy):
    """DDP whose ranks are started on the run directory (also correct under a scheduler's ranks)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._run: Path | None = None

    def on_run(self, path: Path) -> None:
        """Name the run directory that the other ranks will read."""
        self._run = path

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        launcher = _RunLauncher(self.cluster_environment, self.num_processes, self.num_nodes)
        if self._run is not None:
            launcher.run = self._run
        self._launcher = launcher


def distributed() -> bool:
    """Whether this process belongs to a process group."""
    return dist.is_available() and dist.is_initialized()


def all_gather(mine: T) -> list[T]:
    """Every rank's object, in rank order; a list of one without a process group."""
    if not distributed():
        return [mine]
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, mine)
    return gathered


def same_buffers(module: nn.Module) -> None:
    """Give every rank the buffers of rank 0, which are the ones that a checkpoint holds.

    Batch normalisation collects its statistics on each rank's own batches; without this, a case's
    metrics would depend on the rank that evaluates it.
    """
    if distributed():
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)


@contextmanager
def together(strategy: Any) -> Iterator[None]:
    """Train with the other ranks, then take leave of them.

    Raises:
        RunError: another rank has died; what that broke here is not worth telling.
        Interrupted: another rank has obeyed a stop signal.
    """
    try:
        yield
    except Exception as error:
        death = _cause(strategy, error)
        if death is not None:
            raise death.as_error() from error
        raise
    finally:
        leave(strategy)


def _cause(strategy: Any, error: Exception) -> Death | None:
    """The death of another rank, if that is what an error comes from."""
    ranks = getattr(strategy.launcher, "ranks", ())
    lost = any(word in str(error).lower() for word in LOST_PEER)
    if isinstance(error, UserError) or not lost:
        return None
    end = time.monotonic() + BURIAL_S
    while ranks and (death := first_death(ranks)) is None and time.monotonic() < end:
        time.sleep(0.05)
    return death if ranks else None


def leave(strategy: Any) -> None:
    """End a distributed run: close the process group, wait for the ranks, forget their variables.

    Without it gloo processes end with exit code 134 now and then, and the next run in this process
    would take itself for rank 0 of the old one.
    """
    watch = getattr(strategy.launcher, "watch", None)
    if watch is not None:
        watch.stop()
    if distributed():
        dist.destroy_process_group()
    ranks = getattr(strategy.launcher, "ranks", ())
    for process in ranks:
        try:
            process.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:  # it waits for a rank that has failed
            process.kill()
    if ranks:
        for name in RANK_VARIABLES:
            os.environ.pop(name, None)
