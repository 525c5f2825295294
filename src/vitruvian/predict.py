"""`vitruvian-predict`: apply a run's weights to new recordings."""

from __future__ import annotations

import sys
from pathlib import Path

from vitruvian.core.cli import (
    DEVICES,
    choose,
    exit_with,
    parse_overrides,
    required_path,
    take_keys,
    wants_help,
)

KEYS = {"run": None, "input": None, "output": None, "checkpoint": "best", "device": "auto"}

HELP = """vitruvian-predict run=DIR input=FILE_OR_FOLDER [key=value ...]

Apply a trained run to new data; the results name the run they come from.

  run         run directory, or a checkpoint file
  input       a file, or a folder of files
  output      folder for the results              (predictions/ of the run, or ./predictions)
  checkpoint  best | last | PATH                                  (best)
  device      auto | cpu | gpu                                    (auto)

-v says more (debug lines), -q no more than warnings and results.

Any dotted key overrides the run's frozen configuration, for instance
  vitruvian-predict run=DIR input=scan.nii.gz model.inference.mirror=true
"""


def main() -> None:
    """Entry point of the console script."""
    exit_with(predict)


def predict() -> int:
    """Predict what the command line asks for."""
    if wants_help(sys.argv[1:]):
        print(HELP, end="")
        return 0
    keys, changes = take_keys(parse_overrides(sys.argv[1:]), KEYS, "predict")
    source = required_path(keys, "input", "predict")
    choose(keys, "device", DEVICES)

    from vitruvian.core.trained import trained

    found = trained(keys, changes, "predict")
    beside = found.run.predictions if found.run.exists else Path("predictions")
    target = Path(str(keys["output"])).expanduser() if keys["output"] else beside

    from vitruvian.core import engine
    from vitruvian.core.verbosity import greet

    device = str(keys["device"])
    greet(f"predicting {source} with {found.checkpoint}")
    for path in engine.predict(found.config, found.checkpoint, source, target, device):
        print(path)
    return 0


if __name__ == "__main__":
    main()
