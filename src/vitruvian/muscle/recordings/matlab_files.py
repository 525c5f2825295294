"""Reading MATLAB files, v5 and v7.3, by names such as `US.times`.

A field of a struct is named after a point, and so is the number of a cell, of an element of a
struct array or of a column of a matrix, from 1 as in MATLAB.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.muscle.recordings.columns import Column, check_there, vector
from vitruvian.muscle.recordings.optional import needed

Variables = Mapping[str, Any]  # arrays or HDF5 data sets, text, by their whole name

_HDF5 = b"\x89HDF\r\n\x1a\n"
_STARTS = (0, 512)  # MATLAB puts a header of its own before HDF5
_VALUES = ".values"  # a channel that Spike2 exports is a struct with values, interval, start


def read_matlab(path: Path, names: Collection[str]) -> Mapping[str, Column]:
    """Read columns of a MATLAB file; see `signal_files.read_columns`."""
    with path.open("rb") as stream:
        start = stream.read(_STARTS[-1] + len(_HDF5))
    if any(start[at:].startswith(_HDF5) for at in _STARTS):
        return _read_v73(path, names)
    return _columns(path, names, dict(_flat("", _load_v5(path))))


def _columns(path: Path, names: Collection[str], variables: Variables) -> Mapping[str, Column]:
    channels = [n[: -len(_VALUES)] for n in variables if n.endswith(_VALUES)]
    matrices = {n.rpartition(".")[0] for n in names if _column_of(n, variables) is not None}
    wanted = [n for n in names if n.rpartition(".")[0] not in matrices]
    check_there(path, wanted, [*channels, *variables])
    return {name: _column(path, name, variables) for name in names}


def _column(path: Path, name: str, variables: Variables) -> Column:
    whole = f"{name}{_VALUES}" if name not in variables else name
    content = variables.get(whole)
    if content is None:
        content = _column_of(name, variables)
    channel = whole.removesuffix(_VALUES)
    values = vector(path, name, content)
    interval, start = (_number(variables, f"{channel}.{key}") for key in ("interval", "start"))
    return Column(values, 1 / interval if interval else None, start or 0.0)


def _column_of(name: str, variables: Variables) -> Any:
    """The second column of EMG, where `name` is EMG.2; None where there is none."""
    whole, _, number = name.rpartition(".")
    matrix = variables.get(whole)
    if not number.isdigit() or matrix is None or np.ndim(matrix) != 2:
        return None
    return matrix[:, int(number) - 1] if 0 < int(number) <= matrix.shape[1] else None


def _number(variables: Variables, name: str) -> float | None:
    content = np.asarray(variables.get(name, ()))
    is_number = content.size == 1 and content.dtype.kind in "iuf"
    return float(content.reshape(-1)[0]) if is_number else None


# --- v5 ------------------------------------------------------------------------------------------


def _load_v5(path: Path) -> Mapping[str, Any]:
    from scipy.io import loadmat

    try:
        content = loadmat(path, struct_as_record=False, chars_as_strings=True)
    except Exception as error:  # scipy raises almost anything for a damaged file
        raise DataError(f"{path}: is no whole MATLAB file: {error}") from error
    return {name: value for name, value in content.items() if not name.startswith("__")}


def _flat(prefix: str, content: Any) -> Iterator[tuple[str, Any]]:
    """The arrays below structs and cells, by their whole names."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from _flat(f"{prefix}.{name}" if prefix else name, value)
    elif hasattr(content, "_fieldnames"):
        yield from _flat(prefix, {name: getattr(content, name) for name in content._fieldnames})
    elif isinstance(content, np.ndarray) and content.dtype == object:
        elements = content.reshape(-1, order="F")
        single_struct = len(elements) == 1 and hasattr(elements[0], "_fieldnames")
        for number, element in enumerate(elements, 1):
            yield from _flat(prefix if single_struct else f"{prefix}.{number}", element)
    else:
        yield prefix, content


# --- v7.3 ----------------------------------------------------------------------------------------


def _read_v73(path: Path, names: Collection[str]) -> Mapping[str, Column]:
    h5py = needed("h5py", "MATLAB files of v7.3")
    try:
        with h5py.File(path, "r") as file:
            return _columns(path, names, _Hdf5Variables(file, h5py))
    except (OSError, RuntimeError, KeyError) as error:
        raise DataError(f"{path}: is no whole MATLAB file: {error}") from error


class _Hdf5Variables(Mapping[str, Any]):
    """Variables of an open v7.3 file; only what is asked for is read."""

    def __init__(self, file: Any, h5py: Any) -> None:
        self._file, self._h5py = file, h5py
        self._nodes = dict(self._walk("", file))

    def __getitem__(self, name: str) -> Any:
        return _decoded(self._nodes[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def _walk(self, prefix: str, node: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(node, self._h5py.Group):
            for name, below in node.items():
                if not name.startswith("#"):  # where MATLAB keeps what references lead to
                    yield from self._walk(f"{prefix}.{name}" if prefix else name, below)
        elif self._h5py.check_ref_dtype(node.dtype) is not None:
            for number, reference in enumerate(np.asarray(node).T.reshape(-1, order="F"), 1):
                if reference:
                    yield from self._walk(f"{prefix}.{number}", self._file[reference])
        else:
            yield prefix, node


def _decoded(data: Any) -> Any:
    """An HDF5 data set as MATLAB shows it: axes the other way round, numbers of letters as text."""
    if data.attrs.get("MATLAB_empty", 0):
        return np.zeros(0)  # the data set then holds the shape
    array = np.asarray(data).T
    if data.attrs.get("MATLAB_class", b"") == b"char":
        return "".join(map(chr, array.reshape(-1, order="F")))
    return array
