"""Jobs in processes of this machine, each with cores and GPUs of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from vitruvian.core.errors import ConfigError
from vitruvian.core.machine import deal, visible_gpus
from vitruvian.core.pool import Processes, Work
from vitruvian.core.rundir import RunDirectory
from vitruvian.core.warm import starter
from vitruvian.sweeps.coordinator import alive_jobs, coordinating, stop_jobs, wait_for_orphans
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.jobs import RUN, Alive, Job, Launcher

NAME = "local"


class Local(Launcher):
    """Runs jobs here and waits for them.

    Args:
        jobs: at the same time; auto: as many as there are GPUs for, one without GPUs.
        gpus_per_job: GPUs of each, which sees no others; auto: as its config says. Where there are
            fewer than that for all jobs, jobs share them in turn.
        share_cores: give each job cores of its own and as many threads; false: all use all.
        warm: fork the jobs from one process that has imported everything, which saves each of them
            the seconds of its start; false: start them one by one.
        max_restarts: how often a run that was killed (short of memory, say) is continued.

    Raises:
        ConfigError: a number is out of its range.
    """

    def __init__(
        self,
        jobs: int | Literal["auto"] = "auto",
        gpus_per_job: int | Literal["auto"] = "auto",
        share_cores: bool = True,
        warm: bool = True,
        max_restarts: int = 1,
    ) -> None:
        self._jobs, self._gpus_per_job = jobs, gpus_per_job
        self._share_cores, self._warm, self._max_restarts = share_cores, warm, max_restarts
        for name, value, least in (
            ("jobs", jobs, 1),
            ("gpus_per_job", gpus_per_job, 0),
            ("max_restarts", max_restarts, 0),
        ):
            refuse_below(name, value, least)

    def start(self, sweep: SweepDirectory, jobs: Sequence[Job]) -> dict[str, str]:
        """Run the jobs to their ends; see `Launcher.start`."""
        shares = deal(
            [job.config for job in jobs], self._jobs, self._gpus_per_job, self._share_cores
        )
        with coordinating(sweep, NAME, jobs):
            wait_for_orphans(jobs, announce)
            runs = [job.config for job in jobs if job.module == RUN]
            with starter(runs, shares, self._warm) as start:
                pool = Processes(shares, announce, start, self._max_restarts, teller(sweep))
                return pool.run(works(sweep, jobs))

    def alive(self, sweep: SweepDirectory) -> Mapping[str, Alive]:
        """What a process of this machine is waiting for; see `Launcher.alive`."""
        return alive_jobs(sweep, NAME)

    def cancel(self, sweep: SweepDirectory) -> int:
        """Stop the process that waits for the jobs, which stops them; see `Launcher.cancel`."""
        return stop_jobs(sweep, NAME)

    def workers(self) -> int:
        """How many jobs run side by side."""
        if not isinstance(self._jobs, str):
            return self._jobs
        each = 1 if isinstance(self._gpus_per_job, str) else self._gpus_per_job
        return max(1, len(visible_gpus()) // each) if each else 1


def refuse_below(key: str, value: float | str | None, least: float) -> None:
    """Refuse a number of the launcher that is too small.

    Raises:
        ConfigError: it is.
    """
    if isinstance(value, int | float) and value < least:
        raise ConfigError(f"hydra.launcher.{key}: got {value}, expected {least} or more")


def announce(line: str) -> None:
    """Print a line at once, also into a file."""
    print(line, flush=True)


def works(sweep: SweepDirectory, jobs: Sequence[Job]) -> list[Work]:
    """The jobs as processes; a run is announced with what makes it differ from the others."""
    overrides = {run.name: " ".join(run.overrides) for run in sweep.runs()}
    return [
        Work(
            job.name,
            job.module,
            job.path,
            sweep.logs / f"{job.name}.log",
            (overrides.get(job.name) if job.module == RUN else None) or "started",
        )
        for job in jobs
    ]


def teller(sweep: SweepDirectory) -> Callable[[Work], str]:
    """What to say of a run that ended well: how it stood at its last validation."""
    metric = next(iter(sweep.manifest().objectives), None)

    def tell(work: Work) -> str:
        if work.module != RUN or metric is None:
            return ""
        figures = RunDirectory(work.path).progress().get("metrics") or {}
        value = figures.get(metric)
        return f", {metric} {value:.4g} at last" if isinstance(value, int | float) else ""

    return tell
