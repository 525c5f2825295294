"""Reading columns of CSV and other text, as devices and spreadsheets export it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitruvian.core.errors import DataError
from vitruvian.muscle.recordings.columns import Column, check_there, named_once, vector

_EMPTY = ("", "NaN", "nan", "NA", "N/A", "n/a", "NULL", "null", "None", "-")
_LINES_ABOVE = 100  # that a header is looked for in
_NO_NUMBER = re.compile(r"Row #([0-9]+): CSV conversion error to double: invalid value ('.*')")


def read_text(path: Path, names: Collection[str]) -> Mapping[str, Column]:
    """Read columns of text; see `signal_files.read_columns`.

    The header is the first line that has all the names; what a device writes above it is left out,
    and so is a line of units right below it. Columns may be parted by commas, semicolons or tabs;
    with the last two, numbers may have a comma for a point: the first fraction in one of the
    columns tells.
    """
    import pyarrow
    from pyarrow import csv as arrow_csv

    layout = _Layout.find(path, _decoded(path), names)
    numbered = [str(place) for place in range(layout.width)]
    wanted = {name: numbered[layout.places[name]] for name in names}
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(layout.body.encode()),
            arrow_csv.ReadOptions(column_names=numbered, use_threads=False),
            arrow_csv.ParseOptions(delimiter=layout.delimiter),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(wanted.values(), pyarrow.float64()),
                include_columns=list(wanted.values()),
                null_values=list(_EMPTY),
                decimal_point=layout.decimal,
            ),
        )
    except pyarrow.ArrowInvalid as error:
        raise DataError(f"{path}: {_in_our_words(str(error), wanted)}") from error
    return {name: Column(vector(path, name, table[at].to_numpy())) for name, at in wanted.items()}


@dataclass(frozen=True)
class _Layout:
    """How the text is laid out.

    Attributes:
        delimiter: between columns.
        places: of the columns, by name.
        body: the lines below the header and the units.
        decimal: point or comma in numbers.
    """

    delimiter: str
    places: Mapping[str, int]
    body: str
    decimal: str

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.places)

    @classmethod
    def find(cls, path: Path, text: str, names: Collection[str]) -> _Layout:
        """Find the header that has all the names, and the numbers below it."""
        *lines, rest = (text + "\n").split("\n", _LINES_ABOVE)
        headers = [named_once(title.strip() for title in _cells(path, line)) for line in lines]
        at = next((n for n, header in enumerate(headers) if set(names) <= set(header)), 0)
        check_there(path, names, headers[at])
        below = [*lines[at + 1 :], rest]
        delimiter = _delimiter(lines[at])
        places = [headers[at][name] for name in names]
        body = "\n".join(below[_are_units(_wanted(path, below[0], delimiter, places)) :])
        if not body.strip():
            raise DataError(f"{path}: no numbers below the header")
        return cls(delimiter, headers[at], body, _decimal(path, body, delimiter, places))


def _are_units(cells: Sequence[str]) -> bool:
    """Whether there is text in the cells, and in none a number."""
    texts = [cell for cell in cells if cell not in ("", "-")]  # what has no unit
    return bool(texts) and not any(_is_number(cell, point) for cell in texts for point in ".,")


def _decimal(path: Path, body: str, delimiter: str, places: Sequence[int]) -> str:
    """Comma or point, whichever the first fraction has that stands at one of the places."""
    if delimiter == "," or "," not in body:
        return "."
    for line in io.StringIO(body):
        for cell in _wanted(path, line, delimiter, places):
            for point in ",.":
                if point in cell and _is_number(cell, point):
                    return point
    return "."


def _wanted(path: Path, line: str, delimiter: str, places: Sequence[int]) -> Sequence[str]:
    """The cells of a line at some places, as far as it has them."""
    cells = _cells(path, line, delimiter)
    return [cells[place].strip() for place in places if place < len(cells)]


def _is_number(cell: str, decimal: str) -> bool:
    try:
        float(cell.replace(decimal, "."))
    except ValueError:
        return cell in _EMPTY
    return True


def _cells(path: Path, line: str, delimiter: str | None = None) -> Sequence[str]:
    try:
        return next(
            csv.reader([line], delimiter=delimiter or _delimiter(line), skipinitialspace=True), []
        )
    except csv.Error as error:
        raise DataError(f"{path}: is no table of text: {error}") from error


def _delimiter(line: str) -> str:
    return max("\t;,", key=line.count)


def _decoded(path: Path) -> str:
    """The text of a file; spreadsheets on Windows write µ and ° in their own code."""
    content = path.read_bytes()
    if not content.strip():
        raise DataError(f"{path}: the file is empty; record or export it again")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _in_our_words(complaint: str, wanted: Mapping[str, str]) -> str:
    """Arrow knows a column by its place in the file only."""
    for name, place in wanted.items():
        complaint = complaint.replace(f"column #{place}:", f"column {name!r},")
    complaint = complaint.removeprefix("In CSV ").splitlines()[0]
    return _NO_NUMBER.sub(r"row \1 of the numbers: \2 is no number", complaint)
