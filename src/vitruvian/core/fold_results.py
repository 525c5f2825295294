"""The rows of all folds as one evaluation: each subject was tested by a model that never saw it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vitruvian.core.errors import DataError
from vitruvian.core.evaluating import Result, View, held_out
from vitruvian.core.evaluation import (
    Evaluation,
    Row,
    by_predictor,
    merge,
    nulled,
    read,
    summarise,
    write,
)
from vitruvian.core.folds import FoldPlan
from vitruvian.core.rundir import RunDirectory
from vitruvian.core.splits import Splits
from vitruvian.core.task import Task

NAME = "folds"
FOLD, SUBJECT = "fold", "participant"  # keys of rows
UNIT = "; a participant counts as one case"
_SUFFIXES = ("", "_leaky", "_simulated", "_leaky_simulated")  # as core.engine appends them
_ONE_FOLD = re.compile(r"fold \d+( of \d+)?")


def collect(plan: FoldPlan, task: Task) -> Result:
    """Join the evaluations of all complete folds and write them to `evaluation/` of the plan.

    The unit of every mean, SD and interval is the subject: rows of one `participant`, where rows
    name one, are averaged first; else the case is the subject. Views and pooled figures are those
    of the task, over the rows of all folds.

    Returns:
        The evaluation, named `folds` with the suffixes of the folds' own (`_leaky`, `_simulated`).

    Raises:
        DataError: no fold is complete, or the evaluation of one is missing or damaged.
    """
    folds = plan.complete
    if not folds:
        raise DataError(f"{plan.path}: no fold is complete, there is nothing to collect")
    found = {fold: own_evaluation(plan.run(fold)) for fold in folds}
    simulated = any(evaluation.simulated for _, evaluation in found.values())
    suffix = max((suffix for suffix, _ in found.values()), key=len)
    rows = merge(
        [{**row, FOLD: str(fold)} for row in evaluation.rows]
        for fold, (_, evaluation) in found.items()
    )
    tables = {"": rows, **task.views(rows)}
    seed = plan.config["seed"]
    views = {which: view_of(task, part, seed, simulated) for which, part in tables.items()}
    split = _split_of_all(plan, folds) + (UNIT if any(SUBJECT in row for row in rows) else "")
    _write(views, plan.path / "evaluation", f"{NAME}{suffix}", split, folds)
    return Result(f"{NAME}{suffix}", split, task.reported, views.pop(""), views)


def own_evaluation(run: RunDirectory) -> tuple[str, Evaluation]:
    """What the run wrote at its end, and the suffix of its name.

    Raises:
        DataError: it is gone or damaged.
    """
    part = held_out(Splits.read(run.splits_file))
    for suffix in _SUFFIXES:
        if (run.evaluation / f"{part}{suffix}.json").is_file():
            return suffix, read(run.evaluation, f"{part}{suffix}")
    raise DataError(f"{run.evaluation} holds no evaluation; was it deleted? {_again(run)}")


def _again(run: RunDirectory) -> str:
    return f"vitruvian-evaluate run={run.path} writes it again"


def view_of(task: Task, rows: list[Row], seed: int, simulated: bool) -> View:
    """The statistics of rows over subjects, and their pooled figures, by predictor."""
    summary = summarise(by_subject(rows), seed=seed)
    pooled = {who: task.pooled(group) for who, group in by_predictor(rows).items()}
    return View(Evaluation(rows, summary, simulated), pooled)


def by_subject(rows: Iterable[Row]) -> list[Row]:
    """The rows with the participant as their case, where they name one."""
    return [{**row, "case": row.get(SUBJECT, row["case"])} for row in rows]


def _split_of_all(plan: FoldPlan, folds: Sequence[int]) -> str:
    """How the subjects were divided, such as "leave one out, 19 of 19 folds"."""
    kind = Splits.read(plan.run(folds[0]).splits_file).kind
    return _ONE_FOLD.sub(f"{len(folds)} of {plan.count} folds", kind)


def _write(
    views: dict[str, View], directory: Path, name: str, split: str, folds: Sequence[int]
) -> None:
    for which, view in views.items():
        pooled = {who: nulled(figures) for who, figures in view.pooled.items()}
        notes: dict[str, Any] = {"split": split, "pooled": pooled, "folds": list(folds)}
        found, file = view.evaluation, f"{name}_{which}" if which else name
        write(found.rows, found.summary, directory, file, found.simulated, notes)
