"""Readings of a whole recording as columns of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from vitruvian.core.files import atomic
from vitruvian.muscle.online import Reading

Floats = npt.NDArray[np.float64]


@dataclass
class Readings:
    """What was read so far.

    Attributes:
        quantities: names of the values of a reading.
        centred: whether values are less the mean of the trial.
    """

    quantities: Sequence[str]
    centred: bool = False
    _read: list[tuple[float, Reading]] = field(default_factory=list)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._read)

    def add(self, time_s: float, reading: Reading) -> None:
        """Add the reading of the next frame; a signal finds it whole or not there."""
        self._read.append((time_s, reading))

    @property
    def columns(self) -> dict[str, Floats]:
        """Columns of the table: the time, then for each quantity what the model says of it.

        `angle_deg` is the value, `angle_deg_low` and `angle_deg_high` end its predictive interval;
        `angle_deg_change` is the change since the frame before, with its interval, and
        `angle_deg_integrated` the sum of the changes, which drifts.
        """
        columns = {"time_s": np.array([time_s for time_s, _ in self._read])}
        for place, name in enumerate(self.quantities):
            columns |= dict(self._of(name, place))
        return columns

    def _of(self, name: str, place: int) -> Iterator[tuple[str, Floats]]:
        values = self._column("value", place)
        if values is not None:
            title = f"{name}_centred" if self.centred else name
            yield from _with_interval(title, values, self._width("value_width", place))
        changes = self._column("change", place)
        if changes is not None:
            title = f"{name}_change"
            yield from _with_interval(title, changes, self._width("change_width", place))
            yield f"{name}_integrated", np.cumsum(np.nan_to_num(changes))

    def _column(self, kind: str, place: int) -> Floats | None:
        found = [getattr(reading, kind) for _, reading in self._read]
        if not found or found[0] is None:
            return None
        return np.array([values[place] for values in found])

    def _width(self, kind: str, place: int) -> float:
        return float(getattr(self._read[0][1], kind)[place])

    def write(self, path: Path) -> None:
        """Write the table, as the ending of `path` says: .csv or .parquet."""
        table = pa.table(self.columns)
        with atomic(path) as temporary:
            if path.suffix == ".parquet":
                pyarrow.parquet.write_table(table, temporary)
            else:
                pyarrow.csv.write_csv(table, temporary)


def _with_interval(name: str, values: Floats, width: float) -> Iterator[tuple[str, Floats]]:
    yield name, values
    if np.isfinite(width):  # nobody validated: no interval is promised
        yield f"{name}_low", values - width
        yield f"{name}_high", values + width
