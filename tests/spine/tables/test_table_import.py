"""Landmark tables from elsewhere: what people have instead of an export, and get wrong."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.spine.skeletons import BLAZEPOSE, KINECT
from vitruvian.spine.tables.tables import TableForm, read_table

Row = Mapping[str, Any]


def write_csv(path: Path, rows: Iterable[Row], separator: str = ",") -> Path:
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    return path


def wide_rows(spelling: str, axes: str = "xyz", names: Sequence[str] | None = None) -> list[Row]:
    """Five frames in which joint j of frame t is at (j, t, 1) hundredths; one column for each."""
    names = names or [joint.replace(" ", "_") for joint in BLAZEPOSE.joints]
    values = {"x": lambda t, j: j, "y": lambda t, j: t, "z": lambda t, j: 1, "v": lambda t, j: 90}
    return [
        {
            "time_s": t / 30,
            **{
                spelling.format(joint=name, NAME=name.upper(), n=j, m=j + 1, a=a, A=a.upper()): (
                    values[a](t, j) / 100
                )
                for j, name in enumerate(names)
                for a in axes
            },
        }
        for t in range(5)
    ]


def grid(joints: int = 33, z: float = 0.01) -> np.ndarray:
    t, j = np.meshgrid(np.arange(5), np.arange(joints), indexing="ij")
    points = np.stack([j / 100, t / 100, np.full_like(t, z, float)], axis=2)
    return points.astype(np.float32)


@pytest.mark.parametrize(
    "spelling",
    [
        *("{joint}_{a}", "{NAME}_{a}", "{NAME}_{A}", "{joint}.{a}", "{joint} {A}"),
        *("{a}{n}", "{a}_{n}", "{n}_{a}", "landmark_{n}_{a}", "{A}{m}", "{a}_{m}", "joint{n}{a}"),
    ],
)
def test_columns_of_many_spellings(tmp_path: Path, spelling: str) -> None:
    path = write_csv(tmp_path / "walk.csv", wide_rows(spelling, "xyzv"))
    (clip,) = read_table(path)
    assert (clip.name, clip.participant, clip.exercise) == ("walk", "", "")
    assert math.isnan(clip.rating)
    assert not clip.simulated
    assert np.array_equal(clip.landmarks.points, grid())
    assert (clip.landmarks.visibility == np.float32(0.9)).all()
    assert clip.landmarks.times_s.tolist() == [t / 30 for t in range(5)]


def test_camel_case(tmp_path: Path) -> None:
    words = [joint.title().replace(" ", "") for joint in BLAZEPOSE.joints]
    names = [word[0].lower() + word[1:] for word in words]
    (clip,) = read_table(write_csv(tmp_path / "a.csv", wide_rows("{joint}_{a}", names=names)))
    assert np.array_equal(clip.landmarks.points, grid())


def test_a_kinect_is_recognised(tmp_path: Path) -> None:
    rows = wide_rows("{joint}_{a}", names=[name.replace(" ", "_") for name in KINECT.joints])
    (clip,) = read_table(write_csv(tmp_path / "a.csv", rows))
    assert clip.landmarks.skeleton == "kinect22"
    assert np.array_equal(clip.landmarks.points, grid(22))


@pytest.mark.parametrize("skeleton", ["kinect22", "joints22x3", "joints22x2"])
def test_numbered_joints_of_a_named_skeleton(tmp_path: Path, skeleton: str) -> None:
    rows = wide_rows("{a}{n}", names=["joint"] * 22)
    (clip,) = read_table(write_csv(tmp_path / "a.csv", rows), TableForm(skeleton=skeleton))
    assert clip.landmarks.skeleton == skeleton
    assert np.array_equal(clip.landmarks.points, grid(22)[..., : clip.landmarks.joints.dims])


def test_joints_that_are_not_there_are_missing(tmp_path: Path) -> None:
    names = ["left_shoulder", "right_shoulder", "nose"]
    (clip,) = read_table(write_csv(tmp_path / "a.csv", wide_rows("{joint}_{a}", names=names)))
    found = np.isfinite(clip.landmarks.points).all(axis=(0, 2))
    assert [BLAZEPOSE.joints[j] for j in np.flatnonzero(found)] == [
        *("nose", "left shoulder", "right shoulder"),
    ]
    assert (clip.landmarks.visibility[:, found] == 1).all()
    assert np.isnan(clip.landmarks.visibility[:, ~found]).all()


def test_their_names_for_joints(tmp_path: Path) -> None:
    rows = wide_rows("{joint}_{a}", names=["Nase", "L_SHO", "pelvis"])
    form = TableForm(joints={"Nase": "nose", "L_SHO": "left shoulder", "pelvis": None})
    (clip,) = read_table(write_csv(tmp_path / "a.csv", rows), form)
    assert clip.landmarks.points[2, 0].tolist() == grid()[2, 0].tolist()
    assert clip.landmarks.points[2, 11].tolist() == grid()[2, 1].tolist()
    assert np.isfinite(clip.landmarks.points[2]).all(axis=1).sum() == 2


def test_without_depth_a_body_is_flat(tmp_path: Path) -> None:
    rows = wide_rows("{joint}_{a}", "xy")
    rows[1] = {**rows[1], "nose_x": "", "nose_y": ""}
    (clip,) = read_table(write_csv(tmp_path / "a.csv", rows))
    expected = grid(z=0)
    expected[1, 0] = np.nan
    assert np.array_equal(clip.landmarks.points, expected, equal_nan=True)
    assert np.isnan(clip.landmarks.visibility[1, 0])


def test_pixels_become_shares_of_the_frame(tmp_path: Path) -> None:
    scaled = [
        {key: value * 100 if key != "time_s" else value for key, value in row.items()}
        for row in wide_rows("{joint}_{a}")
    ]
    path = write_csv(tmp_path / "a.csv", scaled)
    with pytest.raises(DataError, match="coordinates up to 32 look like pixels; give frame_size"):
        read_table(path)
    (clip,) = read_table(path, TableForm(frame_size=[200, 50]))
    assert np.allclose(clip.landmarks.points, grid() * [0.5, 2, 0.5], atol=1e-6)
    assert clip.landmarks.size == (200, 50)


def test_their_names_for_columns(tmp_path: Path) -> None:
    rows = [
        {"vid": vid, "who": f"s{vid}", "nr": t, "task": "walk", "pain": 100 - vid, **row}
        for vid in (1, 2)
        for t, row in enumerate(wide_rows("{joint}_{a}"))
    ]
    columns = {"clip": "vid", "participant": "who", "frame": "nr", "exercise": "task"}
    form = TableForm(columns={**columns, "rating": "pain"})
    clips = read_table(write_csv(tmp_path / "a.csv", rows, ";"), form)
    found = [(clip.name, clip.participant, clip.exercise, clip.rating) for clip in clips]
    assert found == [("1", "s1", "walk", 99), ("2", "s2", "walk", 98)]


def test_decimal_commas(tmp_path: Path) -> None:
    rows = [
        {key: str(value).replace(".", ",") for key, value in row.items()}
        for row in wide_rows("{joint}_{a}")
    ]
    (clip,) = read_table(write_csv(tmp_path / "a.csv", rows, ";"))
    assert np.array_equal(clip.landmarks.points, grid())


def test_windows_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    text = write_csv(path, [{"clip": "größe", **row} for row in wide_rows("{joint}_{a}")])
    path.write_bytes(b"\xef\xbb\xbf" + text.read_bytes())
    assert read_table(path)[0].name == "größe"
    path.write_bytes(path.read_bytes()[3:].decode().encode("cp1252"))
    assert read_table(path)[0].name == "größe"


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string(), pa.large_string()])
def test_columns_of_many_kinds(tmp_path: Path, kind: pa.DataType) -> None:
    rows = [{**row, "clip": 7, "frame": t} for t, row in enumerate(wide_rows("{a}{n}"))]
    table = pa.Table.from_pylist(rows)
    place = table.schema.get_field_index("frame")
    table = table.set_column(place, "frame", table.column("frame").cast(kind))
    pq.write_table(table, tmp_path / "a.parquet")
    (clip,) = read_table(tmp_path / "a.parquet")
    assert clip.name == "7"
    assert np.array_equal(clip.landmarks.points, grid())


# -- frames ---------------------------------------------------------------------------------------


def timed(frames: Sequence[Any], times: Sequence[Any] | None = None) -> list[Row]:
    """One joint, whose x is the number of the row."""
    return [
        {
            **({} if not frames else {"frame": frames[i]}),
            **({} if times is None else {"time_s": times[i]}),
            "nose_x": i,
            "nose_y": 0.5,
            "nose_z": 0,
        }
        for i in range(len(frames or times or range(4)))
    ]


@pytest.mark.parametrize(
    ("frames", "times", "fps", "expected_times", "expected_x"),
    [
        ([0, 1, 2], None, 10, [0, 0.1, 0.2], [0, 1, 2]),
        ([7, 8, 9], [5.0, 5.5, 6.5], None, [0, 0.5, 1.5], [0, 1, 2]),
        ([2, 0, 1], None, 10, [0, 0.1, 0.2], [1, 2, 0]),
        ([], [0.4, 0.0, 0.1], None, [0, 0.1, 0.4], [1, 2, 0]),
        ([], None, 2, [0, 0.5, 1, 1.5], [0, 1, 2, 3]),
        ([0, 1, 4], None, 10, [0, 0.1, 0.2, 0.3, 0.4], [0, 1, None, None, 2]),
        ([10, 20, 40], [0, 1, 3], None, [0, 1, 2, 3], [0, 1, None, 2]),
        ([3], None, 30, [0], [0]),
        (["1.0", " 2 ", "3"], [0, 1, 2], None, [0, 1, 2], [0, 1, 2]),
    ],
    ids=[
        *("fps", "times", "any order", "only times", "rows in order", "gap", "every tenth"),
        *("one", "text"),
    ],
)
def test_frames_and_times(
    tmp_path: Path,
    frames: Sequence[Any],
    times: Sequence[Any] | None,
    fps: float | None,
    expected_times: list[float],
    expected_x: list[float | None],
) -> None:
    path = write_csv(tmp_path / "a.csv", timed(frames, times))
    (clip,) = read_table(path, TableForm(fps=fps))
    assert clip.landmarks.times_s == pytest.approx(expected_times)
    found = [None if math.isnan(x) else x for x in clip.landmarks.points[:, 0, 0].tolist()]
    assert found == expected_x


# -- mistakes -------------------------------------------------------------------------------------

LONG = {"clip": "a", "frame": 0, "time_s": 0, "joint": "nose", "x": 0.5, "y": 0.5, "z": 0}


@pytest.mark.parametrize(
    ("rows", "form", "message"),
    [
        ([{"clip": "a", "b": 1}], {}, "no column 'joint', and no columns of joints such as nose_x"),
        ([{**LONG, "joint": "l hip"}], {}, "none of blazepose33; is it 'left hip'"),
        ([{k: v for k, v in LONG.items() if k != "y"}], {}, "no column 'y'"),
        ([{k: v for k, v in LONG.items() if k != "time_s"}], {}, "name it with columns={time_s"),
        ([{k: v for k, v in LONG.items() if k != "frame"}] * 2, {}, "a second nose"),
        (
            [{k: v for k, v in LONG.items() if k not in ("frame", "time_s")}],
            {"fps": 30.0},
            "no column 'frame'",
        ),
        ([LONG, LONG], {}, "line 3: its frame has a second nose"),
        ([LONG, {**LONG, "joint": "NOSE"}], {}, "line 3: its frame has a second nose"),
        ([LONG, {**LONG, "x": "abc", "frame": 1}], {}, "line 3: x 'abc' is not a number"),
        ([LONG, {**LONG, "frame": ""}], {}, "line 3: frame is empty"),
        ([LONG, {**LONG, "clip": " "}], {}, "line 3: clip is empty"),
        ([{**LONG, "frame": 0.5}], {}, "clip a: frames are whole numbers, not 0.5"),
        ([LONG, {**LONG, "frame": 1}], {}, "the times do not rise"),
        (
            [LONG, {**LONG, "joint": "left eye", "time_s": 1}],
            {},
            "line 3: its frame has another time elsewhere",
        ),
        (
            [LONG, {**LONG, "frame": 1, "time_s": 1}, {**LONG, "frame": 90001, "time_s": 2}],
            {},
            "3 frames numbered 0 to 90001: is that the column of frames",
        ),
        ([{**LONG, "rating": 101}], {}, "clip a: rating 101 is outside 0 to 100"),
        (
            [{**LONG, "participant": "p"}, {**LONG, "frame": 1, "time_s": 1, "participant": "q"}],
            {},
            "clip a: participant is 'p' and 'q'",
        ),
        (
            [{**LONG, "rating": 3}, {**LONG, "frame": 1, "time_s": 1, "rating": 4}],
            {},
            "clip a: rating is 3.0 and 4.0",
        ),
        ([{**LONG, "simulated": "perhaps"}], {}, "'perhaps' is neither true nor false"),
        ([LONG], {"columns": {"clip": "video"}}, r"no column 'video' \(columns\.clip\)"),
        ([LONG], {"joints": {"nose": "noze"}}, "'noze' is none of blazepose33; is it 'nose'"),
        ([{"x0": 1, "y0": 2}], {"fps": 30.0}, "1 numbered joints: name their skeleton"),
        ([{**LONG, "joint": 40}], {"skeleton": "kinect22"}, "joint '40' is none of kinect22"),
        ([{**LONG, "skeleton": "kinect22"}, {**LONG, "skeleton": "x"}], {}, "divide it"),
    ],
)
def test_mistakes_in_a_table(
    tmp_path: Path, rows: list[Row], form: dict[str, Any], message: str
) -> None:
    path = write_csv(tmp_path / "a.csv", rows)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path, TableForm(**form))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"columns": {"klip": "video"}}, "columns: 'klip' is none of clip, participant"),
        ({"fps": 0.0}, "fps: must be above 0, not 0"),
        ({"frame_size": [1280]}, r"frame_size: give \[width, height\]"),
        ({"frame_size": [0, 720]}, "frame_size: give"),
        ({"skeleton": "kinect"}, "skeleton: 'kinect' is none of"),
    ],
)
def test_mistakes_in_a_form(tmp_path: Path, form: dict[str, Any], message: str) -> None:
    path = write_csv(tmp_path / "a.csv", [LONG])
    with pytest.raises(ConfigError, match=message):
        read_table(path, TableForm(**form))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"clip,x\n\x00\x00", "is no text"),
        ("a.csv", b"clip,joint,x,y,x\na,nose,1,2,3\n", "two columns are called 'x'"),
        ("a.csv", b"clip,joint,x,y\na,nose,1\n", "cannot be read as a table: .*Expected 4 columns"),
        ("a.csv", b"clip,joint,x,y\n", "no rows below the header"),
        ("a.parquet", b"PAR1 is how it starts", "cannot be read as a table"),
        ("a.parquet", b"", "cannot be read as a table"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv: no such table"):
        read_table(tmp_path / "a.csv")
    with pytest.raises(ConfigError, match=r"input: .*a\.txt must end with"):
        read_table(tmp_path / "a.txt")


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match="pip install pyarrow"):
        read_table(write_csv(tmp_path / "x.csv", [LONG]))
