"""Charts across runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vitruvian.report.charts import VERMILLION, Spec, axis, chart, layer, tooltip


def length_chart(
    rows: Sequence[Mapping[str, Any]],
    title: str = "mean absolute error",
    unit: str = "index",
    simulated: bool = False,
) -> Spec:
    """How nets do on windows of several lengths, such as an LSTM against an RNN.

    Args:
        rows: `label` of the net, `length` of its windows in frames, `value`, and the ends `low` and
            `high` of its confidence interval (NaN or None: not drawn).
        title: of the value.
        unit: of the value; empty: none.
        simulated: whether the data are; the chart says so.
    """
    names = list(dict.fromkeys(str(row["label"]) for row in rows))
    lengths = sorted({row["length"] for row in rows})
    across = axis("length", "length of a window", "frames", axis={"values": lengths})
    up = axis("value", title, unit, scale={"zero": False})
    colour = axis("label", "net", kind="nominal", sort=names)
    shown = tooltip("label", "length", "value", "low", "high")
    ends = layer("rule", x=across, y=up | {"field": "low"}, y2={"field": "high"}, color=colour)
    line = layer(
        {"type": "line", "point": {"size": 60}},
        x=across,
        y=up,
        color=colour,
        strokeDash={**colour, "legend": None},
        tooltip=shown,
    )
    banner = {"text": "SIMULATED data", "anchor": "end", "color": VERMILLION, "fontSize": 11}
    return chart(rows, ends, line, **({"title": banner} if simulated else {}))
