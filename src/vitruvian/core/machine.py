"""The cores and GPUs of this machine, dealt out to processes that run side by side."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any, Literal

from vitruvian.core.errors import ConfigError
from vitruvian.core.processes import Share

Count = int | Literal["auto"]


def machine_shares(jobs: int, gpus_per_job: int = 0, share_cores: bool = True) -> list[Share]:
    """Deal this machine out to jobs that run side by side.

    Cores are dealt in contiguous blocks, GPUs likewise. Where there are fewer than jobs, jobs take
    turns on them.

    Args:
        jobs: how many, at least 1.
        gpus_per_job: GPUs for each; 0: none.
        share_cores: whether each keeps to cores of its own; False: all see all.

    Raises:
        ConfigError: a job wants more GPUs than there are.
    """
    blocks = _core_blocks(jobs) if share_cores and jobs > 1 else [None] * jobs
    return [
        Share(cores, gpus)
        for cores, gpus in zip(blocks, _gpu_blocks(jobs, gpus_per_job), strict=True)
    ]


def _core_blocks(jobs: int) -> list[tuple[int, ...] | None]:
    cores = _cores()
    if jobs >= len(cores):
        return [(cores[job % len(cores)],) for job in range(jobs)]
    ends = [job * len(cores) // jobs for job in range(jobs + 1)]
    return [tuple(cores[a:b]) for a, b in pairwise(ends)]


def _cores() -> list[int]:
    """Numbers of the cores that we may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _gpu_blocks(jobs: int, each: int) -> list[tuple[str, ...] | None]:
    gpus = visible_gpus()
    if each > len(gpus):
        raise ConfigError(
            f"a job is to have {each} GPUs (hydra.launcher.gpus_per_job, trainer.devices), this "
            f"machine shows {len(gpus)}; ask for fewer, or look at CUDA_VISIBLE_DEVICES"
        )
    if not each:
        return [() if gpus else None] * jobs  # what is not theirs they do not see
    blocks = [tuple(gpus[i : i + each]) for i in range(0, len(gpus) - each + 1, each)]
    return [blocks[job % len(blocks)] for job in range(jobs)]


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that we may use, as CUDA_VISIBLE_DEVICES names them; CUDA is left alone."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return _installed_gpus() if named is None else _named_gpus(named)


def _named_gpus(text: str) -> tuple[str, ...]:
    """CUDA reads up to the first entry that is no device, such as -1."""
    entries = [entry.strip() for entry in text.split(",")]
    valid = [bool(entry) and not entry.startswith("-") for entry in entries]
    return tuple(entries[: [*valid, False].index(False)])


@cache
def _installed_gpus() -> tuple[str, ...]:
    """All GPUs by their UUIDs: their numbers mean another order to CUDA than to nvidia-smi."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return read_gpus(done.stdout)


def read_gpus(listing: str) -> tuple[str, ...]:
    """UUIDs in what `nvidia-smi -L` prints; of a GPU that is cut up, those of its parts."""
    found: list[str] = []
    for line in listing.splitlines():
        _, marker, rest = line.partition("(UUID: ")
        uuid = rest.rstrip(") \t")
        if not marker:
            continue
        if uuid.startswith("MIG-") and found and found[-1].startswith("GPU-"):
            found.pop()  # the whole cannot be used while it has parts
        found.append(uuid)
    return tuple(found)


# -- what a config asks for -----------------------------------------------------------------------


def gpus_of(config: Mapping[str, Any]) -> int:
    """GPUs that a run of this frozen config takes on this machine."""
    trainer = config["trainer"]
    there = len(visible_gpus())
    if trainer.get("accelerator", "auto") not in ("auto", "gpu", "cuda") or not there:
        return 0
    return device_count(trainer.get("devices", "auto"), there)


def device_count(devices: Any, there: int) -> int:
    """How many devices `trainer.devices` names: a number, a list, -1 (all), `auto` (one)."""
    if isinstance(devices, Sequence) and not isinstance(devices, str):
        return len(devices)
    count = int(devices) if str(devices).lstrip("-").isdecimal() else 1
    return count if count > 0 else there


def refuse_nodes(config: Mapping[str, Any]) -> None:
    """Make sure that a run needs no more than one machine.

    Raises:
        ConfigError: it does, and nobody would start its other half.
    """
    nodes = config["trainer"].get("num_nodes", 1)
    if nodes != 1:
        raise ConfigError(
            f"trainer.num_nodes: {nodes} machines need hydra/launcher=slurm, or a scheduler of "
            "your own; this launcher starts each run on one"
        )


def processes_of(config: Mapping[str, Any]) -> int:
    """Processes that a run of this frozen config consists of on this machine."""
    devices = config["trainer"].get("devices", "auto")
    on_cores = devices if isinstance(devices, int) and devices > 0 else 1
    return gpus_of(config) or on_cores


def deal(
    configs: Sequence[Mapping[str, Any]],
    jobs: Count = "auto",
    gpus_per_job: Count = "auto",
    share_cores: bool = True,
) -> list[Share]:
    """Shares for runs of these configs.

    Args:
        configs: of the runs; they may be of several kinds.
        jobs: side by side; auto: as many as there are GPUs for, 1 without GPUs.
        gpus_per_job: for each; auto: as many as the config that takes most.
        share_cores: whether each keeps to cores of its own.

    Raises:
        ConfigError: a run wants more GPUs than there are, or more than one machine.
    """
    for config in configs:
        refuse_nodes(config)
    gpus = max(map(gpus_of, configs), default=0) if isinstance(gpus_per_job, str) else gpus_per_job
    fitting = max(1, len(visible_gpus()) // gpus) if gpus else 1
    shares = machine_shares(fitting if isinstance(jobs, str) else jobs, gpus, share_cores)
    processes = max(map(processes_of, configs), default=1)
    return [_divided(share, processes) for share in shares]


def _divided(share: Share, processes: int) -> Share:
    """The threads of each process where a run has several, all on the cores of its share."""
    if processes == 1 or share.cores is None:
        return share
    return replace(share, threads=max(1, len(share.cores) // processes))
