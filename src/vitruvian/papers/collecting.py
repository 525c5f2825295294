"""What the complete runs of a paper have found, by experiment; the folds of a repetition joined."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vitruvian.core.engine import build_task
from vitruvian.core.errors import DataError, UserError
from vitruvian.core.evaluation import Evaluation, Row, merge
from vitruvian.core.fold_results import FOLD, own_evaluation, view_of
from vitruvian.core.rundir import RunDirectory
from vitruvian.core.splits import Splits
from vitruvian.core.task import Task
from vitruvian.papers.evidence import Evidence, Repeat
from vitruvian.papers.fitness import unfit
from vitruvian.papers.plan import Plan, PlannedRun
from vitruvian.papers.results import Cost
from vitruvian.sweeps.states import RunState, State

_ONE_FOLD = re.compile(r"fold \d+( of \d+)?")
_ALL_FOLDS = re.compile(r"(\d+)-fold|fold \d+ of (\d+)")


@dataclass(frozen=True)
class _Found:
    """A complete run with its evaluation."""

    planned: PlannedRun
    run: RunDirectory
    evaluation: Evaluation
    split: str
    unfit: str


@dataclass(frozen=True)
class Collected:
    """What all runs of a paper have found.

    Attributes:
        evidence: by experiment.
        unreadable: why the evaluation of a complete run cannot be used, by its number.
    """

    evidence: Mapping[str, Evidence]
    unreadable: Mapping[int, str]

    @property
    def simulated(self) -> bool | None:
        """Whether any of it rests on simulated data; None where there is nothing yet."""
        found = [
            view.simulated
            for one in self.evidence.values()
            for repeat in one.repeats
            for view in repeat.views.values()
        ]
        return any(found) if found else None

    @property
    def folds(self) -> int | None:
        """How many folds the data have, as the divisions of the runs say; None: they do not."""
        return min((one.folds for one in self.evidence.values() if one.folds), default=None)


def collect(
    plan: Plan, states: Sequence[RunState], costs: Mapping[str, Cost] | None = None
) -> Collected:
    """Read the evaluations of all complete runs.

    Args:
        plan: which run belongs to which experiment.
        states: of the runs, in the order of the plan.
        costs: of nets, by experiment.
    """
    found: dict[str, list[_Found]] = {one.key: [] for one in plan.experiments}
    unreadable: dict[int, str] = {}
    for planned, state in zip(plan.runs, states, strict=True):
        if state.state is not State.COMPLETED:
            continue
        try:
            found[planned.experiment].append(_read(planned, state.entry.run))
        except UserError as error:
            unreadable[state.entry.index] = str(error)
    asked = [run.experiment for run in plan.runs]
    evidence = {
        key: replace(
            _evidence(key, runs, asked.count(key)),
            config=states[asked.index(key)].entry.run.config,
        )
        for key, runs in found.items()
    }
    for key, cost in (costs or {}).items():
        evidence[key] = replace(evidence.get(key, Evidence(key, (), (0, 0))), cost=cost)
    return Collected(evidence, unreadable)


def _read(planned: PlannedRun, run: RunDirectory) -> _Found:
    suffix, evaluation = own_evaluation(run)
    if not evaluation.rows:
        raise DataError(f"{run.evaluation} holds an evaluation of no cases")
    splits = Splits.read(run.splits_file)
    why = unfit(splits, "leaky" in suffix, planned.point)
    return _Found(planned, run, evaluation, splits.kind, why)


def _evidence(key: str, runs: Sequence[_Found], asked: int) -> Evidence:
    """Everything that an experiment's complete runs have found."""
    if not runs:
        return Evidence(key, (), (0, asked))
    groups: dict[str, list[_Found]] = {}
    for one in runs:
        groups.setdefault(one.planned.repeat, []).append(one)
    task = build_task(runs[0].run.config)
    repeats = tuple(_repeat(name, own, task) for name, own in groups.items())
    return Evidence(
        key,
        repeats,
        (len(runs), asked),
        split=_split(groups),
        unfit="; ".join(dict.fromkeys(one.unfit for one in runs if one.unfit)),
        folds=_folds(runs[0].split),
        pool=task.pooled,
    )


def _repeat(name: str, folds: Sequence[_Found], task: Task) -> Repeat:
    """One repetition: the rows of its folds together, with the views and figures of the task."""
    rows = _joined(folds)
    simulated = any(one.evaluation.simulated for one in folds)
    seed = int(folds[0].run.config["seed"])
    tables = {"": rows, **task.views(rows)}
    views = {which: view_of(task, part, seed, simulated) for which, part in tables.items()}
    return Repeat(
        name,
        {which: view.evaluation for which, view in views.items()},
        {which: view.pooled for which, view in views.items()},
    )


def _joined(folds: Sequence[_Found]) -> list[Row]:
    """The rows of all folds; the fold is noted in them where there are several."""
    if not any(one.planned.fold for one in folds):
        return folds[0].evaluation.rows
    number = {one.planned.fold: one.planned.fold.rpartition(" ")[2] for one in folds}
    return merge(
        [{**row, FOLD: number[one.planned.fold]} for row in one.evaluation.rows] for one in folds
    )


def _split(groups: Mapping[str, Sequence[_Found]]) -> str:
    """How the subjects were divided, such as "leave one out, 4 folds"."""
    folds = max(groups.values(), key=len)
    kind = folds[0].split
    return kind if len(folds) == 1 else _ONE_FOLD.sub(f"{len(folds)} folds", kind)


def _folds(kind: str) -> int | None:
    """How many folds a division has, such as 5 of "5-fold, fold 3"."""
    found = _ALL_FOLDS.search(kind)
    return int(found[1] or found[2]) if found else None
