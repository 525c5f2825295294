"""A printed table as a CSV file: its delimiter, its heads, and rows as long as its header."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitruvian.core.errors import DataError
from vitruvian.report.names import DISTANCES, metric_of, refuse_twice
from vitruvian.report.printed_row import is_share, known

_DELIMITERS = ",;\t"
_WITH_UNIT = re.compile(r"(.*?)\s*[(\[]\s*([^()\[\]]*?)\s*[)\]]")
_POINT, _COMMA = (re.compile(rf"([^\w.,]*\d*)[{mark}](\d+\s*%?)") for mark in ".,")
_OF_CASES = ("case", "predictor", "empty_prediction")

_Rows = list[tuple[int, list[str]]]


@dataclass(frozen=True)
class PrintedTable:
    """A table whose first column names its rows.

    Attributes:
        columns: its heads; numbers by their plain names, `Dice (%)` as `dice`.
        rows: number of the line in the file, and the cells.
    """

    path: Path
    columns: Sequence[str]
    rows: Sequence[tuple[int, Sequence[str]]]

    @property
    def of_cases(self) -> bool:
        """Whether each row is a single case."""
        return "case" in self.columns

    def cases(self) -> list[dict[str, str]]:
        """The cells of every row.

        Raises:
            DataError: no column is a metric of overlap.
        """
        if not any(map(metric_of, self.columns)):
            raise DataError(self._nothing("a known metric, such as dice or voe"))
        return [dict(zip(self.columns, cells, strict=True)) for _, cells in self.rows]

    def numbers(self) -> Iterator[tuple[str, dict[str, str]]]:
        """The name of every row, and its cells with known numbers.

        Raises:
            DataError: no column is known.
        """
        wanted = [i for i, name in enumerate(self.columns) if i and known(name)]
        if not wanted:
            raise DataError(self._nothing("a known number, such as dice, voe or accuracy"))
        for line, cells in self.rows:
            yield f"{cells[0]} (line {line})", {self.columns[i]: cells[i] for i in wanted}

    def _nothing(self, what: str) -> str:
        found = ", ".join(name or "(no name)" for name in self.columns)
        return f"{self.path} has no column of {what}; it has {found}"


def read_table(path: Path) -> PrintedTable:
    """Read a table; its columns are separated by commas, semicolons or tabs.

    Raises:
        DataError: the file cannot be read, has no rows, a row that is not as long as the header, or
            a number in two columns.
    """
    delimiter, heads, rows = _cells(path)
    named = [_column(head) for head in heads]
    refuse_twice(str(path), [name for name, _ in named[1:] if known(name)])
    if delimiter != ",":
        rows = _with_points(rows)
    marked = [(line, _with_percent(cells, named)) for line, cells in rows]
    return PrintedTable(path, [name for name, _ in named], marked)


def _cells(path: Path) -> tuple[str, list[str], _Rows]:
    """The delimiter, the heads, and the rows, each with the number of its line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            delimiter = max(_DELIMITERS, key=first.count)  # where none is there: a comma
            reader = csv.reader(stream, delimiter=delimiter)
            lines = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if len(lines) < 2:
        raise DataError(f"{path} has no rows: a line of heads and at least one row are needed")
    (_, heads), *rows = lines
    return delimiter, heads, [(line, _as_long(path, line, row, len(heads))) for line, row in rows]


def _as_long(path: Path, line: int, cells: list[str], width: int) -> list[str]:
    """The cells, without empty ones behind the last column."""
    while len(cells) > width and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) == width:
        return cells
    hint = "an empty cell needs its place, too"
    if len(cells) > width:
        hint = "a decimal comma? Write points, or separate the columns by ;"
    raise DataError(f"{path}: line {line} has {len(cells)} cells, the header {width}; {hint}")


def _with_points(rows: _Rows) -> _Rows:
    """Decimal commas as points; where numbers have points, their commas are something else."""
    if any(_POINT.fullmatch(cell.strip()) for _, cells in rows for cell in cells[1:]):
        return rows
    return [(line, [cells[0], *map(_with_point, cells[1:])]) for line, cells in rows]


def _with_point(cell: str) -> str:
    form = _COMMA.fullmatch(cell.strip())
    return f"{form[1]}.{form[2]}" if form else cell


def _column(head: str) -> tuple[str, str]:
    """Name and unit of a column; of one that is not known, the head as it is."""
    plain = head.strip()
    form = _WITH_UNIT.fullmatch(plain)
    name, unit = (form[1].lower(), form[2].lower()) if form else (plain.lower(), "")
    if name in _OF_CASES or (known(name) and _fits(name, unit)):
        return name, unit
    return plain, ""


def _fits(name: str, unit: str) -> bool:
    """Whether a number of this name is judged in this unit."""
    if metric_of(name) in DISTANCES:
        return unit in ("", "mm")
    if is_share(name):
        return unit in ("", "%")
    return unit != "%" or name == "auc"


def _with_percent(cells: list[str], named: Sequence[tuple[str, str]]) -> list[str]:
    """The cells, with the % of their head."""
    return [
        f"{cell}%" if unit == "%" and cell.strip() and not cell.rstrip().endswith("%") else cell
        for cell, (_, unit) in zip(cells, named, strict=True)
    ]
