"""Reading signals from CSV, TSV, Parquet, MATLAB and C3D files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from vitruvian.core.errors import DataError
from vitruvian.muscle.recordings.columns import Column, check_there, named_once, vector
from vitruvian.muscle.recordings.matlab_files import read_matlab
from vitruvian.muscle.recordings.optional import needed
from vitruvian.muscle.recordings.text_files import read_text


def read_columns(path: Path, names: Collection[str]) -> Mapping[str, Column]:
    """Read columns of a signal file.

    Args:
        path: of a .csv, .tsv, .txt, .parquet, .mat or .c3d file.
        names: of the columns. In MATLAB files `US.times` is the field `times` of `US`, `EMG.2` the
            second column of a matrix or the second cell, and a struct that Spike2 exports is named
            itself. In C3D files `LASI.x` is a coordinate of a point; anything else is analog.

    Returns:
        The columns by name.

    Raises:
        DataError: the file is missing or broken, has no such column (those that there are are
            listed, the nearest first), or holds no numbers there.
        ConfigError: a package that reads the format is not installed.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; check the name in recording.yaml")
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path}: signals are read from {', '.join(_READERS)}")
    return read(path, names)


def _read_parquet(path: Path, names: Collection[str]) -> Mapping[str, Column]:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        check_there(path, names, file.schema_arrow.names)
        table = file.read(columns=list(names), use_threads=False)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: is no whole Parquet file: {str(error).splitlines()[0]}"
        ) from error
    return {name: Column(_floats(path, name, table[name])) for name in names}


def _floats(path: Path, name: str, column: Any) -> Any:
    return vector(path, name, column.to_numpy())


# --- C3D -----------------------------------------------------------------------------------------


def _read_c3d(path: Path, names: Collection[str]) -> Mapping[str, Column]:
    """Read analog channels and coordinates of points, each at its own rate."""
    ezc3d = needed("ezc3d", "C3D files")
    try:
        content = ezc3d.c3d(str(path))
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{path}: is no whole C3D file: {error}") from error
    analog = _labels(content, "ANALOG")
    points = _labels(content, "POINT")
    axes = {
        f"{label}.{axis}": (n, k) for label, n in points.items() for k, axis in enumerate("xyz")
    }
    check_there(path, names, [*analog, *axes])
    analog_hz = float(content["header"]["analogs"]["frame_rate"])
    point_hz = float(content["header"]["points"]["frame_rate"])
    columns = {}
    for name in names:
        if name in analog:
            values = content["data"]["analogs"][0, analog[name]]
            columns[name] = Column(vector(path, name, values), analog_hz)
        else:
            place, axis = axes[name]
            values = content["data"]["points"][axis, place]
            columns[name] = Column(vector(path, name, values), point_hz)
    return columns


def _labels(content: Any, group: str) -> Mapping[str, int]:
    """Labels of a group; a parameter holds 255 at most, the next are in LABELS2 and so on."""
    parameters = content["parameters"].get(group, {})
    labels: list[str] = []
    for suffix in ("", *range(2, 10)):
        labels += parameters.get(f"LABELS{suffix}", {}).get("value", [])
    return named_once(label.strip() for label in labels)


_READERS: dict[str, Callable[[Path, Collection[str]], Mapping[str, Column]]] = {
    ".csv": read_text,
    ".tsv": read_text,
    ".txt": read_text,
    ".parquet": _read_parquet,
    ".mat": read_matlab,
    ".c3d": _read_c3d,
}
