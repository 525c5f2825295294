"""Folds as an axis of a sweep: how many there are, the split itself tells."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import OmegaConf

from vitruvian.core.config import Config
from vitruvian.core.errors import ConfigError
from vitruvian.core.folds import chosen_folds, count_folds, fold_keys, refuse_without_folds
from vitruvian.sweeps.composing import Composer

_counts: dict[str, int] = {}  # by data and split: a sweep of the optimiser reads the data once


def folds_of(composer: Composer, point: Mapping[str, str], wanted: Any) -> Iterator[dict[str, str]]:
    """A point once for each fold of its split.

    Args:
        composer: of the sweep.
        point: what else it sets.
        wanted: `all`, or a list of folds.

    Raises:
        ConfigError: the split has no folds, or not the wanted ones, or the fold is set otherwise.
    """
    config = composer.freeze(point, 0)
    refuse_without_folds(config)
    composing = {key: text for key, text in point.items() if composer.composes(key)}
    split = OmegaConf.to_container(composer.base(composing).split, resolve=False)
    key = fold_keys(split, [f"{name}=" for name in point], config["datamodule"])[-1]
    count = _count(config)
    for fold in _chosen(wanted) or range(count):
        if not 0 <= fold < count:
            raise ConfigError(f"hydra.sweeper.folds: there is no fold {fold}; 0 to {count - 1}")
        yield {**point, key: str(fold)}


def _chosen(wanted: Any) -> tuple[int, ...]:
    return chosen_folds(",".join(map(str, wanted)) if isinstance(wanted, list) else str(wanted))


def _count(config: Config) -> int:
    """Folds of the split; the data are read only where their subjects decide."""
    from vitruvian.core.build import build

    split = build(config["split"], "split")
    if "folds" in config["split"]:
        return count_folds(split, ())
    key = json.dumps([config["split"], config["datamodule"]], sort_keys=True)
    if key not in _counts:
        from vitruvian.core import engine

        datamodule = engine.build_datamodule(config)
        datamodule.prepare()
        _counts[key] = count_folds(split, datamodule.subjects)
    return _counts[key]
