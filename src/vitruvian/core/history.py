"""`metrics.csv`: every logged value of a run, appended as it comes and cut back exactly on resume.

Lightning's CSVLogger deletes its file when a run is resumed; this one remembers in the checkpoint
how many rows had been written and continues from there, so that an interrupted run ends with the
same file, byte for byte, as one that was never interrupted.
"""

from __future__ import annotations

import csv
import os
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from vitruvian.core.errors import RunError
from vitruvian.core.files import atomic, unwritable

KEYS = ("epoch", "step")
Values = dict[str, float]  # one row: `step` and `epoch`, and metrics by name
_MEND = "put the file back, or start a new run"


class History(Logger):
    """A table with columns epoch, step and one per metric; absent values are empty cells.

    Args:
        filename: name of the file inside the run directory.
    """

    def __init__(self, filename: str = "metrics.csv") -> None:
        super().__init__()
        self._filename = filename
        self._path: Path | None = None
        self._columns: list[str] = [*KEYS]
        self.rows = 0
        self.followers: list[Callable[[Sequence[Values]], None]] = []

    def open(self, directory: Path) -> None:
        """Start a new file in the run directory; `rewind` afterwards to continue an old one."""
        self._path = directory / self._filename

    @property
    def path(self) -> Path:
        """Where the table is written."""
        assert self._path is not None, "History.open has not been called"
        return self._path

    @property
    def name(self) -> str:
        """The logger's name, as Lightning asks for it."""
        return "history"

    @property
    def version(self) -> str:
        """One file per run: no versions."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Nothing to do: the frozen config is in `config.yaml`."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append one row."""
        row = {"step": 0 if step is None else step, **metrics}
        new = sorted(set(row) - set(self._columns))
        if new or self.rows == 0:
            self._rewrite([*self._columns, *new], self.read())
        try:
            with self.path.open("a", newline="", encoding="utf-8") as stream:
                csv.DictWriter(stream, self._columns).writerow(_cells(row))
        except OSError as error:
            raise unwritable(self.path, error) from error
        self.rows += 1

    @rank_zero_only
    def flush(self) -> None:
        """Bring the rows to the disk: a checkpoint that counts them is about to be written."""
        if self.rows:
            with self.path.open("rb") as stream:
                os.fsync(stream.fileno())

    def read(self) -> list[dict[str, str]]:
        """The rows kept so far, as text.

        Raises:
            RunError: the file is gone, or holds fewer rows than have been written.
        """
        if self.rows == 0:
            return []
        try:
            with self.path.open(newline="", encoding="utf-8") as stream:
                rows = list(csv.DictReader(stream))[: self.rows]
        except OSError as error:
            raise RunError(f"cannot read {self.path}: {error.strerror}; {_MEND}") from error
        if len(rows) < self.rows:
            raise RunError(f"{self.path} has {len(rows)} of {self.rows} rows; {_MEND}")
        return rows

    @rank_zero_only
    def rewind(self, rows: int) -> None:
        """Keep only the first `rows` rows: what came after the checkpoint will be written again."""
        self.rows = rows
        self._columns = [*KEYS]
        kept = self.read()
        used = {key for row in kept for key, cell in row.items() if cell != ""} - set(KEYS)
        self._rewrite([*KEYS, *_in_order(kept, used)], kept)
        for follow in self.followers:  # their records must show the same rows
            follow([_values(row) for row in kept])

    def _rewrite(self, columns: list[str], rows: list[dict[str, str]]) -> None:
        self._columns = columns
        with atomic(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as s:
            writer = csv.DictWriter(s, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)


def read_history(file: Path) -> list[Values]:
    """All rows of a `metrics.csv`; none where there is no such file.

    Raises:
        RunError: it holds something that is not a number.
    """
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            return [_values(row) for row in csv.DictReader(stream)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{file} cannot be read: {error}; {_MEND}") from error


def _values(row: Mapping[str, str]) -> Values:
    return {key: float(cell) for key, cell in row.items() if cell != ""}


def _in_order(rows: list[dict[str, str]], used: set[str]) -> list[str]:
    """Columns in the order in which an uninterrupted run would have added them."""
    order: list[str] = []
    for row in rows:
        order += sorted(
            key for key, cell in row.items() if cell and key in used and key not in order
        )
    return order


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    """Text of each cell: whole numbers for epoch and step, all digits for the rest."""
    return {
        key: str(int(value)) if key in KEYS else repr(float(value)) for key, value in row.items()
    }
