"""Forest plots of claims: ours with its interval, beside the printed number and the rivals.

Claims of one unit share a chart; costs and times are drawn as ratios, so that they share one, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from vitruvian.report.charts import (
    BLUE,
    GREY,
    PURPLE,
    VERMILLION,
    axis,
    chart,
    layer,
    tooltip,
    value,
)
from vitruvian.report.page.document import Shown, drawing
from vitruvian.report.page.words import metric_words
from vitruvian.report.quantity import quantity

if TYPE_CHECKING:
    from vitruvian.papers.paper import Experiment
    from vitruvian.papers.results import Judged

OURS, PRINTED = "ours, with 95 % interval", "printed in the paper"
RIVAL, BASELINE = "rival that it is said to beat", "best trivial baseline"
_MARKS = {
    OURS: (BLUE, "circle"),
    PRINTED: (VERMILLION, "diamond"),
    RIVAL: (PURPLE, "square"),
    BASELINE: (GREY, "cross"),
}
_UNITS = {
    "%": "Percentages",
    "mm": "Distances in mm",
    "deg": "Angles in deg",
    "Nm": "Torques in Nm",
    "V": "Voltages in V",
}
_MOST = 4  # charts of a paper: the table below has all claims
_FEWEST = 2  # rows of a chart: one dot alone tells less than its row in the table
_FAR = 30.0  # largest over smallest number, from which on a scale is logarithmic
_LETTERS, _LINE, _GAP = 30, 14, 12  # of a label: letters a line, points a line, points between

Rows = list[dict[str, Any]]


def forests(
    claims: Sequence[Judged], experiments: Mapping[str, Experiment], origin: str
) -> list[Shown]:
    """At most four charts: one for each unit, and one for what costs are to those of the rival."""
    groups: dict[str, list[Judged]] = {}
    ratios = []
    for one in filter(_is_drawn, claims):
        if one.claim.kind in ("cost", "measured"):
            ratios.append(one)
        else:
            groups.setdefault(one.claim.unit, []).append(one)
    fit = [(unit, group) for unit, group in groups.items() if len(group) >= _FEWEST]
    fit = fit[: _MOST - (len(ratios) >= _FEWEST)]
    drawn = [_of_unit(unit, group, experiments, origin) for unit, group in fit]
    return drawn + ([_of_ratios(ratios, experiments)] if len(ratios) >= _FEWEST else [])


def _is_drawn(one: Judged) -> bool:
    """Whether there is a figure of ours, and a printed number or a rival to hold it against."""
    beside = one.claim.value if one.rival is None else one.rival.mean
    known = one.ours is not None and math.isfinite(one.ours.mean) and beside is not None
    return known and math.isfinite(beside or 0.0)


# -- figures --------------------------------------------------------------------------------------


def _of_unit(
    unit: str, claims: Sequence[Judged], experiments: Mapping[str, Experiment], origin: str
) -> Shown:
    labels = _labels(claims, experiments)
    named = list(zip(labels, claims, strict=True))
    points = [row for label, one in named for row in _points(label, one)]
    spans = [span for label, one in named for span in _spans(label, one)]
    numbers = [row["value"] for row in points] + [row["value"] for row in spans]
    far = min(numbers) > 0 and max(numbers) / min(numbers) > _FAR
    kinds = list(dict.fromkeys(metric_words(one.claim.metric, unit=False) for one in claims))
    what = kinds[0] if len(kinds) == 1 else "figure"
    title = _UNITS.get(unit) or f"{', '.join(kinds)}{f' ({unit})' if unit else ''}"
    x = _axis(f"{what}, logarithmic" if far else what, unit, far)
    spec = _forest(points, spans, labels, x)
    caption = f"{_caption(points)} Ours: {origin}."
    return drawing(f"{title}: ours beside the paper", caption, spec)


def _axis(title: str, unit: str, logarithmic: bool) -> dict[str, Any]:
    scale: dict[str, Any] = {"nice": False, "padding": 14}
    ticks: dict[str, Any] = {"labelOverlap": True, "tickCount": 6}
    if logarithmic:
        scale, ticks = scale | {"type": "log"}, ticks | {"format": "~g"}
    else:
        scale["zero"] = False
    return axis("value", title, unit, scale=scale, axis=ticks)


def _points(label: str, one: Judged) -> Rows:
    assert one.ours is not None
    found = [(OURS, one.ours.mean), (PRINTED, _printed(one))]
    found.append((RIVAL, one.rival.mean if one.rival else None))
    found.append((BASELINE, one.baseline[1].mean if one.baseline else None))
    return [
        {"claim": label, "what": what, "value": number, "words": one.claim.quote}
        for what, number in found
        if number is not None and math.isfinite(number)
    ]


def _printed(one: Judged) -> float | None:
    """Of an order the printed number is a difference, which has no place on the axis."""
    return None if one.claim.kind == "order" else one.claim.value


def _spans(label: str, one: Judged) -> Rows:
    if one.ours is None or not math.isfinite(one.ours.ci_low):
        return []
    return [
        {"claim": label, "value": one.ours.ci_low, "high": one.ours.ci_high},
    ]


def _caption(points: Iterable[Mapping[str, Any]]) -> str:
    present = {point["what"] for point in points}
    said = [f"{shape}: {what}" for what, (_, shape) in _MARKS.items() if what in present]
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}."


# -- ratios ---------------------------------------------------------------------------------------


def _of_ratios(claims: Sequence[Judged], experiments: Mapping[str, Experiment]) -> Shown:
    """Costs over the rival's, what is measured over the printed limit; 1 is as much."""
    labels = _labels(claims, experiments)
    named = zip(labels, claims, strict=True)
    points = [row for label, one in named for row in _ratio(label, one)]
    one_line = layer({"type": "rule", "strokeDash": [4, 4], "color": GREY}, x=_axis("", "", True))
    one_line["encoding"]["x"] = {"datum": 1, "type": "quantitative"}
    x = _axis("ours over what it is held against, logarithmic; 1: as much", "", True)
    spec = _forest(points, [], labels, x, one_line)
    caption = (
        "Circle: ours over the rival's, or over the printed limit; the dashed line is 1, as much. "
        "These figures rest on no data."
    )
    return drawing("Costs and times: ours over the rival's", caption, spec)


def _ratio(label: str, one: Judged) -> Rows:
    assert one.ours is not None
    beside = one.claim.value if one.rival is None else one.rival.mean
    if not beside or one.ours.mean <= 0 or beside < 0:
        return []
    unit = one.claim.unit
    words = f"{quantity(one.ours.mean, unit)} over {quantity(beside, unit)}: {one.claim.quote}"
    return [{"claim": label, "what": "ours", "value": one.ours.mean / beside, "words": words}]


# -- drawing --------------------------------------------------------------------------------------


def _forest(
    points: Rows, spans: Rows, labels: Sequence[str], x: dict[str, Any], *behind: dict[str, Any]
) -> dict[str, Any]:
    split = {"labelExpr": "split(datum.label, '\\n')", "labelLimit": 260, "grid": True}
    y = axis("claim", "", kind="nominal", sort=list(labels), axis={**split, "labelLineHeight": 13})
    marks = layer(
        {"type": "point", "filled": True, "size": 100, "opacity": 0.9},
        x=x,
        y=y,
        **_coded(points),
        tooltip=tooltip("what", "value", "words"),
    )
    lines = layer({"type": "rule", "strokeWidth": 2}, x=x, x2={"field": "high"}, y=y)
    lines["encoding"]["color"] = value(BLUE)
    intervals = [{**lines, "data": {"values": spans}}] if spans else []
    high = _LINE * max(label.count("\n") + 1 for label in labels) + _GAP
    return chart(points, *behind, *intervals, marks, height={"step": high})


def _coded(points: Rows) -> dict[str, Any]:
    """Colour and shape of each kind of number; no legend where there is only one."""
    names = [name for name in _MARKS if any(row["what"] == name for row in points)]
    if not names:
        return {"color": value(BLUE)}
    coded = {}
    for place, channel in enumerate(("color", "shape")):
        scale = {"domain": names, "range": [_MARKS[name][place] for name in names]}
        coded[channel] = axis("what", "", kind="nominal", scale=scale)
    return coded


def _labels(claims: Sequence[Judged], experiments: Mapping[str, Experiment]) -> list[str]:
    """What each claim is about and where it stands; its key where that is shared."""
    found: list[str] = []
    for one in claims:
        label = _label(one, experiments)
        found.append(label if label not in found else f"{label}\n({one.claim.key})")
    return found


def _label(one: Judged, experiments: Mapping[str, Experiment]) -> str:
    claim = one.claim
    who = _named(claim.experiment, experiments)
    if claim.rival:
        who += f" v {_named(claim.rival, experiments)}"
    what = metric_words(claim.metric, unit=False) or claim.key.replace("_", " ")
    lines = wrap(f"{who}: {what}" if who else what, _LETTERS) + wrap(claim.where, _LETTERS)
    return "\n".join(lines)


def _named(key: str, experiments: Mapping[str, Experiment]) -> str:
    """The label of an experiment; of a long one, what stands before the details."""
    label = experiments[key].label if key in experiments else key
    return label if len(label) <= _LETTERS else label.split(" (")[0].split(", ")[0]
