"""Convert every case once into plain arrays on disk, then read only the bytes a batch needs.

A record is a folder `<root>/<key>/` with one `.npy` file per array and a `meta.json`. Its key is a
hash of the content of the source files, of the converter's name and version and of its parameters:
moved or renamed sources keep their record, changed ones get a new one. The whole store can be
deleted at any time; it is then built again.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vitruvian.core.array_files import Array, Layout, bounds_of, fill, layout_of, opened
from vitruvian.core.errors import DataError, RunError
from vitruvian.core.files import turn, unwritable, write_json
from vitruvian.core.node_copy import copied

Converted = tuple[Mapping[str, Array], Mapping[str, Any]]

_log = logging.getLogger(__name__)

_FORMAT = 1  # of the folder itself; raising it makes every store convert again
_SETTLED_NS = 2_000_000_000  # the coarsest clock of a common file system ticks every 2 s
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY}


@dataclass(frozen=True)
class Converter:
    """What turns source files into arrays; a change of any part makes new records.

    Attributes:
        name: of the conversion, for people.
        version: raise it when the code starts to give other arrays.
        parameters: plain data that the arrays depend on.
    """

    name: str
    version: int
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """One converted case: paths and offsets only, so it costs nothing to send to a worker.

    Attributes:
        folder: holds the arrays.
        layouts: of every array, by name.
    """

    folder: Path
    layouts: Mapping[str, Layout]

    @property
    def key(self) -> str:
        """The hash that names the content: equal for two copies of the same case."""
        return self.folder.name

    @property
    def meta(self) -> dict[str, Any]:
        """The plain data that the conversion returned beside the arrays."""
        with (self.folder / "meta.json").open(encoding="utf-8") as stream:
            meta: dict[str, Any] = json.load(stream)["meta"]
        return meta

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of the array `name`, without opening it."""
        return self.layouts[name].shape

    def open(self, name: str) -> Array:
        """Map the whole array `name` read-only; the pages touched count as memory of the process.

        Use it for one case at a time; `read` keeps memory flat over many cases.
        """
        layout = self.layouts[name]
        if 0 in layout.shape:  # an empty file range cannot be mapped
            return np.empty(layout.shape, layout.dtype)
        path = self.path(name)
        return np.memmap(path, layout.dtype, "r", offset=layout.offset, shape=layout.shape)

    def read(self, name: str, *ranges: slice) -> Array:
        """Read a block of the array `name` into memory of its own.

        Only the rows that `ranges` asks for on the first two axes are fetched; further axes are
        cut in memory.

        Args:
            name: of the array.
            *ranges: a slice without a step for each leading axis; the other axes are read whole.

        Returns:
            A fresh array equal to `open(name)[ranges]`.

        Raises:
            DataError: the file has become shorter since the store was opened.
        """
        layout = self.layouts[name]
        bounds = bounds_of(layout.shape, ranges)
        block = np.empty([b - a for a, b in bounds[:2]] + list(layout.shape[2:]), layout.dtype)
        if block.size:
            fill(block, self.path(name), layout, bounds)
        inner: tuple[Any, ...] = (..., *(slice(a, b) for a, b in bounds[2:]))
        return block[inner]

    def path(self, name: str) -> str:
        """The `.npy` file of the array `name`."""
        return f"{self.folder}/{name}.npy"  # ten times as fast as joining `Path`s


@dataclass(frozen=True)
class Store:
    """Records under one root folder, safe to share between processes and users.

    Attributes:
        root: the folder; made when the first case is added.
        node: folder on this node's own disk; records are copied there and read from there.
    """

    root: Path
    node: Path | None = None

    def add(
        self, sources: Sequence[Path], converter: Converter, convert: Callable[[], Converted]
    ) -> Record:
        """Return the record of a case, converting it first if that was not yet done.

        A conversion that is killed leaves no record. Of two processes that add the same case one
        converts and the other waits. A damaged record is converted again, with a notice.

        Args:
            sources: the files the case is made of; their content and order name the record.
            converter: names the conversion.
            convert: returns numeric arrays by name and plain data (what JSON can hold). It should
                depend on the sources and the converter's parameters only.

        Raises:
            DataError: a source is missing or changes meanwhile.
            RunError: the store cannot be written, or the disk is full; nothing is left behind.
        """
        record = self._shared(sources, converter, convert)
        return replace(record, folder=copied(record.folder, self.node)) if self.node else record

    def _shared(
        self, sources: Sequence[Path], converter: Converter, convert: Callable[[], Converted]
    ) -> Record:
        stamps = [_stamp(Path(source)) for source in sources]
        identity = _identity(converter, self._digest(stamps))
        folder = self.root.absolute() / _key(identity)
        record = _intact(folder)
        if record is not None:
            return record
        locks = folder.parent / ".locks"
        _sweep(folder.parent, locks)
        with turn(locks / folder.name, folder):  # without locks, the first wins (see _publish)
            return _intact(folder) or _convert(folder, stamps, identity, convert)

    def _digest(self, stamps: Sequence[_Stamp]) -> str:
        """Hash the content of the sources, once for every (path, size, times)."""
        name = hashlib.sha256("\0".join(stamp[0] for stamp in stamps).encode()).hexdigest()[:32]
        cache = self.root / ".sources" / f"{name}.json"
        with suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(cache.read_text(encoding="utf-8"))
            if known["stamps"] == [list(stamp) for stamp in stamps]:
                return str(known["sha256"])
        digest = _hash(stamps)
        newest = max(max(stamp[2:]) for stamp in stamps)
        if abs(time.time_ns() - newest) > _SETTLED_NS:  # a later change is sure to move them
            with suppress(RunError):  # a read-only store still serves its records
                write_json(cache, {"stamps": stamps, "sha256": digest})
        return digest


_Stamp = tuple[str, int, int, int]  # absolute path, size, mtime and ctime in ns


def _stamp(source: Path) -> _Stamp:
    """What tells a changed file; ctime also sees a change that keeps size and mtime."""
    with _reading(source):
        status = source.stat()
    return str(source.absolute()), status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _hash(stamps: Sequence[_Stamp]) -> str:
    total = hashlib.sha256()
    for stamp in stamps:
        path = Path(stamp[0])
        with _reading(path), path.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
        if _stamp(path) != stamp:
            raise DataError(f"{path} changed while it was read: start again when it is complete")
    return total.hexdigest()


@contextmanager
def _reading(source: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot read {source}: {error.strerror}") from error


def _identity(converter: Converter, digest: str) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "converter": {"name": converter.name, "version": converter.version},
        "parameters": dict(converter.parameters),
        "source_sha256": digest,
    }


def _key(identity: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]


def _convert(
    folder: Path,
    stamps: Sequence[_Stamp],
    identity: Mapping[str, Any],
    convert: Callable[[], Converted],
) -> Record:
    if folder.exists():
        _log.warning("the stored copy %s is damaged and is made again", folder)
    found, meta = convert()
    for stamp in stamps:
        if _stamp(Path(stamp[0])) != stamp:
            raise DataError(f"{stamp[0]} changed while it was converted: start again")
    arrays = {name: np.ascontiguousarray(array) for name, array in found.items()}
    _write(folder, arrays, {**identity, "meta": dict(meta)})
    record = _intact(folder)
    if record is None:
        raise RunError(f"{folder} is damaged right after it was written: check the disk")
    return record


def _write(folder: Path, arrays: Mapping[str, Array], content: Mapping[str, Any]) -> None:
    """Write a record to a temporary sibling, flush it to the disk, then give it its name."""
    described = {name: _description(array) for name, array in arrays.items()}
    description = json.dumps({**content, "arrays": described}, indent=2) + "\n"
    temporary = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        temporary.mkdir()
        for name, array in arrays.items():
            with _flushed(temporary / f"{name}.npy") as stream:
                stream.write(_header(array))
                stream.write(array.data)
        with _flushed(temporary / "meta.json") as stream:
            stream.write(description.encode())
        _flush_folder(temporary)
        _publish(temporary, folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _header(array: Array) -> bytes:
    """What `.npy` starts with (not np.save: it does not say when the disk is full)."""
    stream = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()


def _description(array: Array) -> dict[str, Any]:
    digest = hashlib.sha256(_header(array))
    digest.update(array.data)
    return {"dtype": array.dtype.str, "shape": array.shape, "sha256": digest.hexdigest()}


def _publish(temporary: Path, folder: Path) -> None:
    if folder.exists() and _intact(folder) is None:
        shutil.rmtree(folder)
    try:
        temporary.rename(folder)
    except OSError as error:
        if error.errno not in _TAKEN:  # another was first, where locks do not work: keep its record
            raise
    _flush_folder(folder.parent)


def _intact(folder: Path) -> Record | None:
    """The record in `folder`, or None if it is not there or its files contradict `meta.json`."""
    try:
        content = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        described = {n: (a["dtype"], tuple(a["shape"])) for n, a in content["arrays"].items()}
        layouts = {name: layout_of(folder / f"{name}.npy") for name in described}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    agree = all((layouts[n].dtype, layouts[n].shape) == described[n] for n in described)
    return Record(folder, layouts) if agree and "meta" in content else None


def _sweep(root: Path, locks: Path) -> None:
    """Remove what killed conversions left: those whose lock nobody holds any more."""
    for temporary in root.glob(".*.tmp"):
        key = temporary.name.split(".")[1]
        with suppress(OSError), opened(locks / key, os.O_RDWR | os.O_CREAT) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while in use, or without locks
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _flushed(path: Path) -> Iterator[BinaryIO]:
    with path.open("wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def _flush_folder(folder: Path) -> None:
    with opened(folder) as descriptor:
        os.fsync(descriptor)
