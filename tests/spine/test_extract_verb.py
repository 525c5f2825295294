"""`vitruvian-extract` as a user starts it: real videos, real pose net, a database and a table."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from tests.shell import Outcome, Shell
from tests.spine.small import clip
from vitruvian.spine.database.database import LandmarkDatabase
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.tables.tables import read_table, write_table

MISTAKES = {
    "nothing": ("", "input: a folder of videos, a video or a landmark table is needed"),
    "key": ("inptu=x", "inptu: no such key; did you mean `input`?"),
    "key of the pose net": ("pose.variannt=lite", "did you mean `pose.variant`?"),
    "variant": ("pose.variant=huge", "pose.variant: got 'huge', expected `lite` or `full` or"),
    "truth value": ("replace=maybe", "replace: got 'maybe', expected bool"),
    "workers": ("input=clips workers=-1", "workers: 0 or more, not -1"),
    "unrated": ("input=clips unrated=drop", "unrated: got 'drop', expected `error` or `skip`"),
    "mirrored": ("input=clips mirrored=y", "mirrored: got 'y', expected `none` or `x` or"),
    "no folder": ("input=nowhere", "nowhere: no such file or folder"),
    "no videos": ("input=clips", "clips: no videos found (it holds notes.txt)"),
    "no table": ("input=none.parquet", "none.parquet"),
    "export": ("input=clips export=x.xlsx", "x.xlsx must end with .parquet or .csv"),
    "database": ("input=clips database=foo://x", "database: Can't load plugin"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each user works in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips/notes.txt").write_text("mine")
    return tmp_path


def stored(database: Path) -> dict[str, Clip]:
    with LandmarkDatabase(database) as opened:
        return {clip.name: clip for clip in opened.read_all()}


def summary(outcome: Outcome, what: str) -> int:
    """A number of the summary."""
    (line,) = (line for line in outcome.out.splitlines() if line.strip().startswith(what))
    return int(line.split()[-1])


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_in_one_line(mistake: str, shell: Shell, folder: Path) -> None:
    arguments, line = MISTAKES[mistake]
    outcome = shell("extract", *arguments.split())
    assert outcome.code == 2, outcome.err
    assert line in outcome.err
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1, outcome.err
    assert not (folder / "landmarks.db").exists(), "a mistake leaves nothing behind"


def test_sweep(shell: Shell) -> None:
    outcome = shell("extract", "--multirun", "workers=1,2")
    assert outcome.code == 2
    told = "error: --multirun: vitruvian-extract runs once; workers=N makes it parallel\n"
    assert outcome.err.endswith(told)


def test_help_names_the_keys(shell: Shell) -> None:
    outcome = shell("extract", "--help")
    assert outcome.code == 0
    for key in ("input", "database", "ratings", "workers", "export", "mirrored", "pose"):
        assert f"{key}:" in outcome.out


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_table_is_brought_in_and_written_again(ending: str, shell: Shell, folder: Path) -> None:
    clips = [clip("a_walk"), clip("b_walk", seed=1, participant="b", rating=40.0)]
    write_table(clips, folder / f"in.{ending}")
    outcome = shell("extract", f"input=in.{ending}", f"export=out.{ending}")
    assert outcome.code == 0, outcome.err
    found = stored(folder / "landmarks.db")
    assert {name: c.rating for name, c in found.items()} == {"a_walk": 70.0, "b_walk": 40.0}
    for before, after in zip(clips, read_table(folder / f"out.{ending}"), strict=True):
        assert after.name == before.name
        np.testing.assert_array_equal(after.landmarks.points, before.landmarks.points)


@pytest.mark.slow
@pytest.mark.real_data
def test_real_videos_are_extracted_once(
    shell: Shell, folder: Path, real_data: Path, pose_models: Path
) -> None:
    videos = real_data / "video_people"
    keys = (f"input={videos}", "workers=2", "database=people.db")
    first = shell("extract", *keys, "export=people.parquet")
    assert first.code == 0, first.err
    assert summary(first, "extracted") == 3
    found = stored(folder / "people.db")
    assert sorted(found) == sorted(path.name for path in videos.glob("*.mp4"))
    walk = found["sports2d_walk_sagittal_demo.mp4"].landmarks
    assert len(walk.times_s) == 230
    assert np.isfinite(walk.points).all(axis=(1, 2)).mean() > 0.5, "somebody is seen"

    (table,) = (path for path in folder.glob("*.parquet"))
    assert sorted(clip.name for clip in read_table(table)) == sorted(found)

    second = shell("extract", *keys)
    assert second.code == 0, second.err
    assert summary(second, "extracted") == 0
    assert summary(second, "already there") == 3
    with sqlite3.connect(folder / "people.db") as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
