"""Refuses a table that is taken as one in percent, and is plainly in fractions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from vitruvian.core.errors import DataError
from vitruvian.report.rules import Line


def without_percent(cells: Mapping[str, Any]) -> dict[str, Any]:
    """The cells that do not carry a % of their own, which leaves no doubt about their unit."""
    return {key: cell for key, cell in cells.items() if not str(cell).rstrip().endswith("%")}


def refuse_fractions(lines: Iterable[Line]) -> None:
    """Refuse rows of a table, said to be in percent, that are plainly in fractions.

    Raises:
        DataError: no share is above 1 %. An RVD may be as small and says nothing.
    """
    named = (item for line in lines for item in line.items())
    shares = [number.exact for name, number in named if number.share and name != "rvd"]
    if any(shares) and max(shares) <= Fraction(1, 100):
        raise DataError(
            "no share of the table is above 1 %: is it in fractions? Say so as unit; "
            "if it is in percent, write the shares with their %"
        )
