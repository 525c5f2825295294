"""From a composed config and a few values to a frozen one, without composing again.

A *base* is a whole config as Hydra composed it, its interpolations still in place: one for each
combination of swept config groups (`model=unet,eas_unet`). Setting `optimizer.lr` in it and
resolving gives what Hydra would compose, in a fraction of the time, and from files that nobody
edits.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vitruvian.core.check import nearest
from vitruvian.core.config import Config, flatten, freeze
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.files import write_text

Value = str | int | float
Groups = tuple[tuple[str, str], ...]  # swept groups and their options, by the groups' names

_INDEX = "index.yaml"


class Bases:
    """The composed configs of a sweep.

    Args:
        groups: names of the config groups that are swept, such as `model`.
        composed: the config of each combination of their options.
        base: where relative paths start; the folder we are in by default.
    """

    def __init__(
        self,
        groups: Iterable[str],
        composed: Mapping[Groups, DictConfig],
        base: Path | None = None,
    ) -> None:
        self.groups = tuple(sorted(groups))
        self._composed = dict(composed)
        self._base = base

    @property
    def combinations(self) -> list[Groups]:
        """The options that the bases were composed with."""
        return list(self._composed)

    def freeze(self, values: Mapping[str, Value]) -> Config:
        """The frozen config of one point.

        Args:
            values: options of the swept groups and values of other keys; text is read as Hydra
                reads `key=text`.

        Raises:
            ConfigError: a key is not in the config, or a value does not fit; one line per problem.
        """
        options = tuple((group, str(values[group])) for group in self.groups if group in values)
        config = copy.deepcopy(self._composed[options])
        for key, value in values.items():
            if key not in self.groups:
                _set(config, key, read_value(key, value) if isinstance(value, str) else value)
        return freeze(config, self._base)

    def write(self, folder: Path) -> None:
        """Write all bases, so that `read` gives them back on any machine.

        Raises:
            ConfigError: a config asks Hydra for something that only a command line knows.
        """
        combinations = []
        for number, (options, config) in enumerate(self._composed.items()):
            text = OmegaConf.to_yaml(config, resolve=False)
            _refuse_hydras(text)
            write_text(folder / f"{number}.yaml", text)
            combinations.append(dict(options))
        write_text(folder / _INDEX, yaml.safe_dump([list(self.groups), combinations]))

    @classmethod
    def read(cls, folder: Path, base: Path | None = None) -> Bases:
        """Read what `write` wrote.

        Args:
            folder: it wrote into.
            base: where relative paths start: the folder of the command that made the bases.

        Raises:
            RunError: a file is gone or damaged.
        """
        try:
            groups, combinations = yaml.safe_load((folder / _INDEX).read_text(encoding="utf-8"))
            composed = {
                tuple(sorted(options.items())): _load(folder / f"{number}.yaml")
                for number, options in enumerate(combinations)
            }
        except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
            told = " ".join(str(error).split())
            raise RunError(f"{folder}: the bases of the trials are damaged ({told})") from error
        return cls(groups, composed, base)


def _load(file: Path) -> DictConfig:
    config = OmegaConf.load(file)
    if not isinstance(config, DictConfig):
        raise TypeError(f"{file} holds no configuration")
    return config


def _refuse_hydras(text: str) -> None:
    for line in text.splitlines():
        if "${hydra:" in line or "${now:" in line:
            raise ConfigError(
                f"{line.strip()}: a study makes its configurations without Hydra; write the value"
            )


def _set(config: DictConfig, key: str, value: Any) -> None:
    if OmegaConf.select(config, key, default=_set) is _set:
        known = [name for name, _ in flatten(OmegaConf.to_container(config))]
        near = nearest(key, known)
        raise ConfigError(f"{key}: no such key{f'; did you mean `{near}`?' if near else ''}")
    try:
        OmegaConf.update(config, key, value, merge=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}: {str(error).splitlines()[0]}") from error


@lru_cache(maxsize=4096)
def read_value(key: str, text: str) -> Any:
    """The plain value that Hydra's grammar gives to `key=text`."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create().parse_override(f"{key}={text}").value()
