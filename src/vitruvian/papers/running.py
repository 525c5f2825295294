"""The runs of a paper as one sweep of known points: frozen, started, continued.

In this process, as `vitruvian-train -m hydra/sweeper=list` would. Nothing here imports torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from vitruvian.core.complaints import explain
from vitruvian.core.compose import COMPLAINTS, register_schema
from vitruvian.core.config import Config, config_directory
from vitruvian.core.errors import ConfigError
from vitruvian.core.machine import visible_gpus
from vitruvian.papers.departures import key_of
from vitruvian.papers.mistyped import is_mistyped, set_aside
from vitruvian.papers.plan import Plan
from vitruvian.papers.roots import need_folders
from vitruvian.sweeps.composing import Composer
from vitruvian.sweeps.directory import Manifest, SweepDirectory
from vitruvian.sweeps.launchers import launcher_of
from vitruvian.sweeps.points import freeze_all, settle
from vitruvian.sweeps.starting import start
from vitruvian.sweeps.states import MOVING, RunState, State, counts_line, states_of
from vitruvian.sweeps.submission import launcher_node, objectives_of, origin

PLACE = "output"  # the key that names the directory, for messages
_TAKEN = {
    "experiment": "the paper says which experiments test it; leave it out",
    "run": f"each run of the paper has its own directory; set {PLACE}=...",
    "hydra.sweep.dir": f"set {PLACE}=...",
    "hydra/sweeper": "the runs are a list of the paper's; leave it out",
}


def frozen_sweep(plan: Plan, hydras: Sequence[str], folder: Path) -> SweepDirectory:
    """Freeze every run of a plan in a folder, or make sure that these very runs are frozen there.

    Args:
        plan: the runs.
        hydras: overrides that say how they are started: `hydra/launcher=...`, `hydra.launcher...`.
        folder: of the sweep.

    Raises:
        ConfigError: any of the runs is wrong, or its data are not there; nothing has been written
            then.
        RunError: the folder holds other runs.
    """
    refuse_taken((*plan.shared, *hydras))
    points = [run.point for run in plan.runs]
    first = [*plan.shared, *(f"{key}={text}" for key, text in points[0].items())]
    with _hydra([*_launched(plan, hydras), *first]) as (loader, master):
        frozen = freeze_all(Composer(loader, master, plan.shared), points)
        node = launcher_node(master)
    configs = [config for _, config in frozen]
    need_folders(configs, plan.root_key)
    launcher_of(node)  # before anything is written
    manifest = Manifest(
        name=plan.paper.key,
        overrides=plan.shared,
        axes=tuple(dict.fromkeys(key_of(key) for point in points for key in point)),
        objectives=objectives_of(None, configs[0]),
        launcher=node,
        origin=origin(),
    )
    sweep = SweepDirectory(folder)
    with set_aside(sweep) if _gives_way(sweep, configs) else nullcontext():
        settle(sweep, manifest, frozen, PLACE)
    return sweep


def _gives_way(sweep: SweepDirectory, configs: Sequence[Config]) -> bool:
    """Whether another sweep may take the place of this one: nothing would be lost with it."""
    if not sweep.exists or not is_mistyped(sweep, configs):
        return False
    return not count_moving(how_they_stand(sweep))


def refuse_taken(overrides: Sequence[str]) -> None:
    """Make sure that nothing is overridden which is not the user's to choose, and nothing swept.

    Raises:
        ConfigError: it is.
    """
    for text in overrides:
        if key_of(text) in _TAKEN:
            raise ConfigError(f"{key_of(text)}: {_TAKEN[key_of(text)]}")
        if _is_swept(text):
            raise ConfigError(f"{text}: one reproduction has one value of it; write one")


def _is_swept(override: str) -> bool:
    """Whether it is a list of values to try; what cannot be read is told when it is composed."""
    try:
        return bool(OverridesParser.create().parse_override(override).is_sweep_override())
    except HydraException:
        return False


def frozen_alone(overrides: Sequence[str]) -> Config:
    """The config of one run, composed by itself.

    Raises:
        ConfigError: it is wrong.
    """
    with _hydra(overrides) as (loader, master):
        return Composer(loader, master, overrides).freeze({}, 0)


@contextmanager
def _hydra(overrides: Sequence[str]) -> Iterator[tuple[ConfigLoader, DictConfig]]:
    """Hydra's loader, and the config of a sweep as its sweepers get it.

    Raises:
        ConfigError: an override or a file is wrong; one line, the nearest key named.
    """
    register_schema()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            loader = GlobalHydra.instance().config_loader()
            yield loader, loader.load_configuration("train", list(overrides), RunMode.MULTIRUN)
    except COMPLAINTS as error:
        raise explain(error, overrides, "train") from error


def _launched(plan: Plan, hydras: Sequence[str]) -> list[str]:
    """How the runs are started: as asked for, else here, on simulated data one for each core."""
    chosen = {key_of(text) for text in (*plan.shared, *hydras)}
    small = plan.paper.presets[plan.preset].simulated and not visible_gpus()
    if not small or chosen & {"cluster", "hydra/launcher", "hydra.launcher.jobs"}:
        return list(hydras)
    cores = len(os.sched_getaffinity(0))
    return [*hydras, f"hydra.launcher.jobs={min(cores, len(plan.runs))}"]


def run_all(sweep: SweepDirectory) -> int:
    """Start what is neither complete nor alive, wait as the launcher does, say what failed.

    Returns:
        The exit code: 0, 1 if some failed, 128 + signal if a signal ended the wait.
    """
    launcher = launcher_of(sweep.manifest().launcher)
    states = states_of(sweep.runs(), launcher.alive(sweep))
    print(f"{len(states)} runs in {sweep.path}: {counts_line(states)}", flush=True)
    if all(one.state is State.COMPLETED for one in states):
        return 0
    return start(sweep, launcher)


def how_they_stand(sweep: SweepDirectory) -> list[RunState]:
    """The state of every run."""
    return states_of(sweep.runs(), launcher_of(sweep.manifest().launcher).alive(sweep))


def count_moving(states: Sequence[RunState]) -> int:
    """How many of the runs wait or run somewhere else."""
    return sum(one.state in MOVING for one in states)


def unfinished_lines(states: Sequence[RunState], labels: Mapping[int, str]) -> list[str]:
    """One line for each run that has failed, was stopped or is lost, with why."""
    fine = MOVING | {State.COMPLETED}
    return [
        f"{labels[one.entry.index]} ({one.entry.name}): {one.state}"
        + (f", {one.reason}" if one.reason else "")
        for one in states
        if one.state not in fine
    ]
