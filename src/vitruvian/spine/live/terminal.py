"""The terminal: one line that follows the index, and `q` with Enter to end."""

from __future__ import annotations

import math
import os
import select
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from vitruvian.spine.live.readings import Reading, in_words
from vitruvian.spine.live.views import View

_EVERY_S = 0.25
_CLEAR = "\r\x1b[K"


class Terminal:
    """Shows readings on a terminal and listens to its keyboard; silent where there is none.

    Args:
        stop: called when somebody typed q.
        screen: where the line is written, if it is a terminal.
        keyboard: file descriptor of the terminal's input.
    """

    def __init__(
        self, stop: Callable[[], None], screen: TextIO = sys.stderr, keyboard: int = 0
    ) -> None:
        self._stop, self._screen, self._keyboard = stop, screen, keyboard
        self._shown_at = -math.inf

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._screen.isatty():
            self._screen.write(_CLEAR)
            self._screen.flush()

    def show(self, view: View) -> None:
        """Bring the line up to date, and look whether q was typed."""
        now = time.monotonic()
        if now - self._shown_at < _EVERY_S:
            return
        self._shown_at = now
        if self._screen.isatty():
            self._screen.write(f"{_CLEAR}{status(view.reading)}")
            self._screen.flush()
        if is_ours(self._keyboard) and "q" in typed(self._keyboard).lower().split():
            self._stop()


def status(reading: Reading) -> str:
    """A reading in one line."""
    rate = "" if math.isnan(reading.fps) else f"{reading.fps:.1f} frames/s  "
    seen = "" if reading.seen else "  no person in view"
    flag = "  RED FLAG" if reading.flag else ""
    return f"{reading.time_s:7.1f} s  {rate}index {in_words(reading.value)}{flag}{seen}  (q: end)"


def is_ours(keyboard: int) -> bool:
    """Whether this is a terminal, and this process in its foreground: others may not read it."""
    try:
        return os.isatty(keyboard) and os.tcgetpgrp(keyboard) == os.getpgrp()
    except OSError:  # closed, or not our terminal
        return False


def typed(keyboard: int) -> str:
    """The lines that were typed; empty if none waits."""
    ready, _, _ = select.select([keyboard], [], [], 0)
    return os.read(keyboard, 4096).decode(errors="replace") if ready else ""
