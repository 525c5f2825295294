"""What a verb prints at its end: the result table, what to doubt in it, and where it is kept."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from vitruvian.core.engine import Result
from vitruvian.report.consistency import check_rows
from vitruvian.report.table import show


def show_result(result: Result, run: Path) -> None:
    """Print the table of an evaluation and the path of the run."""
    console = Console()
    found = result.evaluation
    shown = [name for name in result.metrics if name in found.summary.metrics]
    console.print(Text(f"{result.name} ({result.split})", style="bold"), soft_wrap=True)
    show(found.summary, found.simulated, shown, console=console)
    for line in pooled_lines(result):
        console.print(Text(line), soft_wrap=True)
    for finding in check_rows(found.rows):
        console.print(Text(f"impossible: {finding}", style="red"), soft_wrap=True)
    console.print(Text(f"run: {run}"), soft_wrap=True)


def pooled_lines(result: Result) -> list[str]:
    """Each pooled figure on a line of its own, the model before the baselines."""
    ranked = sorted(result.pooled.items(), key=lambda item: item[0].startswith("baseline"))
    names = dict.fromkeys(name for _, figures in ranked for name in figures)
    return [
        f"{name}, all cases as one: "
        + ", ".join(f"{who} {figures[name]:.4f}" for who, figures in ranked if name in figures)
        for name in names
    ]
