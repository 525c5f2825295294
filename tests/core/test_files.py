"""A file is written whole or not at all, and the reason is told."""

from __future__ import annotations

import errno
import json
import math
import multiprocessing
import os
import resource
import stat
from pathlib import Path

import pytest

from vitruvian.core.errors import RunError
from vitruvian.core.files import atomic, unwritable, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_half_way(path: Path, error: BaseException) -> None:
    with atomic(path) as temporary:
        temporary.write_text("ne")
        raise error


def test_new_file_and_its_folders(tmp_path: Path) -> None:
    write_text(tmp_path / "a/b/text.txt", "größer\n")
    assert (tmp_path / "a/b/text.txt").read_bytes() == "größer\n".encode()
    assert names(tmp_path / "a/b") == ["text.txt"]


def test_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    write_text(path, "a long text")
    write_text(path, "short")
    assert path.read_text() == "short"
    assert names(tmp_path) == ["text.txt"]


def test_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    write_text(path, "old")
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path, "renaming works inside one file system only"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError("half-way"), KeyboardInterrupt()])
def test_failure_leaves_the_old_file_and_no_other(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "text.txt"
    write_text(path, "old")
    with pytest.raises(type(error)):
        fail_half_way(path, error)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["text.txt"]


def test_colleagues_may_read_it(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_text(tmp_path / "text.txt", "")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "text.txt").stat().st_mode) == 0o640


def test_json_keeps_values_and_letters(tmp_path: Path) -> None:
    content = {"ünï": [1, 0.1 + 0.2, None, True], "nan": math.nan}
    write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "ünï" in text
    assert text.endswith("}\n")
    read = json.loads(text)
    assert read["ünï"] == content["ünï"]
    assert math.isnan(read["nan"])


# -- what stands in the way -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "the file system is read-only"),
        (errno.ENOTDIR, "the name is already taken"),
        (errno.EIO, "Input/output error"),
        (None, "torch says so"),
    ],
)
def test_reasons(number: int | None, reason: str) -> None:
    error = OSError(number, os.strerror(number)) if number else OSError("torch says so")
    text = f"cannot write /here: {reason}; free space or choose another directory"
    assert str(unwritable(Path("/here"), error)) == text


def test_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match=r"cannot write .*file/text\.txt: the name is already taken"):
        write_text(tmp_path / "file" / "text.txt", "")
    assert (tmp_path / "file").read_text() == "mine"


def test_folder_where_the_file_should_be(tmp_path: Path) -> None:
    (tmp_path / "text.txt" / "full").mkdir(parents=True)
    with pytest.raises(RunError, match="the name is already taken"):
        write_text(tmp_path / "text.txt", "")
    assert names(tmp_path) == ["text.txt"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_disk_that_fails_at_the_flush(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(_: int) -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "text.txt"
    write_text(path, "old")
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(RunError, match=r"cannot write .*text\.txt"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["text.txt"]


def _write_beyond_a_limit(path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        write_text(path, "x" * 100_000)
    except RunError as error:
        write_text(path.with_suffix(".said"), str(error))


def test_file_larger_than_the_system_allows(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    write_text(path, "old")
    child = multiprocessing.get_context("fork").Process(target=_write_beyond_a_limit, args=(path,))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert path.read_text() == "old"
    assert names(tmp_path) == ["text.said", "text.txt"]
    assert path.with_suffix(".said").read_text().startswith(f"cannot write {path}: File too large")
