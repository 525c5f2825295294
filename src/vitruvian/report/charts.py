"""Charts as Vega-Lite specifications: one style for all studies, axes with their units.

Vega-Lite (vega.github.io/vega-lite) is the plotting library: its specifications are plain JSON, a
page shows them with tooltips and zoom, and `vl-convert` draws the same one as PNG without a
browser. Colours can be told apart by the colour-blind (Okabe and Ito, 2008).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

Spec = dict[str, Any]
Kind = Literal["quantitative", "nominal", "ordinal", "temporal"]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"  # a name, never fetched
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, GREY = "#CC79A7", "#56B4E9", "#5F6368"
PALETTE = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, GREY)
WIDTH, HEIGHT = 560, 280  # points; a page narrows what does not fit

_STYLE: Spec = {
    "font": "system-ui, sans-serif",
    "background": "white",
    "axis": {"gridColor": "#E8EAED", "labelColor": "#3C4043", "titleFontWeight": "normal"},
    "view": {"stroke": None},
    "range": {"category": list(PALETTE)},
}


def chart(data: Iterable[Mapping[str, Any]], *layers: Spec, **properties: Any) -> Spec:
    """A whole chart: layers over one table.

    Args:
        data: rows; NaN and infinities become null, which Vega-Lite leaves out.
        layers: marks with their encodings, see `layer`.
        properties: further top-level properties, such as `width`, `height`, `resolve`.
    """
    rows = [{key: _plain(value) for key, value in row.items()} for row in data]
    drawn = layers[0] if len(layers) == 1 else {"layer": list(layers)}
    size = {"width": WIDTH, "height": HEIGHT}
    return {
        "$schema": SCHEMA,
        "config": _STYLE,
        "data": {"values": rows},
        **size,
        **drawn,
        **properties,
    }


def layer(mark: str | Spec, **encoding: Any) -> Spec:
    """One mark with its encoding, whose channels are made by `axis` and `value`."""
    return {"mark": mark, "encoding": encoding}


def axis(
    field: str, title: str, unit: str = "", kind: Kind = "quantitative", **properties: Any
) -> Spec:
    """A channel that shows a column, with its title and unit, such as `angle (°)`.

    Args:
        field: name of the column.
        title: in words.
        unit: shown in brackets; empty: none.
        kind: of the values.
        properties: further properties of the channel, such as `scale`, `axis`, `sort`.
    """
    shown = f"{title} ({unit})" if unit else title
    return {"field": escaped(field), "type": kind, "title": shown, **properties}


def value(constant: Any) -> Spec:
    """A channel of one constant value, such as a colour."""
    return {"value": constant}


def tooltip(*fields: str) -> list[Spec]:
    """What shows when one points at a mark: these columns by their names."""
    return [{"field": escaped(field), "title": field} for field in fields]


def escaped(field: str) -> str:
    """A column's name as Vega-Lite reads it: dots and brackets would mean a path."""
    return "".join(f"\\{letter}" if letter in ".[]" else letter for letter in field)


def thinned(rows: Sequence[Any], most: int = 1500) -> Sequence[Any]:
    """Every how-manieth row of a long series, so that a page stays small; the last one is kept."""
    step = math.ceil(len(rows) / most) if rows else 1
    kept = list(rows[::step])
    return kept if step == 1 or (len(rows) - 1) % step == 0 else [*kept, rows[-1]]


def _plain(item: Any) -> Any:
    item = item.item() if hasattr(item, "item") else item
    return None if isinstance(item, float) and not math.isfinite(item) else item
