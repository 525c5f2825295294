"""Numbers of a reproduction as people read them: in cells of the terminal and of Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator

from vitruvian.papers.paper import Claim
from vitruvian.papers.results import Cost, Estimate, Line, ResultTable
from vitruvian.report.quantity import quantity
from vitruvian.report.table import decimals

NOTHING = "-"
_COSTS = ("parameters", "MACs", "time a step")
_BOUNDS = {"=": "", "<=": "≤ ", ">=": "≥ "}


def number_cell(value: float, places: int | None = None) -> str:
    """A number with as many decimals as its size asks for."""
    if math.isnan(value):
        return NOTHING
    if value == round(value) and places is None:
        return f"{value:,.0f}"
    return f"{value:,.{decimals(abs(value)) if places is None else places}f}"


def estimate_cell(estimate: Estimate | None, separator: str = " ") -> str:
    """Mean ± SD over cases, and the interval of the mean."""
    if estimate is None or math.isnan(estimate.mean):
        return NOTHING
    known = [abs(v) for v in (estimate.mean, estimate.sd) if not math.isnan(v)]
    places = decimals(max(known))
    spread = "" if math.isnan(estimate.sd) else f" ± {estimate.sd:.{places}f}"
    if math.isnan(estimate.ci_low) or math.isnan(estimate.ci_high):
        return f"{estimate.mean:.{places}f}{spread}{separator}n={estimate.n}"
    interval = f"[{estimate.ci_low:.{places}f}, {estimate.ci_high:.{places}f}]"
    return f"{estimate.mean:.{places}f}{spread}{separator}{interval}"


def figure_cell(estimate: Estimate | None, claim: Claim) -> str:
    """What we have for a claim, in its unit; a cost or a time is one number and has no interval."""
    if estimate is None or math.isnan(estimate.mean):
        return NOTHING
    if claim.kind in ("cost", "measured") or math.isnan(estimate.ci_low):
        if claim.kind in ("cost", "measured"):
            return quantity(estimate.mean, claim.unit)
        return f"{number_cell(estimate.mean)} {claim.unit}".rstrip()
    return f"{estimate_cell(estimate)} {claim.unit}".rstrip()


def p_cell(p: float) -> str:
    """A p value; one that is very small as a bound."""
    if math.isnan(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def reads(claim: Claim) -> str:
    """The printed number with its bound and unit."""
    if claim.value is None:
        return NOTHING
    unit = f" {claim.unit}" if claim.unit else ""
    return f"{_BOUNDS[claim.bound]}{claim.value:g}{unit}"


def columns_of(table: ResultTable) -> list[str]:
    """Names of the columns that have something in them."""
    head = ["", "runs"]
    for metric in table.metrics:
        head.append(metric)
        if _has_printed(table, metric):
            head.append("printed")
        if _has_tests(table, metric):
            head.append("p (Holm)")
    return [*head, *(_COSTS if _has_costs(table) else ())]


def table_cells(table: ResultTable, line: Line, separator: str = " ") -> Iterator[str]:
    """The cells of a row, in the order of `columns_of`."""
    yield line.label
    done, asked = line.runs
    yield NOTHING if line.baseline or not asked else f"{done} of {asked}"
    for metric in table.metrics:
        yield estimate_cell(line.figures.get(metric), separator)
        if _has_printed(table, metric):
            yield number_cell(line.printed.get(metric, math.nan))
        if _has_tests(table, metric):
            test = line.tests.get(metric)
            yield NOTHING if test is None else p_cell(test.p_holm)
    if _has_costs(table):
        yield from _cost_cells(line.cost)


def _cost_cells(cost: Cost | None) -> tuple[str, str, str]:
    if cost is None:
        return NOTHING, NOTHING, NOTHING
    parameters = quantity(cost.parameters, "parameters").removesuffix(" parameters")
    macs = quantity(cost.macs, "multiply-accumulates")
    return parameters, macs, quantity(cost.step_s, "s")


def _has_printed(table: ResultTable, metric: str) -> bool:
    return any(metric in line.printed for line in table.lines)


def _has_tests(table: ResultTable, metric: str) -> bool:
    return any(metric in line.tests for line in table.lines)


def _has_costs(table: ResultTable) -> bool:
    return any(line.cost is not None for line in table.lines)
