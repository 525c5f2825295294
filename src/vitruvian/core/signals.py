"""A polite stop: the first signal lets the training step end and a checkpoint be saved."""

from __future__ import annotations

import signal
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Interrupted(Exception):  # noqa: N818 - it is not an error
    """The run was asked to stop by a signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """128 + signal number, as shells report it."""
        return 128 + self.signum


class StopRequest:
    """Catches SIGTERM, SIGINT and SIGUSR1.

    While `graceful` is set (inside training), the first signal is only remembered in `signum` and
    whoever trains stops at the next safe place. Otherwise, and at a second signal, `Interrupted`
    is raised on the spot.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self.graceful = False

    def install(self) -> None:
        """Take the signals over; Lightning sets its own at the start of fit, so again there."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._handle)

    def _handle(self, signum: int, _: FrameType | None) -> None:
        if self.graceful and self.signum is None:
            self.signum = signum
            return
        raise Interrupted(signum)
