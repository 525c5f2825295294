"""Clips by person: found, cleaned, divided, delivered."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.spine.public_sets import write_rehab_pile, write_scored, write_uiprmd
from tests.spine.small import clip

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.splits import KFold
from vitruvian.spine.data.datamodule import SpineClips
from vitruvian.spine.database.database import LandmarkDatabase
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.pose.blazepose import BlazePose
from vitruvian.spine.simulator.cohort import SimulatedPeople
from vitruvian.spine.tables.tables import write_table
from vitruvian.spine.track.cleaning import Cleaning
from vitruvian.spine.track.windows import Windows

SMALL = SimulatedPeople(people=6, seconds=(1.0, 1.4))


def module(tmp_path: Path, **keys: Any) -> SpineClips:
    keys = {"cleaning": Cleaning(), "windows": Windows(20, 10), "batch_size": 4, **keys}
    return SpineClips(SMALL, pose=BlazePose(), cache_dir=tmp_path / "cache", **keys)


def people(count: int = 5, **keys: Any) -> list[Clip]:
    """Two clips of each person; the last one is a red flag."""
    return [
        clip(
            f"p{p}_{exercise}",
            participant=f"p{p}",
            exercise=exercise,
            seed=2 * p + i,
            rating=20.0 if p == count - 1 else 80.0,
            **keys,
        )
        for p in range(count)
        for i, exercise in enumerate(("walk", "jump"))
    ]


def stored(tmp_path: Path, clips: Iterable[Clip]) -> str:
    path = tmp_path / "clips.db"
    LandmarkDatabase(path).add_many(clips, {"by": "this test"})
    return str(path)


# -- what there is to read ------------------------------------------------------------------------


def test_people_are_simulated_without_a_root(tmp_path: Path) -> None:
    data = module(tmp_path)
    data.prepare()
    assert len(data.subjects) == 6
    assert data.simulated
    databases = list((tmp_path / "cache/simulated").glob("*.db"))
    assert len(databases) == 1
    again = module(tmp_path, database=str(databases[0]))
    again.prepare()
    assert again.simulated, "a simulated database says so wherever it is read from"
    assert again.subjects == data.subjects


@pytest.mark.parametrize("how", ["database", "root.db", "root.parquet", "root.csv"])
def test_one_set_of_clips_read_in_several_ways(tmp_path: Path, how: str) -> None:
    clips = people(3)
    if how == "database":
        data = module(tmp_path, database=stored(tmp_path, clips))
    elif how == "root.db":
        data = module(tmp_path, root=Path(stored(tmp_path, clips)))
    else:
        table = tmp_path / f"clips.{how.rpartition('.')[2]}"
        write_table(clips, table)
        data = module(tmp_path, root=table)
    data.prepare()
    assert sorted(data.subjects) == ["p0", "p1", "p2"]
    found = data.cases(["p2"])
    assert [case.case for case in found] == ["p2_jump", "p2_walk"]
    assert found[0].truth == pytest.approx(0.8)
    expected = Cleaning().clean(clips[-1].landmarks)
    np.testing.assert_array_equal(found[0].track.points, expected.points)
    assert found[0].aspect == pytest.approx(1280 / 720)
    assert not data.simulated


def test_public_sets_are_told_by_their_files(tmp_path: Path) -> None:
    windows = Windows(12, 12)
    kinect = module(tmp_path, root=write_uiprmd(tmp_path / "a"), skeleton="kinect22")
    lengths = module(tmp_path, root=tmp_path / "a", skeleton="kinect_lengths")
    scored = module(
        tmp_path, root=write_scored(tmp_path / "b"), skeleton="joints4x1", windows=windows
    )
    pile = module(
        tmp_path,
        root=write_rehab_pile(tmp_path / "c"),
        dataset="KIMORE_reg_LA",
        skeleton="joints18x3",
    )
    for data in (kinect, lengths, scored, pile):
        data.prepare()
    assert [len(data.subjects) for data in (kinect, lengths, scored, pile)] == [5, 5, 10, 10]


def test_exercises_can_be_chosen(tmp_path: Path) -> None:
    database = stored(tmp_path, people(2))
    data = module(tmp_path, database=database, exercises=["walk"])
    data.prepare()
    assert [case.case for case in data.cases(data.subjects)] == ["p0_walk", "p1_walk"]
    with pytest.raises(ConfigError, match=r"exercises: 'swim' is not among the data: jump, walk"):
        module(tmp_path, database=database, exercises=["walk", "swim"]).prepare()


# -- clips that cannot be used --------------------------------------------------------------------


def test_bad_clips_are_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dark = clip("dark", participant="p9", hidden=0.9)
    mute = clip("mute", rating=np.nan, seed=99)
    clips = [*people(2), dark, mute]
    database = stored(tmp_path, clips)
    data = module(tmp_path, database=database)
    with caplog.at_level(logging.INFO):
        data.prepare()
    assert sorted(data.subjects) == ["p0", "p1"]
    assert "left out: 2 clips" in caplog.text
    assert "dark: " in caplog.text
    assert "mute: it has no rating" in caplog.text
    with pytest.raises(DataError, match=r"(?s)dark: .*max_masked=0\.4.*on_bad_clip=skip leaves"):
        module(tmp_path, database=database, on_bad_clip="raise").prepare()


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        ({"root": Path("absent")}, DataError, r"^datamodule\.root: absent does not exist"),
        ({"root": Path("text.txt")}, DataError, r"text\.txt is neither a folder nor one of \.db"),
        (
            {"root": Path("kinect"), "skeleton": "blazepose33"},
            ConfigError,
            r"^datamodule\.skeleton: the clips have kinect22, not blazepose33; add datamodule",
        ),
        ({"root": Path(), "layout": "rehab_pile"}, ConfigError, r"^datamodule\.dataset: name"),
        ({"skeleton": "stick"}, ConfigError, r"^skeleton: 'stick' is none of blazepose33"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keys: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("no table")
    write_uiprmd(Path("kinect"), people=1)
    with pytest.raises(error, match=message):
        module(tmp_path, **keys).prepare()


def test_clips_that_are_all_bad_are_an_error(tmp_path: Path) -> None:
    database = stored(tmp_path, [clip(hidden=1.0)])
    with pytest.raises(DataError, match=r"clips\.db: no clip that can be used"):
        module(tmp_path, database=database).prepare()


# -- who is on which side -------------------------------------------------------------------------


def test_people_never_cross_a_split_and_red_flags_are_spread(tmp_path: Path) -> None:
    clips = [
        clip(f"c{p}", participant=f"p{p}", rating=20.0 if p % 5 == 0 else 80.0, frames=12, seed=p)
        for p in range(25)
    ]
    data = module(tmp_path, database=stored(tmp_path, clips))
    data.prepare()
    splits = KFold().assign(data.subjects, data.strata)
    for side in (splits.train, splits.val, splits.test):
        flags = sum(data.strata[person] == "red flag" for person in side)
        assert flags == len(side) // 5
    assert data.leaky == ""


def test_the_leaky_split_is_called_so(tmp_path: Path) -> None:
    data = module(tmp_path, database=stored(tmp_path, people(3)), unit="clip")
    data.prepare()
    assert len(data.subjects) == 6
    assert "clips of one person are on several sides" in data.leaky
    assert [case.case for case in data.cases(["p0_walk"])] == ["p0_walk"]


# -- batches --------------------------------------------------------------------------------------


def test_batches_hold_windows_of_training_people_only(tmp_path: Path) -> None:
    data = module(tmp_path, database=stored(tmp_path, people(5)), jitter=True)
    data.prepare()
    data.use(KFold(stratify=False).assign(data.subjects))
    batches = list(data.train_batches())
    assert batches[0]["points"].shape == (4, 20, 33, 3)
    truths = {np.float32(case.truth) for case in data.cases(data.part("train"))}
    assert {float(t) for b in batches for t in b["target"]} <= {float(t) for t in truths}
    seen = {
        float(value)
        for case in data.cases(data.part("train"))
        for value in case.track.points[:, 0, 0]
    }
    drawn = {float(value) for b in batches for value in b["points"][:, :, 0, 0].flatten()}
    assert drawn <= seen
    again = [b["points"] for b in data.train_batches()]
    assert all((a == b["points"]).all() for a, b in zip(again, batches, strict=True))
