"""The best participant at each metric, apart from the mean over all: papers print such figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vitruvian.core.evaluation import Row, by_predictor, summarise
from vitruvian.core.fold_results import by_subject
from vitruvian.report.ends import badness
from vitruvian.report.table import Uncut


@dataclass(frozen=True)
class Best:
    """Whom a model did best on.

    Attributes:
        metric: at which metric.
        subject: who.
        value: of the model, averaged over the rows of the subject.
        rival: the best of the other predictors on the same subject; empty where there is none.
        rival_value: its value; NaN where there is none.
    """

    metric: str
    subject: str
    value: float
    rival: str = ""
    rival_value: float = math.nan


def best_subjects(rows: Iterable[Row], metrics: Sequence[str], model: str = "model") -> list[Best]:
    """Find the best subject at each metric whose good end is known.

    Small is good of errors (signed ones by size) and of ratios to a baseline, large of overlaps,
    correlations and shares. Of metrics that are neither, such as an index, there is no best.

    Args:
        rows: of all cases and predictors.
        metrics: which metrics, in which order.
        model: the predictor that is looked at.
    """
    values = _per_subject(rows)
    found = []
    for metric in metrics:
        worse = badness(metric)
        mine = _known(values.get(model, {}), metric)
        if worse is None or not mine:
            continue
        subject = min(mine, key=lambda who: worse(mine[who]))
        rivals = {
            name: theirs[subject]
            for name, people in values.items()
            if name != model and subject in (theirs := _known(people, metric))
        }
        best = Best(metric, subject, mine[subject])
        if rivals:
            rival = min(rivals, key=lambda name: worse(rivals[name]))
            best = replace(best, rival=rival, rival_value=rivals[rival])
        found.append(best)
    return found


def show_best(found: Sequence[Best], console: Console) -> None:
    """Print a line for each metric; nothing where no metric has a good end."""
    if not found:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("best participant", no_wrap=True)
    for name in ("who", "model", "best baseline on the same"):
        table.add_column(name, justify="right", no_wrap=True)
    for best in found:
        rival = f"{_text(best.rival_value)} ({best.rival})" if best.rival else "-"
        cells = (best.metric, best.subject, _text(best.value), rival)
        table.add_row(*(Text(cell) for cell in cells))
    console.print(Uncut(table), crop=False)
    note = "one participant, chosen afterwards: to be read against figures chosen alike, no others"
    console.print(Text(note), soft_wrap=True)


def _text(value: float) -> str:
    return f"{value:.4g}"


def _known(people: Mapping[str, Row], metric: str) -> dict[str, float]:
    values = {who: float(row.get(metric, math.nan)) for who, row in people.items()}
    return {who: value for who, value in values.items() if not math.isnan(value)}


def _per_subject(rows: Iterable[Row]) -> dict[str, dict[str, Row]]:
    """Mean of every metric, by predictor and subject."""
    means: dict[str, dict[str, Row]] = {}
    for predictor, own in by_predictor(by_subject(rows)).items():
        groups = summarise(own, by=("case",), resamples=1).groups
        means[predictor] = {
            key[0]: {name: statistic.mean for name, statistic in group.items()}
            for key, group in groups.items()
        }
    return means
