"""Many runs, gathered for the page that shows them: those of a sweep, or any run directories."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vitruvian.core.config import Config
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.rundir import RunDirectory
from vitruvian.report.page.damage import damage_of, read_config
from vitruvian.report.page.document import Cell, Table, write_index, write_named
from vitruvian.report.page.ending import tell_missing
from vitruvian.report.page.many import Family, document
from vitruvian.report.page.origin import flattened
from vitruvian.report.page.outcome import number
from vitruvian.report.page.privacy import text_shown
from vitruvian.sweeps import collection, groups, leaderboard
from vitruvian.sweeps.collection import Collected, Collection
from vitruvian.sweeps.directory import MANIFEST, SweepDirectory, SweepRun
from vitruvian.sweeps.family import Seen, believed, between, family_of
from vitruvian.sweeps.figures import RunFigures, figures_of, monitor_of
from vitruvian.sweeps.states import RunState, read_all, states_of

_NO_AXES = ("name", "output_dir", "page")  # differ without changing what is trained
_MOST_AXES = 12
_CONFIG, _FOLDS = "config.yaml", "folds.yaml"
_TRACES = {"overrides.txt", "environment.json", "splits.json", "status.json", "metrics.csv"}
PAGE = (".html", ".htm")  # how the name of a page ends


@dataclass(frozen=True)
class Order:
    """In which order the runs of a sweep are shown, as somebody asked for it.

    Attributes:
        score: what decides; None: as the sweep says.
        by: swept keys that make a line of the leaderboard; None: all but seeds and folds.
    """

    score: leaderboard.Score | None = None
    by: Sequence[str] | None = None


@dataclass
class Below:
    """What was found in a folder.

    Attributes:
        sweeps: in the order of their paths.
        runs: the other runs, where they were found: some may be links.
        left_out: folders that hold what a run leaves, without its config.
    """

    sweeps: list[SweepDirectory] = field(default_factory=list)
    runs: list[Path] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)


def write_page(
    sweeps: Sequence[SweepDirectory],
    runs: Sequence[Path],
    folder: Path,
    output: Path | None = None,
    order: Order = Order(),
    left_out: Sequence[Path] = (),
) -> Path:
    """Write the page over sweeps and runs; say what is damaged or left out, on it and here.

    Args:
        sweeps: each a family of its own.
        runs: further ones; a family for each figure that they are judged by.
        folder: of the page, which is `index.html` there, or `index_simulated.html`.
        output: another folder for it, or a file; the name is made to say that data are simulated.
        order: what decides in the sweeps, where somebody chose it.
        left_out: folders that hold what a run leaves, without its config.

    Raises:
        RunError: it cannot be written.
    """
    file = output if output is not None and is_page(output) else None
    place = file.parent if file else output or folder
    families = []
    notes = [f"{between(path, place)}: config.yaml is missing: left out" for path in left_out]
    for sweep in sweeps:
        try:
            families.append(of_sweep(sweep, place, order=order))
        except RunError as error:
            notes.append(text_shown(str(error), folder))
    own, unreadable = of_runs(runs, place)
    families, notes = families + own, notes + unreadable
    title = f"Runs in {folder.name}" if len(families) != 1 else families[0].title
    page = document(families, title, notes)
    path = write_named(file, page) if file else write_index(place, page)
    tell_missing([*notes, *(line for family in families for line in family.damage)])
    return path


def is_page(output: Path) -> bool:
    """Whether it is the name of a page; else that of a folder for one."""
    return output.suffix.lower() in PAGE and not output.is_dir()


def found_below(folder: Path) -> Below:
    """The sweeps and the other runs in a folder, however deep; links to folders are followed.

    Each folder is looked at once, by its real path: links may lead round in a circle. Those that
    are no links come first.
    """
    below, known = Below(), set()
    for path, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(path)
        if real in known:
            folders.clear()
            continue
        known.add(real)
        inner = _noted(below, Path(path), set(files))
        begin = "fold-" if inner else ""
        kept = [name for name in folders if name.startswith(begin) and not name.startswith(".")]
        folders[:] = sorted(kept, key=lambda name: (Path(path, name).is_symlink(), name))
    return below


def _noted(below: Below, path: Path, files: set[str]) -> bool:
    """Whether a folder is a run, or holds several as one; it is put down as what it is."""
    if MANIFEST in files:
        below.sweeps.append(SweepDirectory(path))
    elif _CONFIG in files:
        below.runs.append(path)
    elif _FOLDS not in files:
        if len(_TRACES & files) < 2:  # one alone may be anybody's
            return False
        below.left_out.append(path)
    return True


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
    seen = read_all(_seen_in_sweep, states)
    found = believed(_collected(place, states), seen)
    score = order.score or _score(found, place)
    title = f"{manifest.name}, sweep {place.path.name}"
    family = family_of(title, found, seen, score, folder)
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


def _seen_in_sweep(one: RunState) -> Seen:
    run = one.entry.run
    trouble = read_config(run)[1] if run.exists or run.status_file.exists() else ""
    return Seen(one, run.path, [*filter(None, [trouble]), *damage_of(run)])


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


@dataclass(frozen=True)
class _Plain:
    """A run without a sweep: where it was found, and its config."""

    path: Path
    run: RunDirectory
    config: Config


def of_runs(runs: Sequence[Path], folder: Path) -> tuple[list[Family], list[str]]:
    """Runs without a sweep, in families that are judged by the same figure, of the same data.

    Returns:
        The families, and a line for each run whose config cannot be read: nothing tells its own.
    """
    read = read_all(lambda path: (path, run := RunDirectory(path), *read_config(run)), runs)
    notes = [
        f"{between(path, folder)}: {trouble}: left out" for path, _, _, trouble in read if trouble
    ]
    plain = [_Plain(path, run, config) for path, run, config, trouble in read if not trouble]
    families: dict[tuple[str, str, str], list[_Plain]] = {}
    for one in plain:
        families.setdefault((*monitor_of(one.run), _data_of(one.config)), []).append(one)
    found = [
        _plain_family(*key[:2], part, folder)
        for key, own in families.items()
        for part in _by_origin(own)
    ]
    return found, notes


def _by_origin(runs: Sequence[_Plain]) -> list[list[_Plain]]:
    """The runs on simulated and on real data apart; those that say nothing stay with the others.

    Only where there are both kinds they are kept apart, too: nobody knows where they belong.
    """
    parts: dict[object, list[_Plain]] = {}
    for one in runs:
        parts.setdefault(one.run.read_status().get("simulated"), []).append(one)
    return list(parts.values()) if {True, False} <= parts.keys() else [list(runs)]


def _data_of(config: Config) -> str:
    """What tells the data of a run from others: what reads them, and from where."""
    data = config.get("datamodule") or {}
    return " ".join(str(data.get(key)) for key in ("_target_", "root", "database"))


def _plain_family(metric: str, mode: str, runs: Sequence[_Plain], folder: Path) -> Family:
    configs = [dict(flattened(one.config, one.run.path)) for one in runs]
    axes = _differing(configs)
    states = states_of([SweepRun(index, (), one.run) for index, one in enumerate(runs)], {})
    pairs = list(zip(states, runs, strict=True))
    seen = read_all(lambda pair: Seen(pair[0], pair[1].path, damage_of(pair[1].run)), pairs)
    collected = [
        Collected(
            one.state.entry.index,
            between(one.path, folder),
            one.state.state,
            {key: config[key] for key in axes if key in config},
            figures_of(one.state.entry.run),
            one.state.reason,
        )
        for one, config in zip(seen, configs, strict=True)
    ]
    found = believed(Collection(collected, axes), seen)
    names = dict.fromkeys(config.get("name", "runs") for config in configs)
    title = f"{', '.join(list(names)[:3])}{' ...' if len(names) > 3 else ''}"
    title += f" by {metric}" if metric else ""
    return family_of(title, found, seen, leaderboard.Score(metric, mode), folder)


def _differing(configs: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Keys that differ among the runs, the first few; a copy of another key adds nothing."""
    keys = dict.fromkeys(key for config in configs for key in config)
    columns: dict[tuple[str | None, ...], str] = {}
    for key in keys:
        values = tuple(config.get(key) for config in configs)
        if key not in _NO_AXES and not key.endswith("cache_dir") and len(set(values)) > 1:
            columns.setdefault(values, key)
    return tuple(columns.values())[:_MOST_AXES]
