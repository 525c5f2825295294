"""What a run is worth: read from its `metrics.csv`, while it grows and at the end."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from vitruvian.core.check import nearest
from vitruvian.core.errors import RunError

Row = Mapping[str, float]  # epoch, step and the metrics that were logged there


class MissingMetricError(RunError):
    """A metric that runs are to be judged by is not logged: no run of the sweep will have it."""


def read_rows(file: Path) -> list[Row]:
    """The rows of a metrics file so far; a last line that is still being written is left out."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        return []
    whole = text[: text.rfind("\n") + 1]
    rows = csv.DictReader(io.StringIO(whole, newline=""))
    return [{key: float(cell) for key, cell in row.items() if key and cell} for row in rows]


def validations(rows: Sequence[Row]) -> list[Row]:
    """The rows of validations."""
    return [row for row in rows if any(key.startswith("val/") for key in row)]


def need(metric: str, rows: Sequence[Row]) -> None:
    """Make sure that a metric is logged, as soon as that can be known.

    Args:
        metric: its name.
        rows: of a run that has ended, or has validated at least once.

    Raises:
        MissingMetricError: it is not; the message lists those that are.
    """
    logged = sorted({key for row in rows for key in row} - {"epoch", "step"})
    if metric in logged:
        return
    near = nearest(metric, logged)
    meant = f"; did you mean `{near}`?" if near else ""
    offered = [key for key in logged if key.startswith("val/")] or logged
    raise MissingMetricError(
        f"hydra.sweeper.objectives: {metric} is not logged{meant} "
        f"(the validation logs {', '.join(offered) or 'nothing'})"
    )


def value_of(metric: str, rows: Sequence[Row], monitor: str, mode: str) -> float:
    """The value of a run: the metric where the monitored one was best, whose weights are kept.

    A metric that no validation logs has the last value before that; without any monitored value the
    last of all.

    Raises:
        MissingMetricError: the metric is not logged.
    """
    need(metric, rows)
    kept = _kept(rows, monitor, mode)
    if kept is not None and metric in kept:
        return kept[metric]
    until = math.inf if kept is None else kept["step"]
    values = [row[metric] for row in rows if metric in row and row["step"] <= until]
    return values[-1] if values else next(row[metric] for row in rows if metric in row)


def _kept(rows: Sequence[Row], monitor: str, mode: str) -> Row | None:
    """The first of the best validations: an equal one does not replace `best.ckpt`."""
    judged = [row for row in rows if math.isfinite(row.get(monitor, math.nan))]
    choose = min if mode == "min" else max
    return choose(judged, key=lambda row: row[monitor], default=None)
