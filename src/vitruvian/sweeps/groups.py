"""Runs that only differ by their seed or fold, taken together: mean, SD and interval over them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vitruvian.core.check import nearest
from vitruvian.core.errors import ConfigError
from vitruvian.sweeps.collection import Collected, Collection, write_table
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.states import State

# What repeats a training instead of changing it: other initial weights, or other people in the
# parts. A split's seed is one, too: each of its folds is then drawn once for every seed.
FOLDS = ("split.fold", "datamodule.fold")
SEEDS = ("seed", "split.seed", "datamodule.seed", "datamodule.simulator.seed")
REPEATS = FOLDS + SEEDS


@dataclass(frozen=True)
class Spread:
    """A metric over the runs of a group.

    Attributes:
        n: runs with a value.
        mean: over them; NaN when n is 0.
        sd: sample standard deviation (n - 1); None for n below 2.
        ci_low: lower end of the 95 % interval of the mean (Student's t); None for n below 2.
        ci_high: upper end of it.
        baseline: mean of the runs' strongest trivial baselines; None where there are none.
    """

    n: int
    mean: float
    sd: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    baseline: float | None = None


@dataclass(frozen=True)
class Group:
    """Runs with the same values of everything that does not repeat a training.

    Attributes:
        values: of the axes that make the group.
        runs: all that were asked for.
        repeats: the axes that run within the group.
    """

    values: Mapping[str, str]
    runs: tuple[Collected, ...]
    repeats: tuple[str, ...]

    @cached_property
    def complete(self) -> list[Collected]:
        """Those that are complete."""
        return [run for run in self.runs if run.state is State.COMPLETED]

    @property
    def missing(self) -> list[str]:
        """What tells apart those that are not: `split.fold=3`, else their directories."""
        return [
            " ".join(f"{key}={run.axes[key]}" for key in self.repeats if key in run.axes)
            or run.directory
            for run in self.runs
            if run.state is not State.COMPLETED
        ]

    def spread(self, metric: str) -> Spread:
        """A metric over the complete runs; those without a value are left out."""
        figures = [run.figures for run in self.complete]
        found = [one.values.get(metric, math.nan) for one in figures]
        rivals = [one.baselines[metric] for one in figures if metric in one.baselines]
        baseline = sum(rivals) / len(rivals) if rivals else None
        return spread([value for value in found if not math.isnan(value)], baseline)


def spread(values: Sequence[float], baseline: float | None = None) -> Spread:
    """Mean, SD and 95 % interval (Student's t) of values, none of them NaN."""
    n = len(values)
    mean = math.fsum(values) / n if n else math.nan
    if n < 2 or math.isinf(mean):
        return Spread(n, mean, baseline=baseline)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = _t(n - 1) * sd / math.sqrt(n)
    return Spread(n, mean, sd, mean - half, mean + half, baseline)


def _t(freedom: int) -> float:
    """The 97.5 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def grouped(collection: Collection, by: Sequence[str] | None = None) -> list[Group]:
    """Put the runs into groups, in the order of their first ones.

    Args:
        collection: all runs.
        by: axes that make a group; by default all but seeds and folds.

    Raises:
        ConfigError: one of them is not swept.
    """
    keys = chosen_axes(collection.axes, by)
    repeats = tuple(axis for axis in collection.axes if axis not in keys)
    groups: dict[tuple[tuple[str, str], ...], list[Collected]] = {}
    for run in collection.runs:
        own = tuple((key, run.axes[key]) for key in keys if key in run.axes)
        groups.setdefault(own, []).append(run)
    return [Group(dict(key), tuple(runs), repeats) for key, runs in groups.items()]


def chosen_axes(axes: Sequence[str], by: Sequence[str] | None) -> tuple[str, ...]:
    """The axes that make a group."""
    if by is None:
        return tuple(axis for axis in axes if axis not in REPEATS)
    for key in by:
        if key not in axes:
            near = nearest(key, axes)
            hint = f"did you mean `{near}`?" if near else f"swept are: {', '.join(axes) or 'none'}"
            raise ConfigError(f"by: {key} is not swept; {hint}")
    return tuple(by)


def write(sweep: SweepDirectory, collection: Collection, groups: Sequence[Group]) -> Path:
    """Write `aggregated.csv`: a line for each group and metric.

    Raises:
        RunError: the directory cannot be written.
    """
    path = sweep.path / f"aggregated{collection.suffix}.csv"
    keys = [axis for axis in collection.axes if any(axis in group.values for group in groups)]
    head = [*keys, "metric", "n", "asked_for", "missing", "mean", "sd", "ci_low", "ci_high"]
    write_table(path, [*head, "best_baseline", "data"], _lines(collection, groups, keys))
    return path


def _lines(
    collection: Collection, groups: Sequence[Group], keys: Sequence[str]
) -> Iterator[list[object]]:
    data = "simulated" if collection.simulated else "real"
    for group in groups:
        values = [group.values.get(key) for key in keys]
        asked, missing = len(group.runs), "; ".join(group.missing) or None
        for metric in collection.metrics:
            found = group.spread(metric)
            ends = (found.sd, found.ci_low, found.ci_high, found.baseline)
            yield [*values, metric, found.n, asked, missing, found.mean, *ends, data]
