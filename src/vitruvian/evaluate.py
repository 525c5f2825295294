"""`vitruvian-evaluate`: metrics of a run's weights beside the trivial baselines."""

from __future__ import annotations

import sys
from pathlib import Path

from vitruvian.core.cli import (
    DEVICES,
    choose,
    exit_with,
    parse_overrides,
    take_keys,
    wants_help,
)
from vitruvian.core.errors import ConfigError

KEYS = {"run": None, "checkpoint": "best", "split": "test", "device": "auto", "name": None}
PARTS = ("test", "val", "train", "all")

HELP = """vitruvian-evaluate run=DIR [key=value ...]

Evaluate a trained run: each case's metrics and, beside them, the trivial baselines.

  run         run directory, or a checkpoint file (alone, it writes to ./evaluation)
  checkpoint  best | last | PATH                                  (best)
  split       test | val | train | all (every case found)         (test)
  device      auto | cpu | gpu                                    (auto)
  name        name of the result files in evaluation/             (the split, _overridden
                                                                   with another configuration)

-v says more (debug lines), -q no more than warnings and results.

Any dotted key overrides the run's frozen configuration, for instance
  vitruvian-evaluate run=DIR split=all name=my_cases datamodule.root=/data/my_cases
"""


def main() -> None:
    """Entry point of the console script."""
    exit_with(evaluate)


def evaluate() -> int:
    """Evaluate what the command line asks for."""
    if wants_help(sys.argv[1:]):
        print(HELP, end="")
        return 0
    keys, changes = take_keys(parse_overrides(sys.argv[1:]), KEYS, "evaluate")
    choose(keys, "split", PARTS)
    choose(keys, "device", DEVICES)

    from vitruvian.core.rundir import COMPLETE, RunDirectory
    from vitruvian.core.trained import trained

    found = trained(keys, changes, "evaluate")
    run, checkpoint, config = found.run, found.checkpoint, found.config

    from vitruvian.core import engine
    from vitruvian.core.evaluating import held_out
    from vitruvian.core.verbosity import greet
    from vitruvian.report.closing import after_evaluation, show_next
    from vitruvian.report.page.ending import hand_over
    from vitruvian.report.page.run import write_run_page
    from vitruvian.report.result import show_result

    splits = engine.splits_of(run, checkpoint)
    if keys["split"] == "test":
        keys["split"] = held_out(splits)
    if run.status not in (None, COMPLETE):
        print(f"note: this run is not complete: {run.status}")
    name = result_name(keys, checkpoint, bool(changes))
    place = run if run.exists else RunDirectory(Path.cwd())  # a checkpoint that stands alone
    greet(f"evaluating {checkpoint} on {keys['split']}")
    result = engine.evaluate(place, config, checkpoint, splits, keys["split"], keys["device"], name)
    show_result(result, place.path)
    if config["page"]:
        hand_over(lambda: write_run_page(place))
    if run.exists:
        show_next(after_evaluation(run, str(keys["split"])))
    return 0


def result_name(keys: dict[str, str], checkpoint: Path, overridden: bool = False) -> str:
    """Result files are named after the split, and the checkpoint unless it is the best one.

    An evaluation with another configuration never takes the place of the run's own.

    Raises:
        ConfigError: the user's own name is no file name.
    """
    if keys["name"]:
        if Path(keys["name"]).name != keys["name"]:
            raise ConfigError(f"name: {keys['name']!r} is no file name; leave out the folders")
        return keys["name"]
    suffix = "" if checkpoint.name == "best.ckpt" else f"_{checkpoint.stem}"
    return f"{keys['split']}{suffix}{'_overridden' if overridden else ''}"


if __name__ == "__main__":
    main()
