"""Which runs test a paper: a point of a sweep for each experiment, seed and fold.

Later ones win: overrides of the preset, of the experiment, of the experiment in the preset, seeds
and folds, what the user has typed. Nothing here imports torch or Hydra.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vitruvian.core.check import nearest
from vitruvian.core.config import Config
from vitruvian.core.errors import ConfigError
from vitruvian.papers.departures import (
    departures,
    is_fold,
    key_of,
    larger_batch,
    missing_folds,
)
from vitruvian.papers.paper import Experiment, Paper, Preset
from vitruvian.papers.roots import KEY, NOTHING, ROOT


@dataclass(frozen=True)
class PlannedRun:
    """One run.

    Attributes:
        experiment: key of the experiment that it belongs to.
        point: what sets it apart from the others, as typed after `vitruvian-train`.
        repeat: which repetition it belongs to, such as `seed 1`; empty where there is only one.
        fold: which fold of it, such as `fold 3`; empty where there are none.
    """

    experiment: str
    point: Mapping[str, str]
    repeat: str = ""
    fold: str = ""


@dataclass(frozen=True)
class Plan:
    """All runs of a paper.

    Attributes:
        paper: the paper.
        preset: key of the preset.
        shared: overrides of every run.
        runs: the runs, in the order of their numbers in the sweep.
        real: whether the data are real, as far as it is known: the user has named some.
        typed: overrides by the user, as typed.
        repeats: the values of each key that is repeated over.
        root_key: after which the folder of the data is typed, for messages.
    """

    paper: Paper
    preset: str
    shared: tuple[str, ...]
    runs: tuple[PlannedRun, ...]
    real: bool
    typed: tuple[str, ...] = ()
    repeats: Mapping[str, Sequence[int]] = field(default_factory=dict)
    root_key: str = KEY

    @property
    def simulated(self) -> bool:
        """Whether the runs rest on simulated data, as far as it can be known beforehand."""
        return self.paper.presets[self.preset].simulated and not self.real

    def departures(self, config: Config) -> tuple[str, ...]:
        """What makes the runs another recipe than the paper's, each in a few words.

        A preset that is made for simulated data shows the way: on real ones it is no recipe.

        Args:
            config: frozen, of any run.
        """
        preset = self.paper.presets[self.preset]
        small = [f"preset={self.preset}"] if preset.simulated and self.real else []
        changed = departures(self.paper, preset, self.typed, self.repeats)
        return (*small, *changed, *larger_batch(self.typed, config))

    def missing_folds(self, there: int | None = None) -> tuple[str, ...]:
        """Which folds are left out, such as `1 of 5 folds`.

        Args:
            there: how many the data have; None: as many as the paper's.
        """
        return tuple(missing_folds(self.paper.presets[self.preset], self.repeats, there))

    @property
    def experiments(self) -> tuple[Experiment, ...]:
        """The experiments that have runs."""
        keys = dict.fromkeys(run.experiment for run in self.runs)
        return tuple(self.paper.experiments[key] for key in keys)

    def label(self, run: PlannedRun) -> str:
        """What a run is, for a reader: `EAS U-Net, seed 1, fold 0`."""
        parts = (self.paper.experiments[run.experiment].label, run.repeat, run.fold)
        return ", ".join(part for part in parts if part)


def plan_of(paper: Paper, preset: str, typed: Sequence[str] = (), root_key: str = KEY) -> Plan:
    """Plan the runs of a paper.

    Args:
        paper: the paper.
        preset: how.
        typed: further overrides, by the user; a value of a key that the preset repeats over
            (`seed=0,1`) takes the place of its values.
        root_key: after which the folder of the data is typed, for messages.

    Raises:
        ConfigError: there is no such preset, a key that it needs was not given, or a value is a
            list of several for a key that is not repeated over.
    """
    own = preset_of(paper, preset)
    given = {key_of(text): text.partition("=")[2] for text in typed}
    _refuse_own(paper, given)
    for key, what in own.needs.items():
        if given.get(key, "") in NOTHING:
            name = root_key if key == ROOT else key
            raise ConfigError(f"{name}: preset={preset} needs it: {what}; add {name}=...")
    repeats = {key: _repeated(key, given.get(key), own) for key in own.repeats}
    rest = [text for text in typed if key_of(text) not in repeats]
    settled = {key_of(text) for text in rest}
    runs = [
        PlannedRun(experiment.key, {**_point(experiment, preset, settled), **chosen}, *names)
        for experiment in paper.experiments.values()
        if not experiment.only or preset in experiment.only
        for chosen, names in _combinations(repeats)
    ]
    if not runs:
        raise ConfigError(f"preset: {preset} runs no experiment of {paper.key}")
    shared = [text for text in own.overrides if key_of(text) not in settled | set(repeats)]
    real = any(
        given.get(key, "") not in NOTHING for one in paper.presets.values() for key in one.needs
    )
    every = (*shared, *rest)
    return Plan(paper, preset, every, tuple(runs), real, tuple(typed), repeats, root_key)


def _refuse_own(paper: Paper, given: Mapping[str, str]) -> None:
    """Make sure that nothing is typed which makes a row what it is: its name would be wrong.

    Raises:
        ConfigError: a key belongs to an experiment.
    """
    for one in paper.experiments.values():
        for key in map(key_of, one.overrides):
            if key in given and key != "experiment":  # that one has words of its own
                raise ConfigError(f"{key}: it is what sets {one.label!r} apart; leave it out")


def preset_of(paper: Paper, preset: str) -> Preset:
    """A preset by its name.

    Raises:
        ConfigError: the paper has none of this name.
    """
    if preset not in paper.presets:
        near = nearest(preset, paper.presets)
        hint = f"did you mean {near}?" if near else f"there are: {', '.join(paper.presets)}"
        raise ConfigError(f"preset: {paper.key} has no preset {preset!r}; {hint}")
    return paper.presets[preset]


def _point(experiment: Experiment, preset: str, settled: set[str]) -> dict[str, str]:
    """What an experiment sets, except for the keys that the user has settled."""
    lines = (*experiment.overrides, *experiment.presets.get(preset, ()))
    pairs = [line.partition("=") for line in lines]
    return {key: text for key, _, text in pairs if key.lstrip("+~") not in settled}


def _repeated(key: str, typed: str | None, preset: Preset) -> tuple[int, ...]:
    """The values that a key is repeated over: the preset's, or those that were typed."""
    if typed is None:
        return preset.repeats[key]
    try:
        return tuple(dict.fromkeys(int(part) for part in typed.split(",")))
    except ValueError:
        told = f"got {typed!r}, expected whole numbers, such as {key}=0,1"
        raise ConfigError(f"{key}: {told}") from None


def _combinations(
    repeats: Mapping[str, Sequence[int]],
) -> list[tuple[dict[str, str], tuple[str, str]]]:
    """Every combination of seeds and folds, with the names of its repetition and of its fold."""
    found = []
    for values in itertools.product(*repeats.values()):
        chosen = dict(zip(repeats, values, strict=True))
        folds = {key: value for key, value in chosen.items() if is_fold(key)}
        seeds = {key: value for key, value in chosen.items() if not is_fold(key)}
        found.append(({k: str(v) for k, v in chosen.items()}, (_named(seeds), _named(folds))))
    return found


def _named(chosen: Mapping[str, int]) -> str:
    return ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in chosen.items())
