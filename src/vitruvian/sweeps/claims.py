"""Who trains a trial: a file in its run directory, which its holder touches as long as it lives.

Optuna knows that a trial runs, not whether anybody runs it; here a worker that was killed is told
from one that works. Times are those of the file system that all share, so that clocks may differ.
"""

from __future__ import annotations

import json
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

from vitruvian.core.files import write_json
from vitruvian.core.processes import birth

BEAT_S = 15.0  # between two signs of life
SILENCE_S = 120.0  # after this long without one, a holder on another host is taken for dead

NAME = ".claim.json"


class Holder(Enum):
    """Who holds a trial."""

    NOBODY = "nobody, or a process that is gone"
    NEIGHBOUR = "a process that lives on this host"
    STRANGER = "a process on another host, which has given a sign of life lately"


class Claim:
    """The claim on one run directory."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / NAME

    def take(self) -> None:
        """Write ourselves down as the holder; whoever may look at the same time waits its turn."""
        write_json(
            self.file,
            {"host": platform.node(), "pid": os.getpid(), "started": birth(os.getpid())},
        )

    def release(self) -> None:
        """Give it back: another worker may continue at once."""
        if not self.is_anothers:
            self.file.unlink(missing_ok=True)

    def beat(self) -> None:
        """Give a sign of life; not for another, who must give its own."""
        with suppress(OSError):  # a disk that is away for a moment; the next one may arrive
            if not self.is_anothers:
                os.utime(self.file)

    @property
    def is_anothers(self) -> bool:
        """Whether another process holds it: it was taken from us while we were silent."""
        holder = self._read()
        return holder is not None and holder[:2] != (platform.node(), os.getpid())

    def _read(self) -> tuple[str, int, str | None] | None:
        """Host, process and its birth, as its holder wrote them; None if nobody did."""
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
            return content["host"], int(content["pid"]), content["started"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def last_beat(self) -> float | None:
        """When the last sign of life came; None if there is no claim."""
        try:
            return self.file.stat().st_mtime
        except OSError:
            return None

    def holder(self, now: float) -> Holder:
        """Who holds it.

        Args:
            now: the time of the file system, see `time_of`.
        """
        last, holder = self.last_beat, self._read()
        if holder is None:
            return Holder.NOBODY
        host, pid, started = holder
        if host == platform.node():
            return Holder.NEIGHBOUR if birth(pid) == started is not None else Holder.NOBODY
        silent = last is None or now - last > SILENCE_S
        return Holder.NOBODY if silent else Holder.STRANGER

    @contextmanager
    def held(self) -> Iterator[None]:
        """Give signs of life while the block runs."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(BEAT_S):
                self.beat()

        thread = threading.Thread(target=beat, name="claim", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def time_of(file: Path) -> float:
    """The time now by the clock of the file system that holds `file`, which is touched."""
    os.utime(file)
    return file.stat().st_mtime
