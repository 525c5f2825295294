"""The page of a reproduction: each claim of a paper beside what we found, and the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vitruvian.report.page.document import (
    Cell,
    Document,
    Section,
    Table,
    existing_index,
    write_document,
)
from vitruvian.report.page.forest import forests
from vitruvian.report.page.lengths import length_figures
from vitruvian.report.page.origin import duration
from vitruvian.report.page.result_tables import CHIPS, claims_table, result_table, untested_table
from vitruvian.report.page.run import CHIPS as STATES
from vitruvian.report.page.sentence import is_untested, sentence
from vitruvian.report.page.words import short_name

if TYPE_CHECKING:
    from vitruvian.papers.results import Reproduction

PAGE = "index.html"  # its folder is named after the preset, `quick_simulated` where it is so


def write_reproduction(found: Sequence[Reproduction], folder: Path) -> Path:
    """Write `index.html` of one paper's reproduction, or of several on one page.

    Args:
        found: the papers. Links to runs are looked for in `folder`, and in the paper's own below.
        folder: of the page.

    Raises:
        RunError: it cannot be written.
    """
    several = len(found) > 1
    sections = [_overview(found)] if several else []
    for one in found:
        sections += _sections(one, folder, several)
    simulated = any(one.simulated for one in found)
    title = "Do the papers hold?" if several else f"Does it hold? {found[0].paper.title}"
    presets = ", ".join(dict.fromkeys(one.preset for one in found))
    lead = f"Preset {presets}, {'SIMULATED data' if simulated else 'real data'}"
    if not several:
        lead = sentence(found[0].claims, found[0].simulated)
    return write_document(folder / PAGE, Document(title, lead, simulated, sections, kind="papers"))


def _overview(found: Sequence[Reproduction]) -> Section:
    verdicts = list(CHIPS)
    rows = []
    for one in found:
        counts = Counter(str(judged.verdict) for judged in one.claims)
        cells = [Cell(str(counts[verdict]), counts[verdict]) for verdict in verdicts]
        title = _titled(short_name(one.paper), "the claims")
        name = Cell(short_name(one.paper), link=f"#{Section(title).anchor}", small=one.paper.title)
        rows.append([name, Cell("SIMULATED" if one.simulated else "real"), *cells])
    head = ["paper", "data", *verdicts]
    table = Table("Verdicts on the claims", head, rows, numbers=2, roomy=True)
    notes = [f"{short_name(one.paper)}: {one.caveat}." for one in found if one.caveat]
    return Section("All papers", notes=notes, tables=[table])


def _sections(one: Reproduction, folder: Path, several: bool) -> list[Section]:
    origin = _origin(one)
    group = short_name(one.paper) if several else ""
    sections = [_claims(one, group)]
    if tables := [result_table(table, origin) for table in one.tables]:
        title = _titled(group, "the tables")
        figures = length_figures(one)
        sections.append(Section(title, tables=tables, figures=figures, group=group, short="tables"))
    if one.findings:
        text = ["Do the printed numbers fit together? This needs no data, only arithmetic."]
        title = _titled(group, "the paper's own numbers")
        sections.append(
            Section(title, text=text, lines=one.findings, group=group, short="own numbers")
        )
    sections.append(_made(one, folder, group))
    return sections


def _claims(one: Reproduction, group: str) -> Section:
    """What becomes of the claims; those that nobody can judge from outside are folded away."""
    origin = _origin(one)
    outside = [judged for judged in one.claims if is_untested(judged)]
    judged = [judged for judged in one.claims if not is_untested(judged)]
    folded = f"Claims that nobody can judge from outside ({len(outside)})"
    how = f"Preset {one.preset}, {origin}; split: {one.split or 'not told'}."
    return Section(
        _titled(group, "the claims"),
        says=sentence(one.claims, one.simulated) if group else "",
        text=[_citation(one), how],
        notes=_warnings(one),
        tiles=_counts(one),
        remarks=one.paper.notes,
        figures=forests(judged, one.paper.experiments, origin),
        tables=[claims_table(judged, origin)] if judged else [],
        more=[(folded, untested_table(outside))] if outside else [],
        group=group,
        short="claims",
    )


def _origin(one: Reproduction) -> str:
    return "SIMULATED data" if one.simulated else "real data"


def _titled(group: str, title: str) -> str:
    return f"{group}: {title}" if group else title.capitalize()


def _citation(one: Reproduction) -> str:
    paper = one.paper
    return f"{paper.authors}: {paper.title}. {paper.where}, {paper.year}."


def _warnings(one: Reproduction) -> list[str]:
    warned = [f"{one.caveat}."] if one.caveat else []
    if one.simulated:
        warned.append(
            "On simulated data nothing here reproduces the paper, whichever way a figure falls: "
            "only what does not depend on the data can be judged."
        )
    done = sum(run.state in ("complete", "completed") for run in one.runs)
    if done < len(one.runs):
        warned.append(f"Incomplete: {done} of {len(one.runs)} runs are complete.")
    return warned


def _counts(one: Reproduction) -> list[tuple[str, str, str]]:
    counts = Counter(str(judged.verdict) for judged in one.claims)
    total = f"of {len(one.claims)} claims"
    return [(verdict, str(counts[verdict]), total) for verdict in CHIPS if counts[verdict]]


# -- how it was made ------------------------------------------------------------------------------


def _made(one: Reproduction, folder: Path, group: str) -> Section:
    preset = one.paper.presets.get(one.preset)
    made = [
        ("preset", f"{one.preset}{f': {preset.about}' if preset else ''}"),
        ("data", "SIMULATED" if one.simulated else "real"),
        ("code", one.commit or "outside git"),
        ("machine", one.machine or "not told"),
        ("took", f"{duration(one.seconds)}, all runs together"),
    ]
    rows = [
        [
            Cell(run.label, link=_link(folder, one.paper.key, run.directory)),
            Cell(run.experiment),
            Cell(run.state, chip=STATES.get(run.state, "plain")),
        ]
        for run in one.runs
    ]
    head = ["run", "experiment", "state"]
    tables = (
        [(f"The runs behind the tables ({len(rows)})", Table("Runs", head, rows, numbers=3))]
        if rows
        else []
    )
    return Section(
        _titled(group, "how it was made"),
        facts=made,
        more=tables,
        commands=one.commands,
        group=group,
        short="how it was made",
    )


def _link(folder: Path, key: str, directory: str) -> str:
    """The page of a run, relative to the folder; empty where it has none."""
    for where in (Path(directory), Path(key) / directory):
        page = existing_index(folder / where)
        if page is not None and not where.is_absolute():
            return (where / page.name).as_posix()
    return ""
