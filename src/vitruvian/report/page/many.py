"""The page over many runs: one table to sort, charts of what was varied, the best and those near.

What is known of the runs is gathered by `sweeps.gathering`; this only shows it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vitruvian.report.ends import badness
from vitruvian.report.page.document import Cell, Document, Section, Shown, Table
from vitruvian.report.page.many_charts import axis_charts, curves_chart, parallel_chart
from vitruvian.report.page.origin import duration
from vitruvian.report.page.outcome import number

_CHIPS = {
    "completed": "good",
    "failed": "bad",
    "lost": "bad",
    "damaged": "bad",
    "interrupted": "warn",
    "not known": "warn",
}
_METRICS = 8  # columns of figures: a page over runs is no place for all


@dataclass(frozen=True)
class RunLine:
    """One run among many.

    Attributes:
        name: what it is called, unique in its family.
        state: in words.
        axes: values of what differs, as typed.
        score: the figure that decides; NaN where there is none.
        values: all figures by metric.
        baselines: the strongest trivial baseline's.
        data: in words: `SIMULATED`, `real` or `not known yet`.
        link: to its page, relative to this one; empty where it has none.
        seconds: that it took.
        curve: epoch and monitored figure.
        reason: why it failed, was stopped, or cannot be believed.
    """

    name: str
    state: str
    axes: Mapping[str, str]
    score: float
    values: Mapping[str, float] = field(default_factory=dict)
    baselines: Mapping[str, float] = field(default_factory=dict)
    link: str = ""
    data: str = "not known yet"
    seconds: float | None = None
    curve: Sequence[tuple[float, float]] = ()
    reason: str = ""


@dataclass(frozen=True)
class Family:
    """Runs that are judged by the same figure.

    Attributes:
        title: of the sweep, or of the experiment.
        metric: that decides.
        mode: which end of it is good, `min` or `max`.
        monitor: the logged metric that the curves show.
        axes: keys that differ from run to run.
        lines: the runs.
        simulated: whether any of the data are.
        notes: what to know of them.
        groups: the leaderboard over seeds and folds, where runs repeat each other.
        damage: a line for each run that cannot be believed.
    """

    title: str
    metric: str
    mode: str
    monitor: str
    axes: Sequence[str]
    lines: Sequence[RunLine]
    simulated: bool
    notes: Sequence[str] = ()
    groups: Table | None = None
    damage: Sequence[str] = ()

    @property
    def ranked(self) -> list[RunLine]:
        """The runs with a score, the best first."""
        known = [line for line in self.lines if math.isfinite(line.score)]
        return sorted(known, key=lambda line: line.score, reverse=self.mode == "max")


def document(families: Sequence[Family], title: str, notes: Sequence[str] = ()) -> Document:
    """The page of one or several families of runs; `notes` is what else is damaged or left out."""
    simulated = any(family.simulated for family in families)
    count = sum(len(family.lines) for family in families)
    states = Counter(line.state for family in families for line in family.lines)
    data = "SIMULATED data" if simulated else _origin(families)
    lead = f"{count} run{'' if count == 1 else 's'}, {data}"
    chips = [(_CHIPS.get(state, "plain"), f"{n} {state}") for state, n in states.most_common()]
    sections = [part for family in families for part in _sections(family, len(families) > 1)]
    missing = [*notes, *(line for family in families for line in family.damage)]
    if missing:
        sections.insert(0, Section("What is missing", notes=missing))
    return Document(title, lead, simulated, sections, chips, "runs")


def _origin(families: Sequence[Family]) -> str:
    """Of data that nothing calls simulated: nobody knows before a run has told."""
    told = any(line.values for family in families for line in family.lines)
    return "real data" if told else "data not known yet"


def _sections(family: Family, several: bool) -> list[Section]:
    prefix = f"{family.title}: " if several else ""
    ranked = family.ranked
    origin = "SIMULATED data" if family.simulated else _origin([family])
    better = "large" if family.mode == "max" else "small"
    varied = f"Varied: {', '.join(family.axes)}." if family.axes else "Nothing was varied."
    text = [f"Judged by {family.metric} ({better} is better), on {origin}. {varied}"]
    tables = [runs_table(family, origin)]
    if family.groups is not None:
        tables.insert(0, family.groups)
    parts = [_best(family, prefix, text)] if ranked else []
    charts = _charts(family)
    if charts:
        parts.append(Section(f"{prefix}{'what' if prefix else 'What'} was varied", figures=charts))
    notes = [] if ranked else ["no run has a figure yet by which it could be judged"]
    parts.append(Section(f"{prefix}all runs" if prefix else "All runs", notes=notes, tables=tables))
    return parts


def _charts(family: Family) -> list[Shown]:
    ranked = family.ranked
    found = []
    if any(len({line.axes.get(key) for line in ranked}) > 1 for key in family.axes):
        found.append(parallel_chart(ranked, family.axes, family.metric, family.mode))
    if any(line.curve for line in family.lines):
        best = ranked[0].name if ranked else ""
        found.append(curves_chart(family.lines, family.monitor, best))
    if len(ranked) > 1:
        found += axis_charts(ranked, family.axes, family.metric)
    return found


# -- the best run and its neighbours --------------------------------------------------------------


def _best(family: Family, prefix: str, text: Sequence[str]) -> Section:
    best = family.ranked[0]
    values = [f"{key}={value}" for key, value in best.axes.items()]
    below = f"{best.name}: {', '.join(values)}" if values else best.name
    notes = list(family.notes)
    rival = best.baselines.get(family.metric)
    tiles = [(family.metric, number(best.score), below)]
    if rival is not None:
        tiles.append(("best trivial baseline", number(rival), "beside the best run"))
    tests = [name for name in best.values if name.startswith("test/") and badness(name)]
    others = [name for name in tests if name != family.metric]
    tiles += [(name, number(best.values[name]), "of the best run") for name in others[:2]]
    near = neighbours(family)
    tables = [_neighbour_table(family, near)] if near else []
    title = f"{prefix}{'the' if prefix else 'The'} best run"
    return Section(title, text=text, notes=notes, tiles=tiles, tables=tables)


def neighbours(family: Family) -> list[tuple[str, RunLine]]:
    """The runs that differ from the best one in one axis, with that axis, the best axis by axis."""
    best = family.ranked[0]
    found = []
    for line in family.ranked[1:]:
        other = [key for key in family.axes if line.axes.get(key) != best.axes.get(key)]
        if len(other) == 1:
            found.append((other[0], line))
    return sorted(found, key=lambda pair: list(family.axes).index(pair[0]))


def _neighbour_table(family: Family, near: Sequence[tuple[str, RunLine]]) -> Table:
    best = family.ranked[0]
    rows = [[_named(best), Cell("the best"), Cell(""), _score(best.score), Cell("")]]
    for key, line in near:
        change = f"{best.axes.get(key, '-')} → {line.axes.get(key, '-')}"
        difference = line.score - best.score
        cells = [Cell(key), Cell(change), _score(line.score)]
        rows.append([_named(line), *cells, Cell(f"{difference:+.4g}", difference)])
    head = ["run", "differs in", "from → to", family.metric, "difference"]
    note = "every one differs from the best run in one of the keys shown"
    return Table("The best run and its neighbours", head, rows, [note], numbers=3)


# -- all of them ----------------------------------------------------------------------------------


def runs_table(family: Family, origin: str) -> Table:
    """A line for each run; figures of the test follow the one that decides."""
    names = list(dict.fromkeys(name for line in family.lines for name in line.values))
    names = [n for n in names if n != family.metric]
    names.sort(key=lambda name: (not badness(name), not name.startswith("test/")))
    shown = names[:_METRICS]
    rivals = any(family.metric in line.baselines for line in family.lines)
    head = [
        "run",
        "state",
        "data",
        *family.axes,
        family.metric,
        *(["best baseline"] if rivals else []),
    ]
    rows = [
        [
            _named(line),
            Cell(line.state, chip=_CHIPS.get(line.state, "plain"), small=line.reason[:160]),
            Cell(line.data),
            *(Cell(line.axes.get(key, "-")) for key in family.axes),
            _score(line.score),
            *([_score(line.baselines.get(family.metric, math.nan))] if rivals else []),
            *(_score(line.values.get(name, math.nan)) for name in shown),
            _time(line.seconds),
        ]
        for line in family.lines
    ]
    notes = ["press a column's head to sort by it; runs with a page of their own are links"]
    if len(names) > len(shown):
        notes.append(f"{len(names) - len(shown)} more figures are in the files of the runs")
    first = 3 + len(family.axes)
    return Table(
        f"All runs, {origin}", [*head, *shown, "took"], rows, notes, first, words=frozenset({1})
    )


def _named(line: RunLine) -> Cell:
    return Cell(line.name, link=line.link)


def _score(value: float) -> Cell:
    return Cell(number(value), value)


def _time(seconds: float | None) -> Cell:
    return Cell("-", math.nan) if seconds is None else Cell(duration(seconds), seconds)
