"""SLURM: arrays of frozen runs, submitted through submitit, which go on after any interruption."""

from __future__ import annotations

import importlib.util
import re
import secrets
import signal
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vitruvian.core.check import nearest
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.files import turn, write_text
from vitruvian.core.signals import STOP_SIGNALS, StopRequest
from vitruvian.sweeps import slurm_queue
from vitruvian.sweeps.directory import SweepDirectory, read_lines
from vitruvian.sweeps.jobs import Alive, Job, Launcher
from vitruvian.sweeps.slurm_ends import failure, size_of
from vitruvian.sweeps.slurm_job import FrozenJob, job_of, python_command, script_lines
from vitruvian.sweeps.slurm_keys import Needs, SlurmKeys

_NAME = "slurm"  # in the list of launches, and the folder of batch scripts below the sweep
_JOBS_A_SECOND = 20  # how many may start together without overrunning a file system
_JITTER_S = 30.0  # at most
_SILENCE_S = 300.0  # of a controller that is started anew, or busy
_ENDINGS = (*STOP_SIGNALS, signal.SIGHUP)  # the last one: a connection that was lost


class Slurm(SlurmKeys, Launcher):
    """Submits the jobs as arrays and returns, or waits for them.

    A job is requeued by the run itself when its time is up or when it is pre-empted
    (core/slurm.py), by its batch script when its process was killed (slurm_job.py), and by SLURM
    when its node fails. Each time it continues from its last checkpoint.
    """

    def workers(self) -> int:
        """A study has as many workers as jobs may run at the same time."""
        return self.array_parallelism or 1

    # -- the launcher's four ----------------------------------------------------------------------

    outlived = True

    def start(self, sweep: SweepDirectory, jobs: Sequence[Job]) -> dict[str, str]:
        """Submit what is not in the queue already; see `Launcher.start`."""
        self._check_cluster()
        logs = {job.name: sweep.logs / f"{job.name}.log" for job in jobs}
        sizes = {name: size_of(log) for name, log in logs.items()}  # they are appended to
        groups: dict[tuple[Needs, str], list[Job]] = {}
        for job in jobs:
            groups.setdefault((self.needs(job), job.module), []).append(job)
        with turn(sweep.path / ".submitting", sweep.path):
            alive = self.alive(sweep)
            for (needs, _), members in groups.items():
                self._submit(sweep, needs, [job for job in members if job.name not in alive])
        if not self.wait:
            return {}
        self._await(sweep, logs.keys())
        reasons = {job.name: failure(job, logs[job.name], sizes[job.name]) for job in jobs}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def alive(self, sweep: SweepDirectory) -> Mapping[str, Alive]:
        """See `Launcher.alive`; SLURM is asked only if something was handed to it."""
        return {name: state for _, name, state in _queued(sweep)}

    def cancel(self, sweep: SweepDirectory) -> int:
        """See `Launcher.cancel`; a cancelled job is not requeued."""
        ids = [one for one, _, _ in _queued(sweep)]
        slurm_queue.cancel(ids)
        return len(ids)

    # -- submission -------------------------------------------------------------------------------

    def _check_cluster(self) -> None:
        if importlib.util.find_spec("submitit") is None:
            raise ConfigError(
                "hydra/launcher=slurm needs submitit: pip install 'vitruvian[cluster]'"
            )
        slurm_queue.needed("sbatch")
        names = slurm_queue.partitions() if self.partition else []
        for name in self.partition.split(",") if self.partition else []:
            if name not in names:
                near = nearest(name, names)
                hint = f"did you mean `{near}`?" if near else f"it has {', '.join(names)}"
                raise ConfigError(
                    f"hydra.launcher.partition: this cluster has no partition {name}; {hint}"
                )

    def _submit(self, sweep: SweepDirectory, needs: Needs, jobs: Sequence[Job]) -> None:
        """Submit jobs that need the same, as few arrays as the cluster takes."""
        longest = slurm_queue.longest_array() if len(jobs) > 1 else 1
        for first in range(0, len(jobs), longest):
            some = jobs[first : first + longest]
            with _undisturbed():
                ids = self._submit_array(sweep, needs, some)
                sweep.note_launch(_NAME, dict(zip((job.name for job in some), ids, strict=True)))
            names = some[0].name if len(some) == 1 else f"{some[0].name} to {some[-1].name}"
            print(f"SLURM job {ids[0].partition('_')[0]}: {names} ({len(some)})", flush=True)

    def _submit_array(
        self, sweep: SweepDirectory, needs: Needs, jobs: Sequence[Job]
    ) -> Sequence[str]:
        from submitit import SlurmExecutor

        folder = sweep.path / _NAME
        sweep.logs.mkdir(parents=True, exist_ok=True)
        logs = {job.name: sweep.logs / f"{job.name}.log" for job in jobs}
        listed = folder / f"{secrets.token_hex(4)}.logs"
        write_text(listed, "".join(f"{log}\n" for log in logs.values()))
        jitter = min(len(jobs) / _JOBS_A_SECOND, _JITTER_S)
        jitter = jitter if self.start_jitter_s is None else self.start_jitter_s
        executor = SlurmExecutor(folder, python=python_command(self.python, self.container))
        try:
            executor.update_parameters(**self._parameters(sweep, needs, listed, len(jobs)))
            with executor.batch():
                submitted = [
                    executor.submit(
                        FrozenJob(job.module, str(job.path), str(logs[job.name]), jitter)
                    )
                    for job in jobs
                ]
        except (OSError, RuntimeError) as error:  # what sbatch says, in submitit's wrapping
            _clear(folder, listed)
            told = " ".join(str(error).split())
            raise ConfigError(f"hydra.launcher: SLURM has refused the jobs ({told})") from error
        return [str(job.job_id) for job in submitted]

    def _parameters(
        self, sweep: SweepDirectory, needs: Needs, logs: Path, jobs: int
    ) -> dict[str, Any]:
        """The submission in submitit's words; what is None is left to the cluster."""
        return {
            "job_name": _job_name(sweep),
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "time": self.time,
            "nodes": needs.nodes,
            "ntasks_per_node": needs.tasks_per_node,
            "cpus_per_task": needs.cpus_per_task,
            "gpus_per_node": needs.gpus_per_node or None,
            "mem": self.mem,
            "constraint": self.constraint,
            "exclude": self.exclude,
            "array_parallelism": self.array_parallelism or jobs,
            "setup": [
                *script_lines(logs, sweep.path / _NAME, self.max_restarts, self.cpus_per_task),
                *self.setup,
            ],
            "srun_args": self._srun_flags(sweep, needs),
            "stderr_to_stdout": True,
            "wckey": None,
            "additional_parameters": {
                "signal": f"USR1@{self.signal_delay_s}",  # to the tasks; the run answers it
                "requeue": True,
                "output": "/dev/null",  # the script opens the job's own log
                **{key: value for key, value in (self.extra or {}).items() if value is not None},
            },
        }

    def _srun_flags(self, sweep: SweepDirectory, needs: Needs) -> list[str]:
        flags = [
            "--output=all",  # into the log of the batch script
            "--kill-on-bad-exit=1",  # one rank alone waits for the others for ever
            f"--cpus-per-task={needs.cpus_per_task}",  # not inherited since SLURM 22.05
        ]
        if self.container is not None:
            mounts = [f"{sweep.path}:{sweep.path}", *self.container_mounts]
            flags += [f"--container-image={self.container}"]
            flags += [f"--container-mounts={','.join(mounts)}"]
        return flags

    # -- waiting ----------------------------------------------------------------------------------

    def _await(self, sweep: SweepDirectory, names: Set[str]) -> None:
        """Wait until these jobs have left the queue.

        Raises:
            RunError: SLURM has not answered for long.
            Interrupted: a signal came.
        """
        silent_since: float | None = None
        with _stoppable():
            while True:
                try:
                    if names.isdisjoint(self.alive(sweep)):
                        return
                    silent_since = None
                except RunError as error:
                    silent_since = _endured(error, silent_since)
                time.sleep(self.poll_s)


def _endured(error: RunError, since: float | None) -> float:
    """Say once that SLURM is silent, and give up when it has been for long; since when it is."""
    now = time.monotonic()
    if since is None:
        print(f"{error}; it is asked again for {_SILENCE_S / 60:g} minutes", flush=True)
        return now
    if now - since > _SILENCE_S:
        raise RunError(f"{error}; the jobs themselves go on") from error
    return since


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A stop signal waits until the numbers of jobs are noted: unknown ones would run twice.

    Other threads may take a signal that is held back here; for those are the handlers. sbatch
    itself, to which a terminal sends Ctrl-C as well, inherits what is held back.
    """
    came: list[int] = []
    before = {number: signal.signal(number, lambda one, _: came.append(one)) for number in _ENDINGS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for one in came:
            signal.raise_signal(one)


@contextmanager
def _stoppable() -> Iterator[None]:
    """A stop signal ends the wait, not the jobs."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        StopRequest().install()
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# -- what was handed over -------------------------------------------------------------------------


def _queued(sweep: SweepDirectory) -> list[tuple[str, str, Alive]]:
    """Number, name and state of what waits or runs, of all that SLURM was ever given."""
    launches = [one for one in read_lines(sweep.launches_file) if one.get("launcher") == _NAME]
    noted = {str(number): name for one in launches for name, number in one["jobs"].items()}
    folder = sweep.path / _NAME
    if not noted and not any(folder.glob("*.logs")):
        return []
    found = []
    for job in slurm_queue.queue(_job_name(sweep)):
        task = job.id.partition("_")[2]
        # who handed it over may have been killed before it could note the number
        name = noted.get(job.id) or job_of(folder, job.script, int(task or 0))
        found += [(job.id, name, job.state)] if name is not None else []
    return found


def _job_name(sweep: SweepDirectory) -> str:
    """What squeue shows, and what tells this sweep's jobs from those of any other."""
    return re.sub(r"[^\w.-]", "_", f"{sweep.path.parent.name}-{sweep.path.name}")


def _clear(folder: Path, listed: Path) -> None:
    """Remove what was prepared for jobs that were refused."""
    listed.unlink(missing_ok=True)
    for left in (*folder.glob(".submission_file_*.sh"), *folder.glob("*.pkl")):
        if not left.is_symlink() and "_submitted" not in left.name:
            left.unlink(missing_ok=True)
