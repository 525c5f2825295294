"""The result table: a summary of an evaluation for the terminal, or as Markdown for a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from vitruvian.core.evaluation import Statistic, Summary

_PLAIN_WIDTH = 120  # columns of text when the output is a file or a pipe
_ROOMY = 10_000  # columns: more than any table needs


def show(
    summary: Summary,
    simulated: bool,
    metrics: Sequence[str] | None = None,
    model: str = "model",
    console: Console | None = None,
) -> None:
    """Print the table to the terminal, or as plain text when the output is none.

    A cell holds mean ± SD and below it the 95 % confidence interval of the mean. Metrics that do
    not fit side by side go to further blocks, so that no number is ever cut.

    Args:
        summary: what to show.
        simulated: whether the data are simulated; the title says so.
        metrics: which metrics, in which order; all by default.
        model: the predictor whose rows come first; the baselines follow.
        console: where to print; standard output by default.

    Raises:
        ValueError: the summary has no metric of one of these names.
    """
    console = console or Console()
    names = _chosen(summary, metrics)
    groups = _ordered(summary, model)
    width = console.width if console.is_terminal else _PLAIN_WIDTH
    console.print(Text(title(summary, simulated), style="bold"), soft_wrap=True)
    for block in _blocks(summary, names, width):
        console.print(Uncut(_block_table(summary, groups, block, model)), crop=False)
    for note in footnotes(summary, names):
        console.print(Text(note), soft_wrap=True)


def markdown(
    summary: Summary, simulated: bool, metrics: Sequence[str] | None = None, model: str = "model"
) -> str:
    """Return the table as Markdown; the arguments are those of `show`.

    Raises:
        ValueError: the summary has no metric of one of these names.
    """
    names = _chosen(summary, metrics)
    head = [" / ".join(summary.by), "n", *names]
    lines = [f"**{title(summary, simulated)}**", "", _line(head)]
    lines.append(_line(["---"] + ["---:"] * (len(head) - 1)))
    for key in _ordered(summary, model):
        cells = [_cell(summary.groups[key].get(name)) for name in names]
        label = _label(key)
        emphasised = f"**{label}**" if model in key else label
        lines.append(_line([emphasised, _cases(summary, key), *cells]))
    notes = [line for note in footnotes(summary, names) for line in ("", note)]
    return "\n".join([*lines, *notes]) + "\n"


def title(summary: Summary, simulated: bool) -> str:
    """Headline of the table: the origin of the data and the number of cases."""
    origin = "SIMULATED data" if simulated else "real data"
    plural = "" if summary.cases == 1 else "s"
    return f"Evaluation on {origin}, {summary.cases} case{plural}"


def footnotes(summary: Summary, metrics: Sequence[str]) -> list[str]:
    """Explain the cells, and count the values that are missing from the means."""
    several = any(s.n > 1 for group in summary.groups.values() for s in group.values())
    notes = [
        f"mean ± SD [95 % bootstrap interval of the mean over cases, {summary.resamples} resamples]"
        if several
        else "a single case has no SD and no confidence interval"
    ]
    missing = [
        f"{name}: {_label(key)} {statistic.n_nan} of {statistic.n + statistic.n_nan}"
        for name in metrics
        for key, group in summary.groups.items()
        if (statistic := group.get(name)) is not None and statistic.n_nan
    ]
    if missing:
        notes.append("NaN, left out of the mean: " + "; ".join(missing))
    return notes


def _chosen(summary: Summary, metrics: Sequence[str] | None) -> list[str]:
    names = list(summary.metrics if metrics is None else metrics)
    unknown = [name for name in names if name not in summary.metrics]
    if unknown:
        known = ", ".join(summary.metrics)
        raise ValueError(f"the summary has no metric {unknown[0]!r}; it has {known}")
    return names


def _ordered(summary: Summary, model: str) -> list[tuple[str, ...]]:
    return sorted(summary.groups, key=lambda key: model not in key)  # stable: baselines stay put


def _label(key: tuple[str, ...]) -> str:
    return " / ".join(key)


def _cases(summary: Summary, key: tuple[str, ...]) -> str:
    """Cases of a group, with or without a value."""
    return str(max((s.n + s.n_nan for s in summary.groups[key].values()), default=0))


def _cell(statistic: Statistic | None, separator: str = " ") -> str:
    if statistic is None:
        return "-"
    if statistic.n == 0:
        return "NaN"
    decimals = _decimals(statistic)
    mean = f"{statistic.mean:.{decimals}f}"
    if math.isnan(statistic.sd):
        return f"{mean}{separator}n={statistic.n}"
    interval = f"[{statistic.ci_low:.{decimals}f}, {statistic.ci_high:.{decimals}f}]"
    return f"{mean} ± {statistic.sd:.{decimals}f}{separator}{interval}"


def _decimals(statistic: Statistic) -> int:
    return decimals(max(abs(statistic.mean), 0.0 if math.isnan(statistic.sd) else statistic.sd))


def decimals(size: float) -> int:
    """Decimals of a number of this size: none for thousands, two for tens of millimetres, four for
    shares, and as many as show three digits of what is smaller still, such as volts of EMG."""
    if 0 < size < 0.01:
        return 2 - math.floor(math.log10(size))
    return 4 if size < 2 else 2 if size < 100 else 1 if size < 1000 else 0


def _blocks(summary: Summary, names: Sequence[str], width: int) -> list[list[str]]:
    """Deal the metrics out to blocks no wider than `width`; one metric always fits."""
    padding = 3
    labels = [" / ".join(summary.by), *(_label(key) for key in summary.groups)]
    fixed = max(map(len, labels)) + len(str(summary.cases)) + 3 * padding
    blocks: list[list[str]] = [[]]
    used = fixed
    for name in names:
        wide = _width(summary, name) + padding
        if blocks[-1] and used + wide > width:
            blocks.append([])
            used = fixed
        blocks[-1].append(name)
        used += wide
    return blocks


def _width(summary: Summary, name: str) -> int:
    cells = [_cell(group.get(name), "\n") for group in summary.groups.values()]
    return max(len(name), *(len(line) for cell in cells for line in cell.split("\n")))


def _block_table(
    summary: Summary, groups: Sequence[tuple[str, ...]], names: Sequence[str], model: str
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(Text(" / ".join(summary.by)), no_wrap=True)
    for name in ("n", *names):
        table.add_column(Text(name), justify="right", no_wrap=True)
    for key in groups:
        cells = [_cell(summary.groups[key].get(name), "\n") for name in names]
        texts = [Text(cell) for cell in (_label(key), _cases(summary, key), *cells)]
        table.add_row(*texts, style="bold" if model in key else None)
    return table


@dataclass(frozen=True)
class Uncut:
    """A table at its natural width: rich would squeeze it, and cut numbers, to fit the console."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self.table, options.update(width=_ROOMY))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
