"""Extraction of a folder by programs that are stopped, killed, or several."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.spine.fake_clips import fake_landmarks, same_bits, same_clip
from tests.spine.fake_extraction import FakeFolder, FakePose, calls, fake_videos
from tests.spine.processes import alive_in_group
from tests.spine.programs import PROGRAM, ROOT, content, start, until

from vitruvian.spine.database.database import LandmarkDatabase
from vitruvian.spine.extract.folder import ExtractFolder
from vitruvian.spine.pose.blazepose import BlazePose

HEADER = "clip,participant,exercise,rating\n"


@pytest.fixture
def db(tmp_path: Path) -> LandmarkDatabase:
    return LandmarkDatabase(tmp_path / "x.db")


def extract(db: LandmarkDatabase, folder: Path) -> int:
    return FakeFolder(str(db), FakePose(), folder, workers=2).run()


def same_content(one: LandmarkDatabase, other: LandmarkDatabase) -> bool:
    a, b = content(one), content(other)
    return a.keys() == b.keys() and all(same_clip(a[name], b[name]) for name in a)


@pytest.fixture
def uninterrupted(tmp_path: Path) -> LandmarkDatabase:
    """What an extraction of eight videos comes to that nothing interrupts."""
    folder = tmp_path / "calm"
    fake_videos(folder, [""] * 8)
    db = LandmarkDatabase(tmp_path / "calm.db")
    assert extract(db, folder) == 0
    return db


def kill_after(begun: int, db: LandmarkDatabase, folder: Path) -> None:
    """Extract, and strike as soon as so many clips have begun; wait until nobody is left."""
    program = start(db, folder)
    until(lambda: len(calls(folder)) >= begun)
    program.send_signal(signal.SIGKILL)
    program.communicate()
    until(lambda: not alive_in_group(program.pid))


@pytest.mark.slow
def test_killed_and_started_again(
    uninterrupted: LandmarkDatabase, tmp_path: Path, db: LandmarkDatabase
) -> None:
    """SIGKILL while two clips are under way and some are done, twice; the end is the same."""
    folder = tmp_path / "in"
    fake_videos(folder, ["", "", "", "wait", "wait", "", "wait", ""])
    for done in (3, 4):
        kill_after(done + 2, db, folder)
        assert all(
            same_bits(c.landmarks, fake_landmarks(int(n[1:3]))) for n, c in content(db).items()
        )
    (folder / "go").touch()
    before = time.monotonic()
    assert extract(db, folder) == 0
    assert time.monotonic() - before < 40  # claims of the killed are not waited for
    assert same_content(db, uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signum", "whole_group"),
    [(signal.SIGTERM, False), (signal.SIGINT, True), (signal.SIGTERM, True)],
    ids=["term", "ctrl-c", "batch system"],
)
def test_stopped_cleanly(
    tmp_path: Path, db: LandmarkDatabase, signum: int, whole_group: bool
) -> None:
    folder = tmp_path / "in"
    fake_videos(folder, ["", "wait", "wait"])
    program = start(db, folder)
    until(lambda: len(calls(folder)) == 3)
    (os.killpg if whole_group else os.kill)(program.pid, signum)
    _, errors = program.communicate(timeout=60)
    assert program.returncode == 128 + signum
    until(lambda: not alive_in_group(program.pid))  # the last is multiprocessing's own tracker
    assert f"stopped by {signal.Signals(signum).name}; what is in {db} stays" in errors
    assert "Traceback" not in errors
    assert list(content(db)) == ["c00.mp4"]
    (folder / "go").touch()
    assert extract(db, folder) == 0
    assert len(content(db)) == 3


@pytest.mark.slow
def test_two_programs_share_the_work(tmp_path: Path, db: LandmarkDatabase) -> None:
    folder = tmp_path / "in"
    fake_videos(folder, ["slow 0.1"] * 8)
    programs = [start(db, folder) for _ in range(2)]
    out = [program.communicate(timeout=120) for program in programs]
    assert [program.returncode for program in programs] == [0, 0], out
    assert len(calls(folder)) == 8
    found = content(db)
    assert len(found) == 8
    assert all(same_bits(clip.landmarks, fake_landmarks(int(n[1:3]))) for n, clip in found.items())


@pytest.mark.slow
def test_one_takes_up_what_a_killed_one_had_begun(tmp_path: Path, db: LandmarkDatabase) -> None:
    folder = tmp_path / "in"
    fake_videos(folder, ["wait", "wait", ""])
    first = start(db, folder)
    until(lambda: len(calls(folder)) == 2)
    second = start(db, folder)
    until(lambda: len(calls(folder)) == 3)
    first.kill()
    first.communicate()
    (folder / "go").touch()
    second.communicate(timeout=120)
    assert second.returncode == 0
    assert len(content(db)) == 3


def test_a_bar_on_a_terminal(tmp_path: Path, db: LandmarkDatabase) -> None:
    fake_videos(tmp_path / "in", [""] * 3)
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(db), str(tmp_path / "in")],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "TERM": "xterm",
            "COLUMNS": "100",
            "PYTHONPATH": f"{ROOT}/src:{ROOT}",
        },
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # what a terminal says when its other end is closed
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    assert program.wait() == 0
    assert b"3/3" in shown
    assert b"frames/s" in shown
    assert b"extracted (36 frames" in shown


# -- the real thing -------------------------------------------------------------------------------

REAL = """
import sys
from vitruvian.spine.pose.blazepose import BlazePose
from vitruvian.spine.extract.folder import ExtractFolder
sys.exit(ExtractFolder(sys.argv[1], BlazePose(), sys.argv[2], workers=2).run())
"""


@pytest.mark.slow
@pytest.mark.real_data
def test_real_videos_killed_and_resumed(
    real_data: Path, pose_models: Path, tmp_path: Path, db: LandmarkDatabase
) -> None:
    folder = tmp_path / "in"
    shutil.copytree(real_data / "video_people", folder)
    rows = [f"{path.name},{path.stem},walk,50\n" for path in sorted(folder.glob("*.mp4"))]
    (folder / "ratings.csv").write_text(HEADER + "".join(rows))
    whole = LandmarkDatabase(tmp_path / "whole.db")
    assert ExtractFolder(str(whole), BlazePose(), folder, workers=2).run() == 0

    program = subprocess.Popen(
        [sys.executable, "-c", REAL, str(db), str(folder)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src"},
        start_new_session=True,
    )
    until(lambda: bool(db.connections.exists() and db.clips()))
    program.kill()
    program.wait()
    until(lambda: not alive_in_group(program.pid))
    assert len(content(db)) < 3
    assert ExtractFolder(str(db), BlazePose(), folder, workers=2).run() == 0
    assert same_content(db, whole)
    info = db.clips()[0]
    assert len(info.identity["model_sha256"]) == 64
    assert (info.size, info.skeleton, info.rating) == ((1280, 720), "blazepose33", 50)
