"""The sheet that a figure is drawn on: style, palette, title, banner, written whole or not at all.

Colours can be told apart by the colour-blind (Okabe and Ito, 2008), and equal inputs make equal
files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitruvian.core.files import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    """A figure with title, banner and notes, written when the block ends well.

    Args:
        path: of the file; its ending says the format.
        size: width and height in inches. The outermost 0.4 at the top and 0.3 at the bottom, and
            0.16 more for each further note, are taken.
        title: at the top.
        simulated: whether data or model are; a banner says so.
        notes: lines at the bottom.

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
    figure.text(left, 0.08 / height, "\n".join(notes), size=SMALL, color=GREY, linespacing=1.4)
