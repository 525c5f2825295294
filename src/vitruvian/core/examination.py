"""A look at a data root before any GPU hour is spent: what was understood, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.text import Text

from vitruvian.core.errors import DataError

_NAMED = 10  # cases with problems that the last line names


@dataclass(frozen=True)
class Examined:
    """What a look at one case, or recording, found.

    Attributes:
        case: its name; that of the file where a file cannot be told apart into cases.
        understood: what was read from it, in a line with units; empty where nothing could be read.
        problems: why it cannot be used, in the user's words; empty: it can be.
        notes: what the user should know although it can be used.
        figure: a picture of it, where one was asked for and the study draws one.
    """

    case: str
    understood: str
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    figure: Path | None = None


class Examinable(Protocol):
    """Data that can be looked at case by case; see `core.datamodule.DataModule.examine`."""

    def examine(self, figures: Path | None = None) -> Iterator[Examined]:
        """Look at every case; pictures go to the folder `figures`."""


class Examination:
    """Shows what the data are, case by case as they are read, and counts what is wrong.

    Args:
        datamodule: the data.
        figures: folder for a picture of each case, where the study draws one; None: none.
        console: where to print; standard output by default.
    """

    def __init__(
        self, datamodule: Examinable, figures: Path | None = None, console: Console | None = None
    ) -> None:
        self._datamodule, self._figures = datamodule, figures
        self._console = console or Console()

    def run(self) -> int:
        """Examine every case.

        Returns:
            0 if all can be used, 1 if some cannot.

        Raises:
            DataError: there is no case at all, or nowhere to look for one.
        """
        bad: list[str] = []
        count = drawn = 0
        for examined in self._datamodule.examine(self._figures):
            self._show(examined)
            count += 1
            drawn += examined.figure is not None
            if examined.problems:
                bad.append(examined.case)
        if not count:
            raise DataError("datamodule: there is no case to examine; is the root the right one?")
        self._print(_summary(count, bad), "red" if bad else "green")
        if self._figures is not None:
            self._print(f"figures: {drawn} in {self._figures}" if drawn else "figures: none drawn")
        return int(bool(bad))

    def _show(self, examined: Examined) -> None:
        """One line; below it, indented, what is wrong and what to know."""
        bad = bool(examined.problems)
        line = f"{'BAD' if bad else 'ok ':3} {examined.case}"
        self._print(": ".join(filter(None, (line, examined.understood))), "bold red" if bad else "")
        for what, remarks, style in (
            ("problem", examined.problems, "red"),
            ("note", examined.notes, "yellow"),
        ):
            for remark in remarks:
                self._print("\n      ".join(f"    {what}: {remark}".splitlines()), style)

    def _print(self, line: str, style: str = "") -> None:
        self._console.print(Text(line, style=style), soft_wrap=True)


def _summary(count: int, bad: Sequence[str]) -> str:
    named = ", ".join(bad[:_NAMED]) + (" ..." if len(bad) > _NAMED else "")
    cases = f"{count} case{'' if count == 1 else 's'}"
    return f"{cases}, {len(bad)} with problems{f': {named}' if bad else ''}"
