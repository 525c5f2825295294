"""Many runs, gathered for the page that shows them: those of a sweep, or any run directories."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitruvian.core.config import Config
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.rundir import RunDirectory
from vitruvian.report.page.document import Cell, Table, write_document, write_index
from vitruvian.report.page.many import Family, document
from vitruvian.report.page.origin import flattened
from vitruvian.report.page.outcome import number
from vitruvian.report.page.privacy import text_shown
from vitruvian.sweeps import collection, groups, leaderboard
from vitruvian.sweeps.collection import Collected, Collection
from vitruvian.sweeps.directory import MANIFEST, SweepDirectory, SweepRun
from vitruvian.sweeps.family import between, family_of
from vitruvian.sweeps.figures import RunFigures, figures_of, monitor_of
from vitruvian.sweeps.states import RunState, read_all, states_of

_NO_AXES = ("name", "output_dir", "page")  # differ without changing what is trained
_MOST_AXES = 12
_CONFIG, _FOLDS = "config.yaml", "folds.yaml"


@dataclass(frozen=True)
class Order:
    """In which order the runs of a sweep are shown, as somebody asked for it.

    Attributes:
        score: what decides; None: as the sweep says.
        by: swept keys that make a line of the leaderboard; None: all but seeds and folds.
    """

    score: leaderboard.Score | None = None
    by: Sequence[str] | None = None


def write_page(
    sweeps: Sequence[SweepDirectory],
    runs: Sequence[RunDirectory],
    folder: Path,
    output: Path | None = None,
    order: Order = Order(),
) -> Path:
    """Write the page over sweeps and runs.

    Args:
        sweeps: each a family of its own.
        runs: further ones; a family for each figure that they are judged by.
        folder: of the page, which is `index.html` there, or `index_simulated.html`.
        output: another file for it; its name is made to say that data are simulated.
        order: what decides in the sweeps, where somebody chose it.

    Raises:
        RunError: it cannot be written.
    """
    place = folder if output is None else output.parent
    families, notes = [], []
    for sweep in sweeps:
        try:
            families.append(of_sweep(sweep, place, order=order))
        except RunError as error:
            notes.append(text_shown(str(error), folder))
    families += of_runs(runs, place)
    title = f"Runs in {folder.name}" if len(families) != 1 else families[0].title
    page = document(families, title, notes)
    if output is None:
        return write_index(folder, page)
    if page.simulated and "simulated" not in output.stem:
        output = output.with_name(f"{output.stem}_simulated{output.suffix}")
    return write_document(output, page)


def found_below(folder: Path) -> tuple[list[SweepDirectory], list[RunDirectory]]:
    """The sweeps and the other runs in a folder, however deep, in the order of their paths."""
    sweeps, runs = [], []
    for path, folders, files in os.walk(folder):
        folders.sort()
        if MANIFEST in files:
            sweeps.append(SweepDirectory(Path(path)))
        elif _CONFIG in files:
            runs.append(RunDirectory(Path(path)))
        elif _FOLDS not in files:
            folders[:] = [name for name in folders if not name.startswith(".")]
            continue
        folders[:] = [name for name in folders if name.startswith("fold-")]
    return sweeps, runs


# -- a sweep --------------------------------------------------------------------------------------


def of_sweep(
    place: SweepDirectory,
    folder: Path,
    states: Sequence[RunState] | None = None,
    order: Order = Order(),
) -> Family:
    """The runs of a sweep.

    Args:
        place: the sweep.
        folder: of the page, which links are relative to.
        states: of its runs, where they are known already.
        order: what decides, where somebody chose it.

    Raises:
        RunError: there is no sweep, or it is damaged.
    """
    manifest = place.manifest()
    states = states_of(place.runs(), {}) if states is None else states
    found = _collected(place, states)
    score = order.score or _score(found, place)
    title = f"{manifest.name}, sweep {place.path.name}"
    family = family_of(title, found, states, score, folder)
    notes: list[str] = []
    table = None
    if score is not None:
        own = groups.grouped(found, order.by)
        ranked = leaderboard.ranked(own, score)
        lines = leaderboard.notes(found, score, ranked, own)
        notes = [line for line in lines if not line.startswith("...")]  # a page shows all
        if any(len(group.runs) > 1 for group in own):
            table = _group_table(found, score, ranked)
    return Family(**{**vars(family), "notes": notes, "groups": table})


def _collected(place: SweepDirectory, states: Sequence[RunState]) -> Collection:
    """What was found; of a sweep of which nothing is complete, which runs there are."""
    try:
        return collection.collect(place, states)
    except RunError:
        axes = place.manifest().axes
        runs = [
            Collected(
                one.entry.index,
                one.entry.name,
                one.state,
                collection.axis_values(one.entry.overrides, axes),
                RunFigures(monitor=monitor_of(one.entry.run)[0]),
                one.reason,
            )
            for one in states
        ]
        return Collection(runs, axes)


def _score(found: Collection, place: SweepDirectory) -> leaderboard.Score | None:
    try:
        return leaderboard.chosen_score(found, place.manifest())
    except ConfigError:
        return None


def _group_table(
    found: Collection, score: leaderboard.Score, ranked: Sequence[leaderboard.Place]
) -> Table:
    keys = [axis for axis in found.axes if any(axis in one.group.values for one in ranked)]
    rows = []
    for one in ranked:
        spread = one.score
        several = spread.sd is not None and spread.ci_low is not None and spread.ci_high is not None
        mean = number(spread.mean) + (f" ± {number(spread.sd)}" if several else "")
        below = f"[{number(spread.ci_low)}, {number(spread.ci_high)}]" if several else ""
        rival = math.nan if spread.baseline is None else spread.baseline
        values = [Cell(one.group.values.get(key, "-")) for key in keys]
        count = Cell(f"{spread.n} of {len(one.group.runs)}", float(spread.n))
        figures = [Cell(mean, spread.mean, small=below), Cell(number(rival), rival), count]
        rows.append([Cell(str(one.rank), float(one.rank)), *values, *figures])
    head = ["rank", *keys, score.metric, "best baseline", "runs"]
    note = "mean ± SD [95 % interval of the mean, Student's t] over the runs of a line"
    caption = "Leaderboard, runs that repeat each other taken together"
    return Table(caption, head, rows, [note], 1 + len(keys))


# -- any runs -------------------------------------------------------------------------------------


def of_runs(runs: Sequence[RunDirectory], folder: Path) -> list[Family]:
    """Runs without a sweep, in families that are judged by the same figure, of the same data."""
    families: dict[tuple[str, str, str], list[RunDirectory]] = {}
    for run in runs:
        families.setdefault((*monitor_of(run), _data_of(run)), []).append(run)
    return [
        _plain_family(*key[:2], part, folder)
        for key, own in families.items()
        for part in _by_origin(own)
    ]


def _by_origin(runs: Sequence[RunDirectory]) -> list[list[RunDirectory]]:
    """The runs on simulated and on real data apart; those that say nothing stay with the others.

    Only where there are both kinds they are kept apart, too: nobody knows where they belong.
    """
    parts: dict[object, list[RunDirectory]] = {}
    for run in runs:
        parts.setdefault(run.read_status().get("simulated"), []).append(run)
    return list(parts.values()) if {True, False} <= parts.keys() else [list(runs)]


def _data_of(run: RunDirectory) -> str:
    """What tells the data of a run from others: what reads them, and from where."""
    try:
        data = run.config.get("datamodule", {})
    except RunError:
        return ""
    return " ".join(str(data.get(key)) for key in ("_target_", "root", "database"))


def _plain_family(metric: str, mode: str, runs: Sequence[RunDirectory], folder: Path) -> Family:
    configs = read_all(_config_of, runs)
    axes = _differing(configs)
    entries = [SweepRun(index, (), run) for index, run in enumerate(runs)]
    states = states_of(entries, {})
    collected = [
        Collected(
            one.entry.index,
            between(one.entry.run.path, folder),
            one.state,
            {key: config[key] for key in axes if key in config},
            figures_of(one.entry.run),
            one.reason,
        )
        for one, config in zip(states, configs, strict=True)
    ]
    found = Collection(collected, axes)
    names = dict.fromkeys(config.get("name", "runs") for config in configs)
    title = f"{', '.join(list(names)[:3])}{' ...' if len(names) > 3 else ''}"
    title += f" by {metric}" if metric else ""
    return family_of(title, found, states, leaderboard.Score(metric, mode), folder)


def _config_of(run: RunDirectory) -> dict[str, str]:
    try:
        config: Config = run.config
    except RunError:
        return {}
    return dict(flattened(config, run.path))


def _differing(configs: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Keys that differ among the runs, the first few; a copy of another key adds nothing."""
    keys = dict.fromkeys(key for config in configs for key in config)
    columns: dict[tuple[str | None, ...], str] = {}
    for key in keys:
        values = tuple(config.get(key) for config in configs)
        if key not in _NO_AXES and not key.endswith("cache_dir") and len(set(values)) > 1:
            columns.setdefault(values, key)
    return tuple(columns.values())[:_MOST_AXES]
