"""Text tables as people's programs write them: separators, decimal commas and encodings."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitruvian.core.errors import DataError

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SEPARATORS = ",;\t|"
_SAMPLE = 1 << 16  # bytes that are looked at


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Attributes:
        encoding: of the text.
        separator: between cells.
        decimal: the point or comma in numbers.
    """

    encoding: str
    separator: str
    decimal: str


@dataclass(frozen=True)
class Row:
    """A row of a text table.

    Attributes:
        line: where it ends in the file, from 1.
        cells: as text.
    """

    line: int
    cells: Sequence[str]

    def cell(self, place: int) -> str:
        """The text of a column without blanks around it; empty if the row is too short."""
        return self.cells[place].strip() if place < len(self.cells) else ""


def dialect_of(path: Path) -> Dialect:
    """Find out how a text table is written, from its beginning.

    Raises:
        DataError: the file is missing, empty, or no text.
    """
    try:
        with path.open("rb") as stream:
            sample = stream.read(_SAMPLE)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if not sample.strip():
        raise DataError(f"{path} is empty")
    encoding = _encoding(sample)
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(sample)
    if "\0" in text:
        raise DataError(f"{path} is no text; save it as CSV")
    separator = _separator(text)
    return Dialect(encoding, separator, _decimal(text, separator))


def header_of(path: Path, dialect: Dialect) -> list[str]:
    """The first row of a text table."""
    with path.open(encoding=dialect.encoding, newline="") as stream:
        return next(csv.reader(stream, delimiter=dialect.separator))


def read_rows(path: Path) -> tuple[list[str], Iterator[Row]]:
    """Read a text table: its header, and its rows without the empty ones.

    Raises:
        DataError: as in `dialect_of`; or encodings are mixed, or quotation marks not closed.
    """
    dialect = dialect_of(path)
    try:
        text = path.read_text(dialect.encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: characters of several encodings; save it as UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=dialect.separator, strict=True)
    try:
        rows = [Row(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: {error}") from error
    return [cell.strip() for cell in rows[0].cells], iter(rows[1:])


def _encoding(sample: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if sample.startswith(mark):
            return encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # may end inside a character
    except UnicodeDecodeError:
        return "cp1252"  # Excel in Western Europe
    return "utf-8"


def _separator(text: str) -> str:
    """The one that divides the header into the most cells."""
    header = next(line for line in text.splitlines() if line.strip())
    counts = {s: len(next(csv.reader([header], delimiter=s))) for s in _SEPARATORS}
    return max(_SEPARATORS, key=lambda separator: counts[separator])


def _decimal(text: str, separator: str) -> str:
    if separator == ",":
        return "."
    commas, points = (re.search(rf"\d{mark}\d", text) for mark in (",", r"\."))
    return "," if commas and not points else "."
