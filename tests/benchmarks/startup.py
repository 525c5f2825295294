"""Time until the command line answers: ours, and a script that imports everything first."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import Row, Scale, Work, side_by_side

ROOT = Path(__file__).resolve().parents[2]


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """The same configuration, asked the same questions."""
    template = str(Path(__file__).with_name("plain_template.py"))
    for question in scale.questions:
        ours = _process("-m", "vitruvian.train", *question.split())
        theirs = _process(template, *question.split())
        yield Row(f"startup: {question}", side_by_side(ours, theirs, scale.repetitions), "s")


def _process(*arguments: str) -> Work:
    def work() -> int:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        refused = any("=" in argument for argument in arguments)  # a misspelt key
        assert bool(done.returncode) == refused, done.stderr
        return 1

    return work
