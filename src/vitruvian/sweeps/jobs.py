"""What a launcher is given and what it answers: the same for processes, SLURM and Ray."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vitruvian.core.config import Config
from vitruvian.sweeps.directory import SweepDirectory

RUN = "vitruvian.run"  # trains one frozen run directory
WORKER = "vitruvian.sweeps.worker"  # asks a study for trials and trains them, one after the other

Alive = Literal["queued", "running"]


@dataclass(frozen=True)
class Job:
    """One thing to start: `python -m MODULE PATH`.

    Attributes:
        name: unique in the sweep: `0003` for a run, `worker-0` for a worker of a study.
        module: `RUN` or `WORKER`.
        path: its one argument: a run directory, or the directory of the sweep.
        config: a frozen config, for what it needs: `trainer.devices`, `trainer.num_nodes`,
            `trainer.accelerator`, `threads`.
    """

    name: str
    module: str
    path: Path
    config: Config


class Launcher(ABC):
    """Starts jobs somewhere. Its constructor takes the keys of `hydra/launcher/*.yaml`.

    Attributes:
        outlived: whether jobs go on when the process that waits for them is stopped.
    """

    outlived = False

    @abstractmethod
    def start(self, sweep: SweepDirectory, jobs: Sequence[Job]) -> dict[str, str]:
        """Start these jobs; each prints into `sweep.logs / f"{job.name}.log"`.

        Returns:
            Why jobs failed, by their names; empty where all ended well, or where they were handed
            to a scheduler that nobody waits for.

        Raises:
            ConfigError: this machine, or the scheduler, cannot do what the keys ask for.
            Interrupted: a signal ended the wait; jobs in processes of ours have saved their state.
        """

    @abstractmethod
    def alive(self, sweep: SweepDirectory) -> Mapping[str, Alive]:
        """The jobs of this sweep that are waiting or running now, as far as can be known here.

        What a run says of itself is in its `status.json`; this tells the rest: that a run which
        has not begun is in a queue, that one which was interrupted will be continued, that one
        which says `running` is dead (its name is absent).
        """

    @abstractmethod
    def cancel(self, sweep: SweepDirectory) -> int:
        """Stop what is alive, so that running jobs save their state; the number of jobs told."""

    def workers(self) -> int:
        """How many jobs it would run side by side: the workers of a study."""
        return 1
