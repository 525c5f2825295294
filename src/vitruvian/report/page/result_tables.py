"""The tables of a reproduction's page: claims with their verdicts, and the rows behind them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vitruvian.report.page.document import Cell, Table
from vitruvian.report.page.outcome import number
from vitruvian.report.page.words import metric_words
from vitruvian.report.quantity import parts, quantity
from vitruvian.report.table import decimals

if TYPE_CHECKING:
    from vitruvian.papers.results import Cost, Estimate, Judged, Line, ResultTable

CHIPS = {
    "reproduced": "good",
    "not reproduced": "bad",
    "not comparable": "plain",
    "impossible as printed": "warn",
    "not run yet": "plain",
}
_BOUNDS = {"=": "", "<=": "≤ ", ">=": "≥ "}
_COSTS = ("parameters", "MACs", "time a step")


# -- claims ---------------------------------------------------------------------------------------


def claims_table(claims: Sequence[Judged], origin: str) -> Table:
    """What and where, the printed number, ours, what it is held against, the verdict and why."""
    head = ["claim", "paper", "ours", "rival or best baseline", "verdict and why"]
    rows = [_claim_row(one) for one in claims]
    notes = [f"ours: mean over cases [95 % bootstrap interval], on {origin}"]
    title = f"Claims and verdicts ({origin})"
    return _lean(Table(title, head, rows, notes, 1, words=frozenset({4}), roomy=True))


def untested_table(claims: Sequence[Judged]) -> Table:
    """The claims that no experiment can judge, and why."""
    rows = [[Cell(one.claim.words, small=one.claim.where), Cell(one.reason)] for one in claims]
    return Table("Not tested", ["claim", "why not"], rows, numbers=2, roomy=True)


def _claim_row(one: Judged) -> list[Cell]:
    claim, verdict = one.claim, str(one.verdict)
    printed = Cell("-", math.nan)
    if claim.value is not None:
        shown = f"{_BOUNDS[claim.bound]}{claim.value:g} {claim.unit}".strip()
        printed = Cell(shown, claim.value)
    below = "; ".join(part for part in (claim.where, metric_words(claim.metric)) if part)
    chip = Cell(verdict, chip=CHIPS.get(verdict, "plain"), small=one.reason)
    ours = _figure_of(one.ours, one)
    return [Cell(claim.words, small=below), printed, ours, _beside(one), chip]


def _figure_of(found: Estimate | None, one: Judged) -> Cell:
    if found is not None and one.claim.kind in ("cost", "measured"):
        return Cell(quantity(found.mean, one.claim.unit), found.mean)
    return estimate_cell(found)


def _beside(one: Judged) -> Cell:
    """The rival of an order or a cost, with the best baseline below it where there is one."""
    baseline = ""
    if one.baseline is not None:
        name, figure = one.baseline
        baseline = name.removeprefix("baseline: ")
        if one.rival is None:
            return Cell(number(figure.mean), figure.mean, small=baseline)
        baseline = f"\n{baseline}: {number(figure.mean)}"
    if one.rival is None:
        return Cell("-", math.nan)
    shown = _figure_of(one.rival, one).text
    return Cell(shown, one.rival.mean, small=f"rival: {one.claim.rival}{baseline}")


def estimate_cell(found: Estimate | None, *small: str) -> Cell:
    """A mean with its interval below it."""
    if found is None or math.isnan(found.mean):
        return Cell("-", math.nan, small="\n".join(filter(None, small)))
    places = decimals(max(abs(found.mean), 0.0 if math.isnan(found.sd) else found.sd))
    spread = "" if math.isnan(found.sd) else f" ± {found.sd:.{places}f}"
    known = not math.isnan(found.ci_low)
    interval = f"[{found.ci_low:.{places}f}, {found.ci_high:.{places}f}]" if known else ""
    below = "\n".join(filter(None, (interval, *small)))
    return Cell(f"{found.mean:.{places}f}{spread}", found.mean, small=below)


# -- tables ---------------------------------------------------------------------------------------


def result_table(table: ResultTable, origin: str) -> Table:
    """Ours with the printed number and the p below it; baselines are pale."""
    costs = any(line.cost is not None for line in table.lines)
    head = [
        "net or baseline",
        *map(metric_words, table.metrics),
        *(_COSTS if costs else ()),
        "runs",
    ]
    rows = [
        [
            Cell(line.label),
            *(_figure(line, metric) for metric in table.metrics),
            *(_cost(line.cost) if costs else []),
            Cell("" if line.baseline else f"{line.runs[0]} of {line.runs[1]}"),
        ]
        for line in table.lines
    ]
    quiet = frozenset(i for i, line in enumerate(table.lines) if line.baseline)
    title = f"{table.title.removesuffix(' (simulated)')} ({origin})"
    return _lean(Table(title, head, rows, _notes(table), quiet=quiet, roomy=True))


def _notes(table: ResultTable) -> list[str]:
    notes = list(table.notes)
    if not any(note.startswith("Mean, SD") for note in notes):
        notes.insert(0, "Mean ± SD, the 95 % interval below it.")
    if any(line.tests for line in table.lines) and not any(n.startswith("p:") for n in notes):
        reference = next((x.label for x in table.lines if x.experiment == table.reference), "")
        against = reference or table.reference
        notes.append(
            f"p: Wilcoxon's signed-rank test against {against}, adjusted by Holm over the rows"
        )
    return notes


def _lean(table: Table) -> Table:
    """Without the columns that say nothing in any row."""
    kept = [
        i
        for i in range(len(table.head))
        if not i or any(row[i].text not in ("", "-") or row[i].small for row in table.rows)
    ]
    rows = [[row[i] for i in kept] for row in table.rows]
    words = frozenset(new for new, old in enumerate(kept) if old in table.words)
    head = [table.head[i] for i in kept]
    return Table(
        table.caption, head, rows, table.notes, table.numbers, table.quiet, words, table.roomy
    )


def _figure(line: Line, metric: str) -> Cell:
    printed, p = "", ""
    if metric in line.printed:
        printed = f"paper: {number(line.printed[metric])}"
    if metric in line.tests and not math.isnan(line.tests[metric].p_holm):
        p = f"p {_p(line.tests[metric].p_holm)}"
    return estimate_cell(line.figures.get(metric), printed, p)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _cost(cost: Cost | None) -> list[Cell]:
    if cost is None:
        return [Cell("", math.nan)] * 3
    parameters, _ = parts(cost.parameters, "parameters")
    return [
        Cell(parameters, float(cost.parameters)),
        Cell(quantity(cost.macs, "multiply-accumulates"), float(cost.macs)),
        Cell(quantity(cost.step_s, "s"), cost.step_s),
    ]
