"""Charts with a mark for every case, and which cases are worth a closer look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from vitruvian.core.evaluation import Row, Statistic, by_predictor, summarise
from vitruvian.report.charts import BLUE, GREY, Spec, axis, chart, layer, tooltip, value

MODEL = "model"  # the predictor's name in rows
BASELINE = "baseline"  # how the names of trivial predictors begin
LABELLED = 40  # cases whose names fit beside the axis
_ABOVE = {"titleAngle": 0, "titleAlign": "right", "titleX": -6, "titleY": -8}  # of the names
_STEP, _NARROW = 18, 5  # points from one case to the next


def best_median_worst(figures: Mapping[str, float], least_is_best: bool = False) -> dict[str, str]:
    """The cases to show: `best`, `median` and `worst`; of two no median, of one only the `only`.

    Args:
        figures: by case; one without a figure is never shown.
        least_is_best: as of errors.
    """
    known = sorted((figure, case) for case, figure in figures.items() if math.isfinite(figure))
    ranked = [case for _, case in (known if least_is_best else reversed(known))]
    if len(ranked) < 2:
        return dict.fromkeys(("only",) if ranked else (), *ranked)
    ends = {"best": ranked[0], "worst": ranked[-1]}
    if len(ranked) == 2:
        return ends
    return {"best": ends["best"], "median": ranked[len(ranked) // 2], "worst": ends["worst"]}


def best_baseline(rows: Sequence[Row], metric: str) -> str | None:
    """The trivial predictor with the largest mean of a metric; None where none has any."""
    means = {
        name: mean_of(group, metric).mean
        for name, group in by_predictor(rows).items()
        if name.startswith(BASELINE)
    }
    known = {name: mean for name, mean in means.items() if math.isfinite(mean)}
    return max(known, key=lambda name: known[name], default=None)


def mean_of(rows: Sequence[Row], metric: str, seed: int = 0) -> Statistic:
    """Mean of a metric over the cases of one predictor, with its confidence interval.

    Args:
        rows: of one predictor, not empty.
        metric: which; NaN in rows that lack it.
        seed: of the bootstrap; that of the run gives the interval of its result table.
    """
    kept = [{**_who(row), metric: row.get(metric, math.nan)} for row in rows]
    (group,) = summarise(kept, seed=seed).groups.values()
    return group[metric]


def _who(row: Row) -> Row:
    return {key: row[key] for key in ("case", "predictor")}


def coloured(field: str, colours: Mapping[str, str], **properties: Any) -> Spec:
    """A colour for each name in a column, with its legend above the chart."""
    scale = {"domain": list(colours), "range": list(colours.values())}
    legend = {"title": None, "orient": "top", "labelLimit": 400}
    return {**axis(field, field, kind="nominal", scale=scale, legend=legend), **properties}


def per_case(
    data: Sequence[Mapping[str, Any]],
    across: Spec,
    colours: Mapping[str, str],
    order: Sequence[str],
    marked: Statistic | None = None,
    who: str = "case",
    by: str = "predictor",
    below: Sequence[Spec] = (),
    **properties: Any,
) -> Spec:
    """One line for each case, with a dot for everything that was measured of it.

    Args:
        data: rows with the columns `who`, `by` and that of `across`.
        across: the horizontal axis.
        colours: of the values of `by`.
        order: of the cases, from top to bottom.
        marked: a mean to draw as a line, with its confidence interval as a band.
        who: column of the cases; its name is the axis' title.
        by: column that tells the dots of a case apart.
        below: layers that the dots are drawn over.
        properties: further ones of the chart, such as a title.
    """
    many = len(order) > LABELLED
    shown = {"labels": not many, "ticks": not many, "grid": not many, "labelLimit": 220} | _ABOVE
    down = axis(who, who, kind="nominal", sort=list(order), axis=shown)
    dot = {"type": "point", "filled": True, "size": 25 if many else 60, "opacity": 0.9}
    hint = tooltip(who, by, across["field"].replace("\\", ""))
    marks = layer(dot, x=across, y=down, color=coloured(by, colours), tooltip=hint)
    height = {"step": _NARROW if many else _STEP}
    return chart(data, *below, *_marked(marked, across), marks, height=height, **properties)


def _marked(mean: Statistic | None, across: Spec) -> list[Spec]:
    """A line at the mean and a band over its interval, where there are any."""
    if mean is None or not math.isfinite(mean.mean):
        return []
    ends: Spec = {key: across[key] for key in ("type", "title", "scale") if key in across}
    line = layer({"type": "rule", "size": 2}, x={"field": "mean", **ends}, color=value(BLUE))
    band = layer(
        {"type": "rect", "opacity": 0.15},
        x={"field": "low", **ends},
        x2={"field": "high"},
        color=value(BLUE),
    )
    found = {"mean": mean.mean, "low": mean.ci_low, "high": mean.ci_high}
    with_data = {"data": {"values": [found]}}
    if not math.isfinite(mean.ci_low):
        return [line | {"data": {"values": [{"mean": mean.mean}]}}]
    return [band | with_data, line | with_data]


def level(at: float, along: str = "x", text: str = "", dashed: bool = True) -> Spec:
    """A line across the chart at a value of the axis `along`, which words may name."""
    mark = {"type": "rule", "strokeDash": [4, 4] if dashed else [1, 0]}
    channel = {"datum": at, "type": "quantitative"}
    drawn = layer(mark, color=value(GREY), **{along: channel})
    if text:
        drawn["encoding"]["tooltip"] = value(text)
    return drawn


def stacked(charts: Sequence[Spec]) -> Spec:
    """Several charts below each other as one."""
    shared: Spec = {key: charts[0][key] for key in ("$schema", "config")}
    parts = [{key: part[key] for key in part if key not in shared} for part in charts]
    return {**shared, "vconcat": parts}
