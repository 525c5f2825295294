"""`vitruvian-folds`: every fold of a split by one command, and their figures as one table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vitruvian.core.cli import exit_with, parse_overrides, show, wants_help
from vitruvian.core.errors import ConfigError, RunError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omegaconf import DictConfig

    from vitruvian.core.folds import FoldPlan
    from vitruvian.core.pool import Work
    from vitruvian.core.rundir import RunDirectory

KEYS = {"folds": None, "jobs": "1"}
NO_SWEEP = "--multirun: vitruvian-folds is a sweep of its own; start one at a time"

HELP = """vitruvian-folds experiment=NAME [group=option ...] [key=value ...]
vitruvian-folds run=DIR

Train every fold of a split, each as vitruvian-train would, then join their evaluations: mean, SD
over the subjects and confidence interval of each predictor, and the best participant by metric.

  folds       all | numbers such as 0,2,5                         (all; with run=DIR alone those
                                                                   asked for before)
  jobs        folds trained at the same time; with several, each
              prints into its own fold-N.log and has cores and
              GPUs of its own                                     (1)
  run         directory of the folds; given alone, continue there (OUTPUT_DIR/NAME/TIME-folds)

-v says more (debug lines), -q no more than warnings and results.

Groups and keys are those of vitruvian-train; the split needs folds: split=leave_one_out or kfold.
Complete folds are skipped, a failed one does not stop the others, Ctrl-C saves the state of those
that run. DIR/fold-00 ... are run directories, DIR/evaluation/folds.csv has the rows of all.

  vitruvian-folds experiment=spine_lstm split=kfold datamodule.root=/data/clips run=outputs/five
"""


def main() -> None:
    """Entry point of the console script."""
    exit_with(folds)


def folds() -> int:
    """Train the folds that the command line asks for, and collect what they found."""
    arguments = sys.argv[1:]
    if wants_help(arguments):
        print(HELP, end="")
        return 0
    keys, rest = _own_keys(arguments)
    jobs = _jobs(keys["jobs"])
    plan = _plan(rest)
    if plan is None:
        return 0
    from vitruvian.core.folds import chosen_folds

    chosen = plan.chosen if keys["folds"] is None else chosen_folds(keys["folds"])
    return _train_and_collect(plan, chosen, jobs)


def _own_keys(arguments: Sequence[str]) -> tuple[dict[str, str | None], list[str]]:
    """The verb's own keys, and what is Hydra's.

    Raises:
        ConfigError: a sweep is asked for.
    """
    keys: dict[str, str | None] = dict(KEYS)
    rest = []
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if argument in ("-m", "--multirun"):
            raise ConfigError(NO_SWEEP)
        if equals and key in keys:
            keys[key] = text
        else:
            rest.append(argument)
    return keys, rest


def _jobs(text: str | None) -> int:
    if text is None or not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"jobs: got {text!r}, expected a whole number, 1 or more")
    return int(text)


def _plan(rest: list[str]) -> FoldPlan | None:
    """What is to be done: read from the directory, or composed; None: Hydra has answered."""
    from vitruvian.core.folds import FoldPlan

    if len(rest) == 1 and rest[0].startswith("run="):
        return FoldPlan.read(Path(str(parse_overrides(rest)["run"])).expanduser().resolve())
    from vitruvian.core.compose import compose_from_shell

    sys.argv = [sys.argv[0], *rest]
    composed = compose_from_shell("train", NO_SWEEP)
    if composed is None:
        return None
    return _composed_plan(*composed)


def _composed_plan(composed: DictConfig, overrides: list[str]) -> FoldPlan:
    from omegaconf import OmegaConf

    from vitruvian.core.config import freeze
    from vitruvian.core.folds import FoldPlan, fold_keys, refuse_without_folds
    from vitruvian.core.rundir import RunDirectory

    config = freeze(composed)
    refuse_without_folds(config)
    split = OmegaConf.to_container(composed.split, resolve=False)
    keys = fold_keys(split, overrides, config["datamodule"])
    path = _path(composed)
    if RunDirectory(path).exists:
        raise RunError(
            f"run={path}: this is a run of vitruvian-train; give the folds another place"
        )
    plan = FoldPlan(path, config, tuple(overrides), keys)
    if not plan.begun:
        return plan
    plan = FoldPlan.read(path)
    plan.refuse_other(config)
    return plan


def _path(composed: DictConfig) -> Path:
    from vitruvian.core.rundir import new_run_path

    if composed.run:
        return Path(composed.run).expanduser().resolve()
    fresh = new_run_path(Path(composed.output_dir), composed.name)
    return fresh.with_name(f"{fresh.name}-folds").resolve()


def _train_and_collect(plan: FoldPlan, chosen: tuple[int, ...], jobs: int) -> int:
    from vitruvian.core.config import checked
    from vitruvian.core.rundir import RunDirectory
    from vitruvian.core.signals import Interrupted

    checked(plan.config)  # it may have been edited, or come from another version
    try:
        with RunDirectory(plan.path).lock():
            plan = _settled(plan, chosen)
            failed = _train(plan, jobs)
            _collect(plan)
    except Interrupted as stop:
        print(f"{stop}; the state is saved, continue with: vitruvian-folds run={plan.path}")
        return stop.exit_code
    for fold, reason in failed.items():
        show(RunError(f"{fold} failed: {reason}"))
    if failed:
        print(f"train the folds that failed once more with: vitruvian-folds run={plan.path}")
    return int(bool(failed))


def _settled(plan: FoldPlan, chosen: tuple[int, ...]) -> FoldPlan:
    """The plan with its folds, written; the data are found and converted once for all folds."""
    if plan.count:
        known = plan.settled(plan.subjects, plan.count, chosen)
        if set(known.wanted) <= set(known.complete):
            return known  # to show the tables again, no data are needed
    from vitruvian.core import engine
    from vitruvian.core.build import build
    from vitruvian.core.folds import count_folds

    split = build(plan.config_of(0)["split"], "split")
    count_folds(split, ())  # before any data are read
    datamodule = engine.build_datamodule(plan.config)
    engine.build_task(plan.config, datamodule)  # what cannot be built fails here, once
    datamodule.prepare()
    subjects = datamodule.subjects
    split.assign(subjects, datamodule.strata)  # too few subjects: told once, not by every fold
    plan = plan.settled(subjects, count_folds(split, subjects), chosen)
    plan.write()
    return plan


def _train(plan: FoldPlan, jobs: int) -> Mapping[str, str]:
    from vitruvian.core.machine import deal
    from vitruvian.core.pool import Processes
    from vitruvian.core.warm import starter

    complete = set(plan.complete)
    waiting = [fold for fold in plan.wanted if fold not in complete]
    done = len(plan.wanted) - len(waiting)
    print(f"{len(plan.wanted)} of {plan.count} folds in {plan.path}, {done} complete", flush=True)
    shares = deal([plan.config], jobs)
    with starter([plan.config] * len(waiting), shares) as start:
        pool = Processes(shares, lambda line: print(line, flush=True), start)
        return pool.run([_work(fold, plan.claim(fold), jobs) for fold in waiting])


def _work(fold: int, run: RunDirectory, jobs: int) -> Work:
    """A fold that is trained alone prints where we print, several each into a file beside it."""
    from vitruvian.core.pool import Work

    log = run.path.with_name(f"{run.path.name}.log") if jobs > 1 else None
    return Work(f"fold {fold}", "vitruvian.run", run.path, log, str(run.path))


def _collect(plan: FoldPlan) -> None:
    """Join and show what is complete, however many folds have failed."""
    if not plan.complete:
        return
    from rich.console import Console

    from vitruvian.core import engine
    from vitruvian.core.fold_results import collect
    from vitruvian.core.rundir import RunDirectory
    from vitruvian.report.closing import after_folds, show_next
    from vitruvian.report.page.ending import hand_over
    from vitruvian.report.page.run import write_run_page
    from vitruvian.report.people import best_subjects, show_best
    from vitruvian.report.result import show_result

    result = collect(plan, engine.build_task(plan.config))
    show_result(result, plan.path)
    show_best(best_subjects(result.cases.evaluation.rows, result.metrics), Console())
    if plan.config["page"]:
        hand_over(lambda: write_run_page(RunDirectory(plan.path)))
    show_next(after_folds(plan.path, plan.run(plan.complete[0]).path))


if __name__ == "__main__":
    main()
