"""What a run is worth: read from its `metrics.csv`, while it grows and at the end."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from sys import intern

from vitruvian.core.errors import RunError
from vitruvian.core.watched import not_logged

OBJECTIVES = "hydra.sweeper.objectives"
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
    logged = {key for row in rows for key in row} - {"epoch", "step"}
    if metric in logged:
        return
    raise MissingMetricError(f"{OBJECTIVES}: {not_logged(metric, logged)}")


def value_of(metric: str, file: Path, monitor: str, mode: str) -> float:
    """The value of a run, see `kept_figures`.

    Raises:
        MissingMetricError: the metric is not logged.
    """
    found = kept_figures(file, monitor, mode, (metric,))
    if metric not in found:
        need(metric, read_rows(file))
    return found[metric]


def kept_figures(
    file: Path, monitor: str, mode: str, metrics: Iterable[str] = ()
) -> dict[str, float]:
    """What `metrics.csv` says of the weights that were kept: those of the best validation.

    It is searched as bytes, line by line: there may be 10,000 of these files.

    Args:
        file: the metrics file; a last line that is still being written is left out.
        monitor: the metric that chooses the weights; the first of equal values counts.
        mode: whether it is to `min` or `max`.
        metrics: further ones that are asked for. One that this validation did not log has the last
            value before it; without any monitored value the last of all.

    Returns:
        The `val/...` figures of that validation, the monitored metric, and those asked for;
        without what was never logged.
    """
    try:
        content = file.read_bytes()
        header, *lines = content[: content.rfind(b"\n") + 1].splitlines()
    except (OSError, ValueError):
        return {}
    columns = header.decode("utf-8", "replace").split(",")
    best = _best_line(lines, columns.index(monitor), mode) if monitor in columns else None
    kept = {} if best is None else _cells(columns, best)
    found = {
        intern(name): value
        for name, value in kept.items()
        if name.startswith("val/") or name == monitor
    }
    for metric in metrics:
        value = kept.get(metric)
        if value is None:
            value = _latest(columns, lines, metric, until=kept.get("step", math.inf))
        if value is not None:
            found[intern(metric)] = value
    return found


def _cells(columns: Sequence[str], line: bytes) -> dict[str, float]:
    cells = zip(columns, line.decode("utf-8", "replace").split(","), strict=False)
    return {name: _number(cell) for name, cell in cells if cell}


def _best_line(lines: Sequence[bytes], column: int, mode: str) -> bytes | None:
    """The first line with the best finite value: an equal one does not replace `best.ckpt`."""
    best, least, sign = None, math.inf, -1 if mode == "max" else 1
    for line in lines:
        cells = line.split(b",", column + 1)
        if len(cells) <= column or not cells[column]:
            continue
        value = sign * _number(cells[column])
        if math.isfinite(value) and value < least:
            best, least = line, value
    return best


def _latest(
    columns: Sequence[str], lines: Sequence[bytes], metric: str, until: float
) -> float | None:
    """The last value of a metric up to a step, else its first one; None if it was never logged."""
    if metric not in columns:
        return None
    column, first = columns.index(metric), None
    step = columns.index("step") if "step" in columns else None
    for line in reversed(lines):
        cell = _cell(line, column)
        if not cell:
            continue
        first = _number(cell)
        if step is None or _number(_cell(line, step)) <= until:
            break
    return first


def _cell(line: bytes, column: int) -> bytes:
    cells = line.split(b",", column + 1)
    return cells[column] if column < len(cells) else b""


def _number(text: str | bytes) -> float:
    try:
        return float(text)
    except ValueError:  # damaged
        return math.nan
