"""`vitruvian-evaluate`: metrics of a run's weights beside the trivial baselines."""

from __future__ import annotations

import sys
from pathlib import Path

from vitruvian.core.cli import (
    exit_with,
    override,
    parse_overrides,
    required_path,
    take_keys,
    wants_help,
)
from vitruvian.core.errors import ConfigError

KEYS = {"run": None, "checkpoint": "best", "split": "test", "device": "auto", "name": None}
PARTS = ("test", "val", "train", "all")

HELP = """vitruvian-evaluate run=DIR [key=value ...]

Evaluate a trained run: each case's metrics and, beside them, the trivial baselines.

  run         run directory, or a checkpoint file inside one
  checkpoint  best | last | PATH                                  (best)
  split       test | val | train | all (every case found)         (test)
  device      auto | cpu | gpu                                    (auto)
  name        name of the result files in evaluation/             (the split)

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
    if keys["split"] not in PARTS:
        raise ConfigError(f"split={keys['split']}: choose one of {', '.join(PARTS)}")

    from vitruvian.core.config import checked
    from vitruvian.core.rundir import chosen_checkpoint, locate_run

    run, named = locate_run(required_path(keys, "run", "evaluate"))
    checkpoint = named or chosen_checkpoint(run, str(keys["checkpoint"]))
    config = checked(override(run.config, changes))

    from vitruvian.core import engine
    from vitruvian.report.result import show_result

    result = engine.evaluate(
        run, config, checkpoint, keys["split"], keys["device"], keys["name"] or named_after(keys)
    )
    show_result(result, run.path)
    return 0


def named_after(keys: dict[str, str]) -> str:
    """Result files are named after the split, and the checkpoint unless it is the best one."""
    if keys["checkpoint"] == "best":
        return keys["split"]
    return f"{keys['split']}_{Path(keys['checkpoint']).stem}"


if __name__ == "__main__":
    main()
