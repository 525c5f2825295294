"""Parquet and C3D files, and files that cannot be read at all."""

from __future__ import annotations

from pathlib import Path

import ezc3d
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.muscle.recordings.signal_files import read_columns


@pytest.fixture
def c3d(tmp_path: Path) -> Path:
    """Two analog channels at 1000 Hz and a point at 100 Hz."""
    content = ezc3d.c3d()
    content["parameters"]["POINT"]["RATE"]["value"] = [100.0]
    content["parameters"]["POINT"]["LABELS"]["value"] = ["ANKLE"]
    content["parameters"]["ANALOG"]["RATE"]["value"] = [1000.0]
    content["parameters"]["ANALOG"]["LABELS"]["value"] = ["Torque", "EMG"]
    points = np.ones((4, 1, 5))
    points[:3] = np.arange(15.0).reshape(3, 1, 5)
    content["data"]["points"] = points
    content["data"]["analogs"] = np.arange(100.0).reshape(1, 2, 50)
    content.write(str(tmp_path / "signals.c3d"))
    return tmp_path / "signals.c3d"


def test_c3d(c3d: Path) -> None:
    columns = read_columns(c3d, ["EMG", "ANKLE.y", "Torque"])
    assert columns["EMG"].values.tolist() == list(range(50, 100))
    assert columns["Torque"].values.tolist() == list(range(50))
    assert columns["ANKLE.y"].values.tolist() == [5, 6, 7, 8, 9]
    assert (columns["EMG"].rate_hz, columns["ANKLE.y"].rate_hz) == (1000.0, 100.0)


def test_c3d_lists_what_it_has(c3d: Path) -> None:
    with pytest.raises(DataError, match=r"has no column 'ankle\.x'; there are ANKLE\.x"):
        read_columns(c3d, ["ankle.x"])


def test_c3d_without_ezc3d(c3d: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ezc3d", None)
    with pytest.raises(ConfigError, match=r"C3D files need ezc3d; .*vitruvian\[recordings\]"):
        read_columns(c3d, ["EMG"])


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "signals.parquet"
    pq.write_table(
        pa.table({"A": pa.array([1, None, 3]), "B": [1.5, 2.5, 3.5], "C": list("abc")}), path
    )
    columns = read_columns(path, ["B", "A"])
    np.testing.assert_array_equal(columns["A"].values, [1, np.nan, 3])
    assert columns["B"].values.tolist() == [1.5, 2.5, 3.5]
    with pytest.raises(DataError, match="C holds no numbers"):
        read_columns(path, ["C"])
    with pytest.raises(DataError, match="has no column 'b'; there are B, "):
        read_columns(path, ["b"])


@pytest.mark.parametrize("name", ["signals.parquet", "signals.c3d", "signals.mat"])
def test_broken_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"no such thing at all" * 40)
    with pytest.raises(DataError, match="is no whole"):
        read_columns(path, ["A"])


@pytest.mark.parametrize(
    ("name", "message"),
    [("none.csv", "there is no such file"), ("signals.xlsx", r"signals are read from \.csv, ")],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "signals.xlsx").touch()
    with pytest.raises(DataError, match=message):
        read_columns(tmp_path / name, ["A"])
