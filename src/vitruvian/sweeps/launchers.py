"""The launcher of a sweep: built from its node, or another one from now on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from vitruvian.core.build import build
from vitruvian.core.check import check_node
from vitruvian.core.complaints import no_option
from vitruvian.core.compose import NOT_FROZEN
from vitruvian.core.config import Config, config_directory
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.jobs import Launcher

KEY = "launcher"


def launcher_of(node: Config, path: str = "hydra.launcher") -> Launcher:
    """Build a launcher.

    Raises:
        ConfigError: it is none of ours, or a key does not fit it.
    """
    if str(node.get("_target_")).startswith(("hydra._internal", "hydra_plugins.")):
        raise ConfigError(NOT_FROZEN)
    check_node(node, path)
    launcher = build(node, path)
    if not isinstance(launcher, Launcher):
        raise ConfigError(f"{path}._target_: {node['_target_']} is no launcher of Vitruvian")
    return launcher


def relaunched(sweep: SweepDirectory, name: str | None, changes: Mapping[str, Any]) -> Launcher:
    """The launcher that a sweep goes on with; another one is noted in the manifest.

    Args:
        sweep: the sweep.
        name: another one, such as `local`; None: the one it has.
        changes: keys of it that are to change, without the word `launcher.`.

    Raises:
        ConfigError: there is no such launcher, or a key does not fit it.
        RunError: jobs are alive at the launcher that would be left.
    """
    manifest = sweep.manifest()
    node = (_defaults(name) if name else manifest.launcher) | dict(changes)
    launcher = launcher_of(node, KEY)
    go_on_with(sweep, node)
    return launcher


def go_on_with(sweep: SweepDirectory, node: Config) -> None:
    """Note in the manifest who starts the jobs from now on.

    Raises:
        RunError: jobs are alive at the launcher that would be left.
    """
    manifest = sweep.manifest()
    if node == manifest.launcher:
        return
    before = manifest.launcher
    if node.get("_target_") != before.get("_target_") or not launcher_of(before).outlived:
        _refuse_to_leave(sweep, before)
    sweep.write_manifest(replace(manifest, launcher=node))


def _refuse_to_leave(sweep: SweepDirectory, node: Config) -> None:
    """Another launcher knows nothing of what the one before has in hand; one process holds both."""
    try:
        alive = launcher_of(node).alive(sweep)
    except ConfigError as error:  # its cluster is not to be asked from here, or is no more
        print(f"note: what is alive at the launcher before cannot be asked: {error}")
        return
    if alive:
        raise RunError(
            f"launcher: {len(alive)} jobs of this sweep are queued or running at the launcher it "
            f"has; wait for them, or stop them first: vitruvian-sweep cancel {sweep.path}"
        )


def _defaults(name: str) -> Config:
    """The node of `conf/hydra/launcher/NAME.yaml`."""
    folder = config_directory() / "hydra" / "launcher"
    valid = sorted(file.stem for file in folder.glob("*.yaml"))
    if name not in valid:
        raise ConfigError(no_option(f"{KEY}/{name}", valid))
    node = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
    return {key: value for key, value in node.items() if key != "defaults"}
