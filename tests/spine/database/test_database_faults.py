"""The landmark database when files, disks and people are wrong, and when writers are killed."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from collections import deque
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.spine.fake_clips import IDENTITY, fake_clip, same_clip
from tests.spine.writers import HANGS, RACE, start

from vitruvian.core.errors import ConfigError, DataError, RunError
from vitruvian.spine.database import connections
from vitruvian.spine.database.database import LandmarkDatabase


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "landmarks.db"


@pytest.fixture
def filled(path: Path) -> LandmarkDatabase:
    db = LandmarkDatabase(path)
    names = ["p002/walk.mp4", "p001/walk.mp4", "p001/jump.mp4", "p010/jump.mp4"]
    for i, name in enumerate(names):
        db.add(fake_clip(name, i), IDENTITY, f"content {name}")
    return db


def change(path: Path, statement: str) -> None:
    """Meddle with the file behind the database's back."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(statement)
        connection.commit()


# -- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "database: a file or a URL is needed"),
        ("sqlite://", "in memory would be gone"),
        ("sqlite:///:memory:", "in memory would be gone"),
        ("postgresql://lab:secret@server/spine", "VITRUVIAN_DATABASE_PASSWORD"),
        ("oracle9://x", "database: Can't load plugin"),
        ("mysql+pymysql://lab@server/spine", "pymysql is not installed: pip install"),
        ("://x", "database: Could not parse"),
    ],
)
def test_a_wrong_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        LandmarkDatabase(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgres://lab@h/spine", "postgresql://lab@h/spine"])
def test_postgresql_means_its_current_driver(url: str) -> None:
    assert str(LandmarkDatabase(url)) == "postgresql+psycopg://lab@h/spine"


def test_a_url_of_sqlite_is_a_file(tmp_path: Path) -> None:
    LandmarkDatabase(f"sqlite:///{tmp_path}/a b.db").add(fake_clip(), IDENTITY, "c")
    assert len(LandmarkDatabase(tmp_path / "a b.db").clips()) == 1


def write_text(path: Path) -> None:
    path.write_text("clip,participant\n" * 100)


def write_foreign(path: Path) -> None:
    change(path, "CREATE TABLE bookmarks (url TEXT)")


def write_newer(path: Path) -> None:
    LandmarkDatabase(path).add(fake_clip(), IDENTITY, "c")
    change(path, "UPDATE vitruvian_schema SET version = 7")


def write_damaged(path: Path) -> None:
    LandmarkDatabase(path).add(fake_clip(), IDENTITY, "c")
    content = bytearray(path.read_bytes())
    content[4096 : len(content)] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)


def write_no_frames(path: Path) -> None:
    LandmarkDatabase(path).add(fake_clip(), IDENTITY, "c")
    change(path, "DELETE FROM landmarks WHERE frame = 3")


def write_short_frames(path: Path) -> None:
    LandmarkDatabase(path).add(fake_clip(), IDENTITY, "c")
    change(path, "UPDATE landmarks SET points = x'00000000' WHERE frame = 3")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: None, "no such landmark database; extract videos into it"),
        (lambda path: path.mkdir(), "no such landmark database"),
        (lambda path: path.touch(), "not a landmark database"),
        (write_text, "not a landmark database"),
        (write_foreign, "not a landmark database"),
        (write_newer, "version 7, this Vitruvian knows 1; install the newer version"),
        (write_damaged, "the file is damaged; restore a copy"),
        (write_no_frames, r"clip p001/walk\.mp4 is damaged in the database: 11 of 12 frames"),
        (write_short_frames, r"clip p001/walk\.mp4 is damaged in the database: cannot reshape"),
    ],
)
def test_a_wrong_file_is_named(path: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(path)
    with pytest.raises(DataError, match=message) as caught:
        list(LandmarkDatabase(path).read_all())
    assert str(path) in str(caught.value) or "p001" in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (write_text, DataError, "not a landmark database"),
        (write_foreign, DataError, "an SQLite file of something else; choose another name"),
        (write_newer, DataError, "install the newer version"),
        (lambda path: path.mkdir(), RunError, "cannot be opened for writing"),
    ],
)
def test_a_wrong_file_is_not_written_to(
    path: Path, spoil: Callable[[Path], None], error: type[Exception], message: str
) -> None:
    spoil(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(error, match=message):
        LandmarkDatabase(path).add(fake_clip(), IDENTITY, "c")
    with pytest.raises(error, match=message):
        LandmarkDatabase(path).add(fake_clip(), IDENTITY, "c")
    assert not path.is_file() or path.read_bytes()[100:] == before[100:]


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda db: db.clips(participnt="p"), ValueError, "did you mean 'participant'"),
        (lambda db: db.read("p001/wlk.mp4"), DataError, r"did you mean 'p001/walk\.mp4'"),
        (lambda db: db.read(99), DataError, "no clip 99"),
        (lambda db: db.delete(""), DataError, "no participant ''"),
        (lambda db: db.add(fake_clip(rating=101), IDENTITY, "x"), ValueError, "0 to 100, not 101"),
        (lambda db: db.add(fake_clip(rating=-1), IDENTITY, "x"), ValueError, "0 to 100, not -1"),
        (lambda db: db.add(fake_clip(""), IDENTITY, "x"), ValueError, "a name and at least one"),
        (lambda db: db.add(fake_clip(frames=0), IDENTITY, "x"), ValueError, "at least one frame"),
    ],
)
def test_a_wrong_wish_is_refused(
    filled: LandmarkDatabase,
    action: Callable[[LandmarkDatabase], Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        action(filled)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot use .*; choose another place"):
        LandmarkDatabase(tmp_path / "file" / "x.db").add(fake_clip(), IDENTITY, "c")


def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRUVIAN_DATABASE_PASSWORD", "hush")
    db = LandmarkDatabase("postgresql://lab@127.0.0.1:1/spine?connect_timeout=2")
    with pytest.raises(RunError, match=r"postgresql\+psycopg://lab@127\.0\.0\.1:1") as caught:
        db.clips()
    assert "hush" not in str(caught.value)


def test_full_disk(mount: Callable[[str], Path]) -> None:
    db = LandmarkDatabase(mount("size=1m") / "x.db")
    clips = (fake_clip(f"{i}", i, frames=100) for i in range(100))
    with pytest.raises(RunError, match="the disk is full"):
        deque((db.add(clip, IDENTITY, clip.name) for clip in clips), maxlen=0)
    stored = list(db.read_all())
    assert stored
    assert all(same_clip(c, fake_clip(c.name, int(c.name), frames=100)) for c in stored)


def test_a_read_only_disk_is_read(mount: Callable[[str], Path]) -> None:
    folder = mount("size=5m")
    LandmarkDatabase(folder / "x.db").add(fake_clip(), IDENTITY, "c")
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    db = LandmarkDatabase(folder / "x.db")
    (clip,) = db.read_all()
    assert same_clip(clip, fake_clip())
    with pytest.raises(RunError, match=r"read-only|cannot be opened for writing"):
        db.add(fake_clip("b"), IDENTITY, "d")


def test_a_lock_that_is_never_given_back(
    filled: LandmarkDatabase, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE_S", 0.2)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunError, match="kept it locked"):
            LandmarkDatabase(path).add(fake_clip("new"), IDENTITY, "new")
        assert len(LandmarkDatabase(path).clips()) == 4  # readers do not wait
    assert LandmarkDatabase(path).add(fake_clip("new"), IDENTITY, "new")


# -- processes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", HANGS)
def test_a_killed_writer_leaves_nothing_half_done(
    path: Path, filled: LandmarkDatabase, moment: str
) -> None:
    process = start(path, HANGS[moment])
    assert process.stdout is not None
    assert process.stdout.readline() == "hangs\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    db = LandmarkDatabase(path)
    assert len(list(db.read_all())) == 4
    assert db.add(fake_clip("killed"), IDENTITY, "k")
    assert same_clip(db.read("killed"), fake_clip("killed"))


def test_processes_write_at_once(path: Path) -> None:
    """Four processes make the database and write the same clips: each is written by one."""
    processes = [start(path, RACE, str(i)) for i in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    written = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert sum(written) == 20
    clips = list(LandmarkDatabase(path).read_all())
    assert [clip.name for clip in clips] == [f"c{i:02d}" for i in range(20)]
    assert all(same_clip(clip, fake_clip(clip.name, int(clip.name[1:]))) for clip in clips)
