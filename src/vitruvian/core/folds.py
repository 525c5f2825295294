"""All folds of a split: which there are, where each is trained, and what has been settled for all.

A directory of folds holds `folds.yaml` (the frozen config, the overrides, the subjects and which
folds were asked for), a run directory `fold-00`, `fold-01` ... for each of them, and in the end
`evaluation/` with the figures of all. Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from vitruvian.core.cli import override
from vitruvian.core.config import Config, differences
from vitruvian.core.errors import ConfigError, DataError, RunError
from vitruvian.core.files import write_text
from vitruvian.core.rundir import COMPLETE, RunDirectory, dump_yaml

PLAN_FILE = "folds.yaml"
FOLD_KEY = "split.fold"
_FOLLOWS = re.compile(r"\$\{(?:oc\.select:)?([\w.]+)(?:,\d+)?\}")
_LISTS = ("chosen", "keys", "subjects", "overrides")


@dataclass(frozen=True)
class FoldPlan:
    """What `folds.yaml` holds, and where the folds are.

    Attributes:
        path: directory of the folds.
        config: frozen config of all folds; its fold is that of none in particular.
        overrides: the command line that it was composed from.
        keys: the keys that hold the fold; see `fold_keys`.
        subjects: everyone who has data, as divided by the split.
        count: number of folds that the split has.
        chosen: the folds to train; empty: all.
    """

    path: Path
    config: Config
    overrides: tuple[str, ...]
    keys: tuple[str, ...] = (FOLD_KEY,)
    subjects: tuple[str, ...] = ()
    count: int = 0
    chosen: tuple[int, ...] = ()

    @classmethod
    def read(cls, path: Path) -> FoldPlan:
        """Read what `write` wrote.

        Raises:
            RunError: there is nothing to continue in `path`, or it is damaged.
        """
        file = path / PLAN_FILE
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
            lists = {name: tuple(content[name]) for name in _LISTS}
            return cls(path, content["config"], count=content["count"], **lists)
        except FileNotFoundError as error:
            raise RunError(
                f"run={path}: no folds to continue here; to start them, say what as well: "
                "experiment=..."
            ) from error
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            told = " ".join(str(error).split())
            raise RunError(f"{file} is damaged ({told}); start in another run=...") from error

    def write(self) -> None:
        """Write `folds.yaml`, atomically."""
        lists = {name: list(getattr(self, name)) for name in _LISTS}
        content = {"count": self.count, **lists, "config": self.config}
        write_text(self.path / PLAN_FILE, dump_yaml(content))

    @property
    def begun(self) -> bool:
        """Whether there is a plan in the directory already."""
        return (self.path / PLAN_FILE).is_file()

    def refuse_other(self, config: Config) -> None:
        """Make sure that a config is the one of this plan.

        Raises:
            RunError: it is another one.
        """
        changed = differences(config, self.config)
        if changed:
            raise RunError(
                f"{self.path} holds folds of another configuration ({'; '.join(changed[:3])}): "
                "give another run=..., or only run=... to continue these"
            )

    def settled(self, subjects: Sequence[str], count: int, chosen: Sequence[int]) -> FoldPlan:
        """The plan once the data are known.

        Args:
            subjects: everyone who has data.
            count: number of folds that the split makes of them.
            chosen: the folds to train; empty: all.

        Raises:
            ConfigError: there is no such fold.
            DataError: folds were begun with other subjects, who would be in no fold or in two.
        """
        absent = [fold for fold in chosen if not 0 <= fold < count]
        if absent:
            raise ConfigError(f"folds: there is no fold {absent[0]}; choose from 0 to {count - 1}")
        found = tuple(sorted(subjects))
        if self.subjects and self.subjects != found:
            changed = sorted(set(self.subjects) ^ set(found))
            raise DataError(
                f"{self.path}: the data have changed since the folds were begun "
                f"({', '.join(changed[:5])}{' ...' if changed[5:] else ''}): put them back, or "
                "start all folds anew in another run=..."
            )
        return replace(self, subjects=found, count=count, chosen=tuple(chosen))

    @property
    def wanted(self) -> list[int]:
        """The folds to train."""
        return list(self.chosen or range(self.count))

    def run(self, fold: int) -> RunDirectory:
        """The run directory of a fold."""
        digits = max(2, len(str(self.count - 1)))
        return RunDirectory(self.path / f"fold-{fold:0{digits}}")

    def claim(self, fold: int) -> RunDirectory:
        """The run directory of a fold, with its config in it.

        Raises:
            RunError: it holds a run with another configuration, or cannot be written.
        """
        run = self.run(fold)
        run.claim(self.config_of(fold), [*self.overrides, f"{self.keys[-1]}={fold}"])
        return run

    def config_of(self, fold: int) -> Config:
        """The frozen config of one fold."""
        return override(self.config, dict.fromkeys(self.keys, fold))

    @property
    def complete(self) -> list[int]:
        """The folds that have been trained and evaluated, also those of earlier commands."""
        return [fold for fold in range(self.count) if self.run(fold).status == COMPLETE]


def fold_keys(
    split: Any, overrides: Sequence[str], datamodule: Mapping[Any, Any] | None = None
) -> tuple[str, ...]:
    """The keys that hold the fold: `split.fold`, and the one it follows where it is `${...}`.

    Args:
        split: the composed node of that name, before interpolations are resolved.
        overrides: the command line.
        datamodule: the composed node of that name; one without `fold` leaves nothing to follow.

    Raises:
        ConfigError: the command line sets one of the keys.
    """
    follows = _FOLLOWS.fullmatch(str(split.get("fold")))
    keys = (FOLD_KEY, follows[1]) if follows else (FOLD_KEY,)
    if datamodule is not None and "fold" not in datamodule:
        keys = (FOLD_KEY,)
    for key in (text.partition("=")[0].lstrip("+~") for text in overrides):
        if key in keys:
            raise ConfigError(
                f"{key}: vitruvian-folds trains all folds; leave it out, or choose some of them "
                "with folds=0,2"
            )
    return keys


def refuse_without_folds(config: Config) -> None:
    """Make sure, before any data are read, that the split is one of several.

    Raises:
        ConfigError: it is not.
    """
    if "fold" not in config["split"]:
        target = str(config["split"].get("_target_", "")).rpartition(".")[-1]
        raise _no_folds(target)


def count_folds(split: Any, subjects: Sequence[str]) -> int:
    """Number of folds that a split makes of these subjects.

    Raises:
        ConfigError: the split has no folds.
    """
    if not hasattr(split, "count"):
        raise _no_folds(type(split).__name__)
    return int(split.count(subjects))


def _no_folds(name: str) -> ConfigError:
    return ConfigError(f"split: {name} has no folds; add split=leave_one_out or split=kfold")


def chosen_folds(text: str) -> tuple[int, ...]:
    """Read `all` (an empty tuple) or numbers such as `0,2,5`, each once, in order.

    Raises:
        ConfigError: it is neither.
    """
    if text.strip() == "all":
        return ()
    numbers = [part.strip() for part in text.strip().strip("[]").split(",")]
    if not all(number.isdecimal() for number in numbers):
        raise ConfigError(f"folds: got {text!r}, expected all, or numbers such as 0,2,5")
    return tuple(sorted({int(number) for number in numbers}))
