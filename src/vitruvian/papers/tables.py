"""The tables of a reproduction: the paper's number beside ours, and what costs nothing beneath.

Called with the evidence of all experiments, complete or not; nothing here judges.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from vitruvian.papers.evidence import Evidence
from vitruvian.papers.paper import Claim, Paper, Table
from vitruvian.papers.results import Estimate, Line, PairedTest, ResultTable
from vitruvian.papers.statistics import (
    MODEL,
    estimate,
    holm,
    interval_of,
    is_baseline,
    least_p,
    paired,
    pooled_estimate,
    predictors,
    subject_means,
    unit_of,
)

SIMULATED = "SIMULATED data: these figures say nothing about the paper's"


def result_tables(
    paper: Paper, preset: str, evidence: Mapping[str, Evidence]
) -> tuple[ResultTable, ...]:
    """All tables of a paper that have a row in a preset.

    Args:
        paper: with its tables and claims.
        preset: only the experiments that it runs have rows.
        evidence: by experiment; of one that is absent nothing is known yet.
    """
    return tuple(
        result_table(paper, table, preset, evidence)
        for table in paper.tables
        if rows_of(paper, table, preset)
    )


def rows_of(paper: Paper, table: Table, preset: str) -> tuple[str, ...]:
    """The experiments of a table that a preset runs."""
    chosen = ((key, paper.experiments[key].only) for key in table.rows)
    return tuple(key for key, only in chosen if not only or preset in only)


def result_table(
    paper: Paper, table: Table, preset: str, evidence: Mapping[str, Evidence]
) -> ResultTable:
    """One table: its experiments in order, then the trivial baselines, each once."""
    rows = rows_of(paper, table, preset)
    known = {key: evidence[key] for key in rows if key in evidence}
    lines = [_line(paper, table, key, known.get(key)) for key in rows]
    lines = _tested(lines, table, known)
    beside = _beside_whom(table, rows, known)
    if beside:
        lines += _baselines(table, beside, known[beside])
    simulated = any(map(is_simulated, known.values()))
    return ResultTable(
        key=table.key,
        title=f"{table.title} (simulated)" if simulated else table.title,
        metrics=(*table.metrics, *table.pooled),
        lines=tuple(lines),
        reference=table.reference if table.reference in rows else "",
        notes=(*_notes(table, lines, known, beside, simulated), *_paper_notes(paper, table, lines)),
    )


def is_simulated(evidence: Evidence) -> bool:
    """Whether any of the data behind an experiment are."""
    return any(view.simulated for one in evidence.repeats for view in one.views.values())


def printed_numbers(claims: Iterable[Claim], experiment: str) -> dict[str, float]:
    """The paper's numbers of an experiment's net in our units, by metric; of several the first."""
    printed: dict[str, float] = {}
    for claim in claims:
        of_net = claim.experiment == experiment and claim.predictor == MODEL
        if of_net and claim.kind == "figure" and claim.bound == "=" and claim.value is not None:
            printed.setdefault(claim.metric, round(claim.value / claim.factor, 12))
    return printed


def _line(paper: Paper, table: Table, key: str, evidence: Evidence | None) -> Line:
    printed = printed_numbers(paper.claims, key)
    return Line(
        label=paper.experiments[key].label,
        experiment=key,
        baseline=False,
        figures=_figures(table, evidence, MODEL) if evidence else {},
        printed={n: printed[n] for n in (*table.metrics, *table.pooled) if n in printed},
        cost=evidence.cost if evidence and table.costs else None,
        runs=evidence.runs if evidence else (0, 0),
    )


def _figures(table: Table, evidence: Evidence, predictor: str) -> dict[str, Estimate]:
    found = {n: estimate(evidence.repeats, n, table.view, predictor) for n in table.metrics}
    found |= {n: pooled_estimate(evidence, n, table.view, predictor) for n in table.pooled}
    return {name: figure for name, figure in found.items() if figure is not None}


def _tested(lines: Sequence[Line], table: Table, known: Mapping[str, Evidence]) -> list[Line]:
    """The lines with their tests against the reference, adjusted over the rows of each metric."""
    reference = known.get(table.reference or "")
    if reference is None or not reference.repeats:
        return list(lines)
    tests: dict[str, dict[str, PairedTest]] = {line.experiment: {} for line in lines}
    for metric in table.metrics:
        theirs = subject_means(reference.repeats, metric, table.view)
        found = {
            key: paired(subject_means(one.repeats, metric, table.view), theirs)
            for key, one in known.items()
            if one is not reference and one.repeats
        }
        adjusted = holm([test.p for test in found.values()])
        for (key, test), p in zip(found.items(), adjusted, strict=True):
            tests[key][metric] = replace(test, p_holm=p)
    return [replace(line, tests=tests[line.experiment]) for line in lines]


def _beside_whom(table: Table, rows: Sequence[str], known: Mapping[str, Evidence]) -> str:
    """The experiment whose baselines are shown: the reference, else the first that has run."""
    wanted = [key for key in (table.reference, *rows) if key is not None and key in known]
    return next((key for key in wanted if known[key].repeats), "")


def _baselines(table: Table, key: str, evidence: Evidence) -> list[Line]:
    lines = []
    for predictor in filter(is_baseline, predictors(evidence.repeats, table.view)):
        figures = _figures(table, evidence, predictor)
        if figures:
            label = predictor.removeprefix("baseline: ")
            lines.append(Line(label, key, True, figures, runs=evidence.runs))
    return lines


def _notes(
    table: Table,
    lines: Sequence[Line],
    known: Mapping[str, Evidence],
    beside: str,
    simulated: bool,
) -> Iterator[str]:
    if simulated:
        yield f"{SIMULATED}."
    if not beside:
        yield "No run is complete yet."
        return
    yield _unit_note(table, known[beside], lines)
    if table.pooled:
        yield interval_of(known[beside])
    if any(line.tests for line in lines):
        yield _test_note(lines, next(x.label for x in lines if x.experiment == table.reference))
    yield from _unfit_notes([line for line in lines if not line.baseline], known)
    if incomplete := [line.label for line in lines if line.runs[0] < line.runs[1]]:
        yield f"Runs are missing of: {', '.join(incomplete)}."


def _unfit_notes(lines: Sequence[Line], known: Mapping[str, Evidence]) -> Iterator[str]:
    """Which rows flatter, and why."""
    found = {one.label: known[one.experiment].unfit for one in lines if one.experiment in known}
    for why in dict.fromkeys(filter(None, found.values())):
        yield f"{', '.join(label for label, own in found.items() if own == why)}: {why}."


def _paper_notes(paper: Paper, table: Table, lines: Sequence[Line]) -> Iterator[str]:
    """What to know of costs and of printed numbers."""
    counted = [paper.experiments[line.experiment] for line in lines if line.cost is not None]
    if counted:
        large = all(one.cost_overrides for one in counted)
        nets = "as large as the paper has them" if large else "of the runs"
        yield f"Costs: of the nets {nets}, MACs of one input."
    printed = [claim for claim in paper.claims if claim.value is not None and not claim.comparable]
    shown = {*table.metrics, *table.pooled}
    other = [one.metric for one in printed if one.experiment in table.rows and one.metric in shown]
    if other:
        names = ", ".join(dict.fromkeys(other))
        yield f"Printed, but of another meaning than ours (see the claims): {names}."


def _unit_note(table: Table, evidence: Evidence, lines: Sequence[Line]) -> str:
    unit = unit_of(evidence.repeats, table.view)
    found = [(name, one.n) for line in lines for name, one in line.figures.items()]
    counts = {n for name, n in found if name in table.metrics}
    n = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{next(iter(counts), 0)}"
    repeats = len(evidence.repeats)
    plural = "" if n == "1" else "s"
    several = f", each the mean of {repeats} repetitions" if repeats > 1 else ""
    of = (
        f"Mean, SD and bootstrap 95 % interval over {n} {unit}{plural}{several}; " if counts else ""
    )
    return f"{of}{'split' if of else 'Split'}: {evidence.split or 'unknown'}."


def _test_note(lines: Sequence[Line], reference: str) -> str:
    tested = [line for line in lines if line.tests]
    pairs = max(test.n for line in tested for test in line.tests.values())
    least = least_p(pairs)
    text = (
        f"p: Wilcoxon's signed-rank test against {reference} over the same subjects, adjusted by "
        "Holm over the rows"
    )
    if not math.isnan(least) and least * len(tested) > 0.05:
        adjusted = min(1.0, least * len(tested))
        text += f"; with {pairs} pairs p cannot be below {least:.2g}, adjusted {adjusted:.2g}"
    return f"{text}."
