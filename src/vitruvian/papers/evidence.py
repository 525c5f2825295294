"""What the runs of an experiment found, before anybody judges it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vitruvian.core.config import Config
from vitruvian.core.evaluation import Evaluation, Row
from vitruvian.papers.results import Cost

Pooled = Mapping[str, Mapping[str, float]]  # figures of all cases taken as one, by predictor


@dataclass(frozen=True)
class Repeat:
    """One repetition of an experiment: one seed, its folds joined.

    Attributes:
        name: what sets it apart, such as `seed 1`.
        views: the evaluations by name; the cases themselves under "".
        pooled: the pooled figures, by the same names.
    """

    name: str
    views: Mapping[str, Evaluation]
    pooled: Mapping[str, Pooled]


@dataclass(frozen=True)
class Evidence:
    """All that is known of an experiment.

    Attributes:
        experiment: its key.
        repeats: the repetitions that have a complete run; of one with folds, those folds that have.
        runs: how many runs are complete, and how many were asked for.
        config: the frozen config of its first run; None before one is frozen.
        cost: of its net; None where it was not asked for.
        split: how subjects were divided, in words.
        folds: how many folds that division has; None: it has none, or does not say.
        unfit: why its figures say nothing of people whom its nets have not seen; empty where they
            do.
        pool: `Task.pooled` of its task: with it, subjects can be drawn again for the intervals of
            pooled figures. None: those come from the repetitions.
    """

    experiment: str
    repeats: tuple[Repeat, ...]
    runs: tuple[int, int]
    config: Config | None = None
    cost: Cost | None = None
    split: str = ""
    unfit: str = ""
    folds: int | None = None
    pool: Callable[[Sequence[Row]], Mapping[str, float]] | None = None
