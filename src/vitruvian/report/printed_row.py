"""A row of anybody's table as `vitruvian-audit` reads it: which numbers it knows, in which unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import get_args

from vitruvian.core.check import nearest
from vitruvian.core.errors import DataError
from vitruvian.report.consistency import read_line
from vitruvian.report.names import ALIASES, DISTANCES, SHARES, metric_of, refuse_twice
from vitruvian.report.printed import Printed, Unit, read

RATES: tuple[str, ...] = ("accuracy", "balanced_accuracy", "sensitivity", "specificity")
RATES += ("ppv", "npv", "prevalence", "percent")
COUNTS = ("people", "items", "n", "of", "count", "positives", "negatives")
EXACT = ("min", "max", "step", "volume_ml")  # of the scale itself: nobody has rounded them
PLAIN = (*EXACT, "mean", "sd", "se", "ci_low", "ci_high", "rmse", "mae", "bias", "r", "r2", "auc")
TEXTS = ("group", "formula", "unit")
NAMES = (*RATES, *COUNTS, *PLAIN, *TEXTS)

_MOST = 10**9  # more people and things are a slip
_OF_MASKS = {"dice", "jaccard", "voe", "voe_paper", "rvd", *DISTANCES}
_ABOVE_0 = ("step", "volume_ml")
_ACCURACY = re.compile(r"accuracy_\w+")  # several in one row: accuracy, accuracy_abstract


@dataclass(frozen=True)
class PrintedRow:
    """One row.

    Attributes:
        name: for the reader.
        unit: of its shares.
        line: the numbers of classification, regression and scores.
        counts: whole numbers of people and things.
        overlap: metrics of segmentation, by the names of `report.consistency`.
        texts: what is no number.
    """

    name: str
    unit: Unit
    line: Mapping[str, Printed]
    counts: Mapping[str, int]
    overlap: Mapping[str, Printed]
    texts: Mapping[str, str]

    @property
    def accuracies(self) -> dict[str, Printed]:
        """Every accuracy of the row; there may be several of the same people."""
        return {name: value for name, value in self.line.items() if is_accuracy(name)}

    @property
    def of_masks(self) -> bool:
        """Whether its numbers are means over masks: then an accuracy counts voxels, not people."""
        return not _OF_MASKS.isdisjoint(self.overlap)


def is_accuracy(name: str) -> bool:
    """Whether this is an accuracy, such as `accuracy` or `accuracy_abstract`."""
    return name == "accuracy" or bool(_ACCURACY.fullmatch(name))


def is_share(name: str) -> bool:
    """Whether a number of this name is a share, which may be printed in percent."""
    return name in RATES or is_accuracy(name) or metric_of(name) in SHARES


def known(name: str) -> bool:
    """Whether the audit knows what to do with a number of this name."""
    return name in NAMES or is_accuracy(name) or metric_of(name) is not None


def read_row(name: str, numbers: Mapping[str, str], unit: Unit) -> PrintedRow:
    """Read a row; empty cells are passed over.

    Raises:
        DataError: an unknown name, one that is given twice, something that is no number, or no
            whole one where it must be.
    """
    told = {key.strip(): str(text).strip() for key, text in numbers.items()}
    told = {key: text for key, text in told.items() if text}
    refuse_twice(f"row {name!r}", list(told))
    cells = {key.lower(): text for key, text in told.items()}
    unit = _unit(name, cells.get("unit", unit))
    line: dict[str, Printed] = {}
    counts: dict[str, int] = {}
    for key, text in cells.items():
        if not known(key):
            raise DataError(_unknown(name, key))
        if key in COUNTS:
            counts[key] = _count(name, key, text)
        elif key in RATES or key in PLAIN or is_accuracy(key):
            number = _number(name, key, text, unit)
            line |= {} if number is None else {key: number}
    overlap = read_line(name, {key: text for key, text in cells.items() if metric_of(key)}, unit)
    texts = {key: text for key, text in cells.items() if key in TEXTS}
    return PrintedRow(name, unit, line, counts, overlap, texts)


def _number(row: str, name: str, text: str, unit: Unit) -> Printed | None:
    share = name in RATES or is_accuracy(name)
    try:
        if name == "auc":
            return _auc(text, unit)
        number = read(text, unit if share else None)
        if number is not None and name in EXACT:
            number = replace(number, half=Fraction(0))
        if number is not None and name in _ABOVE_0 and number.exact <= 0:
            raise ValueError(f"{text!r} is not above 0")
    except ValueError as error:
        raise DataError(f"row {row!r}: {name}={error}") from error
    if share and number is not None and not 0 <= number.exact <= 1:
        raise DataError(f"row {row!r}: {name} cannot be {text} (the unit of shares is {unit})")
    return number


def _auc(text: str, unit: Unit) -> Printed | None:
    """An area is printed as 0.95 even where all other shares are in percent."""
    plain = read(text.rstrip("% "))
    if plain is None or (plain.exact < 2 and not text.endswith("%")):
        return plain
    number = read(text, unit)
    return None if number is None else replace(number, share=False)


def _count(row: str, name: str, text: str) -> int:
    digits = text.replace(" ", "")
    least = 0 if name == "count" else 1
    if not digits.isdecimal() or len(digits) > 10 or not least <= int(digits) <= _MOST:
        raise DataError(
            f"row {row!r}: {name}={text[:20]!r} is not a whole number, {least} or more, "
            f"up to {_MOST:,}; it cannot be a limit"
        )
    return int(digits)


def _unit(row: str, text: str) -> Unit:
    for unit in get_args(Unit):
        if text == unit:
            return unit
    raise DataError(f"row {row!r}: unit={text!r}, expected percent or fraction")


def _unknown(row: str, key: str) -> str:
    names = (*NAMES, *SHARES, *DISTANCES, *ALIASES)
    near = nearest(key, names)
    hint = f"did you mean `{near}`?" if near else f"use one of {', '.join(dict.fromkeys(names))}"
    return f"row {row!r}: unknown number {key!r}; {hint}"
