"""Which extractor works on which clip, so that two never spend hours on the same one.

A claim saves work and nothing else: clips are written if they are absent, whoever was first. An
extractor shows that it lives by raising its beat; others watch the beat by their own clocks, so
that clocks of several computers need not agree. What a killed extractor had claimed is free at once
on its own computer, and after `PATIENCE_S` without a beat elsewhere.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from vitruvian.core.errors import UserError
from vitruvian.spine.database.connections import Connections
from vitruvian.spine.database.rows import Identity, pose_sha256
from vitruvian.spine.database.schema import CLAIMS, EXTRACTORS

BEAT_S = 5.0
PATIENCE_S = 60.0  # without a beat

_log = logging.getLogger(__name__)


class Claims:
    """The claims of one extractor, which may be several processes.

    Args:
        connections: to the landmark database.
        extractor: its id, for processes that work for one that has entered already.
    """

    def __init__(self, connections: Connections, extractor: str | None = None) -> None:
        self.connections, self.extractor = connections, extractor or uuid.uuid4().hex
        self._seen: dict[str, tuple[int, float]] = {}

    @contextmanager
    def entered(self, beat_s: float = BEAT_S) -> Iterator[None]:
        """Be one of the extractors of this database, with a beat every `beat_s` seconds."""
        self.beat()
        over = threading.Event()
        thread = threading.Thread(target=self._keep_beating, args=(over, beat_s), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            with suppress(UserError):  # the database is gone, and the claims with it
                self._forget(self.extractor)

    def take(self, content_sha256: str, identity: Identity, clip: str) -> bool:
        """Claim a clip; False where another extractor, or a process of this one, has it."""
        row = {
            "content_sha256": content_sha256,
            "pose_sha256": pose_sha256(identity),
            "extractor": self.extractor,
            "clip": clip,
        }
        try:
            self.connections.write(lambda connection: connection.execute(CLAIMS.insert(), row))
        except IntegrityError:
            return False
        return True

    def release(self, clip: str) -> None:
        """Give back the claim on a clip, if there is one."""
        mine = (CLAIMS.c.extractor == self.extractor, CLAIMS.c.clip == clip)
        self.connections.write(lambda connection: connection.execute(CLAIMS.delete().where(*mine)))

    def beat(self) -> None:
        """Show that this extractor lives, and remove those that do not."""
        self.connections.write(self._rise)
        for extractor in self._dead(time.monotonic()):
            _log.info("taking up what a stopped extractor had begun")
            self._forget(extractor)

    def _rise(self, connection: sa.Connection) -> None:
        mine = EXTRACTORS.c.id == self.extractor
        rise = EXTRACTORS.update().where(mine).values(beat=EXTRACTORS.c.beat + 1)
        if not connection.execute(rise).rowcount:  # new, or given up by others while suspended
            row = {"id": self.extractor, "host": _host(), "process": _process(os.getpid())}
            connection.execute(EXTRACTORS.insert(), {**row, "beat": 0})

    def _dead(self, now: float) -> list[str]:
        with self.connections.reading() as connection:
            others = connection.execute(
                sa.select(EXTRACTORS).where(EXTRACTORS.c.id != self.extractor)
            ).all()
        last = {}
        for row in others:
            beat, since = self._seen.get(row.id, (row.beat, now))
            last[row.id] = (row.beat, since if beat == row.beat else now)
        self._seen = last
        return [row.id for row in others if _is_gone(row) or now - last[row.id][1] > PATIENCE_S]

    def _forget(self, extractor: str) -> None:
        gone = EXTRACTORS.c.id == extractor
        self.connections.write(
            lambda connection: connection.execute(EXTRACTORS.delete().where(gone))
        )

    def _keep_beating(self, over: threading.Event, beat_s: float) -> None:
        while not over.wait(beat_s):
            with suppress(UserError):  # a server that is away for a moment: the next beat tells
                self.beat()


def _is_gone(row: sa.Row[tuple[object, ...]]) -> bool:
    """Whether an extractor of this very computer has ended."""
    if row.host != _host():
        return False
    number = str(row.process).partition(" ")[0]
    return bool(_process(int(number)) != row.process)


def _host() -> str:
    """This computer, until it starts again or is copied."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {_namespace()}"
    return f"{socket.gethostname()} {uuid.getnode()}"


def _namespace() -> str:
    """Processes of another container have the same numbers and are others."""
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def _process(number: int) -> str:
    """A process by its number and, as numbers come again, its start; without it when it ended."""
    with suppress(OSError):
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
        state, *rest = text.rpartition(")")[2].split()
        return f"{number} {rest[18]}" if state not in "ZX" else f"{number}"
    return f"{number}"
