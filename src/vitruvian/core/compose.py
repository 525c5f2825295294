"""Hydra as the front door: it composes the config and then steps aside."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from vitruvian.core.complaints import explain
from vitruvian.core.config import Root, config_directory

Composed = tuple[DictConfig, list[str]]
SweepJob = Callable[[DictConfig, list[str], Path], Any]


def compose_from_shell(config_name: str, sweep_job: SweepJob) -> Composed | None:
    """Compose the config that the command line asks for.

    Returns:
        The composed config and the overrides; None when Hydra has answered by itself (`--help`,
        `--cfg`) or has run a sweep (`--multirun`) through `sweep_job`.

    Raises:
        ConfigError: the command line or a YAML file is wrong; one line, nearest key named.
    """
    register_schema()
    composed: list[Composed] = []

    def job(config: DictConfig) -> Any:
        overrides = list(HydraConfig.get().overrides.task)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return sweep_job(config, overrides, Path(HydraConfig.get().runtime.output_dir))
        composed.append((config, overrides))
        return None

    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise to us instead of printing and leaving with 1
    application = hydra.main(str(config_directory()), config_name, "1.3")
    try:
        application(job)()
    except (HydraException, OmegaConfBaseException) as error:
        overrides = [argument for argument in sys.argv[1:] if "=" in argument]
        raise explain(error, overrides, config_name) from error
    return composed[0] if composed else None


def register_schema() -> None:
    """Make the typed root known to Hydra as `schema`."""
    ConfigStore.instance().store(name="schema", node=Root)
