"""Copies of records on a node's own disk: made once, checked, made again when damaged."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.integration.runs import SMALL, log_of, same, state, train

from vitruvian.core import node_copy
from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.node_copy import copied, node_folder
from vitruvian.core.signatures import absolute_paths
from vitruvian.core.store import Converter, Record, Store

IMAGE = np.arange(3000, dtype=np.int16).reshape(30, 20, 5)


@pytest.fixture(autouse=True)
def _unwarned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_copy, "_warned", set())


@pytest.fixture
def node(tmp_path: Path) -> Path:
    return tmp_path / "node"


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return add(Store(tmp_path / "store")).folder


def add(store: Store) -> Record:
    source = store.root.parent / "scan.bin"
    source.write_bytes(b"voxels")
    converter = Converter("test", 1, {})
    return store.add([source], converter, lambda: ({"image": IMAGE, "none": IMAGE[:0]}, {"a": 1}))


def is_copy(folder: Path, record: Path) -> bool:
    return all((folder / file.name).read_bytes() == file.read_bytes() for file in record.iterdir())


# -- where ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["$NODE_DISK/stores", "${NODE_DISK}/stores", "/scratch/me/stores"])
def test_variables_are_those_of_the_node(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_DISK", "/scratch/me")
    assert node_folder(text) == Path("/scratch/me/stores")


def test_none_needs_no_disk() -> None:
    assert node_folder(None) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("$NO_SUCH_DISK/stores", r"^datamodule\.node_dir: \$NO_SUCH_DISK is not set on "),
        ("stores", r"^datamodule\.node_dir: 'stores' is no absolute path"),
    ],
)
def test_folders_that_lead_nowhere(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        node_folder(text)


@pytest.mark.parametrize(
    "target",
    [
        "vitruvian.liver.datamodule.LiverCT",
        "vitruvian.muscle.data.datamodule.MuscleRecordings",
        "vitruvian.muscle.segmentation.datamodule.MuscleMasks",
    ],
)
def test_a_frozen_config_keeps_the_variable(target: str, tmp_path: Path) -> None:
    node = {"_target_": target, "node_dir": "$TMPDIR/stores", "cache_dir": "cache"}
    frozen = absolute_paths(node, tmp_path)
    assert frozen["node_dir"] == "$TMPDIR/stores"
    assert frozen["cache_dir"] == str(tmp_path / "cache")


# -- copying --------------------------------------------------------------------------------------


def test_a_store_reads_from_the_copy(tmp_path: Path, node: Path) -> None:
    record = add(Store(tmp_path / "store", node))
    assert record.folder.parent == node
    assert np.array_equal(record.read("image", slice(3, 9)), IMAGE[3:9])
    assert record.read("none").shape == (0, 20, 5)
    assert record.meta == {"a": 1}
    assert record.key == add(Store(tmp_path / "store")).key


def copy_and_note(record: Path, node: Path, log: Path) -> None:
    """What a process of the test below does: each real copy leaves a line."""
    copy: Callable[..., None] = node_copy._copy

    def noted(*arguments: object) -> None:
        with log.open("a") as stream:
            stream.write("copied\n")
        copy(*arguments)

    node_copy._copy = noted
    assert is_copy(copied(record, node), record)


def test_processes_of_a_node_copy_once(record: Path, node: Path, tmp_path: Path) -> None:
    log, context = tmp_path / "log.txt", multiprocessing.get_context("fork")
    started = [context.Process(target=copy_and_note, args=(record, node, log)) for _ in range(6)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
    assert [process.exitcode for process in started] == [0] * 6
    assert log.read_text() == "copied\n"


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda folder: cut(folder / "image.npy"),
    "one bit": lambda folder: flip(folder / "image.npy"),
    "gone": lambda folder: (folder / "image.npy").unlink(),
    "no description": lambda folder: (folder / "meta.json").unlink(),
    "no note": lambda folder: (folder / "copy.json").unlink(),
    "half a note": lambda folder: cut(folder / "copy.json") or cut(folder / "copy.json"),
    "no copy's note": lambda folder: (folder / "copy.json").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_copy_is_made_again(
    damage: str, record: Path, node: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = copied(record, node)
    DAMAGES[damage](copy)
    with caplog.at_level(logging.WARNING):
        assert copied(record, node) == copy
    assert "is damaged and is made again" in caplog.text
    assert is_copy(copy, record)


def test_a_copy_of_another_record_is_made_again(record: Path, node: Path) -> None:
    """It agrees with its own note, but not with what the store says."""
    copy = copied(record, node)
    flip(copy / "image.npy")
    node_copy._note(copy, {f.name: node_copy._digest(f) for f in copy.iterdir()})
    copied(record, node)
    assert is_copy(copy, record)


def test_a_copy_that_was_only_touched_stays(record: Path, node: Path) -> None:
    file = copied(record, node) / "image.npy"
    before, note = file.stat().st_ino, (file.parent / "copy.json").read_text()
    os.utime(file, ns=(1, 1))
    copied(record, node)
    assert file.stat().st_ino == before
    assert (file.parent / "copy.json").read_text() != note, "it is not read again next time"


def test_records_of_old_versions_are_copied(record: Path, node: Path) -> None:
    content = json.loads((record / "meta.json").read_text())
    for array in content["arrays"].values():
        del array["sha256"]
    (record / "meta.json").write_text(json.dumps(content))
    assert is_copy(copied(record, node), record)


def test_what_killed_processes_left_is_removed(record: Path, node: Path) -> None:
    (node / f".{record.name}.1234.tmp").mkdir(parents=True)
    copied(record, node)
    assert sorted(p.name for p in node.iterdir()) == sorted([".locks", record.name])


def test_a_damaged_record_is_not_copied(record: Path, node: Path) -> None:
    flip(record / "image.npy")
    with pytest.raises(DataError, match=r"image\.npy is damaged: delete .*, it is converted again"):
        copied(record, node)
    assert [p.name for p in node.iterdir()] == [".locks"]


# -- a disk that does not serve -------------------------------------------------------------------


def test_full_disk(
    record: Path, mount: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    disk = mount("size=4k")
    assert copied(record, disk) == record
    assert copied(record, disk) == record
    assert caplog.text.count("the disk is full") == 1, "said once, not for each of a thousand"
    assert [p.name for p in disk.iterdir() if p.name != ".locks"] == []


def test_no_folder_can_be_made(record: Path, node: Path, caplog: pytest.LogCaptureFixture) -> None:
    node.write_text("a file")
    assert copied(record, node) == record
    assert "reading the shared store instead" in caplog.text


def test_a_disk_that_forgets(
    record: Path, node: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(node_copy, "_digest", lambda file: "other")
    assert copied(record, node) == record
    assert "gives back other bytes than were written" in caplog.text
    assert [p.name for p in node.iterdir()] == [".locks"]


# -- a training -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_training_from_copies_gives_the_same_bits(tmp_path: Path) -> None:
    cache = f"datamodule.cache_dir={tmp_path / 'cache'}"
    disk = tmp_path / "disk"
    places = {"shared": "null", "node": str(disk)}
    for name, place in places.items():
        run = tmp_path / name
        assert train(run, (*SMALL, cache, f"datamodule.node_dir={place}")) == 0, log_of(run)
    assert len([p for p in disk.iterdir() if p.name != ".locks"]) == 5
    ours, theirs = (state(tmp_path / n / "checkpoints" / "last.ckpt") for n in places)
    assert same(ours["state_dict"], theirs["state_dict"])
    table = "evaluation/test_simulated.csv"
    for file in ("metrics.csv", table):
        assert (tmp_path / "node" / file).read_bytes() == (tmp_path / "shared" / file).read_bytes()
