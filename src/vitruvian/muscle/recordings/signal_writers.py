"""Writing columns of numbers, all of one length, as CSV, Parquet or MATLAB."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.muscle.recording import Floats
from vitruvian.muscle.recordings.optional import needed

Columns = Mapping[str, Floats]

_USER_BLOCK = 512  # bytes before HDF5 begins, for MATLAB's header


def _write_csv(path: Path, columns: Columns) -> None:
    import pyarrow.csv

    pyarrow.csv.write_csv(_table(columns), path)


def _write_parquet(path: Path, columns: Columns) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(_table(columns), path)


def _table(columns: Columns) -> Any:
    import pyarrow

    return pyarrow.table({name: values.astype(np.float32) for name, values in columns.items()})


def _write_mat(path: Path, columns: Columns) -> None:
    from scipy.io import savemat

    single = {name: values.astype(np.float32) for name, values in columns.items()}
    savemat(path, single, do_compression=True, oned_as="column")


def _write_mat73(path: Path, columns: Columns) -> None:
    """Write HDF5 with MATLAB's header and classes, so that MATLAB can load it, too."""
    h5py = needed("h5py", "MATLAB files of v7.3")
    with h5py.File(path, "w", userblock_size=_USER_BLOCK) as file:
        for name, values in columns.items():
            # MATLAB's order of the axes is the reverse: its column is a row here.
            data = file.create_dataset(name, data=values.astype(np.float32)[np.newaxis])
            data.attrs["MATLAB_class"] = np.bytes_("single")
    header = b"MATLAB 7.3 MAT-file, written by Vitruvian".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as stream:
        stream.write(header)


SIGNAL_WRITERS: dict[str, tuple[str, Callable[[Path, Columns], None]]] = {
    "csv": ("csv", _write_csv),
    "parquet": ("parquet", _write_parquet),
    "mat": ("mat", _write_mat),
    "mat73": ("mat", _write_mat73),
}
