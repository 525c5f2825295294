"""What is asked of SLURM: the keys of its launcher, and what they mean for a job."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vitruvian.core.errors import ConfigError
from vitruvian.sweeps.jobs import RUN, Job

_TIME = re.compile(r"(\d+-)?\d+(:[0-5]?\d){0,2}")
_MEMORY = re.compile(r"\d+[KMGT]?")
_OURS: Mapping[str, str | None] = {  # flags of sbatch that a key stands for, or the launcher itself
    **dict.fromkeys(("array", "error", "job-name", "open-mode", "output", "requeue", "wrap")),
    **{key: key for key in ("time", "partition", "account", "qos", "nodes", "mem", "constraint")},
    "exclude": "exclude",
    "signal": "signal_delay_s",
    "cpus-per-task": "cpus_per_task",
    "gpus-per-node": "gpus_per_node",
    "ntasks-per-node": "tasks_per_node",
    "ntasks": "tasks_per_node",
}
_LEAST: Mapping[str, float] = {
    "nodes": 1,
    "gpus_per_node": 0,
    "tasks_per_node": 1,
    "cpus_per_task": 1,
    "array_parallelism": 1,
    "signal_delay_s": 1,
    "max_restarts": 0,
    "start_jitter_s": 0,
    "poll_s": 0.1,
}


@dataclass(frozen=True)
class Needs:
    """What a job takes of the cluster; jobs that take the same make one array."""

    nodes: int
    tasks_per_node: int
    gpus_per_node: int
    cpus_per_task: int


@dataclass(frozen=True, kw_only=True)
class SlurmKeys:
    """The keys of `hydra/launcher/slurm.yaml`, each checked by itself.

    Attributes:
        partition: name, or several with commas between; None: the cluster's default.
        account: that pays.
        qos: quality of service.
        time: limit of one start, minutes or `D-HH:MM:SS`; None: the partition's.
        nodes: of each job; None: `trainer.num_nodes`.
        gpus_per_node: None: `trainer.devices` where `trainer.accelerator` is gpu, else none.
        tasks_per_node: processes; None: `trainer.devices`.
        cpus_per_task: processor cores of each process.
        mem: memory of each node, such as `32G`.
        constraint: features that a node must have.
        exclude: nodes to keep away from.
        array_parallelism: jobs at the same time; None: as many as the cluster allows.
        signal_delay_s: how long before the time limit a run is told to save and requeue.
        max_restarts: how often a job is started again after its process was killed.
        container: an image for `srun --container-image` (pyxis).
        container_mounts: `OUTSIDE:INSIDE` folders of the container; the sweep's is added.
        python: command that starts Python; None: the one that submits (in a container `python3`).
        setup: lines of shell before the run, such as `module load cuda`.
        extra: further flags of sbatch, without the dashes; `true` for one without a value.
        start_jitter_s: a job's first start is put off by a random time up to this; None: a second
            for 20 jobs, at most 30.
        wait: stay until all jobs have ended.
        poll_s: how often the queue is asked meanwhile.

    Raises:
        ConfigError: a key is out of its range.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: str | int | None = None
    nodes: int | None = None
    gpus_per_node: int | None = None
    tasks_per_node: int | None = None
    cpus_per_task: int = 1
    mem: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    array_parallelism: int | None = None
    signal_delay_s: int = 120
    max_restarts: int = 3
    container: str | None = None
    container_mounts: Sequence[str] = ()
    python: str | None = None
    setup: Sequence[str] = ()
    extra: Mapping[str, str | int | bool] | None = None
    start_jitter_s: float | None = None
    wait: bool = False
    poll_s: float = 5.0

    def __post_init__(self) -> None:
        """Check every key by itself."""
        for key, least in _LEAST.items():
            value = getattr(self, key)
            if value is not None and value < least:
                raise _wrong(key, value, f"{least:g} or more")
        if self.time is not None and not _TIME.fullmatch(str(self.time)):
            raise _wrong("time", self.time, "minutes, or HH:MM:SS or D-HH:MM:SS in quotes")
        if self.mem is not None and not _MEMORY.fullmatch(self.mem.upper()):
            raise _wrong("mem", self.mem, "a number with K, M, G or T, such as 32G")
        for flag in self.extra or {}:
            _refuse_taken(flag)

    def needs(self, job: Job) -> Needs:
        """What a job takes, from its config and the keys.

        Raises:
            ConfigError: the two contradict each other.
        """
        trainer = job.config["trainer"]
        on_gpu = trainer.get("accelerator") in ("gpu", "cuda")
        devices = _devices(trainer.get("devices"), self.gpus_per_node)
        nodes = int(trainer.get("num_nodes") or 1)
        gpus = self.gpus_per_node if self.gpus_per_node is not None else devices * on_gpu
        if on_gpu and gpus < devices:
            raise _contradicts("gpus_per_node", gpus, f"trainer.devices={devices}")
        if self.nodes not in (None, nodes):
            raise _contradicts("nodes", self.nodes, f"trainer.num_nodes={nodes}")
        if self.tasks_per_node not in (None, devices):
            raise _contradicts("tasks_per_node", self.tasks_per_node, f"trainer.devices={devices}")
        if job.module == RUN:
            return Needs(nodes, devices, gpus, self.cpus_per_task)
        if nodes > 1:
            raise ConfigError(
                f"trainer.num_nodes: got {nodes}, but a study's worker trains on one node; "
                "set trainer.num_nodes=1 and use more workers"
            )
        return Needs(1, 1, gpus, self.cpus_per_task * devices)  # it starts the ranks itself


def _devices(asked: Any, gpus: int | None) -> int:
    """How many ranks a run has on each node."""
    if isinstance(asked, list):
        return len(asked)
    if asked in ("auto", -1, "-1", None):
        return gpus or 1
    return int(asked)


def _refuse_taken(flag: str) -> None:
    """A flag that is set by a key, or on which the launcher relies."""
    name = flag.replace("_", "-").lstrip("-")
    if name in _OURS:
        key = _OURS[name]
        advice = f"use the key hydra.launcher.{key}" if key else "the launcher sets it itself"
        raise ConfigError(f"hydra.launcher.extra.{flag}: {advice}")


def _wrong(key: str, value: Any, expected: str) -> ConfigError:
    return ConfigError(f"hydra.launcher.{key}: got {value!r}, expected {expected}")


def _contradicts(key: str, value: Any, trainer: str) -> ConfigError:
    return ConfigError(
        f"hydra.launcher.{key}: got {value}, but the runs have {trainer}; make them agree, "
        f"or leave it out: hydra.launcher.{key}=null"
    )
