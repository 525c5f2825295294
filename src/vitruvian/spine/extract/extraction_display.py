"""How an extraction is shown: a progress bar on a terminal, lines elsewhere, a table at the end."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from vitruvian.spine.extract.clip_work import Outcome
from vitruvian.spine.landmarks import Clip

_log = logging.getLogger(__name__)

_PLAIN_WIDTH = 120  # columns of text when the output is a file or a pipe


@dataclass
class Report:
    """What became of all recordings.

    Attributes:
        outcomes: by the name of the clip.
        left_out: recordings without a row of `ratings.csv`.
        seconds: that it took.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    left_out: int = 0
    seconds: float = 0.0

    def count(self, what: str) -> int:
        """How many came to this."""
        return sum(outcome.what == what for outcome in self.outcomes.values())

    @property
    def good(self) -> list[str]:
        """Names of the clips that are in the database, in order."""
        return [name for name, o in self._sorted() if o.what in ("extracted", "present")]

    @property
    def bad(self) -> Mapping[str, str]:
        """Reasons by the names of bad clips."""
        return {name: o.note for name, o in self._sorted() if o.what == "bad"}

    @property
    def broken(self) -> Mapping[str, str]:
        """Where recordings broke off, by their names."""
        notes = ((name, o.stored.broken if o.stored else o.note) for name, o in self._sorted())
        return {name: note for name, note in notes if note and name not in self.bad}

    def _sorted(self) -> list[tuple[str, Outcome]]:
        return sorted(self.outcomes.items())

    @property
    def frames(self) -> int:
        """How many frames were extracted."""
        return sum(outcome.frames for outcome in self.outcomes.values())


class Display:
    """Shows how far an extraction is.

    Args:
        console: where to; standard output by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
        self._progress: Progress | None = None
        self._running: dict[str, int] = {}
        self._done_frames = self._waiting = 0
        self._start = time.monotonic()

    @contextmanager
    def open(self, clips: int, workers: int) -> Iterator[None]:
        """Show the bar, or say what begins."""
        self._start = time.monotonic()
        if not self._console.is_terminal:
            _log.info("extracting landmarks: %d clips, %d at a time", clips, max(workers, 1))
            yield
            return
        with self._bar() as self._progress:
            self._task = self._progress.add_task("extracting", total=clips, speed="")
            yield
        self._progress = None

    def _bar(self) -> Progress:
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}", style="cyan"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            refresh_per_second=4,
        )

    def advance(self, name: str, frames: int) -> None:
        """So many frames of a clip are done."""
        self._running[name] = frames
        self._show()

    def finish(self, name: str, outcome: Outcome) -> None:
        """A clip is done."""
        self._running.pop(name, None)
        self._done_frames += outcome.frames
        if self._progress is not None:
            self._progress.advance(self._task)
            self._show()
        elif outcome.what != "present":
            _log.info("%s", _line(name, outcome))

    def _show(self) -> None:
        if self._progress is None:
            return
        frames = self._done_frames + sum(self._running.values())
        speed = frames / max(time.monotonic() - self._start, 1e-3)
        self._progress.update(self._task, speed=f"{speed:.0f} frames/s" if frames else "")

    def wait_for_others(self, clips: int) -> None:
        """Only clips are left that other extractors work on."""
        text = f"waiting for another extractor: {clips} clip{'' if clips == 1 else 's'}"
        if self._progress is None and clips > self._waiting:
            _log.info("%s", text)
        self._waiting = clips
        if self._progress is not None:
            self._progress.update(self._task, description=text)

    def summarize(self, report: Report) -> None:
        """Print what became of all clips, and why some are bad."""
        self._print(_counts(report))
        for name, note in report.broken.items():
            self._console.print(Text(f"incomplete  {name}: {note}"), soft_wrap=True)
        for name, note in report.bad.items():
            self._console.print(Text(f"bad  {_named(name, note)}", style="red"), soft_wrap=True)

    def _print(self, counts: Mapping[str, int]) -> None:
        table = Table(box=box.SIMPLE_HEAD)
        table.add_column("clips")
        table.add_column("", justify="right")
        for what, count in counts.items():
            table.add_row(what, str(count))
        self._console.print(table)

    def summarize_import(self, clips: Sequence[Clip], new: int, left_out: int) -> None:
        """Print what became of the clips of a landmark table."""
        simulated = sum(clip.simulated for clip in clips)
        counts = {
            "imported": new,
            "already there": len(clips) - new,
            "left out, without a rating": left_out,
            "of these SIMULATED": simulated,
        }
        self._print({what: count for what, count in counts.items() if count or what == "imported"})


def _counts(report: Report) -> dict[str, int]:
    frames = f" ({report.frames} frames in {report.seconds:.1f} s)" if report.frames else ""
    always = {
        f"extracted{frames}": report.count("extracted"),
        "already there": report.count("present"),
        "bad": report.count("bad"),
    }
    left_out = {"left out, without a rating": report.left_out} if report.left_out else {}
    return {**always, **left_out}


def _line(name: str, outcome: Outcome) -> str:
    if outcome.what == "bad":
        return f"bad: {_named(name, outcome.note)}"
    note = f"; {outcome.note}" if outcome.note else ""
    return f"{name}: {outcome.frames} frames{note}"


def _named(name: str, note: str) -> str:
    return note if name in note else f"{name}: {note}"
