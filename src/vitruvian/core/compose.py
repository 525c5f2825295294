"""Hydra as the front door: it composes the config and then steps aside."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vitruvian.core.complaints import explain, no_option
from vitruvian.core.config import Root, config_directory
from vitruvian.core.errors import ConfigError
from vitruvian.core.verbosity import as_hydra_keys, remember

Composed = tuple[DictConfig, list[str]]

NOT_FROZEN = (
    "hydra/sweeper, hydra/launcher: Hydra's own compose each job when its turn comes; choose the "
    "sweeper grid, list, folds or optuna and the launcher local, slurm or ray: they freeze every "
    "run beforehand"
)

# What Hydra raises about a command line or a file; it means ValueErrors for the user, too.
COMPLAINTS = (HydraException, OmegaConfBaseException, yaml.YAMLError, UserWarning, ValueError)


def compose_from_shell(config_name: str, no_sweep: str = NOT_FROZEN) -> Composed | None:
    """Compose the config that the command line asks for.

    Args:
        config_name: the root file.
        no_sweep: what to say where `--multirun` finds no sweeper of ours.

    Returns:
        The composed config and the overrides; None when Hydra has answered by itself (`--help`,
        `--cfg`) or has handed a sweep (`--multirun`) to hydra_plugins/vitruvian_sweeps.py.

    Raises:
        ConfigError: the command line or a YAML file is wrong; one line, nearest key named.
    """
    register_schema()
    composed: list[Composed] = []
    absent: list[str] = []

    def job(config: DictConfig) -> None:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise ConfigError(no_sweep)
        remember()
        overrides = _overrides()
        composed.append((config, overrides))
        absent.extend(_absent_options(overrides))

    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise to us instead of printing and leaving with 1
    application = hydra.main(str(config_directory()), config_name, "1.3")
    try:
        with _missing_folder_is_an_error(), as_hydra_keys():
            application(job)()
    except COMPLAINTS as error:
        raise explain(error, sys.argv[1:], config_name) from error
    except RuntimeError as error:
        if "Invalid plugin" in str(error):  # a sweeper of Hydra's own wants a launcher of its own
            raise ConfigError(no_sweep) from error
        raise
    if absent:
        raise ConfigError("\n".join(absent))
    return composed[0] if composed else None


def _overrides() -> list[str]:
    """The overrides as they were typed; an interpolation in one belongs to the config, not here."""
    typed = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    assert isinstance(typed, list)
    return [str(override) for override in typed]


def _absent_options(overrides: Sequence[str]) -> Iterator[str]:
    """The optional group `local` may have no file, but not for an option asked for by name."""
    runtime = HydraConfig.get().runtime
    option = runtime.choices.get("local")
    folders = [Path(source.path) / "local" for source in runtime.config_sources]
    valid = {file.stem for folder in folders for file in folder.glob("*.yaml")}
    if f"local={option}" in overrides and option not in valid:
        yield no_option(f"local/{option}", sorted(valid | {"default"}))


@contextmanager
def _missing_folder_is_an_error() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=r"provider=hydra\.searchpath")
        yield


def register_schema() -> None:
    """Make the typed root known to Hydra as `schema`."""
    ConfigStore.instance().store(name="schema", node=Root)
