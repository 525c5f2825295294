"""A verb called as from a shell, but in this process: nothing to start, nothing to import."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from vitruvian.core.signals import STOP_SIGNALS


@dataclass(frozen=True)
class Outcome:
    """How a verb ended, and what it printed."""

    code: int
    out: str
    err: str


class Shell:
    """Runs `vitruvian-VERB ARGUMENTS` and leaves the process as it was."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capture = patch, capture

    def __call__(self, verb: str, *arguments: str) -> Outcome:
        main = importlib.import_module(f"vitruvian.{verb}").main
        self._patch.setattr(sys, "argv", [f"vitruvian-{verb}", *arguments])
        self._capture.readouterr()
        with pytest.raises(SystemExit) as end, kept_signals():
            main()
        code = end.value.code
        assert isinstance(code, int)
        return Outcome(code, *self._capture.readouterr())


@contextmanager
def kept_signals() -> Iterator[None]:
    """Training takes the stop signals over; give them back."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
