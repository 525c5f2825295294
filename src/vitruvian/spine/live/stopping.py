"""The end of a session: whoever wants it says so here, be it the page, the window or a signal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

Result = TypeVar("Result")

_WAKE = signal.SIGUSR1  # sent to the main thread: it may sleep inside a camera's driver
_TAKEN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, _WAKE)


@dataclass(frozen=True)
class Ending:
    """Why a session ended.

    Attributes:
        reason: in words.
        code: exit code of the process.
    """

    reason: str
    code: int = 0


ASKED = Ending("stopped by q")
END_OF_STREAM = Ending("end of stream")
LOST = 2  # exit code where the source was lost: something the user can mend


class _Woken(BaseException):
    """The main thread need not wait any longer; no `except Exception` may hold it back."""


class Stop:
    """A request to end, from any thread; the first one counts.

    It is heard at once while the main thread waits (see `wait_for`), otherwise after the frame in
    hand. A second signal stops on the spot.
    """

    def __init__(self) -> None:
        self.ending: Ending | None = None
        self._waiting = False
        self._signals = 0
        self._listening = False

    def request(self, ending: Ending) -> None:
        """Ask for the end."""
        self.ending = self.ending or ending
        main = threading.main_thread()
        if self._listening and main.ident and threading.current_thread() is not main:
            signal.pthread_kill(main.ident, _WAKE)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Take the stop signals over within the block; only in the main thread.

        SIGHUP, which a lost connection sends, stays ignored where `nohup` began the process.
        """
        nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        taken = [number for number in _TAKEN if not (nohup and number == signal.SIGHUP)]
        before = {number: signal.signal(number, self._handle) for number in taken}
        self._listening = True
        try:
            yield
        finally:
            self._listening = False  # from now on SIGUSR1 would end the process
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, signum: int, _: FrameType | None) -> None:
        self._signals += signum != _WAKE
        if self._signals > 1:
            raise KeyboardInterrupt
        name = signal.Signals(signum).name
        self.ending = self.ending or Ending(f"stopped by {name}", 128 + signum)
        if self._waiting:
            self._waiting = False
            raise _Woken

    def wait_for(self, call: Callable[[], Result]) -> Result | None:
        """Call what may take long; None where the end was asked for before it returned."""
        try:
            try:
                self._waiting = True
                return call() if self.ending is None else None
            finally:  # a signal may still come in here: the outer `except` is for it
                self._waiting = False
        except _Woken:
            return None
