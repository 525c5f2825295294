"""Charts over many runs: parallel coordinates, learning curves, the figure against each axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vitruvian.report.charts import (
    BLUE,
    VERMILLION,
    Spec,
    axis,
    chart,
    escaped,
    layer,
    thinned,
    tooltip,
    value,
)
from vitruvian.report.page.curves import unit_of, words_of
from vitruvian.report.page.document import Shown, drawing

if TYPE_CHECKING:
    from vitruvian.report.page.many import RunLine

AXES = 8  # in parallel coordinates, and charts of single ones
_CURVE_POINTS = 20_000  # in all curves together
_WIDE = 30.0  # ratio of the ends from which an axis is logarithmic
_TICKS = 6


def numbers_of(texts: Sequence[str]) -> list[float] | None:
    """The values of an axis as numbers; None if one is none."""
    try:
        found = [float(text) for text in texts]
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) else None


def is_logarithmic(found: Sequence[float]) -> bool:
    """Whether the numbers spread so far that only their ratios can be seen."""
    return min(found) > 0 and max(found) / min(found) >= _WIDE


# -- parallel coordinates -------------------------------------------------------------------------


def parallel_chart(runs: Sequence[RunLine], axes: Sequence[str], metric: str, mode: str) -> Shown:
    """A line for each run through its values, coloured by what came out; the best one is bold."""
    keys = [key for key in axes if len({run.axes.get(key) for run in runs}) > 1][:AXES]
    columns = [_positions([run.axes.get(key, "-") for run in runs]) for key in keys]
    columns.append(_positions([repr(run.score) for run in runs]))
    names = [*keys, metric]
    rows = [
        {"run": run.name, "score": run.score}
        | {name: column[0][i] for name, column in zip(names, columns, strict=True)}
        for i, run in enumerate(runs)
    ]
    marks = [
        {"axis": name, "at": at, "text": text}
        for name, (_, ticks) in zip(names, columns, strict=True)
        for at, text in ticks
    ]
    better = "largest" if mode == "max" else "smallest"
    caption = (
        f"Each line is a run: its value on every axis, and {metric} on the last one and as colour. "
        f"The thick line is the best run, {runs[0].name} ({better} is best)."
    )
    return drawing("Parallel coordinates", caption, _parallel(rows, marks, names, metric))


def _positions(texts: Sequence[str]) -> tuple[list[float], list[tuple[float, str]]]:
    """Where each value stands on its axis, 0 to 1, and the marks of the axis."""
    found = numbers_of(texts)
    if found is None:
        order = {text: i for i, text in enumerate(sorted(set(texts)))}
        scale = max(1, len(order) - 1)
        ticks = [(i / scale, text) for text, i in order.items()]
        return [order[text] / scale for text in texts], list(thinned(ticks, _TICKS * 2))
    bend: Callable[[float], float] = math.log if is_logarithmic(found) else float
    low, high = bend(min(found)), bend(max(found))
    span = (high - low) or 1.0
    at = [(bend(one) - low) / span for one in found]
    values = sorted(set(found))
    shown = values if len(values) <= _TICKS else [values[0], values[-1]]
    return at, [((bend(one) - low) / span, f"{one:.4g}") for one in shown]


def _parallel(
    rows: list[dict[str, Any]], marks: list[dict[str, Any]], names: Sequence[str], metric: str
) -> Spec:
    fold = [{"fold": [escaped(name) for name in names], "as": ["axis", "at"]}]
    bare = {"labels": False, "ticks": False, "domain": False, "grid": False}
    x = axis("axis", "", kind="nominal", sort=list(names), axis={"labelAngle": 0, "grid": True})
    y = axis("at", "", axis={**bare, "title": None}, scale={"domain": [-0.05, 1.05]})
    legend = {"gradientOpacity": 1, "gradientLength": 240}
    scale = {"scheme": "viridis"}
    colour = axis("score", metric, unit_of(metric), scale=scale, legend=legend)
    hover = tooltip("run", "score")
    faint = max(0.15, min(0.8, 40 / len(rows)))
    lines = layer(
        {"type": "line", "opacity": faint, "strokeWidth": 1.5},
        x=x,
        y=y,
        color=colour,
        detail={"field": "run"},
        tooltip=hover,
    )
    best = layer(
        {"type": "line", "strokeWidth": 4},
        x=x,
        y=y,
        color=value(VERMILLION),
        detail={"field": "run"},
        tooltip=hover,
    )
    texts = [
        layer(
            {"type": "text", "align": "left", "dx": 6, "fontSize": 11, **mark},
            x=x,
            y=y,
            text={"field": "text"},
            color=value(shade),
        )
        for mark, shade in (({"stroke": "white", "strokeWidth": 4}, "white"), ({}, "#1D2125"))
    ]
    return chart(
        rows,
        {**lines, "transform": fold},
        {**best, "transform": fold, "data": {"values": rows[:1]}},
        *({**text, "data": {"values": marks}} for text in texts),
        height=340,
    )


# -- learning curves ------------------------------------------------------------------------------


def curves_chart(runs: Sequence[RunLine], monitor: str, best: str) -> Shown:
    """The monitored figure over the epochs, a line for each run; the best one stands out."""
    drawn = [run for run in runs if run.curve]
    most = max(8, min(200, _CURVE_POINTS // len(drawn)))
    rows = [_curve_row(run, most) for run in drawn]
    x = axis("epoch", "epoch", axis={"tickMinStep": 1}, scale={"zero": False})
    y = axis("value", words_of(monitor), unit_of(monitor), scale={"zero": False})
    transform = [{"flatten": ["epoch", "value"]}]
    opacity = max(0.12, min(0.7, 30 / len(rows)))
    all_runs = layer(
        {"type": "line", "opacity": opacity, "strokeWidth": 1.5, "clip": True},
        x=x,
        y=y,
        color=value(BLUE),
        detail={"field": "run"},
        tooltip=tooltip("run"),
    )
    own = layer(
        {"type": "line", "strokeWidth": 3},
        x=x,
        y=y,
        color=value(VERMILLION),
        tooltip=tooltip("run", "epoch", "value"),
    )
    marked = [row for row in rows if row["run"] == best]
    layers = [{**all_runs, "transform": transform}]
    if marked:
        layers.append({**own, "transform": transform, "data": {"values": marked}})
    caption = f"{monitor} of every run over the epochs"
    caption += f"; the best run, {best}, in orange." if marked else "."
    return drawing("Learning curves", caption, chart(rows, *layers))


def _curve_row(run: RunLine, most: int) -> dict[str, Any]:
    points = thinned(run.curve, most)
    epochs = [int(epoch) if epoch == int(epoch) else epoch for epoch, _ in points]
    return {"run": run.name, "epoch": epochs, "value": [float(f"{v:.5g}") for _, v in points]}


# -- each axis alone ------------------------------------------------------------------------------


def axis_charts(runs: Sequence[RunLine], axes: Sequence[str], metric: str) -> list[Shown]:
    """The figure against each axis that takes more than one value."""
    found = []
    for key in axes:
        known = [run for run in runs if key in run.axes]
        if len({run.axes[key] for run in known}) > 1:
            found.append(_axis_chart(known, key, metric))
    return found[:AXES]


def _axis_chart(runs: Sequence[RunLine], key: str, metric: str) -> Shown:
    numbers = numbers_of([run.axes[key] for run in runs])
    values: Sequence[Any] = numbers or [run.axes[key] for run in runs]
    rows: list[Mapping[str, Any]] = [
        {"run": run.name, key: at, metric: run.score} for run, at in zip(runs, values, strict=True)
    ]
    if numbers is None:
        x = axis(key, key, kind="nominal", axis={"labelAngle": 0, "labelLimit": 140})
    else:
        x = axis(key, key, scale={"type": "log"} if is_logarithmic(numbers) else {"zero": False})
    points = layer(
        {"type": "point", "filled": True, "size": 45, "opacity": 0.6},
        x=x,
        y=axis(metric, metric, unit_of(metric), scale={"zero": False}),
        color=value(BLUE),
        tooltip=tooltip("run", key, metric),
    )
    logarithmic = numbers is not None and is_logarithmic(numbers)
    caption = f"{metric} against {key}{' (logarithmic)' if logarithmic else ''}; a dot is a run."
    return drawing(key, caption, chart(rows, points, height=220), small=True)
