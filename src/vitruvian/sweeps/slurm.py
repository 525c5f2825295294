"""SLURM: arrays of frozen runs, submitted through submitit, which go on after any interruption."""

from __future__ import annotations

import importlib.util
import re
import secrets
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vitruvian.core.check import nearest
from vitruvian.core.errors import ConfigError
from vitruvian.core.files import turn, write_text
from vitruvian.core.rundir import COMPLETE, FAILED, PRUNED, RunDirectory
from vitruvian.core.signals import STOP_SIGNALS, StopRequest
from vitruvian.sweeps import slurm_queue
from vitruvian.sweeps.directory import SweepDirectory, read_lines
from vitruvian.sweeps.jobs import RUN, Alive, Job, Launcher
from vitruvian.sweeps.slurm_job import FrozenJob, python_command, script_lines
from vitruvian.sweeps.slurm_keys import Needs, SlurmKeys

_NAME = "slurm"  # in the list of launches, and the folder of batch scripts below the sweep
_JOBS_A_SECOND = 20  # how many may start together without overrunning a file system
_JITTER_S = 30.0  # at most
_LAST_LINES = 8  # of a log: an error stands before what srun says of it


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
        groups: dict[tuple[Needs, str], list[Job]] = {}
        for job in jobs:
            groups.setdefault((self.needs(job), job.module), []).append(job)
        with turn(sweep.path / ".submitting", sweep.path):
            alive = self.alive(sweep)
            for (needs, _), members in groups.items():
                self._submit(sweep, needs, [job for job in members if job.name not in alive])
        return self._await(sweep, jobs) if self.wait else {}

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
                *script_lines(logs, sweep.path / _NAME, self.max_restarts),
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

    def _await(self, sweep: SweepDirectory, jobs: Sequence[Job]) -> dict[str, str]:
        names = {job.name for job in jobs}
        with _stoppable():
            while names & self.alive(sweep).keys():
                time.sleep(self.poll_s)
        reasons = {job.name: _failure(job, sweep.logs / f"{job.name}.log") for job in jobs}
        return {name: reason for name, reason in reasons.items() if reason is not None}


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


def _failure(job: Job, log: Path) -> str | None:
    """Why a job that has left the queue is not done, by its own words; SLURM's are not believed."""
    if job.module != RUN:
        return _last_error(log)
    status = RunDirectory(job.path).read_status()
    state, reason = status.get("state"), status.get("reason")
    if state in (COMPLETE, PRUNED):
        return None
    if state is None:
        return _last_error(log) or f"it has not begun; see {log}"
    if state == FAILED or reason:
        return str(reason or f"see {log}")
    return f"its process was killed; see {log}"


def _last_error(log: Path) -> str | None:
    """The user's mistake that a log ends with."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    except OSError:
        return None
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return errors[-1] if errors else None


# -- what was handed over -------------------------------------------------------------------------


def _queued(sweep: SweepDirectory) -> list[tuple[str, str, Alive]]:
    """Number, name and state of what waits or runs, of all that SLURM was ever given."""
    launches = [one for one in read_lines(sweep.launches_file) if one.get("launcher") == _NAME]
    names = {str(number): name for one in launches for name, number in one["jobs"].items()}
    if not names:
        return []
    alive = slurm_queue.queue(names, _job_name(sweep))
    return [(one, names[one], state) for one, state in alive.items()]


def _job_name(sweep: SweepDirectory) -> str:
    """What squeue shows, and what tells this sweep's jobs from those of any other."""
    return re.sub(r"[^\w.-]", "_", f"{sweep.path.parent.name}-{sweep.path.name}")


def _clear(folder: Path, listed: Path) -> None:
    """Remove what was prepared for jobs that were refused."""
    listed.unlink(missing_ok=True)
    for left in (*folder.glob(".submission_file_*.sh"), *folder.glob("*.pkl")):
        if not left.is_symlink() and "_submitted" not in left.name:
            left.unlink(missing_ok=True)
