"""CSV and its kin, as devices and spreadsheets write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vitruvian.core.errors import DataError
from vitruvian.muscle.recordings.signal_files import read_columns

LAYOUTS = [
    "time,Angle,EMG\n0,1.5,3\n1,-2.5e1,4\n",
    "time;Angle;EMG\n0;1,5;3\n1;-25;4\n",
    "time\tAngle\tEMG\r\n0\t1.5\t3\r\n1\t-25\t4\r\n",
    '"time", "Angle", "EMG"\n0,1.5,3\n1,-25,4\n',
    "LabChart export\nDate,2026-01-01\n\ntime,Angle,EMG\n0,1.5,3\n1,-25,4\n",
    "time,Angle,EMG\ns,deg,mV\n0,1.5,3\n1,-25,4\n",
    "time;Angle;EMG\ns;deg;mV\n0;1,5;3\n1;-25;4\n",
    "time;Angle;EMG\ns;deg;mV\n0;1.5;3\n1;-25;4\n",
    "time;Angle;EMG;trigger\ns;deg;-;\n0;1,5;3;0\n1;-25;4;5\n",
    "time\tAngle\tEMG\n\tdeg\tmV, rectified\n0\t1.5\t3\n1\t-25\t4\n",
    "Angle,EMG,Angle\n1.5,3,9\n-25,4,9\n",  # the first of two
    "\ufeffAngle,EMG\n1.5,3\n-25,4\n",  # as Excel begins a file
    "Angle,EMG,comment\n1.5,3,a\n-25,4,\n",
    "Angle;EMG;comment\n1.5;3;a, b\n-25;4;1,5\n",
]

WHOLE_FIRST = [
    "Angle;EMG\n1;2\n;NaN\n1,5;2,5e-3\n",
    "Angle\tEMG\ndeg\tV\n1\t2\n\tNaN\n1,5\t2,5e-3\n",
    "Angle;EMG\n1;2\n;NaN\n1.5;2.5e-3\n",
    "t;Angle;EMG\n0,0;1;2\n0,1;;NaN\n0,2;1,5;2,5e-3\n",
]


def table(folder: Path, text: str, name: str = "signals.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8"))
    return path


@pytest.mark.parametrize("text", LAYOUTS)
def test_layouts(tmp_path: Path, text: str) -> None:
    columns = read_columns(table(tmp_path, text), ["Angle", "EMG"])
    assert columns["Angle"].values.tolist() == [1.5, -25.0]
    assert columns["EMG"].values.tolist() == [3.0, 4.0]
    assert columns["EMG"].rate_hz is None


@pytest.mark.parametrize("text", WHOLE_FIRST)
def test_first_rows_of_whole_numbers_do_not_hide_the_comma(tmp_path: Path, text: str) -> None:
    columns = read_columns(table(tmp_path, text), ["Angle", "EMG"])
    np.testing.assert_array_equal(columns["Angle"].values, [1, np.nan, 1.5])
    np.testing.assert_array_equal(columns["EMG"].values, [2, np.nan, 2.5e-3])


def test_empty_cells_are_nan(tmp_path: Path) -> None:
    values = read_columns(table(tmp_path, "A,B\n1,\n2,NaN\n3,4\n"), ["B"])["B"].values
    np.testing.assert_array_equal(values, [np.nan, np.nan, 4.0])


def test_a_second_column_of_one_name(tmp_path: Path) -> None:
    columns = read_columns(table(tmp_path, "A,A\n1,2\n"), ["A", "A#2"])
    assert (columns["A"].values[0], columns["A#2"].values[0]) == (1.0, 2.0)


def test_names_in_the_code_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "signals.txt"
    path.write_bytes("Winkel °;EMG µV\n1,5;2,5\n".encode("cp1252"))
    columns = read_columns(path, ["Winkel °", "EMG µV"])
    assert columns["Winkel °"].values.tolist() == [1.5]


def test_long_files_are_read_to_the_end(tmp_path: Path) -> None:
    lines = [f"{n},{n / 8}" for n in range(1000)]
    values = read_columns(table(tmp_path, "\n".join(["n,x", *lines])), ["x"])["x"].values
    np.testing.assert_array_equal(values, np.arange(1000) / 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("Angle,EMG\n", "no numbers below the header"),
        ("angel,EMG,t\n1,2,3\n", "has no column 'Angle'; there are angel, EMG, t"),
        (
            "Angle,EMG\n1,2\nx,3\n",
            "column 'Angle', row 2 of the numbers: 'x' is no number",
        ),
        ("Angle,EMG\n1,2\n3\n", "Expected 2 columns, got 1"),
        ("Angle,EMG\n1,2\n2026-01-01,3\n", "'2026-01-01' is no number"),
    ],
)
def test_mistakes_name_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = table(tmp_path, text)
    with pytest.raises(DataError) as raised:
        read_columns(path, ["Angle", "EMG"])
    assert str(raised.value).startswith(str(path))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_only_some_columns_are_listed(tmp_path: Path) -> None:
    names = ",".join(f"channel{n}" for n in range(40))
    with pytest.raises(DataError, match=r"there are channel7, .* and 28 more"):
        read_columns(table(tmp_path, f"{names}\n"), ["chanel7"])
