"""One evaluation: every case judged, tables written, figures drawn."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytorch_lightning as pl

from vitruvian.core.config import Config
from vitruvian.core.datamodule import DataModule, Part
from vitruvian.core.evaluation import Evaluation, Row, by_predictor, nulled, summarise, write
from vitruvian.core.fsdp import RunFSDP
from vitruvian.core.gallery import Gallery
from vitruvian.core.rundir import RunDirectory
from vitruvian.core.splits import Splits
from vitruvian.core.task import Task
from vitruvian.core.trainer import quiet

log = logging.getLogger(__name__)

EVERYONE = "every case found, also those trained on"


@dataclass(frozen=True)
class View:
    """One table of an evaluation.

    Attributes:
        evaluation: rows, statistics, and whether the data are simulated.
        pooled: per predictor, the figures of all cases taken as one.
    """

    evaluation: Evaluation
    pooled: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Result:
    """One evaluated part of the data.

    Attributes:
        name: of the result files.
        split: how the subjects were divided, such as "5-fold, fold 0".
        metrics: the ones to show.
        cases: the table of all cases.
        views: further tables of the same cases, such as one per person.
    """

    name: str
    split: str
    metrics: tuple[str, ...]
    cases: View
    views: dict[str, View]


def held_out(splits: Splits) -> Part:
    """The part that figures come from: the validation where the split has no test patients."""
    return "test" if splits.test else "val"


def evaluated(
    trainer: pl.Trainer,
    task: Task,
    datamodule: DataModule,
    part: Part,
    run: RunDirectory,
    config: Config,
    name: str,
    changed: tuple[str, ...] = (),
) -> Result:
    """Evaluate a part of the data, write tables and figures, on however many processes.

    Args:
        trainer: of the run, or one device.
        task: with the weights to judge.
        datamodule: prepared, with its splits unless `part` is `all`.
        part: of the data.
        run: takes the results.
        config: the frozen one.
        name: of the files, before the marks of leaky and simulated data.
        changed: what differs from the configuration that the run was trained with.
    """
    datamodule.evaluated = part
    with quiet():
        trainer.test(task, datamodule=datamodule, verbose=False)
    name += ("_leaky" if datamodule.leaky else "") + ("_simulated" if datamodule.simulated else "")
    split = EVERYONE if part == "all" else datamodule.splits.kind
    tables = {"": task.rows, **task.views(task.rows)}
    views = {which: _view(task, rows, datamodule, config) for which, rows in tables.items()}
    gallery = Gallery(run.figures / name, datamodule.simulated)
    if trainer.is_global_zero:
        gallery.clear()
        for which, view in views.items():
            pooled = {who: nulled(figures) for who, figures in view.pooled.items()}
            notes = {"split": split, "pooled": pooled, "changed": list(changed)}
            notes |= {"view": which, "reported": list(task.reported)}
            found, file = view.evaluation, f"{name}_{which}" if which else name
            write(found.rows, found.summary, run.evaluation, file, found.simulated, notes)
        if config["page"]:
            _illustrate(trainer, task, datamodule, gallery)
    cases = views.pop("")
    return Result(name, split, task.reported, cases, views)


def _illustrate(trainer: pl.Trainer, task: Task, datamodule: DataModule, gallery: Gallery) -> None:
    """Draw figures of the cases just evaluated; not where each process holds a part of the net."""
    if isinstance(trainer.strategy, RunFSDP):
        log.info("no figures with trainer=fsdp; vitruvian-evaluate run=DIR draws them")
        return
    try:
        cases = datamodule.cases(datamodule.part(datamodule.evaluated))
        with on_device(task, trainer):
            task.illustrate(cases, task.rows, gallery)
    except Exception:  # a figure is not worth a training that has ended well
        log.exception("the figures could not be drawn; the results are kept")


@contextmanager
def on_device(task: Task, trainer: pl.Trainer) -> Iterator[None]:
    """The task on the trainer's device, in its precision, for evaluation."""
    arithmetic = trainer.precision_plugin
    arithmetic.convert_module(task.eval().to(trainer.strategy.root_device))
    with arithmetic.forward_context():
        yield


def _view(task: Task, rows: list[Row], datamodule: DataModule, config: Config) -> View:
    found = Evaluation(rows, summarise(rows, seed=config["seed"]), datamodule.simulated)
    return View(found, {who: task.pooled(group) for who, group in by_predictor(rows).items()})
