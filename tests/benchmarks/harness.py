"""Two ways to do the same work, timed in turns, and the table of their ratios."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch

Work = Callable[[], int]  # does some of the work and returns how many units of it
PACKAGES = (
    *("torch", "monai", "numpy", "pytorch-lightning", "hydra-core", "nibabel"),
    *("mediapipe", "av", "opencv-python-headless", "onnxruntime"),
)


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        repetitions: pairs of timings.
        cases: simulated scans.
        size: rows and columns of their slices.
        slices: of each scan.
        crop: rows and columns of a training crop.
        batch: crops in a batch of the loaders.
        batches: that are taken from a loader at a time.
        width: of the net.
        step_batch: crops in a training step.
        reads: crops that are read from the store at a time.
        runs: of a sweep that has ended.
        trained: small runs of a sweep that is made.
        questions: what the command line is asked.
        compile: also compile the net, which takes minutes.
    """

    repetitions: int = 7
    cases: int = 4
    size: int = 512
    slices: int = 40
    crop: int = 256
    batch: int = 32
    batches: int = 24
    width: int = 32
    step_batch: int = 4
    reads: int = 200
    runs: int = 10_000
    trained: int = 20
    questions: tuple[str, ...] = ("--cfg job", "--help", "optimizer.lrr=1")
    compile: bool = True


FULL = Scale()
QUICK = Scale(repetitions=3, batches=8, runs=1_000, trained=6, compile=False)
TINY = Scale(1, 2, 64, 10, 32, 8, 1, 2, 2, 2, 20, 2, questions=("--cfg job",), compile=False)


@dataclass(frozen=True)
class Ratio:
    """Seconds per unit of work, of both sides, in pairs that were timed one after the other.

    Attributes:
        ours: one number for each repetition.
        theirs: likewise.
    """

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def pairs(self) -> list[float]:
        """How many times as fast as theirs ours was, for each repetition."""
        return [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def median(self) -> float:
        """The ratio that half of the repetitions exceed."""
        return statistics.median(self.pairs)

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest ratio."""
        return min(self.pairs), max(self.pairs)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: is measured, and against what.
        ratio: the timings.
        unit: "slices/s", or another rate; or "ms" or "s" for the time of one unit of work.
    """

    what: str
    ratio: Ratio
    unit: Literal["slices/s", "frames/s", "pairs/s", "ms", "s"]

    def cells(self) -> tuple[str, ...]:
        """What, ours, theirs, and the ratio with its range."""
        low, high = self.ratio.range
        times = f"**{_digits(self.ratio.median)}** ({_digits(low)} to {_digits(high)})"
        ours, theirs = map(statistics.median, (self.ratio.ours, self.ratio.theirs))
        return self.what, self._figure(ours), self._figure(theirs), times

    def _figure(self, seconds: float) -> str:
        value = {"ms": seconds * 1000, "s": seconds}.get(self.unit, 1 / seconds)
        return f"{_digits(value)} {self.unit}"


def _digits(value: float) -> str:
    """Two or three digits that mean something."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.2f}"


def side_by_side(ours: Work, theirs: Work, repetitions: int) -> Ratio:
    """Time both in turns, once each beforehand to warm up; who goes first alternates."""
    for work in (ours, theirs):
        work()
    seconds: tuple[list[float], list[float]] = ([], [])
    turns = list(zip((ours, theirs), seconds, strict=True))
    for _ in range(repetitions):
        for work, times in turns:
            times.append(_seconds(work))
        turns.reverse()
    return Ratio(tuple(seconds[0]), tuple(seconds[1]))


def _seconds(work: Work) -> float:
    """Seconds per unit of work."""
    start = time.perf_counter()
    units = work()
    return (time.perf_counter() - start) / units


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown, in columns that can be read as they are."""
    head = ("what, against what", "ours", "theirs", "times as fast (range)")
    lines = [head, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = [
        " | ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
        for line in lines
    ]
    rule = ["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]
    return "\n".join([f"| {texts[0]} |", f"|{'|'.join(rule)}|", *(f"| {t} |" for t in texts[1:])])


def machine() -> str:
    """The machine and the versions that a table belongs to."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{_processor()}, {cores} cores, load {os.getloadavg()[0]:.1f}, "
        f"{torch.get_num_threads()} torch threads, "
        f"{platform.system()}, Python {platform.python_version()}, {packages}"
    )


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
