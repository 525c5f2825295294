"""Jobs as tasks of a Ray cluster, whose machines share our file system and our environment."""

from __future__ import annotations

import importlib
import os
import signal
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Literal

from vitruvian.core.errors import ConfigError
from vitruvian.core.machine import device_count, refuse_nodes
from vitruvian.core.pool import Processes, Work
from vitruvian.core.processes import Share
from vitruvian.core.signals import STOP_SIGNALS, Interrupted
from vitruvian.sweeps.coordinator import alive_jobs, coordinating, stop_jobs, wait_for_orphans
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.jobs import Alive, Job, Launcher
from vitruvian.sweeps.local import announce, refuse_below, teller, works

NAME = "ray"
OWN = "local"  # as an address: a cluster of this machine alone, for this sweep alone
POLL_S = 0.5
SAVING_S = 120.0  # how long runs that were told to stop may take to save their state
RESTARTS_IN_PLACE = 1  # of a run whose process was killed on a machine that lives
_MOST = 1000  # tasks that Ray is given at a time; it looks through all of them again and again


class Ray(Launcher):
    """Runs jobs on a Ray cluster and waits for them.

    A run whose machine is lost is started on another one and continues from its last checkpoint.

    Args:
        address: of the cluster, such as `ray://head:10001` or `head:6379`; auto: the one that this
            machine belongs to; local: one of this machine alone.
        jobs: at the same time; auto: as many as the cluster has room for.
        cpus_per_job: cores that each takes, and its threads.
        gpus_per_job: GPUs that each takes, also a part of one; auto: as its config says.
        max_restarts: how often a run whose machine was lost is continued on another.

    Raises:
        ConfigError: a number is out of its range.
    """

    def __init__(
        self,
        address: str = "auto",
        jobs: int | Literal["auto"] = "auto",
        cpus_per_job: float = 1,
        gpus_per_job: float | Literal["auto"] = "auto",
        max_restarts: int = 3,
    ) -> None:
        self._address, self._jobs, self._max_restarts = address, jobs, max_restarts
        self._cpus_per_job, self._gpus_per_job = cpus_per_job, gpus_per_job
        refuse_below("jobs", jobs, 1)
        for name, value in (("cpus_per_job", cpus_per_job), ("gpus_per_job", gpus_per_job)):
            refuse_below(name, value, 0)
        refuse_below("max_restarts", max_restarts, 0)

    def start(self, sweep: SweepDirectory, jobs: Sequence[Job]) -> dict[str, str]:
        """Run the jobs to their ends; see `Launcher.start`."""
        ray = _library()
        with coordinating(sweep, NAME, jobs), _connected(ray, self._address):
            wait_for_orphans(jobs, announce)
            tasks = _Tasks(ray, sweep, len(jobs) if isinstance(self._jobs, str) else self._jobs)
            return tasks.run([(self._task(ray, job), work) for job, work in _pairs(sweep, jobs)])

    def _task(self, ray: Any, job: Job) -> Any:
        return ray.remote(run_here).options(
            name=job.name,
            num_cpus=self._cpus_per_job,
            num_gpus=_gpus(ray, job) if isinstance(self._gpus_per_job, str) else self._gpus_per_job,
            max_retries=self._max_restarts,
        )

    def alive(self, sweep: SweepDirectory) -> Mapping[str, Alive]:
        """What a process of this machine is waiting for; see `Launcher.alive`."""
        return alive_jobs(sweep, NAME)

    def cancel(self, sweep: SweepDirectory) -> int:
        """Stop the process that waits for the jobs, which stops them; see `Launcher.cancel`."""
        return stop_jobs(sweep, NAME)

    def workers(self) -> int:
        """How many jobs run side by side, if that was said."""
        return 1 if isinstance(self._jobs, str) else self._jobs


def run_here(work: Work, restarts: int) -> str | None:
    """The task: run a job on the machine where Ray has put it; why it failed, if it did."""
    try:
        return Processes([Share()], print, restarts=restarts).run([work]).get(work.name)
    except Interrupted as stop:  # Ray has cancelled the task; the run has saved its state
        return str(stop)


def _pairs(sweep: SweepDirectory, jobs: Sequence[Job]) -> Iterator[tuple[Job, Work]]:
    return zip(jobs, works(sweep, jobs), strict=True)


def _gpus(ray: Any, job: Job) -> int:
    """GPUs that the config of a job names; with `accelerator: auto` only if the cluster has any."""
    refuse_nodes(job.config)
    trainer = job.config["trainer"]
    devices, accelerator = trainer.get("devices", 1), trainer.get("accelerator", "auto")
    there = accelerator in ("gpu", "cuda") or ray.cluster_resources().get("GPU", 0) > 0
    if accelerator == "cpu" or not there:
        return 0
    return device_count(devices, 1)  # -1: all of a machine that Ray has not chosen yet


def _library() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody outside is told of our runs
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ConfigError(
            "hydra/launcher=ray: Ray is not installed; pip install 'vitruvian[ray]'"
        ) from error


@contextmanager
def _connected(ray: Any, address: str) -> Iterator[None]:
    try:
        own = {"include_dashboard": False} if address == OWN else {}
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"hydra.launcher.address={address}: no Ray cluster to work with ({told}); start one "
            "with `ray start --head`, or use address=local"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


class _Tasks:
    """Jobs that Ray was given, a limited number at a time; a signal stops them all."""

    def __init__(self, ray: Any, sweep: SweepDirectory, most: int) -> None:
        self._ray, self._tell, self._most = ray, teller(sweep), min(most, _MOST)
        self._pending: dict[Any, Work] = {}
        self._signum: int | None = None

    def run(self, jobs: Sequence[tuple[Any, Work]]) -> dict[str, str]:
        """Run them all; why some failed, by their names."""
        failed: dict[str, str] = {}
        waiting = deque(jobs)
        with self._listening():
            while (waiting or self._pending) and self._signum is None:
                while waiting and len(self._pending) < self._most:
                    task, work = waiting.popleft()
                    self._pending[task.remote(work, RESTARTS_IN_PLACE)] = work
                failed |= self._ended()
            if self._signum is not None:
                self._stop()
                raise Interrupted(self._signum)
        return failed

    def _ended(self) -> dict[str, str]:
        ready, _ = self._ray.wait(list(self._pending), timeout=POLL_S)
        failed = {}
        for reference in ready:
            work = self._pending.pop(reference)
            reason = self._reason(reference)
            if reason is not None:
                failed[work.name] = reason
            how = f" failed: {reason}" if reason else f": done{self._tell(work)}"
            announce(f"{work.name}{how}")
        return failed

    def _reason(self, reference: Any) -> str | None:
        """What the task answers, or what became of it."""
        try:
            answer = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return f"Ray: {' '.join(str(error).split())[:200]}"
        return None if answer is None else str(answer)

    def _stop(self) -> None:
        """Cancel what waits; what runs gets an interrupt and saves its state."""
        for reference in self._pending:
            self._ray.cancel(reference, force=False)
        self._ray.wait(list(self._pending), num_returns=len(self._pending), timeout=SAVING_S)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._note) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, signum: int, _: FrameType | None) -> None:
        self._signum = self._signum or signum
