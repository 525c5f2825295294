"""What a verb prints at its end: result tables, what to doubt in them, where they are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from vitruvian.core.evaluating import Result, View
from vitruvian.report.consistency import check_rows
from vitruvian.report.pooled import show_pooled
from vitruvian.report.table import show


def show_result(result: Result, run: Path) -> None:
    """Print the tables of an evaluation and the path of the run."""
    console = Console()
    console.print(Text(f"{result.name} ({result.split})", style="bold"), soft_wrap=True)
    _show_cases(result.cases, result.metrics, console)
    for which, view in result.views.items():
        console.print(Text(f"{result.name}, {which.replace('_', ' ')}", style="bold"))
        show_pooled(_known(view.pooled), console)
    for finding in check_rows(result.cases.evaluation.rows):
        console.print(Text(f"impossible: {finding}", style="red"), soft_wrap=True)
    console.print(Text(f"run: {run}"), soft_wrap=True)


def _show_cases(view: View, metrics: Sequence[str], console: Console) -> None:
    found = view.evaluation
    shown = [name for name in metrics if name in found.summary.metrics]
    show(found.summary, found.simulated, shown, console=console)
    show_pooled(_known(view.pooled), console)


def _known(pooled: Mapping[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """The predictors that have pooled figures, the model's before the baselines'."""
    ranked = sorted(pooled.items(), key=lambda item: item[0].startswith("baseline"))
    return {who: figures for who, figures in ranked if figures}
