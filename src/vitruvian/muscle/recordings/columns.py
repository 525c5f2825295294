"""Columns of numbers that a signal file holds, and the complaint about one that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import Floats

_SHOWN = 12  # columns listed in a complaint


@dataclass(frozen=True)
class Column:
    """Numbers of a file under one name.

    Attributes:
        values: (n,) as they are in the file; NaN where a cell is empty.
        rate_hz: samples per second, where the file tells.
        start_s: time of the first, where the file tells.
    """

    values: Floats
    rate_hz: float | None = None
    start_s: float = 0.0


def vector(path: Path, name: str, content: Any) -> Floats:
    """The numbers that are called `name`, (n,), whether they stand in a row or in a column.

    Raises:
        DataError: they are no numbers, or more than a row or a column.
    """
    array = np.asarray(content)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path}: {name} holds no numbers")
    if array.size != max(array.shape, default=1):
        raise DataError(f"{path}: {name} has the shape {array.shape}; name one column, as {name}.1")
    return array.astype(np.float64).reshape(-1)


def check_there(path: Path, wanted: Iterable[str], available: Iterable[str]) -> None:
    """See that all `wanted` names are available.

    Raises:
        DataError: one is not; lists those that are, the nearest first.
    """
    names = list(dict.fromkeys(available))
    for name in wanted:
        if name not in names:
            raise DataError(
                f"{path}: has no column {name!r}; there are {_nearest_first(name, names)}"
            )


def _nearest_first(name: str, names: list[str]) -> str:
    def likeness(other: str) -> float:
        return difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio()

    ranked = sorted(names, key=likeness, reverse=True)
    more = f" and {len(ranked) - _SHOWN} more" if len(ranked) > _SHOWN else ""
    return (", ".join(ranked[:_SHOWN]) or "none") + more


def named_once(names: Iterable[str]) -> Mapping[str, int]:
    """Where each name is; a name that is there again is called `name#2`, `name#3`."""
    places: dict[str, int] = {}
    seen: dict[str, int] = {}
    for place, name in enumerate(names):
        seen[name] = seen.get(name, 0) + 1
        places[name if seen[name] == 1 else f"{name}#{seen[name]}"] = place
    return places
