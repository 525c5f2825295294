"""The store: one conversion per case, whatever happens to the process, the disk or the files."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import pickle
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vitruvian
from vitruvian.core import store as module
from vitruvian.core.errors import DataError, RunError
from vitruvian.core.store import Converted, Converter, Record, Store

CONVERTER = Converter("test", 1)
IMAGE = np.arange(6 * 5 * 4, dtype=np.int16).reshape(6, 5, 4)

PRELUDE = """
import os, sys, time
from pathlib import Path
import numpy as np
from vitruvian.core.store import Converter, Store
store, source, log = Store(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3])
def say(text):
    print(text, flush=True)
def convert():
    with log.open("a") as stream:
        stream.write("converted\\n")
    return {"image": np.arange(120, dtype=np.int16).reshape(6, 5, 4)}, {}
"""


def start(tmp_path: Path, code: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(vitruvian.__file__).parents[1])}
    arguments = [str(tmp_path / name) for name in ("store", "scan.bin", "log.txt")]
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, *arguments],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )


class Conversion:
    """A conversion that counts how often it is run."""

    def __init__(self, **arrays: Any) -> None:
        self.arrays = arrays or {"image": IMAGE}
        self.count = 0

    def __call__(self) -> Converted:
        self.count += 1
        return self.arrays, {"spacing_mm": [2.0, 0.7, 0.7]}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "scan.bin"
    path.write_bytes(b"voxels")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def temporaries(store: Store) -> list[Path]:
    return list(store.root.rglob("*.tmp"))


# -- arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [
        IMAGE,
        IMAGE.astype(">f8"),
        np.asfortranarray(IMAGE),
        IMAGE[::2, :, ::-1],
        np.arange(7, dtype=np.uint8),
        np.zeros((0, 5, 4), np.int16),
        np.arange(16.0).reshape(2, 2, 2, 2),
    ],
    ids=["int16", "big-endian", "fortran", "strided", "1-d", "empty", "4-d"],
)
def test_array_comes_back(store: Store, source: Path, array: Any) -> None:
    record = store.add([source], CONVERTER, Conversion(a=array))
    for got in (record.open("a"), record.read("a"), np.load(record.path("a"))):
        assert got.dtype == array.dtype
        assert np.array_equal(got, array)
    assert record.shape("a") == array.shape
    assert record.meta == {"spacing_mm": [2.0, 0.7, 0.7]}


@pytest.mark.parametrize(
    "ranges",
    [
        (),
        (slice(2, 3),),
        (slice(1, 5), slice(None)),
        (slice(0, 6), slice(1, 4)),
        (slice(3, 4), slice(2, 4), slice(1, 3)),
        (slice(None), slice(None), slice(0, 1)),
        (slice(4, 99), slice(-2, None)),
        (slice(3, 3), slice(0, 2)),
        (slice(5, 2),),
    ],
    ids=str,
)
def test_read_is_indexing(store: Store, source: Path, ranges: tuple[slice, ...]) -> None:
    record = store.add([source], CONVERTER, Conversion())
    block = record.read("image", *ranges)
    assert np.array_equal(block, IMAGE[ranges])
    assert block.shape == IMAGE[ranges].shape
    assert not isinstance(block, np.memmap)


@pytest.mark.parametrize("ranges", [(slice(0, 4, 2),), (slice(0, 1),) * 4], ids=["step", "axes"])
def test_read_refuses(store: Store, source: Path, ranges: tuple[slice, ...]) -> None:
    record = store.add([source], CONVERTER, Conversion())
    with pytest.raises(ValueError, match="at most 3 slices without a step"):
        record.read("image", *ranges)


def test_open_is_read_only(store: Store, source: Path) -> None:
    image = store.add([source], CONVERTER, Conversion()).open("image")
    with pytest.raises(ValueError, match="read-only"):
        image[0] = 0


def test_read_of_a_file_that_shrank(store: Store, source: Path) -> None:
    record = store.add([source], CONVERTER, Conversion())
    os.truncate(record.path("image"), 200)
    with pytest.raises(DataError, match=r"image\.npy is truncated: start again"):
        record.read("image")


def test_record_is_light(store: Store, source: Path) -> None:
    record = store.add([source], CONVERTER, Conversion(image=np.zeros((50, 64, 64), np.int16)))
    sent = pickle.dumps(record)
    assert len(sent) < 1000
    assert pickle.loads(sent) == record


# -- once -----------------------------------------------------------------------------------------


def test_converts_once(store: Store, source: Path) -> None:
    convert = Conversion()
    first, second = (store.add([source], CONVERTER, convert) for _ in range(2))
    assert first == second
    assert convert.count == 1


def test_a_moved_source_keeps_its_record(store: Store, source: Path) -> None:
    convert = Conversion()
    first = store.add([source], CONVERTER, convert)
    moved = source.rename(source.with_name("elsewhere.bin"))
    assert store.add([moved], CONVERTER, convert) == first
    assert convert.count == 1


@pytest.mark.parametrize(
    ("content", "converter"),
    [
        (b"others", CONVERTER),
        (b"voxels", Converter("other", 1)),
        (b"voxels", Converter("test", 2)),
        (b"voxels", Converter("test", 1, {"orientation": "RAS"})),
    ],
    ids=["content", "converter", "version", "parameters"],
)
def test_a_change_makes_a_new_record(
    store: Store, source: Path, content: bytes, converter: Converter
) -> None:
    first = store.add([source], CONVERTER, Conversion())
    source.write_bytes(content)
    assert store.add([source], converter, Conversion()).key != first.key


def test_order_of_sources_matters(store: Store, tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_text(path.name)
    keys = {store.add(p, CONVERTER, Conversion()).key for p in (paths, paths[::-1], paths[:1])}
    assert len(keys) == 3


def test_new_cases_are_added(store: Store, tmp_path: Path) -> None:
    convert = Conversion()
    for count in (2, 5):
        for i in range(count):
            path = tmp_path / f"scan-{i}.bin"
            path.write_bytes(b"%d" % i)
            store.add([path], CONVERTER, convert)
    assert convert.count == 5


# -- hashing --------------------------------------------------------------------------------------


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose content is read for hashing."""
    names: list[str] = []
    digest = hashlib.file_digest

    def spy(stream: Any, name: str) -> Any:
        names.append(Path(stream.name).name)
        return digest(stream, name)

    monkeypatch.setattr(hashlib, "file_digest", spy)
    return names


def test_content_is_hashed_once(
    store: Store, source: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SETTLED_NS", -1)
    for _ in range(3):
        store.add([source], CONVERTER, Conversion())
    assert hashed == ["scan.bin"]


def test_a_file_just_written_is_not_trusted(store: Store, source: Path, hashed: list[str]) -> None:
    for _ in range(2):
        store.add([source], CONVERTER, Conversion())
    assert hashed == ["scan.bin"] * 2


def test_a_change_that_keeps_size_and_mtime_is_seen(
    store: Store, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SETTLED_NS", -1)
    first = store.add([source], CONVERTER, Conversion())
    before = source.stat()
    source.write_bytes(b"VOXELS")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.add([source], CONVERTER, Conversion()).key != first.key


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stamps": 1}'])
def test_a_damaged_hash_cache_is_ignored(
    store: Store, source: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SETTLED_NS", -1)
    first = store.add([source], CONVERTER, Conversion())
    (cache,) = store.root.glob(".sources/*.json")
    cache.write_text(content)
    assert store.add([source], CONVERTER, Conversion()) == first


# -- damage ---------------------------------------------------------------------------------------


def truncate(record: Record) -> None:
    os.truncate(record.path("image"), 200)


def lengthen(record: Record) -> None:
    with Path(record.path("image")).open("ab") as stream:
        stream.write(b"x")


def reshape(record: Record) -> None:
    np.save(record.path("image"), IMAGE.reshape(5, 6, 4))


def retype(record: Record) -> None:
    np.save(record.path("image"), IMAGE.astype(np.uint16))


def remove(record: Record) -> None:
    Path(record.path("image")).unlink()


def forget(record: Record) -> None:
    (record.folder / "meta.json").unlink()


def scribble(record: Record) -> None:
    (record.folder / "meta.json").write_text('{"arrays": ')


def overwrite_header(record: Record) -> None:
    with Path(record.path("image")).open("r+b") as stream:
        stream.write(b"\0" * 64)


@pytest.mark.parametrize(
    "damage",
    [truncate, lengthen, reshape, retype, remove, forget, scribble, overwrite_header],
)
def test_a_damaged_record_is_rebuilt(
    store: Store,
    source: Path,
    damage: Callable[[Record], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    convert = Conversion()
    damage(store.add([source], CONVERTER, convert))
    with caplog.at_level(logging.WARNING):
        record = store.add([source], CONVERTER, convert)
    assert convert.count == 2
    assert "is damaged and is made again" in caplog.text
    assert np.array_equal(record.read("image"), IMAGE)
    assert not temporaries(store)


# -- errors ---------------------------------------------------------------------------------------


def test_full_disk(store: Store, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="the disk is full"):
        store.add([source], CONVERTER, Conversion())
    monkeypatch.undo()
    assert not temporaries(store)
    assert np.array_equal(store.add([source], CONVERTER, Conversion()).read("image"), IMAGE)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow beyond 100 kB: a real write fails half-way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_files")
def test_write_that_fails_half_way(store: Store, source: Path) -> None:
    with pytest.raises(RunError, match=r"cannot write .*File too large"):
        store.add([source], CONVERTER, Conversion(image=np.zeros((100, 64, 64), np.int16)))
    assert not temporaries(store)
    assert [p.name for p in store.root.iterdir() if not p.name.startswith(".")] == []


def test_root_that_cannot_be_made(source: Path) -> None:
    with pytest.raises(RunError, match="cannot write"):
        Store(source / "store").add([source], CONVERTER, Conversion())


def test_missing_source(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*absent.bin: No such file"):
        store.add([tmp_path / "absent.bin"], CONVERTER, Conversion())


def test_source_that_changes_while_converted(store: Store, source: Path) -> None:
    def convert() -> Converted:
        source.write_bytes(b"longer than before")
        return {"image": IMAGE}, {}

    with pytest.raises(DataError, match="changed while it was converted: start again"):
        store.add([source], CONVERTER, convert)


def test_failed_conversion_leaves_nothing(store: Store, source: Path) -> None:
    def convert() -> Converted:
        raise DataError("volume-3: NaN at voxel (1, 2, 3)")

    with pytest.raises(DataError, match="volume-3: NaN"):
        store.add([source], CONVERTER, convert)
    assert [p.name for p in store.root.iterdir()] == [".locks"]


# -- several processes ----------------------------------------------------------------------------

KILLED = {
    "converting": """
def slow():
    say("converting"); time.sleep(60)
store.add([source], Converter("test", 1), slow)
""",
    "writing": """
def hang(descriptor):
    say("writing"); time.sleep(60)
os.fsync = hang
store.add([source], Converter("test", 1), convert)
""",
    "publishing": """
def hang(self, target):
    say("publishing"); time.sleep(60)
Path.rename = hang
store.add([source], Converter("test", 1), convert)
""",
}


@pytest.mark.parametrize("moment", KILLED)
def test_killed_conversion_is_taken_up(
    tmp_path: Path, store: Store, source: Path, moment: str
) -> None:
    process = start(tmp_path, KILLED[moment])
    assert process.stdout is not None
    assert process.stdout.readline().strip() == moment
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert bool(temporaries(store)) == (moment != "converting")
    assert not list(store.root.glob("[!.]*"))

    record = store.add([source], CONVERTER, Conversion())
    assert np.array_equal(record.read("image"), IMAGE)
    assert not temporaries(store)


def test_two_processes_convert_together(tmp_path: Path, source: Path, store: Store) -> None:
    code = """
def slow():
    time.sleep(0.5)
    return convert()
record = store.add([source], Converter("test", 1), slow)
say(f"{record.key} {int(record.read('image').sum())}")
"""
    processes = [start(tmp_path, code) for _ in range(2)]
    answers = [process.communicate(timeout=60)[0].split() for process in processes]
    record = store.add([source], CONVERTER, Conversion())
    assert answers == [[record.key, str(IMAGE.sum())]] * 2
    assert (tmp_path / "log.txt").read_text().split() == ["converted"]
    assert not temporaries(store)


def test_without_locks_the_first_record_is_kept(
    store: Store, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    other = Conversion()

    def overtaken() -> Converted:
        inode.append(store.add([source], CONVERTER, other).folder.stat().st_ino)
        return {"image": IMAGE}, {}

    inode: list[int] = []
    record = store.add([source], CONVERTER, overtaken)
    assert record.folder.stat().st_ino == inode[0]
    assert not temporaries(store)


def test_only_abandoned_temporaries_are_removed(store: Store, source: Path) -> None:
    (store.root / ".locks").mkdir(parents=True)
    abandoned, in_use = (store.root / f".{key}.0.tmp" for key in ("aaaa", "bbbb"))
    abandoned.mkdir()
    in_use.mkdir()
    with (store.root / ".locks" / "bbbb").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        store.add([source], CONVERTER, Conversion())
    assert temporaries(store) == [in_use]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_memory_does_not_grow_with_the_cases(tmp_path: Path, source: Path) -> None:
    code = """
def megabytes():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1024
def big():
    return {"image": np.ones((32, 256, 256), np.int16)}, {}  # 4 MB
records = [store.add([source], Converter("test", i), big) for i in range(16)]
grown = []
for some in (records[:4], records):
    before = megabytes()
    for record in some:
        for z in range(32):
            record.read("image", slice(z, z + 1), slice(10, 200))
    grown.append(megabytes() - before)
say(" ".join(map(str, grown)))
"""
    answer, _ = start(tmp_path, code).communicate(timeout=60)
    four, sixteen = map(float, answer.split())
    assert four < 4
    assert sixteen < 4  # mapped, they would count for 64


def test_meta_says_where_the_record_comes_from(store: Store, source: Path) -> None:
    record = store.add([source], Converter("lits", 3, {"k": 1}), Conversion())
    content = json.loads((record.folder / "meta.json").read_text())
    assert content["converter"] == {"name": "lits", "version": 3}
    assert content["parameters"] == {"k": 1}
    digest = hashlib.sha256(Path(record.path("image")).read_bytes()).hexdigest()
    array = {"dtype": "<i2", "shape": [6, 5, 4], "sha256": digest}
    assert content["arrays"] == {"image": array}
    assert len(content["source_sha256"]) == 64
