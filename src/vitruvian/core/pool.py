"""Several processes at a time: none ends the others, one signal stops them all."""

from __future__ import annotations

import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from vitruvian.core.processes import Process, Share, Start, start
from vitruvian.core.rundir import FAILED, INTERRUPTED, RUNNING, RunDirectory
from vitruvian.core.signals import STOP_SIGNALS, Interrupted

POLL_S = 0.05


@dataclass(frozen=True)
class Work:
    """A process to start: `python -m MODULE PATH`.

    Attributes:
        name: in what is announced, and in the failures.
        module: such as `vitruvian.run`.
        path: a run directory, or what else the module takes.
        log: where it prints, appended; None: where we do.
        note: what else to say when it begins.
    """

    name: str
    module: str
    path: Path
    log: Path | None = None
    note: str = "started"


@dataclass
class _Running:
    work: Work
    share: Share
    process: Process
    began: float = field(default_factory=time.monotonic)


class Processes:
    """Runs processes, as many at a time as there are shares of the machine.

    Stop signals are passed on to the processes, which save their state; no further one is started.
    The processes are in sessions of their own, so that Ctrl-C on a terminal reaches them once,
    through here.

    Args:
        shares: of the processes that run side by side; at least one.
        announce: called with a line when a process begins or ends.
        start: how to start one.
        restarts: how often one that was killed (short of memory, a defect of a driver) is started
            again; a run continues from its last checkpoint.
        result: what else to announce of one that ended well.
    """

    def __init__(
        self,
        shares: Sequence[Share],
        announce: Callable[[str], None],
        start: Start = start,
        restarts: int = 0,
        result: Callable[[Work], str] = lambda _: "",
    ) -> None:
        self._free, self._announce, self._result = deque(shares), announce, result
        self._start_process, self._restarts = start, restarts
        self._waiting: deque[Work] = deque()
        self._running: list[_Running] = []
        self._restarted: Counter[str] = Counter()
        self._signum: int | None = None

    def run(self, works: Sequence[Work]) -> dict[str, str]:
        """Run them all.

        Returns:
            Why some have failed, by their names; empty if all ended well.

        Raises:
            Interrupted: a signal has stopped them; runs have saved their state.
        """
        failed: dict[str, str] = {}
        self._waiting.extend(works)
        with self._listening():
            while self._running or (self._waiting and self._signum is None):
                while self._waiting and self._free and self._signum is None:
                    self._start(self._waiting.popleft(), self._free.popleft())
                for one in self._ended():
                    reason = self._take_leave(one)
                    if reason is not None:
                        failed[one.work.name] = reason
                time.sleep(POLL_S)
        if self._signum is not None:
            raise Interrupted(self._signum)
        return failed

    def _start(self, work: Work, share: Share) -> None:
        self._announce(f"{work.name}: {work.note}")
        process = self._start_process(work.module, work.path, work.log, share)
        self._running.append(_Running(work, share, process))
        if self._signum is not None:  # it came between the start and the line above
            process.send_signal(self._signum)

    def _ended(self) -> list[_Running]:
        ended = [one for one in self._running if one.process.poll() is not None]
        for one in ended:
            self._running.remove(one)
            self._free.appendleft(one.share)
        return ended

    def _take_leave(self, one: _Running) -> str | None:
        """Announce how a process has ended; why it has failed for good, if it has."""
        name, code = one.work.name, one.process.poll() or 0
        after = f"after {time.monotonic() - one.began:.0f} s"
        if self._signum is not None:
            return None
        if code == 0:
            self._announce(f"{name}: done {after}{self._result(one.work)}")
            return None
        reason = _reason(one.work, code)
        if _was_killed(code) and self._restarted[name] < self._restarts:
            self._restarted[name] += 1
            self._announce(f"{name}: {reason}, {after}; it is started again")
            self._waiting.appendleft(one.work)
            return None
        _note_end(one, reason)
        self._announce(f"{name} failed {after}: {reason}")
        return reason

    @contextmanager
    def _listening(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._pass_on) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for one in self._running:  # only after a defect of ours
                one.process.send_signal(signal.SIGTERM)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass_on(self, signum: int, _: FrameType | None) -> None:
        self._signum = self._signum or signum
        for one in self._running:
            one.process.send_signal(signum)


def _was_killed(code: int) -> bool:
    """Whether a signal that nobody sends to stop a run has ended it, or what it consisted of."""
    number = -code if code < 0 else code - 128
    return number > 0 and number not in STOP_SIGNALS


def _reason(work: Work, code: int) -> str:
    """What the run says of its end, else how its process ended."""
    status = RunDirectory(work.path).read_status()
    if status.get("state") in (FAILED, INTERRUPTED) and status.get("reason"):
        return str(status["reason"])
    where = f", see {work.log}" if work.log is not None else ""
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}{where}"
    return f"its process ended with exit code {code}{where}"


def _note_end(one: _Running, reason: str) -> None:
    """A process that was killed cannot say so itself: nothing is to say `running` for ever."""
    run = RunDirectory(one.work.path)
    status = run.read_status()
    if status.get("state") == RUNNING and status.get("pid") == one.process.pid:
        run.write_status(FAILED, **run.progress(), reason=reason)
