"""MATLAB files of both kinds: the same names lead to the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.muscle.recordings.signal_files import read_columns

CONTENT: Mapping[str, Any] = {
    "fs": 1000.0,
    "row": np.arange(5.0),
    "EMG": np.arange(10.0).reshape(5, 2),
    "US": {"times": np.array([0.5, 1.5]), "title": "US", "none": np.zeros(0)},
    "Angle": {"values": np.array([1.0, 2.0]), "interval": 0.002, "start": 0.25, "units": "deg"},
    "deep": {"er": {"x": np.array([7, 8, 9], np.int16)}},
    "cells": [np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])],
    "text": "hello",
}

NUMBERS = [
    ("fs", [1000.0]),
    ("row", [0.0, 1.0, 2.0, 3.0, 4.0]),
    ("EMG.2", [1.0, 3.0, 5.0, 7.0, 9.0]),
    ("US.times", [0.5, 1.5]),
    ("US.none", []),
    ("deep.er.x", [7.0, 8.0, 9.0]),
    ("cells.2", [3.0, 4.0, 5.0]),
    ("Angle", [1.0, 2.0]),
    ("Angle.values", [1.0, 2.0]),
]


def write_v5(path: Path) -> Path:
    content = dict(CONTENT) | {"cells": np.array(CONTENT["cells"], dtype=object)}
    savemat(path, content, oned_as="column")
    return path


def write_v73(path: Path) -> Path:
    """Write as MATLAB does: axes reversed, text as numbers, cells as references."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in CONTENT.items():
            if name != "cells":
                _put(file, name, value)
        hidden = file.create_group("#refs#")
        references = []
        for number, value in enumerate(CONTENT["cells"]):
            _put(hidden, f"c{number}", value)
            references.append([hidden[f"c{number}"].ref])
        data = file.create_dataset("cells", data=np.array(references, dtype=h5py.ref_dtype))
        data.attrs["MATLAB_class"] = np.bytes_("cell")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


def _put(group: Any, name: str, value: Any) -> None:
    if isinstance(value, dict):
        below = group.create_group(name)
        for key, inner in value.items():
            _put(below, key, inner)
        return
    is_text = isinstance(value, str)
    array = np.array([[ord(c)] for c in value], np.uint16) if is_text else np.atleast_2d(value)
    if np.size(value) == 0 and not is_text:
        data = group.create_dataset(name, data=np.zeros(2, np.uint64))
        data.attrs["MATLAB_empty"] = np.uint8(1)
    else:
        data = group.create_dataset(name, data=array.T if np.ndim(value) == 2 else array)
    data.attrs["MATLAB_class"] = np.bytes_("char" if is_text else "double")


WRITERS = {"v5": write_v5, "v7.3": write_v73}


@pytest.fixture(params=WRITERS)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return WRITERS[request.param](tmp_path / "signals.mat")


@pytest.mark.parametrize(("name", "numbers"), NUMBERS)
def test_names_lead_to_numbers(file: Path, name: str, numbers: list[float]) -> None:
    assert read_columns(file, [name])[name].values.tolist() == numbers


@pytest.mark.parametrize("name", ["Angle", "Angle.values"])
def test_a_channel_of_spike2_has_its_own_rate_and_start(file: Path, name: str) -> None:
    column = read_columns(file, [name])[name]
    assert (column.rate_hz, column.start_s) == (500.0, 0.25)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("US.time", "has no column 'US.time'; there are US.times"),
        ("angle", "has no column 'angle'; there are Angle, "),
        ("EMG.3", "has no column 'EMG.3'; there are "),
        ("text", "text holds no numbers"),
        ("EMG", "EMG has the shape (5, 2); name one column, as EMG.1"),
    ],
)
def test_mistakes(file: Path, name: str, message: str) -> None:
    with pytest.raises(DataError) as raised:
        read_columns(file, [name])
    assert message in str(raised.value)


def test_broken_files(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:900])
    with pytest.raises(DataError, match="is no whole MATLAB file"):
        read_columns(file, ["row"])


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_v73(tmp_path / "signals.mat")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ConfigError, match=r"need h5py; .*pip install vitruvian\[recordings\]"):
        read_columns(path, ["row"])


@pytest.mark.real_data
def test_files_of_a_laboratory(real_data: Path) -> None:
    path = real_data / "sync_tecchio2023_ta" / "Raw_Data" / "PL_0_01.mat"
    columns = read_columns(path, ["Angle", "Torque", "EMG_TA", "US.times"])
    assert len(columns["US.times"].values) == 500
    assert np.diff(columns["US.times"].values).mean() == pytest.approx(0.03, abs=1e-5)
    for name in ("Angle", "Torque", "EMG_TA"):
        assert columns[name].values.shape == (34000,)
        assert columns[name].rate_hz == pytest.approx(2000)
