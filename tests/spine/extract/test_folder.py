"""Extraction of a folder: in parallel, once, whatever dies on the way."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.spine.fake_clips import IDENTITY, fake_clip, fake_landmarks, same_bits, same_clip
from tests.spine.fake_extraction import FakeFolder, FakePose, calls, fake_videos
from tests.spine.programs import content

import vitruvian
from vitruvian.core.errors import ConfigError, DataError, UserError
from vitruvian.spine.database import contents
from vitruvian.spine.database.database import LandmarkDatabase
from vitruvian.spine.extract import folder as module
from vitruvian.spine.extract.folder import ExtractFolder, extracted_clips
from vitruvian.spine.extract.recordings import Recording
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.tables.mirroring import unmirrored
from vitruvian.spine.tables.tables import TableForm, read_table, write_table

ROOT = Path(vitruvian.__file__).parents[2]
HEADER = "clip,participant,exercise,rating\n"


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    fake_videos(folder, [""] * 3)
    return folder


@pytest.fixture
def db(tmp_path: Path) -> LandmarkDatabase:
    return LandmarkDatabase(tmp_path / "x.db")


def extract(db: LandmarkDatabase, folder: Path | None, **keys: Any) -> int:
    return FakeFolder(str(db), FakePose(), folder, **{"workers": 0, **keys}).run()


# -- what it does ---------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_a_folder_is_extracted_once(
    videos: Path, db: LandmarkDatabase, workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert extract(db, videos, workers=workers) == 0
    found = content(db)
    assert list(found) == ["c00.mp4", "c01.mp4", "c02.mp4"]
    assert all(same_bits(found[f"c0{i}.mp4"].landmarks, fake_landmarks(i)) for i in range(3))
    assert found["c00.mp4"].participant == ""
    assert math.isnan(found["c00.mp4"].rating)
    assert "extracted (36 frames in" in capsys.readouterr().out

    fake_videos(videos, [""], first=3)
    assert extract(db, videos) == 0
    assert calls(videos) == ["c00.mp4", "c01.mp4", "c02.mp4", "c03.mp4"]
    counts = capsys.readouterr().out.split()
    assert counts[counts.index("there") + 1] == "3"
    assert len(content(db)) == 4


def test_what_is_there_is_not_read_again(
    videos: Path, db: LandmarkDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "_SETTLED_NS", -1)
    extract(db, videos)
    shutil.copy(videos / "c00.mp4", videos / "copy.mp4")
    extract(db, videos)
    (videos / "copy.mp4").unlink()
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert extract(db, videos) == 0
    (videos / "c01.mp4").write_text("seed 99")
    with pytest.raises(TypeError):
        contents.Contents(db.connections).sha256(Recording("c01.mp4", videos / "c01.mp4"))


def test_one_video_and_folders_within(tmp_path: Path, db: LandmarkDatabase) -> None:
    fake_videos(tmp_path / "in" / "p001", ["", ""])
    fake_videos(tmp_path / "in" / ".trash", [""], first=7)
    (tmp_path / "in" / "notes.txt").write_text("seed 1")
    (tmp_path / "in" / "p001" / "again").symlink_to(tmp_path / "in")
    assert extract(db, tmp_path / "in" / "p001" / "c00.mp4") == 0
    assert list(content(db)) == ["c00.mp4"]
    assert extract(db, tmp_path / "in") == 0
    assert list(content(db)) == ["p001/c00.mp4", "p001/c01.mp4"]
    assert len(calls(tmp_path / "in" / "p001")) == 2


def test_another_model_is_another_extraction(videos: Path, db: LandmarkDatabase) -> None:
    for variant in ("lite", "full", "full"):
        assert FakeFolder(str(db), FakePose(variant), videos, workers=0).run() == 0
    assert [len(db.clips(variant=variant)) for variant in ("lite", "full")] == [3, 3]
    assert len(calls(videos)) == 6


def test_ratings_are_stored_and_corrected(videos: Path, db: LandmarkDatabase) -> None:
    rows = [f"c0{i}.mp4,p{i},walk,{10 * i}" for i in range(3)]
    (videos / "ratings.csv").write_text(HEADER + "\n".join(rows))
    assert extract(db, videos) == 0
    found = content(db)["c02.mp4"]
    assert (found.participant, found.exercise, found.rating) == ("p2", "walk", 20)
    (videos / "ratings.csv").write_text(HEADER + "\n".join(rows).replace("p2,walk,20", "p9,toes,1"))
    assert extract(db, videos) == 0
    found = content(db)["c02.mp4"]
    assert (found.participant, found.exercise, found.rating) == ("p9", "toes", 1)
    assert len(calls(videos)) == 3


def test_ratings_are_corrected_without_the_videos(
    videos: Path, db: LandmarkDatabase, tmp_path: Path
) -> None:
    extract(db, videos)
    (tmp_path / "new.csv").write_text(HEADER + "c01,p7,jump,33\n")
    assert extract(db, None, ratings=tmp_path / "new.csv") == 0
    assert [clip.participant for clip in content(db).values()] == ["", "p7", ""]


@pytest.mark.parametrize(("unrated", "names"), [("skip", [1]), ("keep", [0, 1, 2])])
def test_recordings_without_a_row(
    videos: Path, db: LandmarkDatabase, unrated: str, names: list[int]
) -> None:
    (videos / "ratings.csv").write_text(HEADER + "c01,p1,walk,50\n")
    assert extract(db, videos, unrated=unrated) == 0
    assert list(content(db)) == [f"c0{i}.mp4" for i in names]
    assert content(db)["c01.mp4"].participant == "p1"


def test_a_folder_of_images_that_has_a_row(videos: Path, db: LandmarkDatabase) -> None:
    for name in ("frames", "thumbnails"):
        (videos / name).mkdir()
        for i in (2, 10):
            (videos / name / f"{i}.png").write_bytes(b"%d" % i)
    rows = [f"c0{i},p{i},walk,5\n" for i in range(3)]
    (videos / "ratings.csv").write_text(HEADER + "".join(rows) + "frames,p4,walk,5\n")
    report = FakeFolder(str(db), FakePose(), videos, workers=0).extract_all(module.Display())
    assert report.good == ["c00.mp4", "c01.mp4", "c02.mp4"]
    assert list(report.bad) == ["frames"]  # no text of orders: the fake extraction cannot read it


def test_mirrored_recordings(videos: Path, db: LandmarkDatabase) -> None:
    assert extract(db, videos, mirrored="both") == 0
    assert extract(db, videos) == 0  # the same videos, taken otherwise
    assert len(calls(videos)) == 6
    with pytest.raises(DataError, match=r"as mirrored=(both|None) and mirrored=(both|None)"):
        db.read_all()
    back = list(db.read_all(mirrored="both"))
    assert same_bits(back[1].landmarks, unmirrored(fake_landmarks(1), "both"))


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_an_export_holds_this_input(
    videos: Path, db: LandmarkDatabase, tmp_path: Path, ending: str
) -> None:
    db.add(fake_clip("other"), IDENTITY, "c")
    FakeFolder(str(db), FakePose("full"), videos, workers=0).run()
    path = tmp_path / f"out{ending}"
    assert extract(db, videos, export=path) == 0
    assert [clip.name for clip in read_table(path)] == ["c00.mp4", "c01.mp4", "c02.mp4"]


def test_a_database_is_exported(db: LandmarkDatabase, tmp_path: Path) -> None:
    clip = fake_clip("sim", simulated=True)
    db.add_many([clip], {"variant": "simulator"})
    assert extract(db, None, export=tmp_path / "x.parquet") == 0
    assert same_clip(read_table(tmp_path / "x.parquet")[0], clip)


def test_lines_elsewhere(
    videos: Path, db: LandmarkDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        extract(db, videos)
    assert sorted(caplog.messages) == [
        *(f"c0{i}.mp4: 12 frames" for i in range(3)),
        "extracting landmarks: 3 clips, 1 at a time",
    ]


# -- recordings that are renamed, replaced or twice -----------------------------------------------


def test_a_renamed_recording_keeps_its_landmarks(videos: Path, db: LandmarkDatabase) -> None:
    extract(db, videos)
    (videos / "c01.mp4").rename(videos / "p1_walk.mp4")
    assert extract(db, videos) == 0
    assert list(content(db)) == ["c00.mp4", "c02.mp4", "p1_walk.mp4"]
    assert len(calls(videos)) == 3


def test_a_recording_that_is_there_twice_is_bad(
    videos: Path, db: LandmarkDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(videos / "c00.mp4", videos / "copy.mp4")
    assert extract(db, videos) == 2
    assert "the same recording as c" in capsys.readouterr().out
    assert len(db.clips()) == 3


def test_another_recording_of_the_same_name(
    videos: Path, db: LandmarkDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    extract(db, videos)
    (videos / "c01.mp4").write_text("seed 99")
    assert extract(db, videos) == 2
    assert "holds another recording named c01.mp4" in capsys.readouterr().out
    assert len(calls(videos)) == 3
    assert extract(db, videos, replace=True) == 0
    assert same_bits(content(db)["c01.mp4"].landmarks, fake_landmarks(99))
    assert len(db.clips()) == 3


# -- bad clips ------------------------------------------------------------------------------------


def test_the_others_go_on(
    tmp_path: Path, db: LandmarkDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    fake_videos(folder, ["", "bad", "kill", "defect", "broken", ""])
    assert extract(db, folder, workers=2) == 2
    assert list(content(db)) == ["c00.mp4", "c04.mp4", "c05.mp4"]
    out = " ".join(capsys.readouterr().out.split())
    for reason in (
        f"bad {folder}/c01.mp4: no person found",
        "bad c02.mp4: its process was ended by SIGKILL (out of memory?)",
        "bad c03.mp4: ZeroDivisionError: division by zero",
        "incomplete c04.mp4: broke off after 12 frames",
        "extracted (36 frames",
        "bad 3",
    ):
        assert reason in out, reason
    for name in ("c01.mp4", "c02.mp4", "c03.mp4"):
        (folder / name).write_text("seed 50" + name)
        (folder / name).write_text(f"seed {50 + int(name[1:3])}")
    assert extract(db, folder) == 0
    assert len(calls(folder)) == 9
    assert "incomplete" in capsys.readouterr().out  # also when it was there already


def test_a_process_that_dies_after_writing_has_not_failed(
    videos: Path, db: LandmarkDatabase
) -> None:
    class Dying(FakeFolder):
        extract = staticmethod(fake_extract_and_write)

    os.environ["FAKE_DATABASE"] = str(db)
    try:
        assert Dying(str(db), FakePose(), videos, workers=1).run() == 0
    finally:
        del os.environ["FAKE_DATABASE"]
    assert len(content(db)) == 3


def fake_extract_and_write(path: Path, pose: FakePose, progress: Any) -> None:
    """Write the clip as the process would, and die."""
    seed = int(path.name[1:3])
    clip = Clip(path.name, "", "", fake_landmarks(seed))
    LandmarkDatabase(os.environ["FAKE_DATABASE"]).add(clip, pose.identity(), path.name)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_bad_clip_can_end_all(tmp_path: Path, db: LandmarkDatabase) -> None:
    fake_videos(tmp_path / "in", ["bad", "slow 30"])
    before = time.monotonic()
    with pytest.raises(DataError, match=r"c00\.mp4: .*no person found"):
        extract(db, tmp_path / "in", workers=2, on_bad_clip="raise")
    assert time.monotonic() - before < 25


def test_a_database_that_fails_ends_all(mount: Callable[[str], Path], tmp_path: Path) -> None:
    disk = mount("size=200k")
    fake_videos(tmp_path / "in", [""] * 20)
    with pytest.raises(UserError, match="the disk is full"):
        extract(LandmarkDatabase(disk / "x.db"), tmp_path / "in")
    assert len(calls(tmp_path / "in")) < 20


def test_clips_of_a_folder_for_training(
    videos: Path, db: LandmarkDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ExtractFolder", partial(FakeFolder, workers=0))
    db.add(fake_clip("of another folder"), IDENTITY, "c")
    for _ in range(2):
        found = list(extracted_clips(videos, str(db), FakePose()))
        assert [clip.name for clip in found] == ["c00.mp4", "c01.mp4", "c02.mp4"]
    (videos / "c07.mp4").write_text("bad")
    with pytest.raises(DataError, match=r"1 clips are bad; remove or mend them:\n  c07\.mp4: "):
        extracted_clips(videos, str(db), FakePose())


def test_outside_of_the_main_thread(videos: Path, db: LandmarkDatabase) -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(extract(db, videos)))
    thread.start()
    thread.join()
    assert codes == [0]


def test_signal_handlers_are_put_back(videos: Path, db: LandmarkDatabase) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    extract(db, videos)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


# -- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_a_table_is_imported_once(
    db: LandmarkDatabase,
    tmp_path: Path,
    ending: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clips = [fake_clip(f"p{i}/walk", i, simulated=i == 1) for i in range(3)]
    write_table(clips, tmp_path / f"in{ending}")
    for _ in range(2):
        assert extract(db, tmp_path / f"in{ending}") == 0
    assert all(map(same_clip, db.read_all(variant="imported"), clips))
    out = " ".join(capsys.readouterr().out.split())
    assert "imported 3 of these SIMULATED 1" in out
    assert "imported 0 already there 3" in out


def test_a_table_with_ratings_mirrored_and_exported(db: LandmarkDatabase, tmp_path: Path) -> None:
    write_table([fake_clip("a", 1), fake_clip("b", 2)], tmp_path / "in.csv")
    (tmp_path / "ratings.csv").write_text(HEADER + "a,p9,toes,9\n")
    keys = {"ratings": tmp_path / "ratings.csv", "unrated": "keep", "mirrored": "x"}
    assert extract(db, tmp_path / "in.csv", **keys, export=tmp_path / "out.parquet") == 0
    one, other = read_table(tmp_path / "out.parquet")
    assert (one.participant, one.exercise, one.rating) == ("p9", "toes", 9)
    assert (other.participant, other.rating) == ("p000", 62.5)
    assert same_bits(one.landmarks, unmirrored(fake_landmarks(1), "x"))


def test_a_table_of_another_form(db: LandmarkDatabase, tmp_path: Path) -> None:
    (tmp_path / "walk.csv").write_text("t;nose_x;nose_y\n0;1,5;3\n0,1;1;4\n")
    form = TableForm(columns={"time_s": "t"}, frame_size=(10, 10))
    assert extract(db, tmp_path / "walk.csv", table=form) == 0
    points = db.read("walk").landmarks.points[:, 0]
    assert np.allclose(points, [[0.15, 0.3, 0], [0.1, 0.4, 0]])


# -- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"unrated": "ignore"}, "unrated: got 'ignore', expected error or skip or keep"),
        ({"mirrored": "yes"}, "mirrored: got 'yes', expected none or x or labels or both"),
        ({"on_bad_clip": "stop"}, "on_bad_clip: got 'stop', expected raise or skip"),
        ({"workers": -1}, "workers: 0 or more, not -1"),
        ({"export": "x.xlsx"}, r"export: x\.xlsx must end with"),
        ({"input": None}, "input: a folder of videos, a video or a landmark table is needed"),
        ({"database": "postgresql://a:b@c/d"}, "VITRUVIAN_DATABASE_PASSWORD"),
    ],
)
def test_a_wrong_key_is_refused(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    given = {"database": tmp_path / "x.db", "pose": FakePose(), "input": tmp_path}
    with pytest.raises(ConfigError, match=message):
        ExtractFolder(**{**given, **keys})


@pytest.mark.parametrize(
    ("name", "ratings", "message"),
    [
        ("absent", None, "absent: no such file or folder"),
        ("empty", None, r"no videos found \(it holds nothing\)"),
        ("texts", None, r"no videos found \(it holds a\.txt\)"),
        ("videos", "clip,participant,exercise\n", "no column 'rating'"),
        ("videos", HEADER + "c00,p,w,5\nc01,p,w,5\n", r"1 of 3 clips have no row: c02\.mp4"),
        ("videos", HEADER + "c00,p,w,5\nc07,p,w,5\n", "line 3: no clip 'c07'"),
    ],
)
def test_a_wrong_folder_is_named(
    videos: Path, db: LandmarkDatabase, name: str, ratings: str | None, message: str
) -> None:
    for other in ("empty", "texts"):
        (videos.parent / other).mkdir()
    (videos.parent / "texts" / "a.txt").touch()
    if ratings is not None:
        (videos / "ratings.csv").write_text(ratings)
    with pytest.raises(DataError, match=message) as caught:
        extract(db, videos.parent / name)
    assert str(videos.parent / name) in str(caught.value)
    assert not calls(videos)


def test_a_foreign_database_is_refused_before_any_work(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("a text of some length " * 100)
    with pytest.raises(DataError, match="not a landmark database"):
        extract(LandmarkDatabase(tmp_path / "x.db"), videos)
    assert not calls(videos)
