"""Several processes, one run: every rank reads the frozen config of the same run directory.

Lightning starts its ranks by re-issuing the command line, which composes anew (and, in a sweep,
starts the whole sweep again). Here rank 1..n are told the run directory and nothing else.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeVar

import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from torch import nn

T = TypeVar("T")

PATIENCE_S = 60.0  # how long the other ranks may take to end

RANK_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")


class _RunLauncher(_SubprocessScriptLauncher):
    """Starts the other ranks on a run directory."""

    run: Path

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
        command = [sys.executable, "-m", "vitruvian.train", f"run={self.run}"]
        self.procs = [
            subprocess.Popen(command, env={**os.environ, "LOCAL_RANK": str(rank)})
            for rank in range(1, self.num_processes)
        ]


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


def leave(strategy: Any) -> None:
    """End a distributed run: close the process group, wait for the ranks, forget their variables.

    Without it gloo processes end with exit code 134 now and then, and the next run in this process
    would take itself for rank 0 of the old one.
    """
    if distributed():
        dist.destroy_process_group()
    children = getattr(strategy.launcher, "procs", [])
    for child in children:
        try:
            child.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:  # it waits for a rank that has failed
            child.kill()
    if children:
        for name in RANK_VARIABLES:
            os.environ.pop(name, None)


def is_first_process() -> bool:
    """Whether this process is rank 0 (or alone), before any process group exists."""
    ranks = ("RANK", "SLURM_PROCID", "LOCAL_RANK")
    return all(int(os.environ.get(name, "0")) == 0 for name in ranks)
