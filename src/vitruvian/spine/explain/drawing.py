"""Parts of which the figures of a clip are made, and the sheet that they are drawn on.

Colours can be told apart by the colour-blind (Okabe and Ito, 2008; viridis; purple to orange), and
equal inputs make equal files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vitruvian.report.sheet import BLUE, SKY, SMALL, VERMILLION
from vitruvian.report.sheet import sheet as report_sheet
from vitruvian.spine.explain.findings import WORDING
from vitruvian.spine.landmarks import Times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = npt.NDArray[Any]
Band = tuple[Values, Values]


@contextmanager
def sheet(
    path: Path,
    size: tuple[float, float],
    title: str,
    simulated: bool = False,
    notes: Sequence[str] = (),
) -> Iterator[Figure]:
    """A sheet of `vitruvian.report.sheet` that says at its bottom what an index is not."""
    with report_sheet(path, size, title, simulated, [*notes, WORDING]) as figure:
        yield figure


def draw_index(
    axes: Axes, times_s: Times, values: Values, threshold: float, band: Band | None = None
) -> None:
    """The index over time, the red flag's zone, and the band of its uncertainty."""
    axes.axhspan(threshold, 1, color=VERMILLION, alpha=0.07, lw=0)
    axes.axhline(threshold, color=VERMILLION, lw=1.2, ls="--")
    place: dict[str, Any] = {"ha": "right", "va": "top", "transform": axes.get_yaxis_transform()}
    axes.text(0.995, threshold - 0.02, "red flag above", color=VERMILLION, size=SMALL, **place)
    if band is not None:
        axes.fill_between(times_s, *band, color=SKY, alpha=0.4, lw=0)
    lonely = "o" if len(times_s) < 3 else ""  # a line of two points is short, of one none
    axes.plot(times_s, values, color=BLUE, lw=1.8, marker=lonely, clip_on=not lonely)
    above = np.asarray(values) > threshold
    red: dict[str, Any] = {"color": VERMILLION, "alpha": 0.18, "lw": 0}
    axes.fill_between(times_s, threshold, values, where=above.tolist(), interpolate=True, **red)
    axes.set(ylim=(0, 1), xlabel="time (s)", ylabel="index\n(0 best, 1 worst)")
    axes.margins(x=0)


def draw_attribution(
    axes: Axes, scale: Axes, attribution: Values, times_s: Times, names: Sequence[str]
) -> None:
    """What raises and what lowers the index; `attribution` (T, R) in rows of these names."""
    reach = largest(np.abs(attribution))
    draw_map(axes, scale, attribution, times_s, names, "PuOr_r", (-reach, reach))
    ends = [f"lowers\nindex by\n{reach:.2g}", "0", f"raises\nindex by\n{reach:.2g}"]
    scale.set_yticks([-reach, 0, reach], ends, size=SMALL)
    lowest, _, highest = scale.get_yticklabels()
    lowest.set_verticalalignment("bottom")
    highest.set_verticalalignment("top")


def draw_map(
    axes: Axes,
    scale: Axes,
    columns: Values,
    times_s: Times,
    names: Sequence[str],
    colours: str,
    limits: tuple[float, float],
) -> None:
    """A map of rows over time, with its colours beside it.

    Args:
        axes: of the map.
        scale: of its colours.
        columns: (T, R).
        times_s: (T,) seconds.
        names: of the R rows.
        colours: name of matplotlib's map of colours.
        limits: of the colours.
    """
    half = (times_s[-1] - times_s[0]) / max(len(times_s) - 1, 1) / 2 or 0.5
    extent = (times_s[0] - half, times_s[-1] + half, len(names) - 0.5, -0.5)
    low, high = limits
    look: dict[str, Any] = {"cmap": colours, "vmin": low, "vmax": high, "extent": extent}
    image = axes.imshow(columns.T, aspect="auto", **look)
    beyond = "max" if low == 0 and columns.size and columns.max() > high else "neither"
    bar = axes.figure.colorbar(image, cax=scale, extend=beyond)
    bar.outline.set_visible(False)
    scale.tick_params(labelsize=SMALL)
    axes.set_yticks(range(len(names)), list(names), size=SMALL)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("time (s)")


def largest(values: Values) -> float:
    """Upper end of a colour scale, which a few outliers must not stretch."""
    return float(np.percentile(values, 99.5)) if values.any() else 1.0
