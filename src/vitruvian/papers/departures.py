"""What makes runs another recipe than the paper's: it is allowed, and told beside every figure.

Nothing here imports torch or Hydra.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vitruvian.papers.paper import Paper, Preset

if TYPE_CHECKING:
    from vitruvian.core.config import Config

# What changes no figure, or only says where data and machine are. Precision is the machine's: not
# every GPU has bf16. Several devices are told by `larger_batch`, however they came to be.
_KEYS = frozenset(
    {
        "seed",  # seeds are repetitions: any will do
        "name",
        "output_dir",
        "page",
        "threads",
        "matmul_precision",
        "cluster",
        "trainer",
        "trainer.accelerator",
        "trainer.devices",
        "trainer.num_nodes",
        "trainer.precision",
        "trainer.deterministic",
        "trainer.log_every_n_steps",
        "datamodule.root",
        "datamodule.database",
        "datamodule.layout",
        "datamodule.image_glob",
        "datamodule.label_glob",
        "datamodule.cache_dir",
        "datamodule.node_dir",
        "datamodule.workers",
        "datamodule.pin_memory",
        "callbacks.checkpoints.every_n_steps",
    }
)
# What may ask for several devices.
_DEVICES = ("trainer", "trainer.devices", "trainer.num_nodes", "cluster")
_PARTS = ("logger", "hydra", "trainer.strategy", "callbacks.progress", "datamodule.simulator")


def departures(
    paper: Paper,
    preset: Preset,
    typed: Sequence[str],
    repeats: Mapping[str, Sequence[int]],
) -> Iterator[str]:
    """What was typed that makes the runs another recipe, each in a few words.

    Args:
        paper: the paper.
        preset: how it is run: what it overrides and repeats over is the recipe.
        typed: overrides by the user.
        repeats: the values of each key that is repeated over.
    """
    places = {key for one in paper.presets.values() for key in one.needs}
    for text in typed:
        key = key_of(text)
        if key not in repeats and text not in preset.overrides and not _is_free(key, places):
            yield text


def missing_folds(
    preset: Preset, repeats: Mapping[str, Sequence[int]], there: int | None = None
) -> Iterator[str]:
    """Which folds of the recipe were left out, such as `1 of 5 folds`.

    Args:
        preset: how the paper is run.
        repeats: the values of each key that is repeated over.
        there: how many folds the data have; None: as many as the paper's.
    """
    for key in filter(is_fold, preset.repeats):
        recipe, chosen = preset.repeats[key], repeats[key]
        count = len(recipe) if there is None else there
        kept = sum(value in (recipe if there is None else range(there)) for value in chosen)
        if kept < count and not set(recipe) <= set(chosen):
            yield f"{kept} of {count} folds"


def larger_batch(typed: Sequence[str], config: Config) -> Iterator[str]:
    """Whether several devices were asked for: a batch is that of one, a step takes them all.

    Args:
        typed: overrides by the user; what the paper's own file asks for is its recipe.
        config: frozen, of any run.
    """
    if not any(key_of(text) in _DEVICES for text in typed):
        return
    own = {key: config["trainer"].get(key, 1) for key in ("devices", "num_nodes")}
    told = ", ".join(f"trainer.{key}={value}" for key, value in own.items() if value != 1)
    counts = [_count(value) for value in own.values()]
    if None in counts:
        yield f"{told}: batches of as many devices as there are"
    elif (times := math.prod(filter(None, counts))) > 1:
        yield f"{told}: batches of {times} x as many"


def _count(devices: Any) -> int | None:
    """How many devices are meant, as the trainer reads it; None: as many as there are."""
    if isinstance(devices, str) and "," in devices:
        return len([part for part in devices.split(",") if part.strip()])
    if isinstance(devices, list):
        return len(devices)
    try:
        number = int(devices)
    except (TypeError, ValueError):
        return None
    return None if number < 0 else number


def key_of(override: str) -> str:
    """The key of `key=value`."""
    return override.partition("=")[0].lstrip("+~")


def is_fold(key: str) -> bool:
    """Whether a key says who is held out: its last part is `fold`."""
    return key.rpartition(".")[2] == "fold"


def _is_free(key: str, places: set[str]) -> bool:
    parts = any(key == one or key.startswith((f"{one}.", f"{one}/")) for one in _PARTS)
    return key in _KEYS | places or parts
