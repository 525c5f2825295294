"""Hashes of recordings: each file is read once, and again when it has changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from vitruvian.core.errors import DataError
from vitruvian.spine.database import contents as module
from vitruvian.spine.database.connections import Connections
from vitruvian.spine.database.contents import Contents
from vitruvian.spine.extract.recordings import Recording


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    return Contents(Connections(tmp_path / "x.db"))


@pytest.fixture
def video(tmp_path: Path) -> Recording:
    path = tmp_path / "walk.mp4"
    path.write_bytes(b"frames")
    return Recording("walk.mp4", path)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as written long ago."""
    monkeypatch.setattr(module, "_SETTLED_NS", -1)


def test_a_file_is_hashed(contents: Contents, video: Recording) -> None:
    assert contents.known([video]) == {}
    assert contents.sha256(video) == hashlib.sha256(b"frames").hexdigest()


@pytest.mark.usefixtures("settled")
def test_a_hash_is_remembered(contents: Contents, video: Recording) -> None:
    found = contents.sha256(video)
    assert contents.known([video]) == {"walk.mp4": found}
    assert contents.known([Recording("other", video.path.with_name("absent"))]) == {}


def test_a_file_just_written_is_not_trusted(contents: Contents, video: Recording) -> None:
    contents.sha256(video)
    assert contents.known([video]) == {}


@pytest.mark.usefixtures("settled")
def test_a_change_that_keeps_size_and_mtime_is_seen(contents: Contents, video: Recording) -> None:
    contents.sha256(video)
    before = video.path.stat()
    video.path.write_bytes(b"FRAMES")
    os.utime(video.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert contents.known([video]) == {}
    changed = contents.sha256(video)
    assert contents.known([video]) == {"walk.mp4": changed}
    assert changed == hashlib.sha256(b"FRAMES").hexdigest()


def test_a_file_that_is_being_copied(
    contents: Contents, video: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.file_digest

    def slow(stream: Any, name: str) -> Any:
        video.path.write_bytes(b"more frames")
        return digest(stream, name)

    monkeypatch.setattr(hashlib, "file_digest", slow)
    with pytest.raises(DataError, match=r"walk\.mp4 changed while it was read: start again"):
        contents.sha256(video)


def test_a_file_that_is_gone(contents: Contents, video: Recording) -> None:
    video.path.unlink()
    with pytest.raises(DataError, match=r"cannot read .*walk\.mp4: No such file"):
        contents.sha256(video)


@pytest.mark.usefixtures("settled")
def test_a_folder_of_images(contents: Contents, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in (2, 10):
        (folder / f"{i}.png").write_bytes(b"%d" % i)
    recording = Recording("frames", folder)
    first = contents.sha256(recording)
    assert contents.known([recording]) == {}
    (folder / "notes.txt").touch()
    assert contents.sha256(recording) == first
    (folder / "2.png").write_bytes(b"3")
    assert contents.sha256(recording) != first


@pytest.mark.usefixtures("settled")
def test_a_database_that_cannot_be_written_does_not_matter(
    tmp_path: Path, video: Recording
) -> None:
    (tmp_path / "file").touch()
    contents = Contents(Connections(tmp_path / "file" / "x.db"))
    assert contents.sha256(video) == hashlib.sha256(b"frames").hexdigest()
