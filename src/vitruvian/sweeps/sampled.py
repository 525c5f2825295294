"""A sweep whose points a sampler chooses. What `hydra/sweeper=optuna` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from vitruvian.core.config import Config, differences
from vitruvian.core.errors import RunError
from vitruvian.sweeps import study
from vitruvian.sweeps.axes import split_arguments
from vitruvian.sweeps.bases import Bases
from vitruvian.sweeps.composing import Composer, refuse_run
from vitruvian.sweeps.directory import Manifest, SweepDirectory
from vitruvian.sweeps.launchers import go_on_with, launcher_of
from vitruvian.sweeps.space import Space
from vitruvian.sweeps.submission import (
    drafted,
    launcher_node,
    objectives_of,
    origin,
    place_of,
    start_and_leave,
    sweeper_keys,
)


def sweep_study(loader: ConfigLoader, master: DictConfig, arguments: Sequence[str]) -> None:
    """Freeze what the trials are made from, make the study, start its workers.

    A study that is there already is continued; `n_trials` is its total, and may have grown.

    Raises:
        ConfigError: the space, a corner of it, the sampler or the launcher is wrong; nothing has
            been written then.
        RunError: the directory holds another study.
    """
    keys = sweeper_keys(master)
    fixed, swept = split_arguments(loader, keys["params"], arguments)
    refuse_run([*fixed, *swept])
    node = launcher_node(master)
    launcher = launcher_of(node)  # before anything is written
    space = Space.of(keys["params"], arguments, keys["when"], loader)
    composer = Composer(loader, master, fixed)
    bases = composer.bases(list(space.corners()))
    config = check_corners(bases, space)
    name, objectives = str(config["name"]), objectives_of(keys["objectives"], config)
    manifest = Manifest(
        name=name,
        overrides=tuple(fixed),
        axes=tuple(dict.fromkeys(one.key for one in space.parameters)),
        objectives=objectives,
        launcher=node,
        study=study.settle({key: keys[key] for key in study.KEYS}, objectives, space, name),
        origin=origin(),
    )
    sweep = place_of(master, name)
    _settle(sweep, manifest, bases, named=keys["study_name"] is not None)
    start_and_leave(sweep, launcher)


def check_corners(bases: Bases, space: Space) -> Config:
    """Freeze the corners of the space, and every combination of config groups.

    Returns:
        The config of the first corner.

    Raises:
        ConfigError: a trial could not be frozen; one line per problem.
    """
    for options in bases.combinations:
        bases.freeze(dict(options))
    frozen = [bases.freeze(corner) for corner in space.corners()]
    return frozen[0]


def _settle(sweep: SweepDirectory, manifest: Manifest, bases: Bases, named: bool) -> None:
    """Write the sweep and make its study, or make sure that the one there is the same."""
    if sweep.exists:
        there = sweep.manifest()
        _refuse_other(sweep, there, manifest, named)
        kept = {"study_name": (there.study or {})["study_name"]}
        sweep.write_manifest(replace(there, study=(manifest.study or {}) | kept))
        go_on_with(sweep, manifest.launcher)
        return
    with drafted(sweep) as draft:
        bases.write(draft.bases)
        draft.write_manifest(manifest)
        study.create(draft, manifest)


def _refuse_other(sweep: SweepDirectory, there: Manifest, ours: Manifest, named: bool) -> None:
    """Make sure that the study in a directory is the one that was asked for again.

    Raises:
        RunError: it is another one.
    """
    may_differ = {"n_trials", "max_failures"} | (set() if named else {"study_name"})

    def compared(one: Manifest) -> Config:
        kept = {key: value for key, value in (one.study or {}).items() if key not in may_differ}
        return {"overrides": list(one.overrides), "objectives": one.objectives, **kept}

    changed = differences(compared(ours), compared(there))
    if changed:
        raise RunError(
            f"{sweep.path} holds another study ({'; '.join(changed[:3])}): give another "
            "hydra.sweep.dir=..., or continue the one that is there: "
            f"vitruvian-sweep resume {sweep.path}"
        )
