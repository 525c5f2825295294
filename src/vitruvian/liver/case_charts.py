"""Charts of an evaluation of liver masks: every case's Dice, and the volumes that are wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vitruvian.core.evaluation import Row
from vitruvian.core.gallery import Gallery
from vitruvian.report.case_charts import MODEL, coloured, mean_of, per_case
from vitruvian.report.charts import (
    BLUE,
    ORANGE,
    SKY,
    VERMILLION,
    Spec,
    axis,
    chart,
    layer,
    tooltip,
)

if TYPE_CHECKING:
    from vitruvian.liver.datamodule import LiverCase

Rows = Mapping[str, Sequence[Row]]  # by predictor

_SCALE = {"zero": False, "nice": True}
_AREAS = {"dice_small": "small", "dice_medium": "medium", "dice_large": "large"}
_POSITIONS = {"dice_inferior": "inferior", "dice_central": "central", "dice_superior": "superior"}


def _colours(compared: Rows) -> dict[str, str]:
    return dict(zip(compared, (BLUE, ORANGE), strict=False))


def add_dice(compared: Rows, metric: str, seed: int, gallery: Gallery) -> None:
    """Every case's Dice, the worst at the bottom, beside the best of what costs nothing."""
    data = [
        {"case": row["case"], "predictor": name, metric: row[metric]}
        for name, rows in compared.items()
        for row in rows
        if math.isfinite(row.get(metric, math.nan))
    ]
    scores = {str(d["case"]): d[metric] for d in data if d["predictor"] == MODEL}
    if not scores:
        return
    order = sorted(scores, key=lambda case: -scores[case])
    whole = metric == "dice"
    organ = "liver" if whole else "tumour"
    mean = mean_of(compared[MODEL], metric, seed)
    across = axis(metric, f"Dice of the {organ} (1: perfect)", scale=_SCALE)
    spec = per_case(data, across, _colours(compared), order, mean)
    caption = (
        "One line for each case, best at the top. Blue line and band: the model's mean "
        f"{mean.mean:.3f} with its 95 % confidence interval"
        f"{_interval(mean.ci_low, mean.ci_high)}; no unit."
        f"{' Orange: the best trivial baseline.' if len(compared) > 1 else ''}"
    )
    name = "dice_per_case" if whole else "tumour_dice_per_case"
    gallery.chart(name, f"Dice of the {organ}, case by case", caption, spec)


def _interval(low: float, high: float) -> str:
    return f", {low:.3f} to {high:.3f}" if math.isfinite(low) else " (none: one case only)"


def add_volumes(compared: Rows, cases: Sequence[LiverCase], gallery: Gallery) -> None:
    """Dice against the size of the liver, and the volumes that are wrong."""
    millilitres = {case.case: math.prod(case.spacing_mm) / 1000 for case in cases}
    data = [
        {
            "case": row["case"],
            "predictor": name,
            "dice": row["dice"],
            "volume_ml": (row["tp"] + row["fn"]) * millilitres[row["case"]],
            "false_ml": row["fp"] * millilitres[row["case"]],
            "missed_ml": row["fn"] * millilitres[row["case"]],
        }
        for name, rows in compared.items()
        for row in rows
        if row["case"] in millilitres and all(key in row for key in ("dice", "tp", "fp", "fn"))
    ]
    model = [item for item in data if item["predictor"] == MODEL]
    if model:
        _add_dice_by_volume(data, _colours(compared), gallery)
        _add_wrong_volumes(model, gallery)


def _add_dice_by_volume(
    data: Sequence[Mapping[str, Any]], colours: Mapping[str, str], gallery: Gallery
) -> None:
    dot = {"type": "point", "filled": True, "size": 60}
    marks = layer(
        dot,
        x=axis("volume_ml", "true volume of the liver", "ml", scale=_SCALE),
        y=axis("dice", "Dice (1: perfect)", scale=_SCALE),
        color=coloured("predictor", colours),
        tooltip=tooltip("case", "predictor", "volume_ml", "dice"),
    )
    caption = (
        "One dot for each case: whether small livers are segmented less well than large ones. "
        "Volume of the true mask in millilitres; Dice has no unit."
    )
    gallery.chart("dice_by_volume", "Dice against the volume", caption, chart(data, marks))


def _add_wrong_volumes(model: Sequence[Mapping[str, Any]], gallery: Gallery) -> None:
    """What was taken for liver and is none, and liver that was missed."""
    kinds = {"false_ml": "taken for liver, but is not", "missed_ml": "liver that was missed"}
    data = [
        {"case": item["case"], "mistake": words, "volume_ml": item[key]}
        for item in model
        for key, words in kinds.items()
    ]
    total = {str(item["case"]): item["false_ml"] + item["missed_ml"] for item in model}
    order = sorted(total, key=lambda case: total[case])
    colours = dict(zip(kinds.values(), (VERMILLION, SKY), strict=True))
    across = axis("volume_ml", "volume", "ml")
    spec = per_case(data, across, colours, order, by="mistake")
    caption = (
        "False positive and false negative volume of the model in each case, in millilitres; the "
        "case with most wrong volume at the bottom. Both at 0: no mistake."
    )
    gallery.chart("wrong_volumes", "Volumes that are wrong", caption, spec)


def add_thirds(compared: Rows, gallery: Gallery) -> None:
    """Dice of slices by the liver's area in them, and by where they lie."""
    by_area = (
        "Each case's liver slices are cut into thirds by the liver's area in the slice. Dots: mean "
        "Dice of a case's slices; bars: mean over cases. No unit."
    )
    by_place = by_area.replace("the liver's area in the slice", "their position along the body")
    thirds = {
        "dice_by_area": ("Dice in slices with little and much liver", _AREAS, by_area),
        "dice_by_position": ("Dice from the lower to the upper end", _POSITIONS, by_place),
    }
    for name, (title, columns, caption) in thirds.items():
        data = [
            {"case": row["case"], "predictor": who, "third": word, "dice": row[column]}
            for who, rows in compared.items()
            for row in rows
            for column, word in columns.items()
            if math.isfinite(row.get(column, math.nan))
        ]
        if data:
            spec = _thirds_chart(data, list(columns.values()), _colours(compared))
            gallery.chart(name, title, caption, spec)


def _thirds_chart(
    data: Sequence[Mapping[str, Any]], order: Sequence[str], colours: Mapping[str, str]
) -> Spec:
    across = axis("third", "third of the slices", kind="nominal", sort=order)
    across["axis"] = {"labelAngle": 0}
    place = {"x": across, "xOffset": {"field": "predictor", "sort": list(colours)}}
    up = axis("dice", "mean Dice of the slices (1: perfect)", scale=_SCALE)
    hint = tooltip("case", "predictor", "third", "dice")
    dot = {"type": "point", "filled": True, "size": 40, "opacity": 0.6}
    dots = layer(dot, **place, y=up, color=coloured("predictor", colours), tooltip=hint)
    mean = up | {"aggregate": "mean"}
    bar = layer({"type": "tick", "thickness": 3}, **place, y=mean, color=dots["encoding"]["color"])
    return chart(data, dots, bar)
