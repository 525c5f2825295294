"""Figures of all cases taken as one, such as an AUC: a line per figure, a column per predictor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vitruvian.report.table import Uncut, decimals

Pooled = Mapping[str, Mapping[str, float]]

SPREAD = "_sd"  # standard deviation of a figure over people
ENDS = ("_low", "_high")  # of its 95 % interval


def show_pooled(pooled: Pooled, console: Console) -> None:
    """Print the figures; nothing where there are none."""
    names = figure_names(pooled)
    if not names:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("all cases as one", no_wrap=True)
    for predictor in pooled:
        table.add_column(Text(predictor), justify="right")
    for name in names:
        table.add_row(Text(name), *(Text(cell(figures, name)) for figures in pooled.values()))
    console.print(Uncut(table), crop=False)


def figure_names(pooled: Pooled) -> list[str]:
    """Names of the figures in order of appearance; spread and interval belong to their figure."""
    every = dict.fromkeys(name for figures in pooled.values() for name in figures)
    return [name for name in every if not _is_part(name, every)]


def _is_part(name: str, every: Iterable[str]) -> bool:
    return name.endswith((SPREAD, *ENDS)) and name.rpartition("_")[0] in every


def cell(figures: Mapping[str, float], name: str) -> str:
    """A figure with its spread and 95 % interval, if any; a dash where undefined."""
    value = figures.get(name, math.nan)
    if math.isnan(value):
        return "-"
    if name == "n" or name.startswith("n_"):
        return f"{value:.0f}"
    sd, low, high = (figures.get(name + end, math.nan) for end in (SPREAD, *ENDS))
    places = decimals(abs(value))
    spread = "" if math.isnan(sd) else f" ± {sd:.{places}f}"
    interval = "" if math.isnan(low) else f" [{low:.{places}f}, {high:.{places}f}]"
    return f"{value:.{places}f}{spread}{interval}"
