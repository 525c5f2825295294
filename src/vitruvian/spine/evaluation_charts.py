"""Charts of an evaluation of the spine: how near the index is to the rating, and for whom.

Each is drawn of the model's rows, and where there is too little to draw (one class, one clip, no
rating) it stays empty and its caption says why.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from vitruvian.core.evaluation import Row, summarise
from vitruvian.report.charts import (
    BLUE,
    GREY,
    ORANGE,
    VERMILLION,
    Spec,
    axis,
    chart,
    layer,
    tooltip,
    value,
)
from vitruvian.spine.metrics import RED_FLAG, per_person, pooled

CLIPS, PEOPLE = "clips", "people"
SQUARE = 320  # points
_BINS = 5  # of the reliability chart
_UNIT: Spec = {"scale": {"domain": [0, 1], "nice": False}}
_PREDICTED = axis("predicted", "predicted index", "0 best, 1 worst", **_UNIT)
_RATED = axis("rated", "self-rated index", "0 best, 1 worst", **_UNIT)
_OF: Spec = {
    "field": "of",
    "type": "nominal",
    "title": None,
    "scale": {"domain": [CLIPS, PEOPLE], "range": [BLUE, ORANGE]},
}


class Drawn(NamedTuple):
    """A chart with what stands under it."""

    name: str
    title: str
    caption: str
    spec: Spec


class Seen(NamedTuple):
    """The error of the index after a part of each window.

    Attributes:
        seconds: of a window that the net was shown.
        errors: absolute errors, one a clip.
    """

    seconds: float
    errors: list[float]


def charts_of(
    rows: Sequence[Row], everyone: Sequence[Row], seen: Sequence[Seen], simulated: bool
) -> Iterator[Drawn]:
    """The charts of an evaluation, one after the other.

    Args:
        rows: of the model, one a clip.
        everyone: of all predictors.
        seen: errors by length; none where the model reads whole clips alone.
        simulated: whether the people are; the charts say so.
    """
    banner = _banner(simulated)
    of = {CLIPS: rated(rows), PEOPLE: rated(per_person(rows))}
    for made in (_roc(of), _reliability(of), _scatter(of), _exercises(everyone), _lengths(seen)):
        if made is not None:
            yield made._replace(spec={**made.spec, **banner})


def rated(rows: Sequence[Row]) -> list[Row]:
    """Rows that have both an index and a rating."""
    return [row for row in rows if math.isfinite(row["index"] - row["truth"])]


def _banner(simulated: bool) -> Spec:
    look = {"anchor": "end", "color": VERMILLION, "fontSize": 11}
    return {"title": {"text": "SIMULATED people", **look}} if simulated else {}


# -- ROC ------------------------------------------------------------------------------------------


def _roc(of: Mapping[str, Sequence[Row]]) -> Drawn:
    """How many red flags are found at the price of how many false ones."""
    points = [{"of": who, **point} for who, rows in of.items() for point in roc_points(rows)]
    told = [f"AUC {_auc(who, rows)}" for who, rows in of.items()]
    curve = layer(
        {"type": "line", "interpolate": "linear", "point": {"size": 18}, "strokeWidth": 2},
        x=axis("false", "false red flags: 1 - specificity", "share", **_UNIT),
        y=axis("found", "red flags found: sensitivity", "share", **_UNIT),
        color=_OF,
        order={"field": "order", "type": "quantitative"},
        tooltip=tooltip("of", "threshold", "found", "false"),
    )
    caption = (
        f"Receiver operating characteristic of the red flag (rated index above {RED_FLAG:g}), as "
        f"the threshold on the predicted index moves. {'; '.join(told)}. Dashed: chance."
    )
    spec = _square(points, _diagonal("false", "found"), curve)
    return Drawn("roc", "Red flags found against false ones", caption, spec)


def _auc(who: str, rows: Sequence[Row]) -> str:
    auc = pooled(rows)["auc"]
    flags = sum(row["truth"] > RED_FLAG for row in rows)
    of = f"{flags} red flags of {len(rows)}"
    if math.isnan(auc):
        return f"of {who} cannot be drawn: {of}, and it takes both kinds"
    return f"of {who} {auc:.2f} ({of})"


def roc_points(rows: Sequence[Row]) -> list[dict[str, float]]:
    """Corners of the curve, from nothing flagged to everything; none where one class is missing.

    Args:
        rows: with an index and a rating each.
    """
    scores = np.array([row["index"] for row in rows])
    flagged = np.array([row["truth"] > RED_FLAG for row in rows], bool)
    if not flagged.any() or flagged.all():
        return []
    thresholds = [math.inf, *np.unique(scores)[::-1].tolist()]
    return [
        {
            "threshold": threshold,
            "found": float((scores[flagged] >= threshold).mean()),
            "false": float((scores[~flagged] >= threshold).mean()),
            "order": place,
        }
        for place, threshold in enumerate(thresholds)
    ]


# -- predicted against rated ----------------------------------------------------------------------


def _reliability(of: Mapping[str, Sequence[Row]]) -> Drawn:
    """Whether an index of 0.6 means 0.6."""
    bins = [{"of": who, **one} for who, rows in of.items() for one in reliability(rows)]
    bars = layer({"type": "rule"}, x=_PREDICTED, y=_RATED | {"field": "low"}, y2={"field": "high"},
                 color=_OF)  # fmt: skip
    points = layer(
        {"type": "line", "point": {"size": 60}},
        x=_PREDICTED,
        y=_RATED,
        color=_OF,
        tooltip=tooltip("of", "n", "predicted", "rated"),
    )
    caption = (
        "Reliability: clips and people in up to five groups of equal size, by predicted index; "
        "mean prediction against mean rating, with 1.96 standard errors. On the dashed line the "
        "index can be taken at its"
        f" word; above it people feel worse than the model says.{_nothing(of[CLIPS])}"
    )
    spec = _square(bins, _diagonal("predicted", "rated"), bars, points)
    return Drawn("calibration", "Calibration of the index", caption, spec)


def reliability(rows: Sequence[Row]) -> list[dict[str, float]]:
    """Mean prediction and mean rating of groups of equal size, with the ends of their intervals.

    Groups have at least three where there are as many; one alone has no interval.
    """
    index = np.array([row["index"] for row in rows], np.float64)
    truth = np.array([row["truth"] for row in rows], np.float64)
    found = []
    for part in np.array_split(
        np.argsort(index, kind="stable"), max(1, min(_BINS, len(rows) // 3))
    ):
        n, mean = len(part), float(truth[part].mean()) if len(part) else math.nan
        if n:
            half = 1.96 * float(truth[part].std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
            ends = {"low": max(0.0, mean - half), "high": min(1.0, mean + half)} if n > 1 else {}
            predicted = float(index[part].mean())
            found.append({"n": n, "predicted": predicted, "rated": mean, **ends})
    return found


def _scatter(of: Mapping[str, Sequence[Row]]) -> Drawn:
    """Every clip, and every person, where the model puts it and where they put themselves."""
    points = [
        {"of": who, "name": row["case"], "exercise": row.get("exercise", ""),
         "predicted": row["index"], "rated": row["truth"]}
        for who, rows in of.items() for row in rows
    ]  # fmt: skip
    drawn = layer(
        {"type": "point", "filled": True, "opacity": 0.6},
        x=_RATED,
        y=_PREDICTED,
        color=_OF,
        shape={"field": "of", "type": "nominal", "legend": None},
        size={"condition": {"test": f"datum.of === '{PEOPLE}'", "value": 90}, "value": 30},
        tooltip=tooltip("name", "exercise", "predicted", "rated"),
    )
    figures = pooled(of[CLIPS])
    caption = (
        "Predicted against self-rated index, of each clip and of each person's mean over clips. "
        f"Clips: mean absolute error {figures['mae']:.3f}, rank correlation "
        f"{figures['spearman']:.2f}. Grey lines: the red flag at {RED_FLAG:g}; dashed: agreement."
        f"{_nothing(of[CLIPS])}"
    )
    flags = [
        {"data": {"values": [{"at": RED_FLAG}]}, **layer("rule", color=value(GREY), **{along: at})}
        for along, at in (("x", _RATED | {"field": "at"}), ("y", _PREDICTED | {"field": "at"}))
    ]
    spec = _square(points, _diagonal("rated", "predicted"), *flags, drawn)
    return Drawn("predicted_rated", "Predicted against rated index", caption, spec)


# -- whom it errs about ---------------------------------------------------------------------------


def _exercises(everyone: Sequence[Row]) -> Drawn | None:
    """Mean absolute error of each exercise beside what costs nothing."""
    rows = [row for row in rated(everyone) if isinstance(row.get("exercise"), str)]
    if not rows:
        return None
    found = summarise(rows, by=("exercise", "predictor"), resamples=500).groups
    bars = [
        {"exercise": exercise, "predictor": predictor, "error": one.mean, "low": one.ci_low,
         "high": one.ci_high, "clips": one.n}
        for (exercise, predictor), metrics in found.items() for one in (metrics["abs_error"],)
    ]  # fmt: skip
    names = list(dict.fromkeys(bar["predictor"] for bar in bars))
    place: Spec = {
        "y": axis("exercise", "exercise", kind="nominal"),
        "yOffset": {"field": "predictor", "sort": names},
    }
    error = axis("error", "mean absolute error", "index", scale={"zero": True})
    colour = axis("predictor", "predictor", kind="nominal", sort=names)
    shown = tooltip("exercise", "predictor", "clips", "error", "low", "high")
    dots = layer({"type": "point", "filled": True, "size": 60}, x=error, **place, color=colour,
                 shape=colour | {"legend": None}, tooltip=shown)  # fmt: skip
    ends = layer("rule", x=error | {"field": "low"}, x2={"field": "high"}, **place, color=colour)
    caption = (
        "Mean absolute error of the index by exercise, with its bootstrap 95 % interval over clips,"
        " beside the predictors that do not look. 0.1 is ten points of the rating."
    )
    spec = chart(bars, ends, dots, height={"step": 20})
    return Drawn("error_by_exercise", "Error by exercise", caption, spec)


def _lengths(seen: Sequence[Seen]) -> Drawn | None:
    """How the error falls as more of a window is seen."""
    rows = [
        {"case": str(number), "predictor": f"{one.seconds:g}", "error": error}
        for one in seen for number, error in enumerate(one.errors) if math.isfinite(error)
    ]  # fmt: skip
    if not rows:
        return None
    found = {key[0]: group["error"] for key, group in summarise(rows, resamples=500).groups.items()}
    points = [
        {"seconds": float(seconds), "error": one.mean, "low": one.ci_low, "high": one.ci_high}
        for seconds, one in found.items()
    ]
    across = axis("seconds", "seen of each window", "s")
    error = axis("error", "mean absolute error", "index", scale={"zero": True})
    band = layer({"type": "area", "opacity": 0.2, "color": BLUE}, x=across,
                 y=error | {"field": "low"}, y2={"field": "high"})  # fmt: skip
    line = layer({"type": "line", "point": True, "color": BLUE}, x=across, y=error,
                 tooltip=tooltip("seconds", "error", "low", "high"))  # fmt: skip
    (clips,) = {len(list(group)) for _, group in groupby(rows, key=lambda row: row["predictor"])}
    caption = (
        f"Mean absolute error of {clips} clips when the net is shown only the beginning of each of "
        "their windows, with its bootstrap 95 % interval over clips."
    )
    return Drawn("error_by_length", "Error by length seen", caption, chart(points, band, line))


# -- pieces ---------------------------------------------------------------------------------------


def _square(rows: Sequence[Mapping[str, Any]], *layers: Spec) -> Spec:
    return chart(rows, *layers, width=SQUARE, height=SQUARE)


def _diagonal(x: str, y: str) -> Spec:
    """The line on which both agree."""
    mark = {"type": "line", "color": GREY, "strokeDash": [5, 4], "strokeWidth": 1}
    ends = [{x: end, y: end} for end in (0, 1)]
    return {"data": {"values": ends}, **layer(mark, x=axis(x, "", **_UNIT), y=axis(y, "", **_UNIT))}


def _nothing(rows: Sequence[Row]) -> str:
    return "" if rows else " There is no clip with a rating: nothing can be drawn."
