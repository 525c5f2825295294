"""Clips out of a landmark table, whose rows may stand in any order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import DataError
from vitruvian.spine.landmarks import Clip, Landmarks
from vitruvian.spine.skeletons import BLAZEPOSE, Skeleton
from vitruvian.spine.tables.table_cells import Cells, TableForm, cells_of
from vitruvian.spine.tables.table_columns import Columns

_PIXELS = 20.0  # times the frame: a share of it is never so far outside, pixels nearly always are
_SPARSE = 100  # frames for each that is there: the numbers count something else

Array = npt.NDArray[Any]


def clips_of(columns: Columns, form: TableForm) -> Iterator[Clip]:
    """Put together the clips of a table, in the order in which it first names them.

    Raises:
        DataError: columns are missing, cells are ill-formed, or rows contradict each other.
    """
    skeleton, cells = cells_of(columns, form)
    codes, names = _clips(columns)
    by_row = _slices(codes, len(names))
    by_cell = _slices(codes[cells.row], len(names))
    table = _Shared(columns)
    for name, rows, inside in zip(names, by_row, by_cell, strict=True):
        mine = Cells(
            cells.row[inside],
            cells.joint[inside],
            {axis: values[inside] for axis, values in cells.values.items()},
        )
        yield _Builder(table, form, skeleton, name, rows).clip(mine)


def _clips(columns: Columns) -> tuple[Array, list[str]]:
    """The clip of each row, as a number, and the names."""
    name = columns.name("clip")
    if name is None:
        return np.zeros(len(columns), np.int32), [columns.path.stem]
    codes, texts = columns.texts(name)
    if "" in texts:
        row = columns.row(int(np.flatnonzero(codes == texts.index(""))[0]))
        raise DataError(f"{columns.path}: {row}: {name} is empty")
    return codes, texts


def _slices(codes: Array, count: int) -> list[Array]:
    """Where each code is found, in rising order."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.searchsorted(codes[order], np.arange(1, count)))


class _Shared:
    """Columns that every joint of a frame or of a clip shares, each read once."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        names = {name: columns.name(name) for name in ("participant", "exercise")}
        self._texts = {key: columns.texts(name) for key, name in names.items() if name}
        names = {n: columns.name(n) for n in ("rating", "width", "height", "frame", "time_s")}
        self._numbers = {key: columns.numbers(name) for key, name in names.items() if name}
        simulated = columns.name("simulated")
        self._simulated = columns.truths(simulated) if simulated else None

    def has(self, column: str) -> bool:
        """Whether there is a column of numbers of this kind."""
        return column in self._numbers

    def numbers(self, column: str, rows: Array) -> Array:
        """Its values in some rows, none of them empty."""
        values = self._numbers[column][rows]
        if np.isnan(values).any():
            row = self.columns.row(int(rows[np.isnan(values)][0]))
            raise DataError(f"{self.columns.path}: {row}: {self.columns.name(column)} is empty")
        return values

    def text(self, column: str, rows: Array) -> str:
        """The one text of a clip; empty without such a column."""
        if column not in self._texts:
            return ""
        codes, texts = self._texts[column]
        found = [texts[code] for code in np.unique(codes[rows])]
        return str(self._one(column, found))

    def number(self, column: str, rows: Array) -> float:
        """The one number of a clip; NaN without such a column."""
        if column not in self._numbers:
            return math.nan
        return float(self._one(column, np.unique(self._numbers[column][rows]).tolist()))

    def simulated(self, rows: Array) -> bool:
        """Whether any row of a clip is marked as simulated."""
        return self._simulated is not None and bool(self._simulated[rows].any())

    def _one(self, column: str, found: list[Any]) -> Any:
        if len(found) > 1:
            raise DataError(f"{self.columns.name(column)} is {found[0]!r} and {found[1]!r}")
        return found[0]


@dataclass(frozen=True)
class _Builder:
    """Puts one clip together from its rows of the table, which are in rising order."""

    table: _Shared
    form: TableForm
    skeleton: Skeleton
    name: str
    rows: Array

    def clip(self, cells: Cells) -> Clip:
        """The clip; its cells are those of its rows."""
        try:
            return self._clip(cells)
        except DataError as error:
            if str(self.table.columns.path) in str(error):
                raise
            path = self.table.columns.path
            raise DataError(f"{path}: clip {self.name}: {error}") from error

    def _clip(self, cells: Cells) -> Clip:
        frame_of_row, times = self._frames()
        index = frame_of_row[np.searchsorted(self.rows, cells.row)]
        self._refuse_twice(index, cells)
        return Clip(
            self.name,
            self.table.text("participant", self.rows),
            self.table.text("exercise", self.rows),
            self._landmarks(index, cells, times),
            self._rating(),
            self.table.simulated(self.rows),
        )

    def _landmarks(self, index: Array, cells: Cells, times: Array) -> Landmarks:
        shape = (len(times), len(self.skeleton))
        grid = {axis: np.full(shape, np.nan, np.float32) for axis in cells.values}
        for axis, values in cells.values.items():
            grid[axis][index, cells.joint] = values
        flat = grid["x"] * np.float32(0)  # of a table without z; NaN stays
        points = np.stack([grid.get(a, flat) for a in "xyz"[: self.skeleton.dims]], axis=2)
        seen = np.where(np.isfinite(points).all(axis=2), np.float32(1), np.float32(np.nan))
        return Landmarks(
            times,
            self._as_shares(points),
            grid.get("visibility", seen),
            _world(grid),
            self._size(),
            self.skeleton.name,
        )

    def _as_shares(self, points: Array) -> Array:
        if self.form.frame_size is not None:
            width, height = self.form.frame_size
            scale = np.array([width, height, width], np.float32)
            return np.asarray(points / scale[: points.shape[2]])
        largest = float(np.nanmax(np.abs(points[..., :2]), initial=0.0))
        if self.skeleton is BLAZEPOSE and largest > _PIXELS:
            raise DataError(
                f"coordinates up to {largest:g} look like pixels; give frame_size=[width, height]"
            )
        return points

    def _size(self) -> tuple[int, int] | None:
        if self.form.frame_size is not None:
            width, height = self.form.frame_size
            return int(width), int(height)
        sides = [self.table.number(side, self.rows) for side in ("width", "height")]
        return None if any(map(math.isnan, sides)) else (int(sides[0]), int(sides[1]))

    def _rating(self) -> float:
        rating = self.table.number("rating", self.rows)
        if not (math.isnan(rating) or 0 <= rating <= 100):
            raise DataError(f"rating {rating:g} is outside 0 to 100")
        return rating

    # -- frames -------------------------------------------------------------------------------

    def _frames(self) -> tuple[Array, Array]:
        """The frame of each row of this clip, and the times of all frames.

        Frames that the numbers leave out are there, without a pose.
        """
        if not self.table.has("frame"):
            return self._in_order() if not self.table.has("time_s") else self._by_time()
        number = self.table.numbers("frame", self.rows)
        values, first, index = np.unique(number, return_index=True, return_inverse=True)
        frames = _whole(values)
        times = self._times(index, first) if self.table.has("time_s") else frames / self._fps()
        return frames[index], np.interp(np.arange(frames[-1] + 1), frames, times - times[0])

    def _by_time(self) -> tuple[Array, Array]:
        times, index = np.unique(self.table.numbers("time_s", self.rows), return_inverse=True)
        return index, times - times[0]

    def _in_order(self) -> tuple[Array, Array]:
        """Neither number nor time: each row is the next frame."""
        columns = self.table.columns
        if columns.name("joint"):
            columns.need("frame")
        return np.arange(len(self.rows)), np.arange(len(self.rows)) / self._fps()

    def _times(self, index: Array, first: Array) -> Array:
        given = self.table.numbers("time_s", self.rows)
        times: Array = given[first]
        other = np.flatnonzero(given != times[index])
        if other.size:
            row = self.table.columns.row(int(self.rows[other[0]]))
            raise DataError(f"{row}: its frame has another time elsewhere")
        if (np.diff(times) <= 0).any():
            raise DataError("the times do not rise from frame to frame")
        return times

    def _fps(self) -> float:
        if self.form.fps is None:
            raise DataError("no column 'time_s'; name it with columns={time_s: ...}, or give fps")
        return self.form.fps

    def _refuse_twice(self, index: Array, cells: Cells) -> None:
        place = index.astype(np.int64) * len(self.skeleton) + cells.joint
        order = np.argsort(place, kind="stable")
        again = np.flatnonzero(np.diff(place[order]) == 0)
        if again.size:
            cell = order[again[0] + 1]
            row = self.table.columns.row(int(cells.row[cell]))
            joint = self.skeleton.joints[int(cells.joint[cell])]
            raise DataError(f"{row}: its frame has a second {joint}")


def _world(grid: Mapping[str, Array]) -> Array | None:
    axes = [grid[axis] for axis in ("wx", "wy", "wz") if axis in grid]
    if len(axes) < 3 or all(np.isnan(axis).all() for axis in axes):
        return None
    return np.stack(axes, axis=2)


def _whole(values: Array) -> Array:
    """Numbers of frames counted from 0, by the step that all of them share."""
    if (values != np.round(values)).any():
        raise DataError(f"frames are whole numbers, not {values[values != np.round(values)][0]:g}")
    frames = np.concatenate([[0], np.cumsum(np.diff(values.astype(np.int64)))])
    frames //= max(math.gcd(*np.diff(frames).tolist()), 1)
    if frames[-1] > _SPARSE * len(values):
        raise DataError(
            f"{len(values)} frames numbered {values[0]:g} to {values[-1]:g}: "
            "is that the column of frames?"
        )
    return np.asarray(frames, np.int64)
