"""What a verb prints at its end: the result table, what to doubt in it, and where it is kept."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from vitruvian.core.engine import Evaluation
from vitruvian.report.consistency import check_rows
from vitruvian.report.table import show


def show_result(result: Evaluation, run: Path) -> None:
    """Print the table of an evaluation and the path of the run."""
    console = Console()
    shown = [name for name in result.metrics if name in result.summary.metrics]
    console.print(Text(f"{result.name} ({result.kind})", style="bold"), soft_wrap=True)
    show(result.summary, result.simulated, shown, console=console)
    for finding in check_rows(result.rows):
        console.print(Text(f"impossible: {finding}", style="red"), soft_wrap=True)
    console.print(Text(f"run: {run}"), soft_wrap=True)
