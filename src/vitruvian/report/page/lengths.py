"""How nets do on windows of several lengths: a chart for each table that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vitruvian.report.comparison import length_chart
from vitruvian.report.page.document import Shown, drawing
from vitruvian.report.page.words import metric_words

if TYPE_CHECKING:
    from vitruvian.papers.results import Reproduction, ResultTable


def length_figures(found: Reproduction) -> list[Shown]:
    """Charts of the first metric of every table whose rows differ in the length of windows."""
    charts = ((table, _rows(found, table)) for table in found.tables)
    return [
        _figure(table, rows, found.simulated)
        for table, rows in charts
        if len({row["length"] for row in rows}) > 1
    ]


def _rows(found: Reproduction, table: ResultTable) -> list[dict[str, Any]]:
    rows = []
    for line in (line for line in table.lines if not line.baseline and table.metrics):
        known, experiment = line.figures.get(table.metrics[0]), found.paper.experiments
        row = experiment.get(line.experiment)
        if known is not None and row is not None and row.frames is not None:
            ends = {"value": known.mean, "low": known.ci_low, "high": known.ci_high}
            rows.append({"label": row.net or row.label, "length": row.frames, **ends})
    return rows


def _figure(table: ResultTable, rows: list[dict[str, Any]], simulated: bool) -> Shown:
    what = metric_words(table.metrics[0])
    caption = f"{what.capitalize()} of each net by the length of its windows, with 95 % intervals"
    caption += "; SIMULATED data." if simulated else "."
    return drawing(f"{table.title}: by length", caption, length_chart(rows, what, "", simulated))
