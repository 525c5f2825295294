"""Landmark tables: export of clips to Parquet and CSV, and import of tables from elsewhere.

An export has one row per clip, frame and joint, with the columns of `COLUMNS`. What is not there is
an empty cell: the joints of a frame without a pose, the rating of an unrated clip, world landmarks
of sets that have none. An export that is imported again gives the same landmarks, bit by bit.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vitruvian.core.errors import ConfigError
from vitruvian.core.files import atomic
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.tables.table_cells import COLUMNS, TableForm
from vitruvian.spine.tables.table_clips import clips_of
from vitruvian.spine.tables.table_columns import Columns, arrow
from vitruvian.spine.tables.table_layouts import AXES

__all__ = ["COLUMNS", "ENDINGS", "TableForm", "read_table", "write_table"]

ENDINGS = (".parquet", ".csv")
_TEXTS = ("clip", "participant", "exercise", "skeleton", "joint")
_ROWS_TOGETHER = 1_000_000  # in a group of a Parquet file: 60 MB in memory


class _Writer(Protocol):
    def write(self, table: Any) -> None: ...

    def close(self) -> None: ...


def write_table(clips: Iterable[Clip], path: Path) -> int:
    """Write clips in the long form, one after the other.

    Args:
        clips: to write.
        path: of the table, ending with `.parquet` or `.csv`.

    Returns:
        How many clips there were.

    Raises:
        ConfigError: another ending, or pyarrow is not installed.
        RunError: the file cannot be written.
    """
    check_ending(path, "export")
    count = 0
    with atomic(path) as temporary, _writer(path, temporary) as writer:
        for group in _groups(clips):
            writer.write(arrow().concat_tables([_long(clip) for clip in group]))
            count += len(group)
    return count


def read_table(path: Path, form: TableForm | None = None) -> list[Clip]:
    """Read a landmark table, in the long form of an export or with one row per frame.

    Args:
        path: of the table, ending with `.parquet` or `.csv`.
        form: how it names and means things, where that differs from an export.

    Raises:
        ConfigError: another ending, or pyarrow is not installed.
        DataError: the table is missing, ill-formed or contradicts itself; names the file, and the
            row or the column.
    """
    check_ending(path, "input")
    form = form or TableForm()
    return list(clips_of(Columns.open(path, form.columns), form))


def check_ending(path: Path, key: str) -> None:
    """Refuse what is neither Parquet nor CSV.

    Raises:
        ConfigError: the file has another ending.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{key}: {path} must end with {' or '.join(ENDINGS)}")


@contextmanager
def _writer(path: Path, temporary: Path) -> Iterator[_Writer]:
    module, make = _formats()[path.suffix.lower()]
    writer: _Writer = make(importlib.import_module(module), str(temporary))
    try:
        yield writer
    finally:
        writer.close()


def _formats() -> dict[str, tuple[str, Callable[[Any, str], _Writer]]]:
    schema = _schema()
    return {
        ".parquet": ("pyarrow.parquet", lambda m, name: m.ParquetWriter(name, schema)),
        ".csv": ("pyarrow.csv", lambda m, name: m.CSVWriter(name, schema)),
    }


def _schema() -> Any:
    pa = arrow()
    kinds = {
        **dict.fromkeys(_TEXTS, pa.string()),
        **dict.fromkeys(("width", "height", "frame"), pa.int32()),
        **dict.fromkeys(("rating", "time_s"), pa.float64()),
        **dict.fromkeys(AXES, pa.float32()),
        "simulated": pa.bool_(),
    }
    return pa.schema([(name, kinds[name]) for name in COLUMNS])


def _groups(clips: Iterable[Clip]) -> Iterator[list[Clip]]:
    """Divide clips into groups of so many rows, that an export of any length fits in memory."""
    group: list[Clip] = []
    rows = 0
    for clip in clips:
        group.append(clip)
        rows += clip.landmarks.visibility.size
        if rows >= _ROWS_TOGETHER:
            yield group
            group, rows = [], 0
    if group:
        yield group


def _long(clip: Clip) -> Any:
    """One row per frame and joint, frame by frame."""
    pa, schema = arrow(), _schema()
    frames, joints = clip.landmarks.visibility.shape
    width, height = clip.landmarks.size or (None, None)
    same = {
        "clip": clip.name,
        "participant": clip.participant,
        "exercise": clip.exercise,
        "rating": None if np.isnan(clip.rating) else clip.rating,
        "simulated": clip.simulated,
        "skeleton": clip.landmarks.skeleton,
        "width": width,
        "height": height,
    }
    names = pa.array(clip.landmarks.joints.joints)
    columns = {
        **{
            key: pa.repeat(pa.scalar(value, schema.field(key).type), frames * joints)
            for key, value in same.items()
        },
        "frame": pa.array(np.repeat(np.arange(frames, dtype=np.int32), joints)),
        "time_s": pa.array(np.repeat(clip.landmarks.times_s, joints)),
        "joint": names.take(pa.array(np.tile(np.arange(joints), frames))),
        **{key: pa.array(values, from_pandas=True) for key, values in _coordinates(clip)},
    }
    return pa.table([columns[name] for name in COLUMNS], schema=schema)


def _coordinates(clip: Clip) -> Iterator[tuple[str, Any]]:
    """Columns of float32; NaN, which `from_pandas` makes an empty cell, where there is nothing."""
    landmarks = clip.landmarks
    nothing = np.full(landmarks.visibility.size, np.nan, np.float32)
    world = [nothing] * 3 if landmarks.world is None else list(landmarks.world.reshape(-1, 3).T)
    dims = landmarks.points.shape[2]
    points = [*landmarks.points.reshape(-1, dims).T, *[nothing] * (3 - dims)]
    values = chain(points, [landmarks.visibility.ravel()], world)
    return zip(AXES, (np.ascontiguousarray(v) for v in values), strict=True)
