"""A sweep of known points: a grid, a list, folds. What `hydra/sweeper=grid|list|folds` do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from vitruvian.core.config import Config, differences
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.rundir import dump_yaml
from vitruvian.sweeps.axes import combined, grid, listed, overrides_of, points_of, split_arguments
from vitruvian.sweeps.composing import Composer, refuse_run
from vitruvian.sweeps.directory import Manifest, SweepDirectory
from vitruvian.sweeps.folds import folds_of
from vitruvian.sweeps.launchers import go_on_with, launcher_of
from vitruvian.sweeps.submission import (
    PLACE,
    drafted,
    launcher_node,
    objectives_of,
    origin,
    place_of,
    start_and_leave,
    sweeper_keys,
)

Frozen = tuple[Mapping[str, str], Config]


def sweep_points(loader: ConfigLoader, master: DictConfig, arguments: Sequence[str]) -> None:
    """Freeze every point, then start all runs; an interrupted sweep is continued.

    Raises:
        ConfigError: any of the points is wrong; nothing has been written then.
        RunError: the directory holds another sweep.
    """
    keys = sweeper_keys(master)
    fixed, swept = split_arguments(loader, keys["params"], arguments)
    refuse_run([*fixed, *swept])
    node = launcher_node(master)
    launcher = launcher_of(node)  # before anything is written
    composer = Composer(loader, master, fixed)
    axes = listed(swept)
    points = combined(points_of(keys["points"]), axes) if keys["points"] else grid(axes)
    if keys["folds"] is not None:
        points = [point for each in points for point in folds_of(composer, each, keys["folds"])]
    frozen = freeze_all(composer, points)
    names = {str(config["name"]) for _, config in frozen}
    manifest = Manifest(
        name=names.pop() if len(names) == 1 else str(master.name),
        overrides=tuple(fixed),
        axes=tuple(dict.fromkeys(key.lstrip("+~") for point in points for key in point)),
        objectives=objectives_of(keys["objectives"], frozen[0][1]),
        launcher=node,
        origin=origin(),
    )
    sweep = place_of(master, manifest.name)
    settle(sweep, manifest, frozen)
    start_and_leave(sweep, launcher)


def freeze_all(composer: Composer, points: Sequence[Mapping[str, str]]) -> list[Frozen]:
    """Every point with its config.

    Raises:
        ConfigError: one line for each different problem, with the first point that has it.
    """
    frozen: list[Frozen] = []
    problems: dict[str, list[int]] = {}
    for number, point in enumerate(points):
        try:
            frozen.append((point, composer.freeze(point, number)))
        except ConfigError as error:
            for line in str(error).splitlines():
                problems.setdefault(line, []).append(number)
    if problems:
        raise ConfigError("\n".join(_problem(*entry, points) for entry in problems.items()))
    return frozen


def _problem(line: str, numbers: Sequence[int], points: Sequence[Mapping[str, str]]) -> str:
    if len(numbers) == len(points):
        return line
    more = f" and {len(numbers) - 1} more" if len(numbers) > 1 else ""
    return f"{line} (in {' '.join(overrides_of(points[numbers[0]]))}{more})"


def settle(
    sweep: SweepDirectory, manifest: Manifest, frozen: Sequence[Frozen], place: str = PLACE
) -> None:
    """Write the sweep, or make sure that the one in the directory is the same.

    Args:
        sweep: its directory.
        manifest: what was asked for.
        frozen: every point with its config.
        place: the key that names the directory, for messages.

    Raises:
        RunError: the directory holds something else, or cannot be written.
    """
    if sweep.exists:
        _refuse_other(sweep, frozen, place)
        go_on_with(sweep, manifest.launcher)
        return
    with drafted(sweep, place) as draft:
        for number, (point, config) in enumerate(frozen):
            run = draft.run(number)
            run.path.mkdir()
            typed = [*manifest.overrides, *overrides_of(point)]
            run.overrides_file.write_text("".join(f"{line}\n" for line in typed), "utf-8")
            run.config_file.write_text(dump_yaml(config), "utf-8")
        draft.write_points([overrides_of(point) for point, _ in frozen])
        draft.write_manifest(manifest)


def _refuse_other(sweep: SweepDirectory, frozen: Sequence[Frozen], place: str) -> None:
    """Make sure that the sweep in a directory is the one that was asked for again.

    Raises:
        RunError: it is another one.
    """
    there = sweep.runs()
    if [one.overrides for one in there] != [overrides_of(point) for point, _ in frozen]:
        raise RunError(f"{sweep.path} holds another sweep: give another {place}=...")
    for one, (_, config) in zip(there, frozen, strict=True):
        changed = differences(config, one.run.config)
        if changed:
            raise RunError(
                f"{sweep.path} holds this sweep of another configuration ("
                f"{'; '.join(changed[:3])}): give another {place}=..., or continue the one "
                f"that is there: vitruvian-sweep resume {sweep.path}"
            )
