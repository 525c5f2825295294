"""The page of a run: what was trained on what, what it found, and pictures of it.

A part that is missing or damaged never stops the page: it says so.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from vitruvian.core.config import Config
from vitruvian.core.errors import RunError
from vitruvian.core.folds import PLAN_FILE, FoldPlan
from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED, RUNNING, RunDirectory
from vitruvian.report.page.curves import MOST, curve_figures
from vitruvian.report.page.damage import read_metrics, status_damage
from vitruvian.report.page.document import (
    Cell,
    Document,
    Section,
    Table,
    existing_index,
    write_index,
)
from vitruvian.report.page.origin import facts, flattened, study_of
from vitruvian.report.page.outcome import outcome_sections
from vitruvian.report.page.privacy import text_shown

CHIPS = {COMPLETE: "good", "completed": "good", FAILED: "bad", INTERRUPTED: "warn", "lost": "bad"}
_GENTLE = {RUNNING: "it is still running, or was killed without a word"}


def write_run_page(run: RunDirectory) -> Path:
    """Write `index.html` of a run, or of a directory of folds; `index_simulated.html` if it is.

    Raises:
        RunError: it cannot be written.
    """
    missing: list[str] = []
    config = _config(run, missing)
    sections, broken = outcome_sections(run.evaluation, run.figures)
    missing += broken
    simulated = _simulated(run)
    if not (run.path / PLAN_FILE).is_file():
        missing += filter(None, [status_damage(run)])
    if not any(section.tables for section in sections):
        missing.append(f"no evaluation yet{_why(run)}")
    parts = [
        *sections,
        *_curves(run, config, missing),
        *_folds(run),
        Section("What was run, and on what", facts=facts(run, config, simulated)),
        *_configuration(run, config),
        _next_steps(run),
    ]
    if missing:
        shown = [text_shown(line, run.path) for line in missing]
        parts.insert(0, Section("What is missing", notes=shown))
    return write_index(run.path, _document(run, config, parts, simulated))


def _document(
    run: RunDirectory, config: Config, parts: list[Section], simulated: bool | None
) -> Document:
    name = str(config.get("name") or run.path.name)
    study, state = study_of(config), run.status
    data = {True: "simulated data", False: "real data", None: "data not known yet"}[simulated]
    folds = ["all folds"] if (run.path / PLAN_FILE).is_file() else []
    chips = [(CHIPS.get(state, ""), state)] if state else []
    lead = " · ".join([*([study] if study else []), *folds, data, run.path.name])
    return Document(name, lead, bool(simulated), parts, chips)


def _config(run: RunDirectory, missing: list[str]) -> Config:
    try:
        if (run.path / PLAN_FILE).is_file():
            return FoldPlan.read(run.path).config
        return run.config
    except RunError as error:
        missing.append(f"no configuration: {error}")
        return {}


def _simulated(run: RunDirectory) -> bool | None:
    """Whether anything here rests on simulated data; None where nothing says."""
    names = [path.stem for path in run.evaluation.glob("*.json")]
    names += [path.name for path in run.figures.glob("*")]
    said = run.read_status().get("simulated")
    if any("simulated" in name for name in names) or said:
        return True
    return False if names or said is False else None


def _why(run: RunDirectory) -> str:
    state = run.status
    if state is None or state == COMPLETE:
        return ""
    return f": the run is {state}" + (f"; {_GENTLE[state]}" if state in _GENTLE else "")


def _curves(run: RunDirectory, config: Config, missing: list[str]) -> list[Section]:
    if (run.path / PLAN_FILE).is_file():  # the folds have curves
        return []
    rows, trouble = read_metrics(run)
    if trouble:
        left = "what stands before is shown" if rows else "no curves"
        missing.append(f"{trouble}: {left}")
    if not rows:
        missing += [] if trouble else ["nothing was logged: no curves"]
        return []
    monitor = config.get("monitor") or {}
    shown = curve_figures(rows, str(monitor.get("metric", "")), str(monitor.get("mode", "min")))
    names = {key for row in rows for key in row if key.startswith("val/")}
    more = f"The first {MOST} figures of the validation are drawn; metrics.csv has all."
    return [Section("Training", figures=shown, text=[more] if len(names) > MOST else [])]


def _folds(run: RunDirectory) -> list[Section]:
    """The folds of a directory of folds, with links to their pages."""
    if not (run.path / PLAN_FILE).is_file():
        return []
    rows = []
    for folder in sorted(path for path in run.path.glob("fold-*") if path.is_dir()):
        page, state = existing_index(folder), RunDirectory(folder).status or "not started"
        link = f"{folder.name}/{page.name}" if page else ""
        rows.append([Cell(folder.name, link=link), Cell(state, chip=CHIPS.get(state, "plain"))])
    table = Table("Folds, each a run of its own", ["fold", "state"], rows, numbers=2)
    return [Section("Folds", tables=[table])] if rows else []


def _configuration(run: RunDirectory, config: Config) -> list[Section]:
    lines = list(flattened(config, run.path))
    if not lines:
        return []
    rows = [[Cell(key), Cell(value)] for key, value in lines]
    table = Table("The frozen configuration, key by key", ["key", "value"], rows, numbers=2)
    note = "Secrets are hidden and paths shortened; config.yaml beside this page has all."
    return [Section("Configuration", tables=[table], text=[note], folded=True)]


def _next_steps(run: RunDirectory) -> Section:
    place = _typed(run.path)
    named = shlex.quote(f"run={place}")
    if (run.path / PLAN_FILE).is_file():
        commands = [f"vitruvian-folds {named}"]
    elif run.status == COMPLETE:
        commands = [
            f"vitruvian-evaluate {named} split=val",
            f"vitruvian-predict {named} input=PATH",
        ]
    else:
        commands = [f"vitruvian-train {named}"]
    commands.append(f"vitruvian-report {shlex.quote(place)}")
    told = "RUN is the folder of this page." if place == "RUN" else ""
    text = "To go on from here; the last one writes this page again."
    return Section("How to go on", text=[f"{text} {told}".strip()], commands=commands)


def _typed(path: Path) -> str:
    """The path as one would type it from here; a word for it where that would tell too much."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) and path != here else "RUN"
