"""The run directory: claimed once, locked by one process, found again wherever it was moved."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import re
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from vitruvian.core.errors import RunError
from vitruvian.core.rundir import (
    COMPLETE,
    RUNNING,
    RunDirectory,
    chosen_checkpoint,
    dump_yaml,
    locate_run,
    new_run_path,
)

CONFIG: dict[str, Any] = {
    "name": "überblick",
    "seed": 0,
    "lr": 1e-05,
    "third": 1 / 3,
    "flag": "yes",
    "number": "007",
    "none": None,
    "empty": {},
    "list": [1, [2.0, "a: b"]],
    "model": {"net": {"width": 8}},
}


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "runs" / "first")
    run.claim(CONFIG, ["seed=0", "model.net.width=8"])
    return run


# -- claiming -------------------------------------------------------------------------------------


def test_claim_freezes_config_and_overrides(run: RunDirectory) -> None:
    assert run.exists
    assert run.config == CONFIG
    assert run.overrides_file.read_text() == "seed=0\nmodel.net.width=8\n"
    assert sorted(p.name for p in run.path.iterdir()) == ["config.yaml", "overrides.txt"]


def test_yaml_reads_back_to_the_same_values(run: RunDirectory) -> None:
    read = run.config
    assert {key: type(value) for key, value in read.items()} == {
        key: type(value) for key, value in CONFIG.items()
    }
    assert list(read) == list(CONFIG), "in the order of the composition"
    assert "überblick" in dump_yaml(CONFIG)


def test_same_config_is_welcome_again(run: RunDirectory) -> None:
    before = run.config_file.stat().st_mtime_ns
    run.claim(CONFIG, ["other=spelling"])
    assert run.config_file.stat().st_mtime_ns == before
    assert "other" not in run.overrides_file.read_text()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"lr": 0.1}, "lr is 1e-05 there, 0.1 here"),
        ({"model": {"net": {"width": 4}}}, "model.net.width is 8 there, 4 here"),
        ({"model": {"net": {}}}, "model.net is absent there, {} here"),
        ({"new": 1}, "new is absent there, 1 here"),
        ({"number": 7}, "number is '007' there, 7 here"),
        ({"seed": False}, "seed is 0 there, False here"),
        ({"list": [1, [2.0, "a"]]}, "list is [1, [2.0, 'a: b']] there, [1, [2.0, 'a']] here"),
    ],
)
def test_another_config_is_refused(run: RunDirectory, change: dict[str, Any], told: str) -> None:
    with pytest.raises(RunError, match=re.escape(told)) as error:
        run.claim(CONFIG | change, [])
    assert str(run.path) in str(error.value)
    assert "give another run=..." in str(error.value)
    assert run.config == CONFIG


def test_only_the_first_differences_are_listed(run: RunDirectory) -> None:
    with pytest.raises(RunError, match=r"\(a is .*; b is .*; c is .*; and 2 more\)"):
        run.claim(CONFIG | dict.fromkeys("abcde", 1), [])


# -- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1", "is not valid YAML"),
        ("- 1", "holds no configuration"),
        ("", "holds no configuration"),
        ("a: !!python/object/apply:os.system [ls]", "is not valid YAML"),
    ],
)
def test_config_that_cannot_be_read(run: RunDirectory, text: str, told: str) -> None:
    run.config_file.write_text(text)
    with pytest.raises(RunError, match=told) as error:
        _ = run.config
    assert str(run.config_file) in str(error.value)
    assert "\n" not in str(error.value)


def test_no_config(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run directory: it has no config"):
        _ = RunDirectory(tmp_path).config


def test_status(run: RunDirectory) -> None:
    assert run.status is None
    run.write_status(RUNNING, epoch=3)
    content = json.loads(run.status_file.read_text())
    assert content.items() >= {"state": "running", "epoch": 3, "pid": os.getpid()}.items()
    run.write_status(COMPLETE)
    assert run.status == "complete"
    run.status_file.write_text("{")
    assert run.status is None


# -- one process at a time ------------------------------------------------------------------------


def _hold(path: Path, pipe: Connection) -> None:
    with RunDirectory(path).lock():
        pipe.send("held")
        pipe.recv()


def test_lock_keeps_others_out_and_dies_with_its_process(run: RunDirectory) -> None:
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    other = context.Process(target=_hold, args=(run.path, theirs))
    other.start()
    assert ours.recv() == "held"
    with pytest.raises(RunError, match="is in use: another process is training in it"), run.lock():
        pytest.fail("two processes in one directory")
    other.kill()
    other.join()
    with run.lock():
        assert run.exists


def test_where_there_are_no_locks_the_user_takes_care(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", absent)
    with run.lock():
        assert run.exists


def test_lock_is_given_back(run: RunDirectory) -> None:
    for _ in range(2):
        with run.lock():
            pass
    with pytest.raises(ValueError, match="inside"), run.lock():
        raise ValueError("inside")
    with run.lock():
        assert run.config == CONFIG


@pytest.mark.parametrize("below", ["file", "file/run"])
def test_file_in_the_way(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    run = RunDirectory(tmp_path / below)
    with pytest.raises(RunError, match=r"cannot write .*: the name is already taken"):
        run.claim(CONFIG, [])
    with pytest.raises(RunError, match=r"cannot write .*: the name is already taken"), run.lock():
        pytest.fail("locked a file")


def test_read_only_file_system(mount: Callable[[str], Path]) -> None:
    run = RunDirectory(mount("ro") / "run")
    with pytest.raises(RunError, match=r"cannot write .*run: the file system is read-only; free"):
        run.claim(CONFIG, [])


# -- finding --------------------------------------------------------------------------------------


def test_new_paths_never_meet(tmp_path: Path) -> None:
    paths = {new_run_path(tmp_path, "liver") for _ in range(200)}
    assert len(paths) == 200
    assert {path.parent for path in paths} == {tmp_path / "liver"}
    assert all(re.fullmatch(r"[\d-]{10}_[\d-]{8}-[0-9a-f]{6}", path.name) for path in paths)


def test_run_is_found_by_its_folder_or_a_checkpoint(run: RunDirectory, tmp_path: Path) -> None:
    run.checkpoints.mkdir()
    run.best.touch()
    moved = run.path.rename(tmp_path / "moved")
    for where, named in ((moved, None), (moved / "checkpoints/best.ckpt",) * 2):
        found, checkpoint = locate_run(where)
        assert found.path == moved
        assert checkpoint == named
        assert found.config == CONFIG


def test_relative_path_is_made_absolute(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(run.path.parent)
    found, _ = locate_run(Path("first"))
    monkeypatch.chdir(tmp_path)
    assert found.config == CONFIG


@pytest.mark.parametrize("where", ["nowhere", "."])
def test_no_run_here(tmp_path: Path, where: str) -> None:
    with pytest.raises(RunError, match="no run directory here"):
        locate_run(tmp_path / where)


def test_chosen_checkpoint(run: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"checkpoint=last: .*last\.ckpt does not exist; has the"):
        chosen_checkpoint(run, "best")
    run.checkpoints.mkdir()
    run.last.touch()
    assert chosen_checkpoint(run, "best") == run.last, "the last one, until there is a best one"
    run.best.touch()
    assert chosen_checkpoint(run, "best") == run.best
    assert chosen_checkpoint(run, "last") == run.last
    own = tmp_path / "own.ckpt"
    own.touch()
    assert chosen_checkpoint(run, str(own)) == own
    with pytest.raises(RunError, match=r"checkpoint=bset: bset does not exist"):
        chosen_checkpoint(run, "bset")
