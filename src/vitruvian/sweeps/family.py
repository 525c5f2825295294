"""Runs that are judged together, as a page shows them: a line for each, and what decides."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from vitruvian.core.rundir import RunDirectory
from vitruvian.report.ends import badness
from vitruvian.report.page.document import existing_index
from vitruvian.report.page.many import Family, RunLine
from vitruvian.report.page.privacy import text_shown, value_shown
from vitruvian.sweeps import leaderboard
from vitruvian.sweeps.collection import Collected, Collection
from vitruvian.sweeps.figures import monitor_of
from vitruvian.sweeps.objectives import read_rows
from vitruvian.sweeps.states import RunState, State, read_all


@dataclass(frozen=True)
class Seen:
    """A run as a page sees it.

    Attributes:
        state: what became of it.
        path: where it was found, which may be a link to it.
        damage: what of it cannot be believed, a line for each file.
    """

    state: RunState
    path: Path
    damage: Sequence[str] = ()

    @property
    def word(self) -> str:
        """Its state, unless its files make that doubtful."""
        if not self.damage:
            return str(self.state.state)
        doubtful = {State.COMPLETED: "damaged", State.NOT_STARTED: "not known"}
        return doubtful.get(self.state.state, str(self.state.state))


def believed(found: Collection, seen: Sequence[Seen]) -> Collection:
    """The collection without the figures of damaged runs: half of them would pass for all.

    Args:
        found: what runs have found.
        seen: the same runs, in the same order.
    """
    runs = [
        replace(one, figures=replace(one.figures, values={}, baselines={}, cases=None))
        if told.damage
        else one
        for one, told in zip(found.runs, seen, strict=True)
    ]
    return Collection(runs, found.axes)


def family_of(
    title: str,
    found: Collection,
    seen: Sequence[Seen],
    score: leaderboard.Score | None,
    folder: Path,
) -> Family:
    """What a page shows of runs that are judged together.

    Args:
        title: of them.
        found: what they have found.
        seen: the same runs, in the same order.
        score: what decides; None: what chose their weights.
        folder: of the page, which links are relative to.
    """
    monitor = next((run.figures.monitor for run in found.runs if run.figures.monitor), "")
    told = any(bool(one.state.status.get("simulated")) for one in seen)
    metric = score.metric if score else monitor
    lines = read_all(
        lambda pair: _line(*pair, metric, folder),
        list(zip(found.runs, seen, strict=True)),
    )
    mode = score.mode if score else _mode(metric, [one.state.entry.run for one in seen])
    simulated = found.simulated or told
    damage = [
        f"{between(one.path, folder)}: {'; '.join(one.damage)}; its figures are left out"
        for one in seen
        if one.damage
    ]
    return Family(title, metric, mode, monitor, found.axes, lines, simulated, damage=damage)


def _mode(metric: str, runs: Sequence[RunDirectory]) -> str:
    """Which end of a metric is the good one: as its name says, else as the runs were told."""
    worse = badness(metric)
    if worse is not None:
        return "max" if worse(1.0) < 0 else "min"
    told = (mode for name, mode in map(monitor_of, runs) if name == metric)
    return next(told, "min")


def _line(one: Collected, told: Seen, metric: str, folder: Path) -> RunLine:
    run = told.state.entry.run
    page = existing_index(told.path)
    link = quote(between(page, folder)) if page else ""
    done = one.state == State.COMPLETED  # what still runs, or has failed, is not ranked
    begun = one.state not in (State.NOT_STARTED, State.QUEUED) and not told.damage
    return RunLine(
        name=one.directory,
        state=told.word,
        axes={key: value_shown(key, value, run.path) for key, value in one.axes.items()},
        score=one.figures.values.get(metric, math.nan) if done else math.nan,
        values=one.figures.values,
        baselines=one.figures.baselines,
        link=link,
        data=_origin(one, told.state),
        seconds=one.figures.seconds,
        curve=list(_curve(run, one.figures.monitor)) if begun else [],
        reason="; ".join(told.damage) or text_shown(one.reason, run.path),
    )


def _origin(one: Collected, told: RunState) -> str:
    said = {"True": "simulated", "False": "real"}.get(str(told.status.get("simulated")), "")
    return {"simulated": "SIMULATED", "real": "real"}.get(one.figures.data or said, "not known yet")


def _curve(run: RunDirectory, monitor: str) -> Iterator[tuple[float, float]]:
    for row in read_rows(run.metrics_file):
        if math.isfinite(row.get(monitor, math.nan)):
            yield row.get("epoch", 0.0) + 1, row[monitor]


def between(path: Path, folder: Path) -> str:
    """The path as seen from a folder, with slashes."""
    return Path(os.path.relpath(path, folder)).as_posix()
