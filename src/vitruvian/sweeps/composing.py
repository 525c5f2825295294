"""Hydra composes what bases are made of: each combination of config groups once."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from vitruvian.core.config import Config, freeze
from vitruvian.core.errors import ConfigError
from vitruvian.sweeps.bases import Bases, Groups, Value

Point = Mapping[str, str]  # what one run sets, by key, as typed after the `=`


class Composer:
    """Composes the configs of a sweep as Hydra would compose each by itself.

    Args:
        loader: Hydra's, with its search path.
        master: the config of the sweep, `hydra` included.
        fixed: overrides that all runs share.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig, fixed: Sequence[str]) -> None:
        self._loader, self._master, self._fixed = loader, master, list(fixed)
        self._bases: dict[Groups, DictConfig] = {}
        self._asking: set[Groups] = set()  # the bases that read what Hydra knows of a job

    def freeze(self, point: Point, number: int) -> Config:
        """The frozen config of one run.

        Args:
            point: what it sets.
            number: its number in the sweep, for configs that ask for `${hydra:job.num}`.

        Raises:
            ConfigError: as `core.config.freeze`.
        """
        composing = {key: text for key, text in point.items() if self.composes(key)}
        base, options = self.base(composing), tuple(sorted(composing.items()))
        if options in self._asking:
            return self._freeze_by_hydra(point, number)
        return Bases(composing, {options: base}).freeze(point)

    def composes(self, key: str) -> bool:
        """Whether a key chooses files, or adds or removes keys: then Hydra must compose."""
        if key.startswith(("+", "~")) or self._is_group(key):
            return True
        return OmegaConf.select(self._master, key, default=self) is self

    def base(self, composing: Point) -> DictConfig:
        """The config of one combination of what must be composed, without `hydra`."""
        options = tuple(sorted(composing.items()))
        if options not in self._bases:
            composed = self._compose([f"{key}={text}" for key, text in composing.items()])
            self._bases[options] = base = _without_hydra(composed)
            if "${hydra:" in OmegaConf.to_yaml(base, resolve=False):
                self._asking.add(options)
        return self._bases[options]

    def bases(self, corners: Sequence[Mapping[str, Value]]) -> Bases:
        """Bases of every combination of the groups' options that stand in `corners`."""
        groups = sorted({key for corner in corners for key in corner if self._is_group(key)})
        options = [list(dict.fromkeys(corner.get(group) for corner in corners)) for group in groups]
        found = {}
        for chosen in itertools.product(*options):
            pairs = zip(groups, chosen, strict=True)
            composing = {group: str(option) for group, option in pairs if option is not None}
            found[tuple(sorted(composing.items()))] = self.base(composing)
        return Bases(groups, found)

    def _is_group(self, key: str) -> bool:
        return "/" in key or "@" in key or key in self._master.hydra.runtime.choices

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        return self._loader.load_sweep_config(self._master, [*self._fixed, *overrides])

    def _freeze_by_hydra(self, point: Point, number: int) -> Config:
        """Slow, for configs that read what Hydra knows of a job."""
        composed = self._compose([f"{key}={text}" for key, text in point.items()])
        with open_dict(composed.hydra.job):
            composed.hydra.job.num = number
            composed.hydra.job.id = str(number)
        before = copy.copy(HydraConfig.instance().cfg)
        HydraConfig.instance().set_config(composed)
        try:
            return freeze(_without_hydra(composed))
        finally:
            HydraConfig.instance().cfg = before


def _without_hydra(composed: DictConfig) -> DictConfig:
    alone = copy.deepcopy(composed)
    with open_dict(alone):
        alone.pop("hydra", None)
    return alone


def refuse_run(overrides: Sequence[str]) -> None:
    """Make sure that no run is told where to live: the sweep gives each a directory.

    Raises:
        ConfigError: `run=` is among the overrides.
    """
    if any(text.partition("=")[0].lstrip("+") == "run" for text in overrides):
        raise ConfigError("run: each job of a sweep has its own directory; set hydra.sweep.dir")
