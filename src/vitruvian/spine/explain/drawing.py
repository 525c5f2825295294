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

from vitruvian.core.files import atomic
from vitruvian.spine.explain.findings import WORDING
from vitruvian.spine.landmarks import Times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = npt.NDArray[Any]
Band = tuple[Values, Values]

BLUE, ORANGE, VERMILLION, SKY = "#0072B2", "#E69F00", "#D55E00", "#56B4E9"
GREY, PALE = "#5F6368", "#E8EAED"
SMALL = 7.5  # points
_TITLE = 7  # letters of a title that fit on an inch

_STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a $ in the name of a clip is a $
    "savefig.dpi": 150,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "vitruvian",  # else names within the file are random
}
_UNDATED: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@contextmanager
def sheet(
    path: Path,
    size: tuple[float, float],
    title: str,
    simulated: bool = False,
    notes: Sequence[str] = (),
) -> Iterator[Figure]:
    """A figure with title, banner and wording, written when the block ends well.

    Args:
        path: of the file; its ending says the format.
        size: width and height in inches. The outermost 0.4 at the top and 0.3 at the bottom, and
            0.16 more for each note, are taken.
        title: at the top.
        simulated: whether data or model are; a banner says so.
        notes: lines above the wording.

    Raises:
        ValueError: the ending of the path is none of png, svg and pdf.
        RunError: the file cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in _UNDATED:
        raise ValueError(f"{path}: a figure ends in {', '.join(_UNDATED)}")
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(["default", _STYLE]):  # not the user's own matplotlibrc
        figure = Figure(figsize=size)
        yield figure
        _write_margins(figure, title, simulated, notes)
        with atomic(path) as temporary:
            figure.savefig(temporary, format=ending[1:], metadata=_UNDATED[ending])


def _write_margins(figure: Figure, title: str, simulated: bool, notes: Sequence[str]) -> None:
    width, height = figure.get_size_inches()
    left, right, top = 0.12 / width, 1 - 0.15 / width, 1 - 0.22 / height
    room = int((width - 1.2) * _TITLE)
    shown = title if len(title) <= room else f"…{title[-room:]}"  # names differ at their ends
    figure.text(left, top, shown, weight="bold", size=12, va="center")
    if simulated:
        box = {"facecolor": VERMILLION, "lw": 0}
        white: dict[str, Any] = {"color": "white", "weight": "bold", "bbox": box}
        figure.text(right, top, "SIMULATED", va="center", ha="right", **white)
    words = "\n".join([*notes, WORDING])
    figure.text(left, 0.08 / height, words, size=SMALL, color=GREY, linespacing=1.4)


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
