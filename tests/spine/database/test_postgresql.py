"""The landmark database on a real PostgreSQL server, started here from the system's package."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.spine import writers
from tests.spine.fake_clips import IDENTITY, fake_clip, fake_landmarks, same_bits, same_clip
from tests.spine.fake_extraction import FakeFolder, FakePose, calls, fake_videos
from tests.spine.processes import alive_in_group
from tests.spine.programs import start, until

from vitruvian.core.errors import DataError, RunError
from vitruvian.spine.database.connections import PASSWORD_VARIABLE
from vitruvian.spine.database.database import LandmarkDatabase
from vitruvian.spine.tables.ratings import Rating

PASSWORD = "correct horse"
_numbers = itertools.count()


class Server:
    """A server in a folder of its own, reached by a socket there; its user needs a password."""

    def __init__(self, programs: Path, folder: Path, user: str | None) -> None:
        self._programs, self.folder, self._user = programs, folder, user
        (folder / "password").write_text(PASSWORD)
        if user:
            for path in (folder, folder / "password"):
                shutil.chown(path, user)
        access = ["-A", "scram-sha-256", "--pwfile", str(folder / "password")]
        self._run("initdb", "-U", "lab", "--no-sync", *access)
        options = f"-c listen_addresses='' -c fsync=off -k {folder}"
        self._run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), "-D", str(self.folder / "data"), *arguments]
        as_user = ["runuser", "-u", self._user, "--"] if self._user else []
        done = subprocess.run(
            [*as_user, *command], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert done.returncode == 0, done.stdout.decode()

    def stop(self) -> None:
        self._run("pg_ctl", "-m", "immediate", "stop")

    def new_database(self) -> str:
        """Make a database and return its URL."""
        import psycopg

        name = f"spine{next(_numbers)}"
        where = f"host={self.folder} user=lab dbname=postgres password='{PASSWORD}'"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://lab@/{name}?host={self.folder}"


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [
        Path(path) for path in [shutil.which("initdb")] if path
    ]
    if not found:
        pytest.skip("no PostgreSQL server on this computer; its package is called postgresql")
    return found[-1].parent


def _unprivileged() -> str | None:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names: Sequence[str] = [entry.pw_name for entry in pwd.getpwall()]
    return "postgres" if "postgres" in names else "nobody"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    programs = _programs()
    # not pytest's folder: that is private, and too deep for the name of a socket
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    server = Server(programs, folder, _unprivileged())
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def db(server: Server, monkeypatch: pytest.MonkeyPatch) -> LandmarkDatabase:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    return LandmarkDatabase(server.new_database())


def test_clips_come_back_bit_by_bit(db: LandmarkDatabase) -> None:
    clips = [
        fake_clip("Ω'/walk", 1),
        fake_clip("a/walk", 2, rating=float("nan"), simulated=True),
        fake_clip("B/walk", 3),
    ]
    assert db.add_many(clips, IDENTITY) == 3
    assert db.add_many(clips, IDENTITY) == 0
    by_name = sorted(clips, key=lambda clip: clip.name)  # whatever the server's alphabet
    assert all(map(same_clip, db.read_all(), by_name))
    assert [clip.name for clip in db.read_all(simulated=True)] == ["a/walk"]


def test_it_works_as_on_sqlite(db: LandmarkDatabase) -> None:
    assert not db.has("c", IDENTITY)
    assert db.add(fake_clip(), IDENTITY, "c", broken="broke off")
    assert not db.add(fake_clip(), IDENTITY, "c")
    assert db.has("c", IDENTITY)
    with pytest.raises(DataError, match="another recording named"):
        db.add(fake_clip(seed=1), IDENTITY, "d")
    assert db.add(fake_clip(seed=1), IDENTITY, "d", replace=True)
    assert db.relabel([Rating("p001/walk.mp4", "p9", "toes")]) == 1
    (info,) = db.clips()
    assert (info.participant, info.exercise, info.broken) == ("p9", "toes", None)
    assert db.delete("p9") == 1
    assert db.clips() == []


def test_before_anything_was_written(db: LandmarkDatabase) -> None:
    assert not db.has("c", IDENTITY)
    with pytest.raises(DataError, match="not a landmark database; extract videos") as caught:
        db.clips()
    assert PASSWORD not in str(caught.value)


def test_the_password_is_needed(db: LandmarkDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    with pytest.raises(RunError, match=r"postgresql\+psycopg://lab@.*password authentication"):
        LandmarkDatabase(db.connections.url.render_as_string()).clips()


@pytest.mark.slow
def test_processes_write_at_once(db: LandmarkDatabase) -> None:
    """Four processes make the tables and write the same clips: each is written by one."""
    processes = [writers.start(db, writers.RACE, str(i)) for i in range(4)]
    written = [
        int(process.communicate("go\n", timeout=120)[0].split()[-1]) for process in processes
    ]
    assert sum(written) == 20
    clips = list(db.read_all())
    assert [clip.name for clip in clips] == [f"c{i:02d}" for i in range(20)]
    assert all(same_clip(clip, fake_clip(clip.name, int(clip.name[1:]))) for clip in clips)


def test_a_killed_writer_leaves_nothing_half_done(db: LandmarkDatabase) -> None:
    db.add(fake_clip("before"), IDENTITY, "b")
    code = writers.HANGS["before the commit"]
    process = writers.start(db, code)
    assert process.stdout is not None
    assert process.stdout.readline() == "hangs\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert db.add(fake_clip("killed"), IDENTITY, "k")
    assert [info.name for info in db.clips()] == ["before", "killed"]


@pytest.mark.slow
def test_extractors_of_several_computers(db: LandmarkDatabase, tmp_path: Path) -> None:
    """Two programs share a folder; one is killed, the other takes up what it had begun."""
    folder = tmp_path / "in"
    fake_videos(folder, ["wait", "wait", "", "", "", ""])
    programs = [start(db, folder)]
    until(lambda: len(calls(folder)) >= 2)
    programs.append(start(db, folder))
    until(lambda: len(calls(folder)) >= 6)
    programs[0].kill()
    programs[0].communicate()
    (folder / "go").touch()
    out = programs[1].communicate(timeout=120)
    assert programs[1].returncode == 0, out
    found = {clip.name: clip for clip in db.read_all()}
    assert len(found) == 6
    assert all(same_bits(c.landmarks, fake_landmarks(int(n[1:3]))) for n, c in found.items())
    until(lambda: not alive_in_group(programs[0].pid))
    assert FakeFolder(str(db), FakePose(), folder, workers=0).run() == 0
    assert len(calls(folder)) == 8


def test_a_server_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    server = Server(_programs(), folder, _unprivileged())
    db = LandmarkDatabase(server.new_database())
    db.add(fake_clip(), IDENTITY, "c")
    server.stop()
    try:
        for action in (db.clips, lambda: db.add(fake_clip("b"), IDENTITY, "d")):
            with pytest.raises(RunError, match=r"the database postgresql.* does not do its work"):
                action()
    finally:
        shutil.rmtree(folder)
