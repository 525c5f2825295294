"""Artefacts are written whole or not at all: to a temporary file beside them, then renamed."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from vitruvian.core.errors import RunError

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
_DENIED = {errno.EACCES: "permission denied", errno.EROFS: "the file system is read-only"}
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # some cluster file systems
_TAKEN = dict.fromkeys((errno.EEXIST, errno.ENOTDIR, errno.EISDIR), "the name is already taken")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` when the block ends well.

    The previous file at `path` stays intact until the rename, and for good if the block fails.

    Raises:
        RunError: the folder cannot be written or the disk is full; the message names `path`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
    except OSError as error:
        raise unwritable(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        _settle(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def turn(lock: Path, guarded: Path) -> Iterator[None]:
    """Wait until no other process holds the file `lock`, and hold it; it dies with its process.

    Where the file system has no locks nobody waits: what is guarded must bear two writers there.

    Raises:
        RunError: the lock cannot be made or taken; the message names `guarded`.
    """
    with _opened_lock(lock, guarded) as handle:
        _lock(handle, fcntl.LOCK_EX, guarded)
        yield


@contextmanager
def holding(lock: Path, taken: Callable[[], str]) -> Iterator[None]:
    """Hold the file `lock`, without waiting; it dies with its process.

    Where the file system has no locks it holds nothing: there the user takes care.

    Args:
        lock: the file.
        taken: says that another process holds it.

    Raises:
        RunError: another process holds it, or it cannot be made or taken.
    """
    with _opened_lock(lock, lock) as handle:
        try:
            _lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, lock)
        except BlockingIOError as error:
            raise RunError(taken()) from error
        yield


def _opened_lock(lock: Path, guarded: Path) -> IO[str]:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("a+")
    except OSError as error:
        raise unwritable(guarded, error) from error


def _lock(handle: IO[str], how: int, guarded: Path) -> None:
    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise unwritable(guarded, error) from error


def _settle(temporary: Path, path: Path) -> None:
    """Flush the bytes to the disk before the name changes: a power cut leaves the old file."""
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.chmod(0o666 & ~_umask())  # mkstemp makes it private; colleagues read run directories
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name, too
    finally:
        os.close(folder)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def unwritable(path: Path, error: OSError) -> RunError:
    """Say in the user's words why `path` could not be written."""
    reason = (_FULL | _DENIED | _TAKEN).get(error.errno or 0, error.strerror or str(error))
    return RunError(f"cannot write {path}: {reason}; free space or choose another directory")


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON to `path` atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=True) + "\n")
