"""`vitruvian-export`: a run's net as a file for another runtime."""

from __future__ import annotations

import sys
from pathlib import Path

from vitruvian.core.cli import (
    choose,
    exit_with,
    parse_overrides,
    required_path,
    take_keys,
    wants_help,
)
from vitruvian.core.export_place import NAMES, check_place
from vitruvian.core.rundir import locate_run

KEYS = {"run": None, "format": "onnx", "output": None, "stream": "false", "checkpoint": "best"}

HELP = """vitruvian-export run=DIR [key=value ...]

Write a trained net for another runtime, check it against torch, and write a card beside it.

  run         run directory, or a checkpoint file
  format      onnx | torchscript | bundle                                         (onnx)
              onnx needs pip install 'vitruvian[onnx]'; torchscript is for torch and
              libtorch alone; bundle is a MONAI bundle of a liver net
  output      the file (.onnx; .ts or .pt), or the folder of a bundle; it replaces an
              earlier export, nothing else, and never lies in the run's own folders;
              without it, in the run, or here without a run: model.onnx,
              model_torchscript.ts, bundle
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
    choose(keys, "format", tuple(NAMES))

    run, _ = locate_run(required_path(keys, "run", "export"))
    named, kind = keys["output"], keys["format"]
    beside = run.path if run.exists else Path()
    target = Path(str(named)).expanduser() if named else beside / NAMES[kind]
    check_place(target, kind, run)

    from vitruvian.core.trained import trained

    found = trained(keys, changes, "export")

    from vitruvian.core import engine  # it imports torch: after everything that can be misspelt

    done = engine.export(found.config, found.checkpoint, target, kind, keys["stream"] == "true")
    print(f"largest difference from torch: {done.difference:.1e} ({done.tolerance:.0e} allowed)")
    print(f"card: {done.card}")
    print(done.path)
    return 0


if __name__ == "__main__":
    main()
