"""A polite stop: the first signal lets the training step end and a checkpoint be saved."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# SIGUSR1 and SIGUSR2: schedulers send either some time before the time limit
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)

ECHO_S = 2.0


class Interrupted(BaseException):
    """The run was asked to stop by a signal.

    It is no error, and it strikes anywhere: no `except Exception` on its way may swallow it.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """128 + signal number, as shells report it."""
        return 128 + self.signum


class StopRequest:
    """Catches the stop signals.

    While `graceful` is set (inside training), the first signal is only remembered in `signum` and
    whoever trains stops at the next safe place. Otherwise, and at a second signal, `Interrupted`
    is raised on the spot. A second one within `ECHO_S` is the first once more: schedulers signal
    every process of a job, and those that started others pass it on. Once `deaf` is set signals
    change nothing: all is done but a last word.

    Attributes:
        signum: the first signal that came.
        struck: whether `Interrupted` was raised on the spot, so that whatever breaks then is no
            failure.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self.graceful = False
        self.struck = False
        self.deaf = False
        self._came = 0.0
        self._before: dict[signal.Signals, Any] = {}
        self._owner = os.getpid()

    def install(self) -> None:
        """Take the signals over; Lightning sets its own at the start of fit, so again there."""
        for number in STOP_SIGNALS:
            before = signal.signal(number, self._handle)
            self._before.setdefault(number, before)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals over, and give them back to whoever had them."""
        self.install()
        try:
            yield
        finally:
            _set(self._before)

    def check(self) -> None:
        """Stop here if a signal has come: library code may have swallowed what it raised.

        Raises:
            Interrupted: one has come.
        """
        if self.signum is not None:
            raise Interrupted(self.signum)

    def _handle(self, signum: int, _: FrameType | None) -> None:
        if self.deaf or os.getpid() != self._owner:  # a forked worker leaves it to its program
            return
        now = time.monotonic()
        if self.signum is None:
            self.signum, self._came = signum, now
        if self.graceful and now - self._came <= ECHO_S:
            return
        self.struck = True
        raise Interrupted(self.signum)


@contextmanager
def ending_at_once(end: Callable[[int], int]) -> Iterator[None]:
    """Let a stop signal end the process, where nothing is under way that could be lost.

    Nothing is raised, since half of torch may be imported: `end` is called with the signal, and the
    process leaves with the exit code that it answers. Signals that were held back come now.
    """

    def handle(signum: int, _: FrameType | None) -> None:
        ignore()
        code = 128 + signum
        try:
            code = end(signum)
        finally:
            os._exit(code)

    before = {number: signal.signal(number, handle) for number in STOP_SIGNALS}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        _set(before)


def hold() -> None:
    """Hold the stop signals back until somebody can answer them: see `ending_at_once`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def ignore() -> None:
    """All is done: a stop signal has nothing left to stop."""
    _set(dict.fromkeys(STOP_SIGNALS, signal.SIG_IGN))


def default() -> None:
    """Let a stop signal kill this process."""
    _set(dict.fromkeys(STOP_SIGNALS, signal.SIG_DFL))


def _set(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():  # None: it was set by something else than Python
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


def leave_to_parent(_: int = 0) -> None:
    """In a process that loads data: only the program that started it stops it.

    Schedulers send their signals to every process of a job. A loader that died of one would fail
    the training in the middle of a step, which its program was about to end in good order.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    threading.Thread(target=_obey_parent, daemon=True).start()


def _obey_parent() -> None:
    while True:
        if signal.sigwaitinfo([signal.SIGTERM]).si_pid == os.getppid():
            os._exit(0)
