"""Copies of stored records on the disk of the node that trains, checked by their hashes.

A store lies where all nodes see it; a batch then costs a trip over the network. A copy is made once
for all processes of a node, read back, and given its name only when every byte is right. It can be
deleted whenever nothing trains on the node.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import socket
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from vitruvian.core.errors import ConfigError, DataError, RunError
from vitruvian.core.files import turn, unwritable, write_json

_log = logging.getLogger(__name__)

_NOTE = "copy.json"  # of each file: what it hashed to, and its size and times at that moment
_UNSET = re.compile(r"\$\{?(\w+)\}?")
_CHUNK = 1 << 22  # bytes
_warned: set[Path] = set()


def node_folder(text: str | None, key: str = "datamodule.node_dir") -> Path | None:
    """The folder that a key names; variables in it are those of this node.

    Raises:
        ConfigError: a variable is not set here, or the folder does not start from the root.
    """
    if text is None:
        return None
    expanded = os.path.expandvars(text)
    unset = _UNSET.search(expanded)
    if unset is not None:
        host = socket.gethostname()
        raise ConfigError(f"{key}: ${unset[1]} is not set on {host}; {key}=null does without")
    folder = Path(expanded).expanduser()
    if not folder.is_absolute():
        raise ConfigError(f"{key}: {text!r} is no absolute path; write such as $TMPDIR/vitruvian")
    return folder


def copied(record: Path, place: Path) -> Path:
    """The copy of a record's folder below `place`, made first where there is no sound one.

    Returns:
        The copy; the record itself, with a warning, where the node's disk is full or refuses.

    Raises:
        DataError: the record is damaged.
    """
    target = place / record.name
    expected = _recorded(record)
    try:
        with turn(place / ".locks" / record.name, target):
            if not _sound(target, expected):
                _copy(record, target, expected)
    except RunError as error:
        if place not in _warned:
            _warned.add(place)
            _log.warning("datamodule.node_dir: %s; reading the shared store instead", error)
        return record
    return target


def _recorded(record: Path) -> dict[str, str]:
    """What the arrays hashed to when they were converted; records of old versions do not say."""
    try:
        arrays = json.loads((record / "meta.json").read_text(encoding="utf-8"))["arrays"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{record} is damaged: delete it, and it is converted again") from error
    return {f"{name}.npy": a["sha256"] for name, a in arrays.items() if "sha256" in a}


def _sound(target: Path, expected: dict[str, str]) -> bool:
    """Whether a copy has the bytes that were copied; files that were touched are read again."""
    try:
        files = json.loads((target / _NOTE).read_text(encoding="utf-8"))
        if any(files[name]["sha256"] != digest for name, digest in expected.items()):
            return False
        touched = [name for name in files if files[name]["stamp"] != _stamp(target / name)]
        if any(_digest(target / name) != files[name]["sha256"] for name in touched):
            return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    if touched:
        _note(target, {name: entry["sha256"] for name, entry in files.items()})
    return True


def _copy(record: Path, target: Path, expected: dict[str, str]) -> None:
    """Copy below a temporary name, read back, rename.

    Raises:
        RunError: the disk is full, refuses, or gives back other bytes.
        DataError: the record is damaged.
    """
    if target.exists():
        _log.warning("the copy %s is damaged and is made again", target)
    temporary = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        for remnant in (target, *target.parent.glob(f".{target.name}.*.tmp")):  # of killed ones
            shutil.rmtree(remnant, ignore_errors=True)
        files = sorted(file for file in record.iterdir() if file.is_file())
        _refuse_if_full(target.parent, sum(file.stat().st_size for file in files))
        temporary.mkdir()
        digests = {file.name: _transfer(file, temporary / file.name) for file in files}
        _refuse_damaged(record, digests, expected)
        _note(temporary, digests)
        temporary.rename(target)
    except OSError as error:
        raise unwritable(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _refuse_if_full(place: Path, size: int) -> None:
    """Most records of a large store need not be tried."""
    if shutil.disk_usage(place).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _refuse_damaged(record: Path, digests: dict[str, str], expected: dict[str, str]) -> None:
    for name, digest in expected.items():
        if digests.get(name) != digest:
            raise DataError(f"{record / name} is damaged: delete {record}, it is converted again")


def _transfer(source: Path, target: Path) -> str:
    """Copy a file, then read the copy back from the disk; what it hashes to."""
    total = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            total.update(chunk)
            writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
        with suppress(OSError):  # else the memory of the node would vouch for its disk
            os.posix_fadvise(writer.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if _digest(target) != total.hexdigest():
        raise OSError(errno.EIO, "the disk gives back other bytes than were written")
    return total.hexdigest()


def _note(folder: Path, digests: dict[str, str]) -> None:
    entries = {n: {"sha256": d, "stamp": _stamp(folder / n)} for n, d in digests.items()}
    write_json(folder / _NOTE, entries)


def _stamp(file: Path) -> list[Any]:
    status = file.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
