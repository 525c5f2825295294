"""The evaluations of a run as sections of its page: key figures, pictures, tables, findings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitruvian.core.errors import DataError
from vitruvian.core.evaluation import Evaluation, Statistic, Summary, read
from vitruvian.core.gallery import Gallery, read_gallery
from vitruvian.core.views import Notes, main_of, read_notes
from vitruvian.report.consistency import check_rows
from vitruvian.report.ends import badness
from vitruvian.report.page.damage import evaluation_damage
from vitruvian.report.page.document import Cell, Section, Shown, Table, gallery_figures
from vitruvian.report.pooled import SPREAD, figure_names
from vitruvian.report.pooled import cell as pooled_cell
from vitruvian.report.table import decimals, footnotes

MODEL = "model"
_TILES = 4
_FINDINGS = 12


@dataclass(frozen=True)
class Outcome:
    """One evaluation, as it was kept.

    Attributes:
        name: of its files.
        found: rows and summary.
        notes: what else its JSON says: split, pooled figures, changed keys.
        views: further tables of the same rows, by name.
    """

    name: str
    found: Evaluation
    notes: Mapping[str, Any]
    views: Mapping[str, Outcome]

    @property
    def metrics(self) -> list[str]:
        """Those that the task reports; all where the file does not say which."""
        known = self.found.summary.metrics
        return [name for name in self.notes.get("reported", known) if name in known]


def outcomes(folder: Path) -> tuple[list[Outcome], list[str]]:
    """All evaluations of a folder, the run's own first, and a line for each that is damaged."""
    contents, damaged = read_notes(folder)
    broken = [f"evaluation {Path(name).stem} is damaged: {name} is not JSON" for name in damaged]
    mains = [name for name in contents if main_of(name, contents) is None]
    found = []
    for name in sorted(mains, key=lambda name: (_rank(name), name)):
        parts = {which: o for o in contents if (which := _which(o, name, contents))}
        damage = [
            line for one in (name, *parts.values()) if (line := evaluation_damage(folder, one))
        ]
        if damage:
            broken.append(f"evaluation {name} cannot be read: {damage[0]}")
            continue
        views = {which: _read(folder, o, contents, {}) for which, o in parts.items()}
        found.append(_read(folder, name, contents, views))
    return found, broken


def _which(name: str, main: str, contents: Mapping[str, Notes]) -> str:
    return name.removeprefix(f"{main}_") if main_of(name, contents) == main else ""


def _rank(name: str) -> int:
    """The run's own evaluation first, those with another configuration last."""
    order = ("folds", "test", "val")
    place = next((i for i, part in enumerate(order) if name.split("_")[0] == part), len(order))
    return place + 10 * ("overridden" in name)


def _read(
    folder: Path,
    name: str,
    contents: Mapping[str, Notes],
    views: Mapping[str, Outcome],
) -> Outcome:
    return Outcome(name, read(folder, name), contents[name], views)


# -- sections -------------------------------------------------------------------------------------


def outcome_sections(folder: Path, figures: Path) -> tuple[list[Section], list[str]]:
    """A section for each evaluation and for galleries without one, and what cannot be read."""
    found, broken = outcomes(folder)
    sections = []
    for outcome in found:
        shown, missing = _figures(figures / outcome.name)
        broken += missing
        sections.append(_section(outcome, shown))
    alone = {path.parent.name for path in figures.glob("*/index.json")}
    for name in sorted(alone - {outcome.name for outcome in found}):
        shown, missing = _figures(figures / name)
        broken += missing
        sections.append(Section(f"Figures: {_spoken(name)}", figures=shown))
    return sections, broken


def _figures(folder: Path) -> tuple[list[Shown], list[str]]:
    try:
        gallery: Gallery = read_gallery(folder)
    except DataError:
        return [], [f"the figures of {folder.name} cannot be read: their list is damaged"]
    return gallery_figures(gallery)


def _spoken(name: str) -> str:
    words = name.replace("_leaky", "").replace("_simulated", "").replace("_", " ")
    return words + (", LEAKY" if "_leaky" in name else "")


def _section(outcome: Outcome, figures: Sequence[Shown]) -> Section:
    summary = outcome.found.summary
    origin = "SIMULATED data" if outcome.found.simulated else "real data"
    people = f"{summary.cases} case{'' if summary.cases == 1 else 's'}"
    text = f"{people} of {origin}; split: {outcome.notes.get('split') or 'not told'}."
    tables = [cases_table(summary, outcome.metrics, f"{_spoken(outcome.name)}, per case, {origin}")]
    more = []
    rest = [name for name in summary.metrics if name not in outcome.metrics]
    if rest:
        more.append(("All other metrics", cases_table(summary, rest, f"Other metrics, {origin}")))
    tables += pooled_tables(outcome.notes, f"All cases as one, {origin}")
    for which, view in outcome.views.items():
        spoken = which.replace("_", " ")
        for table in pooled_tables(view.notes, f"{spoken}, all as one, {origin}"):
            more.append((f"View: {spoken}", table))
    return Section(
        f"Result: {_spoken(outcome.name)}",
        text=[text],
        notes=[*_changed(outcome.notes), *findings(outcome.found)],
        tiles=tiles(summary, outcome.metrics),
        figures=figures,
        tables=tables,
        more=more,
    )


def _changed(notes: Mapping[str, Any]) -> list[str]:
    keys = notes.get("changed") or ()
    return [f"Evaluated with another configuration than trained: {', '.join(keys)}"] if keys else []


def findings(found: Evaluation) -> list[str]:
    """Figures that exclude each other, as lines."""
    try:
        lines = [f"impossible: {finding.message}" for finding in check_rows(found.rows)]
    except DataError as error:
        return [f"the consistency of the figures cannot be checked: {error}"]
    more = [f"... and {len(lines) - _FINDINGS} more"] if len(lines) > _FINDINGS else []
    return lines[:_FINDINGS] + more


def tiles(summary: Summary, metrics: Sequence[str]) -> list[tuple[str, str, str]]:
    """The first metrics of the model with a good end, each above its best baseline."""
    model = next((group for key, group in summary.groups.items() if MODEL in key), None)
    if model is None:
        return []
    judged = [name for name in metrics if badness(name) is not None and name in model]
    found = []
    for name in judged[:_TILES]:
        mine = model[name]
        rivals = {
            " / ".join(key): group[name].mean
            for key, group in summary.groups.items()
            if MODEL not in key and name in group and group[name].n
        }
        worse = badness(name)
        assert worse is not None
        rival = min(rivals, key=lambda who: worse(rivals[who])) if rivals else ""
        below = f"{rival.removeprefix('baseline: ')}: {number(rivals[rival])}" if rival else ""
        found.append((name, number(mine.mean), f"best baseline, {below}" if below else ""))
    return found


def number(value: float | None) -> str:
    """A number with as many digits as it deserves; a dash where there is none."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.{decimals(abs(value))}f}"


def cases_table(summary: Summary, metrics: Sequence[str], caption: str) -> Table:
    """A line for each metric, a column for each predictor; the best of a line is strong."""
    keys = sorted(summary.groups, key=lambda key: MODEL not in key)
    rows = []
    for name in metrics:
        found = [summary.groups[key].get(name) for key in keys]
        best = _best(name, found)
        cells = [statistic_cell(one, one is not None and one is best) for one in found]
        rows.append([Cell(name), *cells])
    notes = footnotes(summary, metrics)
    if any(badness(name) for name in metrics):
        notes.append("bold: the best mean of its line, where the name says which end is good")
    return Table(caption, ["metric", *(" / ".join(key) for key in keys)], rows, notes)


def _best(name: str, found: Sequence[Statistic | None]) -> Statistic | None:
    worse = badness(name)
    known = [one for one in found if one is not None and one.n]
    if worse is None or len(known) < 2:
        return None
    return min(known, key=lambda one: worse(one.mean))


def statistic_cell(found: Statistic | None, strong: bool = False) -> Cell:
    """Mean ± SD and the interval below it."""
    if found is None or found.n == 0:
        return Cell("-" if found is None else "NaN", math.nan)
    places = decimals(max(abs(found.mean), 0.0 if math.isnan(found.sd) else found.sd))
    spread = "" if math.isnan(found.sd) else f" ± {found.sd:.{places}f}"
    interval = f"[{found.ci_low:.{places}f}, {found.ci_high:.{places}f}]"
    known = not math.isnan(found.ci_low)
    return Cell(
        f"{found.mean:.{places}f}{spread}",
        found.mean,
        strong=strong,
        small=interval if known else f"n = {found.n}",
    )


def pooled_tables(notes: Mapping[str, Any], caption: str) -> list[Table]:
    """Figures of all cases taken as one; no table where there are none."""
    try:
        pooled = {
            who: {n: math.nan if v is None else float(v) for n, v in figures.items()}
            for who, figures in notes.get("pooled", {}).items()
            if figures
        }
    except (AttributeError, TypeError, ValueError):
        return []
    names = figure_names(pooled)
    if not names:
        return []
    who = sorted(pooled, key=lambda one: one != MODEL)
    rows = [
        [
            Cell(name),
            *(Cell(pooled_cell(pooled[w], name), pooled[w].get(name, math.nan)) for w in who),
        ]
        for name in names
    ]
    spread = any(f"{name}{SPREAD}" in pooled[w] for name in names for w in who)
    note = f"value{' ± SD over people' if spread else ''} [95 % interval], where there is one"
    return [Table(caption, ["figure", *who], rows, [note])]
