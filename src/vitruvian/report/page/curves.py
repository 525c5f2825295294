"""What was logged while a run trained, as charts: loss (Fig. 7 of the liver paper), validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from vitruvian.core.history import Values
from vitruvian.report.charts import (
    BLUE,
    VERMILLION,
    Spec,
    axis,
    chart,
    layer,
    thinned,
    tooltip,
    value,
)
from vitruvian.report.page.document import Shown, drawing

MOST = 9  # charts of validation figures; the monitored one is always among them
_POINTS = 400  # of a curve
_UNITS = {"deg": "°", "mm": "mm", "nm": "N m", "v": "V", "ml": "ml", "s": "s", "bpm": "1/min"}


def curve_figures(rows: Sequence[Values], monitor: str, mode: str) -> list[Shown]:
    """Charts of the loss and of every figure of the validation, the monitored one first."""
    found = [_loss(rows)] if any(_is_loss(key) for row in rows for key in row) else []
    names = list(dict.fromkeys(key for row in rows for key in row if key.startswith("val/")))
    names = [name for name in names if not _is_loss(name)]
    names.sort(key=lambda name: name != monitor)  # stable
    return found + [_validation(rows, name, monitor, mode) for name in names[:MOST]]


def unit_of(metric: str) -> str:
    """The unit that a metric's name ends in, as an axis shows it; empty: it has none."""
    return _UNITS.get(metric.rpartition("_")[2].lower(), "")


def words_of(metric: str) -> str:
    """A metric's name in words, without its unit and the part of the data."""
    name = metric.rpartition("/")[2]
    head, _, last = name.rpartition("_")
    return (head if head and last.lower() in _UNITS else name).replace("_", " ")


def _is_loss(name: str) -> bool:
    return name in ("train/epoch_loss", "val/loss", "val/epoch_loss", "train/loss")


def series(rows: Sequence[Values], name: str, most: int = _POINTS) -> list[tuple[float, float]]:
    """Epoch (counted from 1) and value of what was logged under a name, thinned."""
    known = [
        (row.get("epoch", math.nan) + 1, row[name])
        for row in rows
        if name in row and math.isfinite(row[name])
    ]
    return list(thinned(known, most))


def _loss(rows: Sequence[Values]) -> Shown:
    logged = [n for n in ("train/epoch_loss", "val/loss", "val/epoch_loss") if _has(rows, n)]
    points: list[dict[str, Any]] = [
        {"epoch": epoch, "loss": loss, "of": name}
        for name in logged or ["train/loss"]
        for epoch, loss in series(rows, name)
    ]
    low = min((p["loss"] for p in points), default=0.0)
    high = max((p["loss"] for p in points), default=0.0)
    scale = {"type": "log"} if low > 0 and high / low > 50 else {"zero": False}
    spec = chart(
        points,
        layer(
            {"type": "line", "point": {"size": 18}, "strokeWidth": 2},
            x=axis("epoch", "epoch", axis={"tickMinStep": 1}, scale={"zero": False}),
            y=axis("loss", "loss", scale=scale),
            color=axis("of", "", kind="nominal"),
            tooltip=tooltip("of", "epoch", "loss"),
        ),
    )
    caption = "Loss over the epochs; of the training as its mean over an epoch, in the unit of the "
    return drawing("Loss", f"{caption}loss{', logarithmic' if 'type' in scale else ''}.", spec)


def _has(rows: Sequence[Values], name: str) -> bool:
    return any(name in row for row in rows)


def _validation(rows: Sequence[Values], name: str, monitor: str, mode: str) -> Shown:
    every = [{"epoch": e, "value": v} for e, v in series(rows, name, most=len(rows) or 1)]
    points = list(thinned(every, _POINTS))
    caption = f"{name} over the epochs"
    best = [_best(every, mode)] if name == monitor and points else []
    if best:
        caption += f"; the kept weights are those of epoch {best[0]['epoch']:.0f} (mark)"
        caption += f", {'largest' if mode == 'max' else 'smallest'} is best"
    spec = curve_chart(points, words_of(name), unit_of(name), best)
    return drawing(words_of(name), f"{caption}.", {**spec, "height": 190}, small=True)


def _best(points: Sequence[dict[str, float]], mode: str) -> dict[str, float]:
    choose = max if mode == "max" else min
    return choose(points, key=lambda point: point["value"])


def curve_chart(
    points: Sequence[dict[str, float]], title: str, unit: str, marked: Sequence[dict[str, float]]
) -> Spec:
    """A line over the epochs with some points marked."""
    x = axis("epoch", "epoch", axis={"tickMinStep": 1}, scale={"zero": False})
    y = axis("value", title, unit, scale={"zero": False})
    hover = tooltip("epoch", "value")
    line = layer(
        {"type": "line", "point": {"size": 14}, "strokeWidth": 2},
        x=x,
        y=y,
        color=value(BLUE),
        tooltip=hover,
    )
    mark = layer(
        {"type": "point", "shape": "diamond", "size": 120, "filled": True},
        x=x,
        y=y,
        color=value(VERMILLION),
        tooltip=hover,
    )
    own = {**mark, "data": {"values": list(marked)}}
    return chart(points, line, own) if marked else chart(points, line)
