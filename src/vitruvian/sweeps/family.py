"""Runs that are judged together, as a page shows them: a line for each, and what decides."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
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


def family_of(
    title: str,
    found: Collection,
    states: Sequence[RunState],
    score: leaderboard.Score | None,
    folder: Path,
) -> Family:
    """What a page shows of runs that are judged together.

    Args:
        title: of them.
        found: what they have found.
        states: of the same runs, in the same order.
        score: what decides; None: what chose their weights.
        folder: of the page, which links are relative to.
    """
    monitor = next((run.figures.monitor for run in found.runs if run.figures.monitor), "")
    told = any(bool(one.status.get("simulated")) for one in states)
    metric = score.metric if score else monitor
    lines = read_all(
        lambda pair: _line(*pair, metric, folder),
        list(zip(found.runs, states, strict=True)),
    )
    mode = score.mode if score else _mode(metric, [one.entry.run for one in states])
    simulated = found.simulated or told
    return Family(title, metric, mode, monitor, found.axes, lines, simulated)


def _mode(metric: str, runs: Sequence[RunDirectory]) -> str:
    """Which end of a metric is the good one: as its name says, else as the runs were told."""
    worse = badness(metric)
    if worse is not None:
        return "max" if worse(1.0) < 0 else "min"
    told = (mode for name, mode in map(monitor_of, runs) if name == metric)
    return next(told, "min")


def _line(one: Collected, told: RunState, metric: str, folder: Path) -> RunLine:
    run = told.entry.run
    page = existing_index(run.path)
    link = quote(between(page, folder)) if page else ""
    done = one.state == State.COMPLETED  # what still runs, or has failed, is not ranked
    begun = one.state not in (State.NOT_STARTED, State.QUEUED)
    return RunLine(
        name=one.directory,
        state=str(one.state),
        axes={key: value_shown(key, value, run.path) for key, value in one.axes.items()},
        score=one.figures.values.get(metric, math.nan) if done else math.nan,
        values=one.figures.values,
        baselines=one.figures.baselines,
        link=link,
        data=_origin(one, told),
        seconds=one.figures.seconds,
        curve=list(_curve(run, one.figures.monitor)) if begun else [],
        reason=text_shown(one.reason, run.path),
    )


def _origin(one: Collected, told: RunState) -> str:
    said = {"True": "simulated", "False": "real"}.get(str(told.status.get("simulated")), "")
    return {"simulated": "SIMULATED", "real": "real"}.get(one.figures.data or said, "not known yet")


def _curve(run: RunDirectory, monitor: str) -> Iterator[tuple[float, float]]:
    try:
        rows = read_rows(run.metrics_file)
    except ValueError:  # damaged: the run's own page says so
        return
    for row in rows:
        if math.isfinite(row.get(monitor, math.nan)):
            yield row.get("epoch", 0.0) + 1, row[monitor]


def between(path: Path, folder: Path) -> str:
    """The path as seen from a folder, with slashes."""
    return Path(os.path.relpath(path, folder)).as_posix()
