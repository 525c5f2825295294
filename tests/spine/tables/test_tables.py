"""Landmark tables: exports that come back bit by bit, and what people have instead."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.spine.fake_clips import fake_clip, fake_landmarks, same_bits, same_clip

from vitruvian.core.errors import ConfigError, DataError, RunError
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.tables import tables as module
from vitruvian.spine.tables.tables import COLUMNS, read_table, write_table

CLIPS = [
    fake_clip("p001/walk.mp4", 1),
    fake_clip("p002/jump.mp4", 2, frames=1, rating=math.nan),
    fake_clip("p003/ßé;\"',.mp4", 3, participant="007", exercise="", simulated=True),
    replace(fake_clip("p004/walk.mp4"), landmarks=fake_landmarks(4, world=False, size=None)),
]
OTHER_SKELETONS = ["kinect22", "joints4x1", "joints18x2", "joints40x3"]


# -- export and back ------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".CSV"])
def test_an_export_comes_back(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    assert write_table(iter(CLIPS), path) == 4
    assert all(map(same_clip, read_table(path), CLIPS))


@pytest.mark.parametrize("skeleton", OTHER_SKELETONS)
@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_other_skeletons_come_back(tmp_path: Path, skeleton: str, ending: str) -> None:
    landmarks = fake_landmarks(5, skeleton=skeleton, world=False, size=None)
    clip = Clip("a", "p", "squat", landmarks, 93.25)
    write_table([clip], tmp_path / f"x{ending}")
    (back,) = read_table(tmp_path / f"x{ending}")
    assert same_clip(back, clip)


def test_every_number_comes_back_as_text(tmp_path: Path) -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, (40, 33, 3), dtype=np.uint32)
    points = bits.view(np.float32)
    points = np.where(np.isfinite(points), points, np.float32(0)) % np.float32(10)
    clip = replace(fake_clip(), landmarks=replace(fake_landmarks(frames=40), points=points))
    write_table([clip], tmp_path / "x.csv")
    assert same_bits(read_table(tmp_path / "x.csv")[0].landmarks, clip.landmarks)


def test_an_export_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS_TOGETHER", 12 * 33 + 1)
    write_table(iter(CLIPS), tmp_path / "x.parquet")
    assert pq.ParquetFile(tmp_path / "x.parquet").num_row_groups == 2
    assert all(map(same_clip, read_table(tmp_path / "x.parquet"), CLIPS))


def test_what_an_export_says(tmp_path: Path) -> None:
    write_table(CLIPS[:1], tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 12 * 33
    nowhere, nose = rows[33 + 5], rows[2 * 33]
    assert (nowhere["frame"], nowhere["joint"], nowhere["x"], nowhere["wx"]) == (
        *("1", "right eye", "", ""),
    )
    expected = {"frame": "2", "joint": "nose", "simulated": "false", "participant": "p001"}
    assert {key: nose[key] for key in expected} == expected
    assert np.float32(nose["y"]) == CLIPS[0].landmarks.points[2, 0, 1]


def test_an_export_of_nothing_has_a_header(tmp_path: Path) -> None:
    assert write_table([], tmp_path / "x.csv") == 0
    with pytest.raises(DataError, match="no rows below the header"):
        read_table(tmp_path / "x.csv")


def test_rows_in_any_order(tmp_path: Path) -> None:
    write_table(CLIPS, tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet")
    shuffled = table.take(np.random.default_rng(0).permutation(table.num_rows))
    pq.write_table(shuffled, tmp_path / "y.parquet")
    back = sorted(read_table(tmp_path / "y.parquet"), key=lambda clip: clip.name)
    assert all(map(same_clip, back, CLIPS))


def test_a_failed_export_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    write_table(CLIPS[:1], path)
    before = path.read_bytes()

    def broken() -> Iterable[Clip]:
        yield CLIPS[1]
        raise DataError("clip b is damaged")

    with pytest.raises(DataError, match="clip b"):
        write_table(broken(), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.csv"]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("x.xlsx", ConfigError, r"export: .*x\.xlsx must end with \.parquet or \.csv"),
        ("x", ConfigError, "must end with"),
        ("file/x.csv", RunError, "cannot write"),
    ],
)
def test_an_export_that_cannot_be(
    tmp_path: Path, name: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(error, match=message):
        write_table(CLIPS, tmp_path / name)
