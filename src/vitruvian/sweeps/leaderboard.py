"""Which setting did best: the groups of a sweep in the order of one metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vitruvian.core.check import nearest
from vitruvian.core.errors import ConfigError
from vitruvian.report.ends import badness
from vitruvian.report.table import Uncut, decimals
from vitruvian.sweeps.collection import Collection, write_table
from vitruvian.sweeps.directory import Manifest, SweepDirectory
from vitruvian.sweeps.groups import FOLDS, Group, Spread

SHOWN = 20


@dataclass(frozen=True)
class Score:
    """What decides the order.

    Attributes:
        metric: one that runs have.
        mode: whether it is to `min` or `max`.
    """

    metric: str
    mode: str

    @property
    def is_spent(self) -> bool:
        """Whether choosing by it spends it: it was measured on those kept for the end."""
        return self.metric.startswith("test/")


@dataclass(frozen=True)
class Place:
    """One line of the leaderboard.

    Attributes:
        rank: from 1.
        group: the runs.
        score: their metric.
    """

    rank: int
    group: Group
    score: Spread


def chosen_score(
    collection: Collection, manifest: Manifest, metric: str | None = None, mode: str | None = None
) -> Score:
    """The metric that decides: the one asked for, else the first objective, else the monitor.

    Args:
        collection: what the runs have found.
        manifest: of the sweep.
        metric: a whole name such as `test/dice`, or its end where only one metric has it.
        mode: `min` or `max`; by default as the objective says, or the metric's name, or the runs
            whose weights it chose.

    Raises:
        ConfigError: no run has the metric, or nothing says which end of it is the good one.
    """
    known = collection.metrics
    monitors = (run.figures.monitor for run in collection.complete if run.figures.monitor)
    wanted = metric or next(iter(manifest.objectives), None) or next(monitors, "")
    ends = [name for name in known if name.endswith(f"/{wanted}")]
    name = wanted if wanted in known or len(ends) != 1 else ends[0]
    if name not in known:
        raise ConfigError(_no_such(wanted, known))
    found = mode or manifest.objectives.get(name) or _guessed(name) or _told(collection, name)
    if found is None:
        raise ConfigError(f"mode: is a small or a large {name} better? Add mode=min or mode=max")
    return Score(name, found)


def _no_such(metric: str, known: Sequence[str]) -> str:
    near = nearest(metric, [*known, *(name.rpartition("/")[2] for name in known)])
    meant = f"did you mean `{near}`? " if near else ""
    return f"metric: no run has {metric!r}; {meant}There are: {', '.join(known) or 'none'}"


def _guessed(metric: str) -> str | None:
    worse = badness(metric)
    return None if worse is None else "min" if worse(1.0) > 0 else "max"


def _told(collection: Collection, metric: str) -> str | None:
    """What the runs that chose their weights by the metric were told, if they agree."""
    told = {run.figures.mode for run in collection.complete if run.figures.monitor == metric}
    return told.pop() if len(told) == 1 else None


def ranked(groups: Sequence[Group], score: Score) -> list[Place]:
    """The groups with a score, the best first; equal ones in the order of their runs."""
    found = [(group.spread(score.metric), group) for group in groups]
    sign = -1 if score.mode == "max" else 1
    known = [pair for pair in found if not math.isnan(pair[0].mean)]
    known.sort(key=lambda pair: sign * pair[0].mean)
    return [Place(rank, group, spread) for rank, (spread, group) in enumerate(known, 1)]


def write(
    sweep: SweepDirectory, collection: Collection, score: Score, places: Sequence[Place]
) -> Path:
    """Write `leaderboard.csv`, with the directories of the runs of each place.

    Raises:
        RunError: the directory cannot be written.
    """
    path = sweep.path / f"leaderboard{collection.suffix}.csv"
    keys = _keys(collection, places)
    head = ["rank", *keys, "metric", "mode", "mean", "sd", "ci_low", "ci_high", "best_baseline"]
    data = "simulated" if collection.simulated else "real"
    lines = (
        [
            *(place.rank, *(place.group.values.get(key) for key in keys), score.metric, score.mode),
            *(place.score.mean, place.score.sd, place.score.ci_low, place.score.ci_high),
            *(place.score.baseline, place.score.n, len(place.group.runs), data),
            " ".join(run.directory for run in place.group.complete),
        ]
        for place in places
    )
    write_table(path, [*head, "n", "asked_for", "data", "directories"], lines)
    return path


def _keys(collection: Collection, places: Sequence[Place]) -> list[str]:
    return [axis for axis in collection.axes if any(axis in p.group.values for p in places)]


# -- on the terminal ------------------------------------------------------------------------------


def show(
    collection: Collection,
    score: Score,
    places: Sequence[Place],
    groups: Sequence[Group],
    console: Console | None = None,
) -> None:
    """Print the best places, and what to doubt in them; `groups` are all, also the unranked."""
    console = console or Console()
    origin = "SIMULATED data" if collection.simulated else "real data"
    better = "large" if score.mode == "max" else "small"
    title = f"{score.metric} on {origin}, {better} is better"
    console.print(Text(title, style="bold"), soft_wrap=True)
    console.print(Uncut(_table(collection, score, places[:SHOWN])), crop=False)
    for note in notes(collection, score, places, groups):
        console.print(Text(note), soft_wrap=True)


def _table(collection: Collection, score: Score, places: Sequence[Place]) -> Table:
    keys = _keys(collection, places)
    several = any(len(place.group.runs) > 1 for place in places)
    rivals = any(place.score.baseline is not None for place in places)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("rank", justify="right")
    for key in keys:
        table.add_column(Text(key), no_wrap=True)
    table.add_column(Text(score.metric), justify="right", no_wrap=True)
    if rivals:
        table.add_column("best baseline", justify="right", no_wrap=True)
    table.add_column("runs", no_wrap=True)
    for place in places:
        values = [place.group.values.get(key, "-") for key in keys]
        rival = [_text(place.score.baseline)] if rivals else []
        cells = [str(place.rank), *values, _cell(place.score), *rival, _runs(place, several)]
        table.add_row(*(Text(cell) for cell in cells), style="bold" if place.rank == 1 else None)
    return table


def _cell(found: Spread) -> str:
    if found.sd is None or found.ci_low is None or found.ci_high is None:
        return _text(found.mean)
    places = decimals(max(abs(found.mean), found.sd))
    interval = f"[{found.ci_low:.{places}f}, {found.ci_high:.{places}f}]"
    return f"{found.mean:.{places}f} ± {found.sd:.{places}f} {interval}"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.{decimals(abs(value))}f}"


def _runs(place: Place, several: bool) -> str:
    """The directory of a run alone, else how many there are and where the first is."""
    done = place.group.complete
    if not several:
        return done[0].directory
    asked = len(place.group.runs)
    count = f"{place.score.n} of {asked}" if place.score.n < asked else str(asked)
    return f"{count}: {_span([run.index for run in done], [run.directory for run in done])}"


def _span(numbers: Sequence[int], names: Sequence[str]) -> str:
    """`0003-0007` for neighbours, else the names, the first few of many."""
    if len(names) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{names[0]}-{names[-1]}"
    return " ".join(names[:6]) + (" ..." if len(names) > 6 else "")


def notes(
    collection: Collection, score: Score, places: Sequence[Place], groups: Sequence[Group]
) -> list[str]:
    """How to read the table, and who is not in it."""
    found = []
    if len(places) > SHOWN:
        found.append(f"... and {len(places) - SHOWN} more in leaderboard{collection.suffix}.csv")
    if any(place.score.sd is not None for place in places):
        found.append("mean ± SD [95 % interval of the mean, Student's t] over the runs of a line")
        repeats = {key for place in places for key in place.group.repeats}
        if repeats & set(FOLDS):
            found.append("folds share their training data: the interval is a guide, no more")
    found += [
        f"incomplete: {_named(place.group)} has {len(place.group.complete)} of "
        f"{len(place.group.runs)} runs, without {', '.join(place.group.missing[:5])}"
        for place in places[:SHOWN]
        if place.group.missing
    ]
    empty = [_named(group) for group in groups if not group.complete]
    if empty:
        more = f"; and {len(empty) - 3} more" if len(empty) > 3 else ""
        found.append(f"not ranked, none of their runs is complete: {'; '.join(empty[:3])}{more}")
    unscored = sum(
        math.isnan(_value(run.figures.values.get(score.metric))) for run in collection.complete
    )
    if unscored:
        found.append(
            f"{unscored} complete runs have no {score.metric}: it was NaN, or never logged"
        )
    if score.is_spent:
        found.append(
            "note: ranked by a test figure. Choosing by test figures spends them: choose by a "
            "validation metric, then report the test figure of that one choice"
        )
    return found


def _value(value: float | None) -> float:
    return math.nan if value is None else value


def _named(group: Group) -> str:
    return " ".join(f"{key}={value}" for key, value in group.values.items()) or "the only line"
