"""`vitruvian-export`: a run's net as a file for another runtime."""

from __future__ import annotations

import sys
from pathlib import Path

from vitruvian.core.cli import choose, exit_with, parse_overrides, take_keys, wants_help

KEYS = {"run": None, "output": None, "stream": "false", "checkpoint": "best"}

HELP = """vitruvian-export run=DIR [key=value ...]

Write a trained net as ONNX and check it against torch (pip install 'vitruvian[onnx]').

  run         run directory, or a checkpoint file
  output      the file                                     (model.onnx of the run, or ./model.onnx)
  stream      true: one step of a net that is fed frame by frame, with its state   (false)
  checkpoint  best | last | PATH                                                  (best)
"""


def main() -> None:
    """Entry point of the console script."""
    exit_with(export)


def export() -> int:
    """Export what the command line asks for."""
    if wants_help(sys.argv[1:]):
        print(HELP, end="")
        return 0
    keys, changes = take_keys(parse_overrides(sys.argv[1:]), KEYS, "export")
    choose(keys, "stream", ("true", "false"))

    from vitruvian.core.trained import trained

    found = trained(keys, changes, "export")
    beside = found.run.path if found.run.exists else Path()
    target = Path(str(keys["output"])).expanduser() if keys["output"] else beside / "model.onnx"

    from vitruvian.core import engine

    print(engine.export(found.config, found.checkpoint, target, keys["stream"] == "true"))
    return 0


if __name__ == "__main__":
    main()
