"""The figure of a prediction: what the model says of a recording over time, beside the sensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vitruvian.muscle.quantities import Quantity, quantity
from vitruvian.report.sheet import BLUE, GREY, ORANGE, SKY, SMALL, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vitruvian.muscle.predict import Timing

Floats = npt.NDArray[np.float64]

_MICRO = {"V": (1e6, "µV")}  # factor and name of what a unit is shown as
_PANEL = 1.9  # inches


def draw_readings(
    path: Path,
    title: str,
    columns: Mapping[str, Floats],
    quantities: Sequence[str],
    timing: Timing,
    simulated: bool,
) -> None:
    """Draw each quantity over time with its predictive interval, and what was measured of it.

    Args:
        path: of the file, .png, .svg or .pdf.
        title: of the figure.
        columns: of `Readings`.
        quantities: in the order of the panels.
        timing: what was measured, and when.
        simulated: whether data or model are; the figure says so.
    """
    height = 1.15 + _PANEL * len(quantities)
    notes = [f"times: {timing.source}; band: predictive interval of the model"]
    with sheet(path, (8.0, height), title, simulated, notes) as figure:
        axes = figure.subplots(len(quantities), 1, sharex=True, squeeze=False)[:, 0]
        figure.subplots_adjust(0.1, 0.75 / height, 0.985, 1 - 0.7 / height, hspace=0.14)
        for panel, name in zip(axes, quantities, strict=True):
            draw_quantity(panel, columns, quantity(name), timing)
        place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.1}
        axes[0].legend(ncols=2, fontsize=SMALL, frameon=False, **place)
        axes[-1].set_xlabel("time (s)")


def draw_quantity(
    axes: Axes, columns: Mapping[str, Floats], what: Quantity, timing: Timing
) -> None:
    """One panel: the value where the model says one, else the change per frame."""
    factor, unit = shown_unit(what)
    names = [what.name, f"{what.name}_centred", f"{what.name}_change"]
    shown = next(name for name in names if name in columns)
    times = columns["time_s"]
    low, high = columns.get(f"{shown}_low"), columns.get(f"{shown}_high")
    if low is not None and high is not None:
        axes.fill_between(times, low * factor, high * factor, color=SKY, alpha=0.35, lw=0)
    measured = _measured(timing.measured.get(what.name), shown)
    if measured is not None:
        axes.plot(times, measured * factor, color=ORANGE, lw=1.6, label="measured")
    axes.plot(times, columns[shown] * factor, color=BLUE, lw=1.2, label="model")
    suffix = {
        f"{what.name}_centred": "\nless its mean",
        f"{what.name}_change": "\nchange per frame",
    }
    axes.set_ylabel(f"{worded(what)} ({unit}){suffix.get(shown, '')}")
    axes.margins(x=0)
    axes.grid(color=GREY, alpha=0.15, lw=0.6)


def shown_unit(what: Quantity) -> tuple[float, str]:
    """Factor from its own unit to that in which a figure shows it, and the name of the latter."""
    return _MICRO.get(what.symbol, (1.0, what.symbol))


def worded(what: Quantity) -> str:
    """The quantity in words."""
    return what.word.replace("_", " ").replace("emg", "EMG")


def _measured(values: Floats | None, shown: str) -> Floats | None:
    if values is None or shown.endswith("_change"):
        return None if values is None else np.diff(values, prepend=np.nan)
    return values - np.nanmean(values) if shown.endswith("_centred") else values
