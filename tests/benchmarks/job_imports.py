"""What a run does before it trains: `python -m tests.benchmarks.job_imports DIR`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from vitruvian.core.rundir import RunDirectory
from vitruvian.core.warm import modules_of

if __name__ == "__main__":
    for name in modules_of([RunDirectory(Path(sys.argv[1])).config]):
        importlib.import_module(name)
