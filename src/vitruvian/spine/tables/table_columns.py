"""Columns of a landmark table as arrays, whether the file is CSV or Parquet."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vitruvian.core.check import nearest
from vitruvian.core.errors import ConfigError, DataError
from vitruvian.spine.tables.delimited import dialect_of, header_of

Array = npt.NDArray[Any]

_EMPTY = ("", "na", "n/a", "#n/a", "nan", "null", "none", "-nan")
_TRUTH = {"true": True, "1": True, "false": False, "0": False, "": False}


def arrow() -> Any:
    """The package pyarrow, imported when a table is first met.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise ConfigError(
            "landmark tables need pyarrow; install it with pip install pyarrow"
        ) from error


@dataclass(frozen=True)
class Columns:
    """A table in memory.

    Attributes:
        path: of the file.
        table: pyarrow's; every column of a CSV is text.
        called: what the file calls a column, by the name used here, where they differ.
        decimal: the point or comma in numbers that are text.
    """

    path: Path
    table: Any
    called: Mapping[str, str]
    decimal: str = "."

    @classmethod
    def open(cls, path: Path, called: Mapping[str, str]) -> Columns:
        """Read a table.

        Raises:
            ConfigError: pyarrow is not installed.
            DataError: the file is missing, damaged or empty, two columns have one name, or
                `called` names a column that is not there.
        """
        if not path.is_file():
            raise DataError(f"{path}: no such table")
        parquet = path.suffix.lower() == ".parquet"
        table, decimal = _read_parquet(path) if parquet else _read_csv(path)
        columns = cls(path, table, dict(called), decimal)
        columns._check()
        return columns

    def __len__(self) -> int:
        """Number of rows."""
        return int(self.table.num_rows)

    def _check(self) -> None:
        names = self.names
        for name in names:
            if names.count(name) > 1:
                raise DataError(f"{self.path}: two columns are called {name!r}")
        for ours, theirs in self.called.items():
            if theirs not in names:
                raise DataError(f"{self.path}: {self._none(theirs)} (columns.{ours})")
        if not len(self):
            raise DataError(f"{self.path}: no rows below the header")

    @property
    def names(self) -> list[str]:
        """All columns, as the file calls them."""
        return list(self.table.column_names)

    def name(self, column: str) -> str | None:
        """What the file calls a column; None if it has none of the kind."""
        theirs = self.called.get(column, column)
        return theirs if theirs in self.names else None

    def need(self, column: str) -> str:
        """What the file calls a column that must be there.

        Raises:
            DataError: it is not; the nearest name is told.
        """
        found = self.name(column)
        if found is None:
            raise DataError(f"{self.path}: {self._none(column)}, or name it with columns.{column}")
        return found

    def _none(self, column: str) -> str:
        near = nearest(column, self.names)
        return f"no column {column!r}" + (f"; is it {near!r}?" if near else "")

    def row(self, index: int) -> str:
        """Where a row stands, for messages."""
        parquet = self.path.suffix.lower() == ".parquet"
        return f"row {index + 1}" if parquet else f"line {index + 2}"

    # -- values -------------------------------------------------------------------------------

    def texts(self, name: str) -> tuple[Array, list[str]]:
        """A column of text: int32 codes (rows,), and the texts that they stand for."""
        pa, compute = arrow(), _compute()
        column = self.table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        column = compute.utf8_trim_whitespace(compute.fill_null(column.cast(pa.string()), ""))
        coded = column.combine_chunks().dictionary_encode()
        return coded.indices.to_numpy(), coded.dictionary.to_pylist()

    def numbers(self, name: str, kind: str = "float64") -> Array:
        """A column of numbers (rows,); NaN for empty cells.

        Raises:
            DataError: a cell is no number; names the row and the column.
        """
        pa = arrow()
        column = self.table.column(name)
        text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        try:
            values = (self._plain(column) if text else column).cast(
                kind.replace("float64", "double")
            )
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(self._no_number(name, column)) from error
        return np.asarray(values.to_numpy(zero_copy_only=False), kind)

    def _plain(self, column: Any) -> Any:
        """Text without blanks and with a point; null where the cell is empty."""
        pa, compute = arrow(), _compute()
        column = compute.utf8_trim_whitespace(column)
        empty = compute.is_in(compute.utf8_lower(column), value_set=pa.array(_EMPTY))
        column = compute.if_else(empty, pa.scalar(None, pa.string()), column)
        return compute.replace_substring(column, self.decimal, ".")

    def _no_number(self, name: str, column: Any) -> str:
        for index, cell in enumerate(column.to_pylist()):
            if not _is_number(cell, self.decimal):
                return f"{self.path}: {self.row(index)}: {name} {cell!r} is not a number"
        return f"{self.path}: column {name!r} does not hold numbers"

    def truths(self, name: str) -> npt.NDArray[np.bool_]:
        """A column of true and false, or 1 and 0; false for empty cells.

        Raises:
            DataError: a cell is something else.
        """
        codes, texts = self.texts(name)
        for code, text in enumerate(texts):
            if text.lower() not in _TRUTH:
                where = self.row(int(np.flatnonzero(codes == code)[0]))
                raise DataError(f"{self.path}: {where}: {name} {text!r} is neither true nor false")
        return np.array([_TRUTH[text.lower()] for text in texts])[codes]


def _is_number(cell: Any, decimal: str) -> bool:
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in _EMPTY):
        return True
    try:
        float(cell.replace(decimal, ".") if isinstance(cell, str) else cell)
    except (TypeError, ValueError):
        return False
    return True


def _compute() -> Any:
    return importlib.import_module("pyarrow.compute")


def _read_parquet(path: Path) -> tuple[Any, str]:
    arrow()
    parquet = importlib.import_module("pyarrow.parquet")
    return _told(path, lambda: parquet.read_table(str(path))), "."


def _read_csv(path: Path) -> tuple[Any, str]:
    pa = arrow()
    csv = importlib.import_module("pyarrow.csv")
    dialect = dialect_of(path)
    encoding = "utf-8" if dialect.encoding == "utf-8-sig" else dialect.encoding
    parse = csv.ParseOptions(delimiter=dialect.separator)
    read = csv.ReadOptions(encoding=encoding)
    names = header_of(path, dialect)
    # text throughout: a participant 007 stays one, and a cell that is no number can be named
    convert = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    return _told(path, lambda: csv.read_csv(str(path), read, parse, convert)), dialect.decimal


def _told(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (arrow().ArrowException, OSError, UnicodeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path} cannot be read as a table: {first}") from error


def listed(names: Iterable[str], shown: int = 8) -> str:
    """Some names, for a message."""
    distinct: Sequence[str] = list(dict.fromkeys(names))
    return ", ".join([*distinct[:shown], "..."] if len(distinct) > shown else distinct)
