"""Figures of one evaluation, in `figures/<name>/` of a run: pictures, and charts to point at.

A chart is kept as a Vega-Lite specification with its data in it: plain JSON, which a page shows and
a tracker draws. `index.json` lists the figures in the order in which they were added.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from vitruvian.core.errors import DataError
from vitruvian.core.files import atomic, write_json, write_text

INDEX = "index.json"


@dataclass(frozen=True)
class Figure:
    """One figure of a gallery.

    Attributes:
        name: unique in the gallery; the stem of its file, without the mark of simulated data.
        title: a few words.
        caption: one or two sentences: what is drawn, in which units, how to read it.
        kind: a PNG `picture`, or a Vega-Lite `chart`.
        file: its name in the folder of the gallery.
    """

    name: str
    title: str
    caption: str
    kind: Literal["picture", "chart"]
    file: str


class Gallery:
    """Where a task puts the figures of an evaluation.

    Args:
        folder: of the figures; see `clear` for what an earlier evaluation has left there.
        simulated: whether the data are; the files say so in their names.
    """

    def __init__(self, folder: Path, simulated: bool) -> None:
        self.folder, self.simulated = folder, simulated
        self.figures: list[Figure] = []

    def clear(self) -> None:
        """Drop what an earlier evaluation has left: its figures are not those of these results.

        Raises:
            RunError: the folder cannot be written.
        """
        if not (self.folder / INDEX).is_file():
            return
        try:
            left = [figure.file for figure in read_gallery(self.folder).figures]
        except DataError:
            left = []
        self._write_index()  # first: no list ever names a file that is gone
        for file in left:
            if Path(file).name == file:
                with suppress(OSError):  # what is not listed is not shown
                    (self.folder / file).unlink()

    @contextmanager
    def picture(self, name: str, title: str, caption: str) -> Iterator[Path]:
        """Add a picture: the block writes a PNG to the path it is given.

        Raises:
            RunError: the folder cannot be written.
        """
        file = self._file(name, "png")
        with atomic(self.folder / file) as temporary:
            drawn = temporary.with_suffix(".png")  # who draws tells the format by the ending
            try:
                yield drawn
                drawn.replace(temporary)
            finally:
                drawn.unlink(missing_ok=True)
        self._add(Figure(name, title, caption, "picture", file))

    def chart(self, name: str, title: str, caption: str, spec: Mapping[str, Any]) -> None:
        """Add a chart; see `report.charts` for how its specification is made.

        Raises:
            RunError: the folder cannot be written.
        """
        file = self._file(name, "vl.json")
        compact = json.dumps(dict(spec), separators=(",", ":"), ensure_ascii=False)
        write_text(self.folder / file, f"{compact}\n")
        self._add(Figure(name, title, caption, "chart", file))

    def _file(self, name: str, ending: str) -> str:
        if any(figure.name == name for figure in self.figures):
            raise ValueError(f"the gallery has a figure {name!r} already")
        return f"{name}{'_simulated' if self.simulated else ''}.{ending}"

    def _add(self, figure: Figure) -> None:
        self.figures.append(figure)
        self._write_index()

    def _write_index(self) -> None:
        listed = [asdict(one) for one in self.figures]
        write_json(self.folder / INDEX, {"simulated": self.simulated, "figures": listed})


def read_gallery(folder: Path) -> Gallery:
    """The gallery of a folder; without figures where there is none.

    Raises:
        DataError: its index is damaged.
    """
    try:
        content = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        gallery = Gallery(folder, bool(content["simulated"]))
        gallery.figures = [Figure(**figure) for figure in content["figures"]]
    except FileNotFoundError:
        return Gallery(folder, False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / INDEX} is damaged: {error!r}") from error
    return gallery
