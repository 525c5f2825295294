"""What recordings hold, by hash: each file is read once, and again when it has changed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from vitruvian.core.errors import DataError, UserError
from vitruvian.core.video.video_readers import find_images
from vitruvian.spine.database.connections import Connections
from vitruvian.spine.database.schema import FILES
from vitruvian.spine.extract.recordings import Recording

_SETTLED_NS = 2_000_000_000  # the coarsest clock of a common file system ticks every 2 s


class Contents:
    """The hashes of recordings, which do not change when these are renamed or moved.

    Args:
        connections: to the landmark database, which remembers them.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def known(self, recordings: Iterable[Recording]) -> dict[str, str]:
        """The hashes of those files, by name, that have not changed since they were hashed."""
        if not self._connections.exists():
            return {}
        with self._connections.reading() as connection:
            rows = connection.execute(sa.select(FILES)).all()
        remembered = {(row.path_sha256, row.stamp): row.content_sha256 for row in rows}
        found = {}
        for recording in recordings:
            with suppress(DataError):  # whoever hashes it will tell
                key = _path_sha256(recording.path), _stamp(recording.path)
                if not recording.path.is_dir() and key in remembered:
                    found[recording.name] = str(remembered[key])
        return found

    def sha256(self, recording: Recording) -> str:
        """Hash a recording, and remember it.

        Raises:
            DataError: it cannot be read, or changes meanwhile.
        """
        if recording.path.is_dir():
            digests = "".join(_digest(path)[0] for path in find_images(recording.path))
            return hashlib.sha256(digests.encode()).hexdigest()
        content, stamp = _digest(recording.path)
        if abs(time.time_ns() - _newest(stamp)) > _SETTLED_NS:  # a later change will move them
            with suppress(UserError):  # it is a help, no more
                self._remember(_path_sha256(recording.path), stamp, content)
        return content

    def _remember(self, path_sha256: str, stamp: str, content: str) -> None:
        row = {"path_sha256": path_sha256, "stamp": stamp, "content_sha256": content}

        def replace(connection: sa.Connection) -> None:
            connection.execute(FILES.delete().where(FILES.c.path_sha256 == path_sha256))
            connection.execute(FILES.insert(), row)

        self._connections.write(replace)


def _digest(path: Path) -> tuple[str, str]:
    """Hash and stamp of a file."""
    stamp = _stamp(path)
    try:
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if _stamp(path) != stamp:
        raise DataError(f"{path} changed while it was read: start again when it is complete")
    return content, stamp


def _stamp(path: Path) -> str:
    """What tells a changed file; ctime also sees a change that keeps size and mtime."""
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _newest(stamp: str) -> int:
    _, *times = stamp.split()
    return max(map(int, times))


def _path_sha256(path: Path) -> str:
    return hashlib.sha256(str(path.absolute()).encode(errors="surrogateescape")).hexdigest()
