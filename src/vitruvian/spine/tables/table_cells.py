"""What a landmark table from elsewhere says, as one long list of joints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.spine.skeletons import Skeleton
from vitruvian.spine.tables.table_columns import Columns
from vitruvian.spine.tables.table_layouts import AXES, Place, places, plain, positions

COLUMNS = (
    *("clip", "participant", "exercise", "rating", "simulated", "skeleton", "width", "height"),
    *("frame", "time_s", "joint", *AXES),
)

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class TableForm:
    """How a landmark table from elsewhere names and means things.

    A table needs no other columns than those of x and y. Without a column clip it is one clip,
    named after the file; without z the body is flat, in the plane of the hips; without visibility
    all that is there counts as seen.

    Attributes:
        columns: what it calls the columns of an export, such as {clip: video_id, time_s: t}.
        joints: our names of joints that it calls otherwise, such as {L_SHO: left shoulder}; null
            leaves a joint out.
        skeleton: blazepose33, kinect22 or joints<N>x<dims>; by default recognised by its joints.
        fps: frames per second, where there is no column time_s.
        frame_size: width and height in pixels, where coordinates are pixels; z has the scale of x.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    joints: Mapping[str, str | None] = field(default_factory=dict)
    skeleton: str | None = None
    fps: float | None = None
    frame_size: Sequence[int] | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.columns if name not in COLUMNS]
        if unknown:
            raise ConfigError(f"columns: {unknown[0]!r} is none of {', '.join(COLUMNS)}")
        if self.fps is not None and not self.fps > 0:
            raise ConfigError(f"fps: must be above 0, not {self.fps:g}")
        size = self.frame_size
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise ConfigError(f"frame_size: give [width, height] in pixels, not {list(size)}")


@dataclass(frozen=True)
class Cells:
    """A table as one long list of joints.

    Attributes:
        row: (n,) rows of the table.
        joint: (n,) positions in the skeleton.
        values: (n,) float32 by axis; without the axes that the table does not have.
    """

    row: Array
    joint: Array
    values: Mapping[str, Array]


def cells_of(columns: Columns, form: TableForm) -> tuple[Skeleton, Cells]:
    """Read the joints of a table, with one row for each or one column for each coordinate.

    Raises:
        DataError: columns are missing, or cells are no numbers.
    """
    try:
        return _long(columns, form) if columns.name("joint") else _wide(columns, form)
    except DataError as error:
        if str(columns.path) in str(error):
            raise
        raise DataError(f"{columns.path}: {error}") from error


def _long(columns: Columns, form: TableForm) -> tuple[Skeleton, Cells]:
    codes, texts = columns.texts(columns.need("joint"))
    spelt = [plain(text) for text in texts]
    joints = list(dict.fromkeys(spelt))
    skeleton, where = positions(joints, form.joints, form.skeleton or _declared(columns))
    names = {axis: columns.name(axis) for axis in AXES}
    _need_axes(columns, skeleton, [axis for axis in AXES if names[axis]])
    found = dict(zip(joints, where, strict=True))
    position = np.array([-1 if found[joint] is None else found[joint] for joint in spelt])[codes]
    rows = np.flatnonzero(position >= 0)
    values = {a: columns.numbers(name, "float32")[rows] for a, name in names.items() if name}
    return skeleton, Cells(rows, position[rows], values)


def _declared(columns: Columns) -> str | None:
    """The skeleton that a table says it has, as an export does."""
    name = columns.name("skeleton")
    if name is None:
        return None
    _, texts = columns.texts(name)
    if len(texts) > 1:
        raise DataError(f"skeletons {' and '.join(texts)} in one table: divide it")
    return texts[0] or None


def _wide(columns: Columns, form: TableForm) -> tuple[Skeleton, Cells]:
    taken = {columns.name(name) for name in COLUMNS}
    found = [place for place in places(columns.names) if place.column not in taken]
    if not found:
        raise DataError(
            "no column 'joint', and no columns of joints such as nose_x or x0; "
            "name the first with columns={joint: ...}"
        )
    joints = list(dict.fromkeys(place.joint for place in found))
    skeleton, where = positions(joints, form.joints, form.skeleton or _declared(columns))
    kept = {joint: place for joint, place in zip(joints, where, strict=True) if place is not None}
    axes = [axis for axis in AXES if any(place.axis == axis for place in found)]
    _need_axes(columns, skeleton, axes)
    values = {axis: _stacked(columns, found, axis, kept) for axis in axes}
    rows = np.tile(np.arange(len(columns)), len(kept))
    return skeleton, Cells(rows, np.repeat(list(kept.values()), len(columns)), values)


def _stacked(
    columns: Columns, found: Sequence[Place], axis: str, joints: Mapping[str, int]
) -> Array:
    """The columns of one axis, joint after joint; NaN where a joint has none."""
    names = {place.joint: place.column for place in found if place.axis == axis}
    nothing = np.full(len(columns), np.nan, np.float32)
    return np.concatenate(
        [
            columns.numbers(names[joint], "float32") if joint in names else nothing
            for joint in joints
        ]
    )


def _need_axes(columns: Columns, skeleton: Skeleton, axes: Sequence[str]) -> None:
    for axis in ("x", "y")[: skeleton.dims]:
        if axis not in axes:
            columns.need(axis)
