"""Sweeps frozen as `vitruvian-train -m` freezes them, without a process of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from vitruvian.core.compose import register_schema
from vitruvian.core.config import Config, config_directory, freeze


@contextmanager
def hydra_of(*overrides: str) -> Iterator[tuple[ConfigLoader, DictConfig]]:
    """Hydra's loader and the config of a sweep, as a sweeper gets them."""
    register_schema()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield loader, loader.load_configuration("train", list(overrides), RunMode.MULTIRUN)


def frozen_alone(overrides: Sequence[str]) -> Config:
    """The config that a single run with these overrides would have."""
    with hydra_of() as (loader, _):
        config = loader.load_configuration("train", list(overrides), RunMode.RUN)
    with open_dict(config):
        del config["hydra"]
    return freeze(config)


def only_sweep(folder: Path) -> Path:
    """The one sweep below a folder of outputs."""
    (manifest,) = folder.glob("outputs/sweeps/*/*/sweep.yaml")
    return manifest.parent
