"""What `vitruvian-sweep status` shows: counts, who runs and how far, what failed and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vitruvian.report.table import Uncut, decimals
from vitruvian.sweeps.directory import Manifest, SweepDirectory
from vitruvian.sweeps.figures import monitor_of
from vitruvian.sweeps.objectives import kept_figures
from vitruvian.sweeps.states import MOVING, RunState, State, counts_line, read_all

SHOWN = 20
_DIGITS = 8  # a sampler's numbers have seventeen
_QUIET_S = 120.0  # a run that has said nothing for longer is told apart


@dataclass(frozen=True)
class Best:
    """The best run so far.

    Attributes:
        one: the run.
        value: of the objective, at the validation whose weights are kept.
    """

    one: RunState
    value: float


class Board:
    """The state of a sweep as text; remembers what complete runs have found between two looks.

    Args:
        sweep: the sweep.
        manifest: of it.
    """

    def __init__(self, sweep: SweepDirectory, manifest: Manifest) -> None:
        self._sweep, self._manifest = sweep, manifest
        self._settled: dict[int, float] = {}
        self._metric, self._mode = next(iter(manifest.objectives.items()), ("", "min"))

    def show(
        self, states: Sequence[RunState], console: Console, note: str = "", busy: bool = False
    ) -> None:
        """Print everything.

        Args:
            states: of all runs.
            console: where.
            note: what could not be found out.
            busy: whether it goes on by itself.
        """
        for line in self._head(states):
            console.print(Text(line), soft_wrap=True)
        if note:
            console.print(Text(f"note: {note}"), soft_wrap=True)
        for state, tabulate in self._sections().items():
            found = [one for one in states if one.state is state]
            if found:
                console.print(Uncut(tabulate(str(state), found[:SHOWN])), crop=False)
                if len(found) > SHOWN:
                    console.print(f"... and {len(found) - SHOWN} more {state}")
        for line in self._foot(states, busy):
            console.print(Text(line), soft_wrap=True)

    # -- lines ------------------------------------------------------------------------------------

    def _head(self, states: Sequence[RunState]) -> Iterator[str]:
        kind = "study" if self._manifest.study is not None else "sweep"
        yield f"{kind} {self._manifest.name}: {self._sweep.path}"
        count = len(states)
        left = trials_left(self._manifest, states)
        more = f" ({left} of {left + count} trials not begun)" if left else ""
        yield f"{count} run{'' if count == 1 else 's'}: {counts_line(states)}{more}"

    def _foot(self, states: Sequence[RunState], busy: bool) -> Iterator[str]:
        left = trials_left(self._manifest, states)
        seconds = seconds_left(states, left)
        if seconds is not None:
            yield f"about {duration(seconds)} to go at this pace"
        best = self.best(states)
        if best is not None:
            data = " on SIMULATED data" if best.one.status.get("simulated") else ""
            found = f"{self._metric} {figure(best.value)}{data}"
            yield f"best so far: {found} in {best.one.entry.run.path}{self._what(best.one, ', ')}"
        # a trial that failed is not tried again, however often its study is resumed
        halted = _HALTED - {State.FAILED} if self._manifest.study is not None else _HALTED
        if any(one.state in halted for one in states) or (left and not busy):
            yield f"start what is not complete with: vitruvian-sweep resume {self._sweep.path}"
        if any(one.state is State.COMPLETED for one in states) and not busy:
            yield f"tables of all runs: vitruvian-sweep collect {self._sweep.path}"

    def best(self, states: Sequence[RunState]) -> Best | None:
        """The best value of the first objective, of runs that have kept weights to go with it."""
        looked = [one for one in states if one.state in _KEEPING]
        values = read_all(self._value, looked)
        known = [Best(o, v) for o, v in zip(looked, values, strict=True) if not math.isnan(v)]
        sign = -1 if self._mode == "max" else 1
        return min(known, key=lambda best: sign * best.value, default=None)

    def _value(self, one: RunState) -> float:
        """A complete run's figures do not change: they are read once."""
        index = one.entry.index
        if index not in self._settled:
            run = one.entry.run
            found = kept_figures(run.metrics_file, *monitor_of(run), (self._metric,))
            value = found.get(self._metric, math.nan)
            if one.state is not State.COMPLETED:
                return value
            self._settled[index] = value
        return self._settled[index]

    # -- tables -----------------------------------------------------------------------------------

    def _sections(self) -> dict[State, Callable[[str, Sequence[RunState]], Table]]:
        return {
            State.RUNNING: self._running,
            State.PREEMPTED: self._stopped,
            State.INTERRUPTED: self._stopped,
            State.LOST: self._stopped,
            State.FAILED: self._failed,
        }

    def _running(self, title: str, states: Sequence[RunState]) -> Table:
        table = _table(title, ("what", "done", "to go", self._metric, "last heard of"))
        for one in states:
            value = one.metrics.get(self._metric)
            shown = figure(value) if isinstance(value, int | float) else "-"
            silent = one.silent_s or 0.0
            heard = f"{duration(silent)} ago" if silent > _QUIET_S else ""
            cells = (percent(one.share), duration(one.left_s), shown)
            _add(table, (one.entry.name, self._what(one), *cells, heard))
        return table

    def _stopped(self, title: str, states: Sequence[RunState]) -> Table:
        table = _table(title, ("what", "done", "since", "why"))
        for one in states:
            since = f"{duration(one.silent_s)} ago"
            cells = (percent(one.share), since, one.reason or _WHY.get(one.state, ""))
            _add(table, (one.entry.name, self._what(one), *cells))
        return table

    def _failed(self, title: str, states: Sequence[RunState]) -> Table:
        table = _table(title, ("what", "why"))
        for one in states:
            log = self._sweep.logs / f"{one.entry.name}.log"
            _add(table, (one.entry.name, self._what(one), one.reason or f"see {log}"))
        return table

    def _what(self, one: RunState, before: str = "") -> str:
        """The overrides of what is swept; those of a trial hold the fixed ones, too."""
        keys = set(self._manifest.axes)
        own = [o for o in one.entry.overrides if o.partition("=")[0].lstrip("+~") in keys]
        shown = map(_short, own or one.entry.overrides)
        return before + " ".join(shown) if one.entry.overrides else ""


_HALTED = frozenset({State.NOT_STARTED, State.INTERRUPTED, State.LOST, State.FAILED})
_KEEPING = MOVING | {State.COMPLETED, State.INTERRUPTED}
_WHY = {State.LOST: "it says that it runs, but nobody runs it: killed, or its machine failed"}


def _table(title: str, columns: Iterable[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in (title, *columns):
        table.add_column(Text(name), no_wrap=True)
    return table


def _add(table: Table, cells: Iterable[str]) -> None:
    table.add_row(*(Text(cell) for cell in cells))


# -- figures --------------------------------------------------------------------------------------


def trials_left(manifest: Manifest, states: Sequence[RunState]) -> int:
    """Trials of a study that nobody has asked for yet; 0 of a list of points."""
    wanted = (manifest.study or {}).get("n_trials")
    return max(0, wanted - len(states)) if isinstance(wanted, int) else 0


def seconds_left(states: Sequence[RunState], unborn: int = 0) -> float | None:
    """How long the sweep takes at the pace of the runs that train now; None if none tells.

    Those that wait are taken to be as long as those that run, side by side as now.
    """
    running = [one for one in states if one.state is State.RUNNING]
    lefts = [one.left_s for one in running if one.left_s is not None]
    wholes = [one.whole_s for one in running if one.whole_s is not None]
    if not lefts or not wholes:
        return None
    waiting = [one for one in states if one.state in (State.QUEUED, State.PREEMPTED)]
    wholly = unborn + sum(1 - (one.share or 0.0) for one in waiting)  # runs that are yet to be made
    return max(max(lefts), (sum(lefts) + wholly * median(wholes)) / len(running))


def duration(seconds: float | None) -> str:
    """A time in words: `40 s`, `12 min`, `3 h 05 min`, `2 d 4 h`."""
    if seconds is None:
        return "-"
    if seconds < 100:
        return f"{max(0.0, seconds):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def percent(share: float | None) -> str:
    """A share in per cent; `-` if it is not known."""
    return "-" if share is None else f"{100 * share:.0f} %"


def figure(value: float) -> str:
    """A figure with as many digits as the tables of an evaluation give it."""
    return "NaN" if math.isnan(value) else f"{value:.{decimals(abs(value))}f}"


def _short(override: str) -> str:
    """An override whose number has no more digits than one can compare."""
    key, _, text = override.partition("=")
    try:
        number = float(text)
    except ValueError:
        return override
    return f"{key}={number:.4g}" if len(text) > _DIGITS else override
