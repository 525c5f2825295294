"""What became of the runs of a sweep: what each says of itself, and who is still alive.

A run's own word is its `status.json`; a scheduler's is not believed (SLURM calls a failed job
COMPLETED). The launcher only tells what a run cannot: that it waits in a queue, or is dead.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED, PRUNED, RUNNING
from vitruvian.sweeps.claims import Claim, Holder
from vitruvian.sweeps.directory import SweepRun
from vitruvian.sweeps.jobs import Alive

SILENCE_S = 180.0  # a run beats about every 30 s; after this long it is taken for dead
_THREADS = 16
_BLOCK = 64  # items that a thread reads before it asks for more
_WORTH_THREADS = 3.0  # times as much waiting as reading

One = TypeVar("One")
Found = TypeVar("Found")


class State(StrEnum):
    """What users are told; in the order of a count."""

    NOT_STARTED = "not started"
    QUEUED = "queued"
    RUNNING = "running"
    PREEMPTED = "pre-empted"
    INTERRUPTED = "interrupted"
    LOST = "lost"
    FAILED = "failed"
    PRUNED = "pruned"
    COMPLETED = "completed"


SETTLED = frozenset({State.COMPLETED, State.PRUNED})  # nothing is left to do
MOVING = frozenset({State.QUEUED, State.RUNNING, State.PREEMPTED})  # it goes on by itself
_FINAL = {COMPLETE: State.COMPLETED, PRUNED: State.PRUNED}


@dataclass(frozen=True, slots=True)
class RunState:
    """One run, as it stood when it was looked at.

    Attributes:
        entry: the run.
        state: what became of it.
        status: what it last wrote of itself; empty if nothing.
        silent_s: seconds since then; None if it never wrote.
    """

    entry: SweepRun
    state: State
    status: Mapping[str, Any]
    silent_s: float | None

    @property
    def reason(self) -> str:
        """Why it failed or was stopped, in one line."""
        return " ".join(str(self.status.get("reason", "")).split())

    @property
    def share(self) -> float | None:
        """Share of the optimiser steps that are done, 0 to 1."""
        step, total = self.status.get("step"), self.status.get("total_steps")
        return step / total if _is_number(step) and _is_number(total) and total else None

    @property
    def step_s(self) -> float | None:
        """Seconds for each step of this start, validations among them."""
        step, first = self.status.get("step"), self.status.get("started_step", 0)
        elapsed = _seconds(self.status.get("started"), self.status.get("updated"))
        if elapsed is None or not (_is_number(step) and _is_number(first)) or step <= first:
            return None
        return elapsed / (step - first)

    @property
    def left_s(self) -> float | None:
        """Seconds that the training still takes, at the pace of this start."""
        if self.step_s is None or self.share is None:
            return None
        return float((self.status["total_steps"] - self.status["step"]) * self.step_s)

    @property
    def whole_s(self) -> float | None:
        """Seconds that the whole training takes, at the pace of this start."""
        if self.step_s is None or self.share is None:
            return None
        return float(self.status["total_steps"] * self.step_s)

    @property
    def metrics(self) -> Mapping[str, Any]:
        """The figures of its last validation."""
        found = self.status.get("metrics")
        return found if isinstance(found, Mapping) else {}


def states_of(
    runs: Sequence[SweepRun],
    alive: Mapping[str, Alive],
    study: bool = False,
    now: datetime | None = None,
    told: Mapping[int, Mapping[str, Any]] | None = None,
) -> list[RunState]:
    """What became of each run.

    Args:
        runs: of a sweep.
        alive: what the launcher says, by the names of its jobs.
        study: whether those are workers, each of which trains one run after the other.
        now: the time to judge by; that of this machine by default.
        told: what a study says of runs that say nothing, by their numbers.
    """
    moment, others = now or datetime.now(UTC), told or {}
    statuses = read_all(lambda one: one.run.read_status() or others.get(one.index, {}), runs)
    return [
        _judged(entry, status, _word(entry, status, alive, study, moment), moment)
        for entry, status in zip(runs, statuses, strict=True)
    ]


def counted(states: Iterable[RunState]) -> dict[State, int]:
    """How many runs are in each state, in the order of the states; those that occur."""
    found = [one.state for one in states]
    return {state: found.count(state) for state in State if state in found}


def counts_line(states: Sequence[RunState]) -> str:
    """The counts in words: `3 queued, 12 completed`."""
    return ", ".join(f"{number} {state}" for state, number in counted(states).items()) or "none"


def read_all(read: Callable[[One], Found], items: Sequence[One]) -> list[Found]:
    """Read something of each item, in their order; several at a time where that is quicker.

    A network file system answers many questions at once. A disk of this machine answers each so
    fast that threads would only wait for each other, which doubles the time.
    """
    first, rest = items[:_BLOCK], items[_BLOCK:]
    begin, busy = time.perf_counter(), time.thread_time()
    found = [read(item) for item in first]
    busy = time.thread_time() - busy
    waited = time.perf_counter() - begin - busy
    if waited < _WORTH_THREADS * busy:
        return found + [read(item) for item in rest]
    blocks = [rest[start : start + _BLOCK] for start in range(0, len(rest), _BLOCK)]
    with ThreadPoolExecutor(_THREADS) as threads:
        parts = threads.map(lambda block: [read(item) for item in block], blocks)
        return found + [one for part in parts for one in part]


def _word(
    entry: SweepRun,
    status: Mapping[str, Any],
    alive: Mapping[str, Alive],
    study: bool,
    now: datetime,
) -> Alive | None:
    """What the launcher says of a run; of a study's, that a worker has it, or will turn to it."""
    if not study:
        return alive.get(entry.name)
    if status.get("state") in (COMPLETE, PRUNED, FAILED):
        return None  # a trial that failed is not tried again
    if Claim(entry.run.path).holder(now.timestamp()) is not Holder.NOBODY:
        return "running"
    return "queued" if alive else None


def _judged(
    entry: SweepRun, status: Mapping[str, Any], word: Alive | None, now: datetime
) -> RunState:
    silent = _seconds(status.get("updated"), now)
    return RunState(entry, _state(status, word, silent), status, silent)


def _state(status: Mapping[str, Any], word: Alive | None, silent: float | None) -> State:
    """Bring together what a run and what its launcher say."""
    said = status.get("state")
    if said in _FINAL:
        return _FINAL[said]
    if said == RUNNING:
        return _said_running(status, word, silent)
    if said == INTERRUPTED:
        asked = status.get("requeued") and silent is not None and silent < SILENCE_S
        return State.PREEMPTED if word or asked else State.INTERRUPTED
    if said == FAILED:
        return State.QUEUED if word == "queued" else State.FAILED
    return State(word) if word else State.NOT_STARTED


def _said_running(status: Mapping[str, Any], word: Alive | None, silent: float | None) -> State:
    """Whether a run that says so does run: a killed one has no time to take it back."""
    dead = silent is None or silent > SILENCE_S or _is_gone(status)
    if word == "running" or not dead:
        return State.RUNNING
    return State.PREEMPTED if word == "queued" else State.LOST


def _is_gone(status: Mapping[str, Any]) -> bool:
    """Whether its process was on this machine, and is no more."""
    pid = status.get("pid")
    if status.get("host") != _host() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # of another user: it lives
        return False
    return False


@lru_cache(maxsize=1)
def _host() -> str:
    return platform.node()


def _seconds(since: Any, until: Any) -> float | None:
    try:
        return (_moment(until) - _moment(since)).total_seconds()
    except (TypeError, ValueError):
        return None


def _moment(text: Any) -> datetime:
    found = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
