"""Charts of single trials: what was measured and what the model says, its errors and their sum."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vitruvian.core.evaluation import Row
from vitruvian.muscle.figures import shown_unit, worded
from vitruvian.muscle.metrics import metric_name
from vitruvian.muscle.quantities import Quantity, quantity
from vitruvian.muscle.readout import Predicted
from vitruvian.muscle.trial import Kind, Trial
from vitruvian.report.case_charts import coloured, level, stacked
from vitruvian.report.charts import (
    BLUE,
    ORANGE,
    PALETTE,
    SKY,
    Spec,
    axis,
    chart,
    layer,
    thinned,
    tooltip,
    value,
)

Floats = npt.NDArray[np.float64]

SUFFIX: Mapping[Kind, str] = {
    "change": ", change per frame",
    "centred": ", less the trial's mean",
    "absolute": "",
}

# What a page can hold: points of one line, and of the lines (or dots) of all trials together.
_POINTS, _ALL_POINTS, _DOTS = 180, 450, 300
_PANEL = 120  # points, height of one of several below each other
_LOOSE, _TIGHT = {"zero": False}, {"zero": False, "nice": False}  # scales
_DIGITS = 4  # what a tooltip shows


@dataclass(frozen=True)
class Shown:
    """A trial worth a look.

    Attributes:
        role: why, such as `best`.
        trial: with the truth.
        predicted: by kind, (T, V) in native units.
    """

    role: str
    trial: Trial
    predicted: Predicted

    @property
    def name(self) -> str:
        """How the trial is called in charts."""
        return f"{self.trial.name} ({self.role})"

    def pair(self, names: Sequence[str], name: str, kind: Kind) -> tuple[Floats, Floats]:
        """Truth and prediction of a quantity in the unit that figures show, (T,) each."""
        factor, _ = shown_unit(quantity(name))
        predicted = self.predicted[kind][:, list(names).index(name)]
        return factor * self.trial.truth(name, kind), factor * predicted


def titled(what: Quantity, kind: Kind) -> str:
    """Title of an axis, without the unit."""
    return f"{worded(what)}{SUFFIX[kind]}"


# -- traces ---------------------------------------------------------------------------------------


def trace_chart(
    shown: Shown,
    names: Sequence[str],
    kind: Kind,
    half_widths: Mapping[str, float],
    of: int = 1,
) -> Spec:
    """Measured and predicted values of a trial over time, one panel for each quantity.

    Args:
        shown: the trial.
        names: of the quantities, in the order of the predictions.
        kind: of the values.
        half_widths: of the predictive intervals in native units; NaN: none is known.
        of: how many trials a page shows; of many, each has fewer points.
    """
    panels = []
    for place, name in enumerate(names):
        what = quantity(name)
        factor, unit = shown_unit(what)
        measured, model = shown.pair(names, name, kind)
        rows = _points(shown.trial.times_s, {"measured": measured, "model": model}, of)
        half = factor * half_widths.get(name, math.nan)
        panels.append(_trace(rows, f"{titled(what, kind)}", unit, half, f"zoom{place}"))
    return stacked(panels)


def _points(times: Floats, columns: Mapping[str, Floats], of: int) -> list[Any]:
    """Rows with the time and the columns, thinned and rounded to what can be seen."""
    kept = thinned(range(len(times)), max(2, min(_POINTS, _ALL_POINTS // of)))
    numbers = {name: values.tolist() for name, values in columns.items()}
    return [
        {"time_s": round(float(times[i]), 3)}
        | {name: _rounded(values[i]) for name, values in numbers.items()}
        for i in kept
    ]


def _rounded(number: float) -> float:
    return float(f"{number:.{_DIGITS + 1}g}")


def _trace(rows: Sequence[Row], title: str, unit: str, half: float, zoom: str) -> Spec:
    across = axis("time_s", "time", "s", scale=_TIGHT)
    up = {"title": f"{title} ({unit})", "scale": {"zero": False}}
    colours = {"measured": ORANGE, "model": BLUE}
    lines = [
        layer(
            {"type": "line", "strokeWidth": 1.5},
            x=across,
            y=_of(name, up),
            color=_named(colours, name),
        )
        for name in colours
    ]
    hint = tooltip("time_s", *colours)
    pointed = layer({"type": "point", "opacity": 0}, x=across, y=_of("model", up), tooltip=hint)
    # Shift: a page must scroll under the pointer.
    moved = {"type": "interval", "encodings": ["x"], "zoom": "wheel![event.shiftKey]"}
    pointed["params"] = [{"name": zoom, "select": moved, "bind": "scales"}]
    return chart(rows, *_band(across, up, half), *lines, pointed, height=_PANEL)


def _of(column: str, properties: Mapping[str, Any]) -> Spec:
    return {"field": column, "type": "quantitative", **properties}


def _named(colours: Mapping[str, str], name: str) -> Spec:
    """The colour of one line, with a legend of all of them."""
    kept = coloured("name", colours)
    return {"datum": name, **{key: kept[key] for key in ("type", "scale", "legend")}}


def _band(across: Spec, up: Mapping[str, Any], half: float) -> list[Spec]:
    """The predictive interval about the model's line."""
    if not math.isfinite(half):
        return []
    area = layer(
        {"type": "area", "opacity": 0.35},
        x=across,
        y=_of("low", up),
        y2={"field": "high"},
        color=value(SKY),
    )
    known = {"filter": "isValid(datum.model)"}
    ends = [
        {"calculate": f"datum.model {sign} {_rounded(half)}", "as": end}
        for sign, end in (("-", "low"), ("+", "high"))
    ]
    return [{**area, "transform": [known, *ends]}]


# -- agreement ------------------------------------------------------------------------------------


def agreement_chart(
    shown: Sequence[Shown], names: Sequence[str], name: str, kind: Kind, whole: Row
) -> Spec | None:
    """Bland and Altman's plot of a quantity; None where nothing was predicted.

    Args:
        shown: trials whose frames are drawn.
        names: of the quantities, in the order of the predictions.
        name: of the quantity.
        kind: of its values.
        whole: all trials pooled into one row; bias and limits are theirs.
    """
    what = quantity(name)
    _, unit = shown_unit(what)
    most = max(1, _DOTS // len(shown))
    dots = [dot for one in shown for dot in _dots(one, names, name, kind, most)]
    found = limits(whole, what, kind)
    if not dots or found is None:
        return None
    marks = layer(
        {"type": "point", "filled": True, "size": 18, "opacity": 0.55},
        x=axis("mean", f"mean of model and sensor: {titled(what, kind)}", unit, scale=_LOOSE),
        y=axis("difference", "model less sensor", unit),
        color=coloured("trial", dict(zip((one.name for one in shown), PALETTE, strict=False))),
        tooltip=tooltip("trial", "mean", "difference"),
    )
    low, bias, high = found
    lines = [
        level(low, "y", "lower limit of agreement"),
        level(high, "y", "upper limit of agreement"),
        level(bias, "y", "bias", dashed=False),
    ]
    return chart(dots, marks, *lines)


def _dots(one: Shown, names: Sequence[str], name: str, kind: Kind, most: int) -> list[Row]:
    truth, predicted = one.pair(names, name, kind)
    known = np.flatnonzero(np.isfinite(truth) & np.isfinite(predicted))
    kept = list(thinned(known.tolist(), most))
    means, apart = (truth + predicted)[kept] / 2, (predicted - truth)[kept]
    return [
        {"trial": one.name, "mean": _rounded(mean), "difference": _rounded(difference)}
        for mean, difference in zip(means.tolist(), apart.tolist(), strict=True)
    ]


def limits(whole: Row, what: Quantity, kind: Kind) -> tuple[float, float, float] | None:
    """Lower limit of agreement, bias and upper limit, in the unit that figures show."""
    factor, _ = shown_unit(what)
    bias, rmse = (whole.get(metric_name(what, kind, m), math.nan) for m in ("bias", "rmse"))
    if not (math.isfinite(bias) and math.isfinite(rmse)):
        return None
    reach = 1.96 * math.sqrt(max(rmse**2 - bias**2, 0.0))
    return factor * (bias - reach), factor * bias, factor * (bias + reach)


# -- drift ----------------------------------------------------------------------------------------


def drift_chart(shown: Sequence[Shown], names: Sequence[str], name: str) -> Spec | None:
    """How far the sum of the predicted changes runs away; None where no change is known."""
    what = quantity(name)
    _, unit = shown_unit(what)
    rows: list[Row] = []
    for one in shown:
        truth, predicted = one.pair(names, name, "change")
        known = np.flatnonzero(np.isfinite(truth) & np.isfinite(predicted))
        summed = np.cumsum((predicted - truth)[known])
        points = _points(one.trial.times_s[known], {"drift": summed}, len(shown))
        rows += [{"trial": one.name, **point} for point in points]
    if not rows:
        return None
    lines = layer(
        {"type": "line", "strokeWidth": 1.5, "point": {"opacity": 0, "size": 60}},
        x=axis("time_s", "time", "s", scale=_TIGHT),
        y=axis("drift", f"summed error of the {worded(what)}", unit),
        color=coloured("trial", dict(zip((one.name for one in shown), PALETTE, strict=False))),
        tooltip=tooltip("trial", "time_s", "drift"),
    )
    return chart(rows, level(0.0, "y", "no drift"), lines, height=200)
