"""A page as one HTML file: style, scripts, pictures and charts are in it, and nothing is fetched.

Its content security policy forbids every request; charts are interpreted (vega-embed's `ast`)
rather than compiled, which needs no `eval`. Without JavaScript tables and pictures still read.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vitruvian import __version__
from vitruvian.core.errors import RunError
from vitruvian.core.files import write_text
from vitruvian.core.gallery import Gallery
from vitruvian.report.page.bundle import bundle

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent
_MARK = '<meta name="generator" content="vitruvian {}, page of {}">'
_GENERATOR = re.compile(r'<meta name="generator" content="vitruvian [^",]*, page of (\w+)">')
_BANNER = {"text": "SIMULATED DATA", "color": "#A33B00", "fontSize": 11, "anchor": "end"}
_KINDS = ("", "_simulated")


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what it says.
        sort: what it is sorted by, where that is not its text; NaN stands last.
        link: where it leads, relative to the page.
        chip: the kind of a chip around its text, such as a state's.
        strong: whether it is the best of its line.
        small: further lines below it.
    """

    text: str
    sort: float | str | None = None
    link: str = ""
    chip: str = ""
    strong: bool = False
    small: str = ""


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row is its head.

    Attributes:
        caption: what it shows.
        head: names of the columns.
        rows: its cells.
        notes: below it.
        numbers: columns from this one on are set as numbers.
        quiet: rows that are printed pale, such as baselines.
        words: columns (by number) that are text all the same, and may wrap.
        roomy: whether the first column is wide where there is room.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    numbers: int = 1
    quiet: frozenset[int] = frozenset()
    words: frozenset[int] = frozenset()
    roomy: bool = False


@dataclass(frozen=True)
class Shown:
    """A figure of a page.

    Attributes:
        title: a few words.
        caption: what is drawn; what a screen reader says of it.
        kind: a `picture` or a `chart`.
        content: the picture in base64, or the chart as JSON.
        small: whether two of them stand side by side where there is room.
    """

    title: str
    caption: str
    kind: Literal["picture", "chart"]
    content: str
    small: bool = False


@dataclass(frozen=True)
class Section:
    """A part of a page, in the order: text, tiles, remarks, facts, figures, tables, commands.

    Attributes:
        title: its heading, unique on the page.
        text: paragraphs.
        says: one sentence above all else.
        notes: what to doubt, each beside a mark.
        remarks: what to know, a plain list.
        tiles: name, figure and a line below it, of what one looks for first.
        facts: name and value.
        figures: pictures and charts.
        tables: in order.
        more: tables that are folded away, by a title.
        lines: of a list.
        commands: to copy.
        folded: whether the whole section is folded away.
        group: sections in a row of one group share a line of the contents.
        short: its name in that line.
    """

    title: str
    text: Sequence[str] = ()
    notes: Sequence[str] = ()
    tiles: Sequence[tuple[str, str, str]] = ()
    facts: Sequence[tuple[str, str]] = ()
    figures: Sequence[Shown] = ()
    tables: Sequence[Table] = ()
    more: Sequence[tuple[str, Table]] = ()
    lines: Sequence[str] = ()
    commands: Sequence[str] = ()
    folded: bool = False
    says: str = ""
    remarks: Sequence[str] = ()
    group: str = ""
    short: str = ""

    @property
    def anchor(self) -> str:
        """Its name in an address."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.title.lower()).split())


@dataclass(frozen=True)
class Document:
    """A whole page.

    Attributes:
        title: its heading.
        lead: a line below it.
        simulated: whether any of it rests on simulated data: a banner that stays in sight.
        sections: its parts.
        chips: kind and word of chips below the heading.
        kind: what it is a page of: `run`, `runs` or `papers`; one never takes another's place.
    """

    title: str
    lead: str
    simulated: bool
    sections: Sequence[Section]
    chips: Sequence[tuple[str, str]] = field(default=())
    kind: str = "run"

    @property
    def contents(self) -> list[tuple[str, list[Section]]]:
        """The sections in order, by the groups that they stand in."""
        groups = groupby(self.sections, key=lambda section: section.group)
        return [(name, list(sections)) for name, sections in groups]


def picture(title: str, caption: str, png: bytes, small: bool = False) -> Shown:
    """A picture, with its bytes."""
    return Shown(title, caption, "picture", base64.b64encode(png).decode("ascii"), small)


def drawing(title: str, caption: str, spec: Mapping[str, Any], small: bool = False) -> Shown:
    """A chart of `report.charts`, or any Vega-Lite specification that fetches nothing."""
    own = {key: value for key, value in spec.items() if key != "$schema"}
    text = json.dumps({**own, "description": caption}, separators=(",", ":"), ensure_ascii=False)
    return Shown(title, caption, "chart", _harmless(text), small)


def _harmless(text: str) -> str:
    """JSON that cannot end the element that holds it."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def gallery_figures(gallery: Gallery) -> tuple[list[Shown], list[str]]:
    """The figures of a gallery in order, and a line for each that cannot be read."""
    shown, missing = [], []
    for figure in gallery.figures:
        file = gallery.folder / Path(figure.file).name  # never one from elsewhere
        try:
            if figure.kind == "picture":
                shown.append(picture(figure.title, figure.caption, file.read_bytes()))
            else:
                spec = json.loads(file.read_text(encoding="utf-8"))
                shown.append(drawing(figure.title, figure.caption, dict(spec)))
        except (OSError, ValueError, TypeError) as error:
            missing.append(f"figure “{figure.title}” cannot be shown: {type(error).__name__}")
    return shown, missing


def write_document(path: Path, document: Document) -> Path:
    """Write the page, whole or not at all.

    Raises:
        RunError: it cannot be written.
    """
    write_text(path, html(document))
    return path


def write_index(folder: Path, document: Document) -> Path:
    """Write the page of a folder: `index.html`, or `index_simulated.html`.

    One of the other name that we wrote earlier goes: there is one page of a folder. Where the page
    there is of another kind, such as a reproduction's, or somebody else's, it stays, and ours is
    named after its kind: `runs.html`.

    Raises:
        RunError: it cannot be written, or somebody else's page has that name, too.
    """
    mine, twin = (index_of(folder, one) for one in (document.simulated, not document.simulated))
    foreign = mine.exists() and not kind_of(mine)
    taken = foreign or bool({kind_of(mine), kind_of(twin)} - {"", document.kind})
    stem = document.kind if taken else "index"
    place = folder / f"{stem}{_KINDS[document.simulated]}.html"
    if taken:
        _refuse_other(place, document.kind)
    path = write_document(place, document)
    other = folder / f"{stem}{_KINDS[not document.simulated]}.html"
    if kind_of(other) == document.kind:
        other.unlink(missing_ok=True)
    return path


def write_named(file: Path, document: Document) -> Path:
    """Write the page to a file that somebody named; its name is made to say `simulated` if it is.

    Raises:
        RunError: it cannot be written, or what has that name is no page of the same kind.
    """
    if document.simulated and "simulated" not in file.stem:
        file = file.with_name(f"{file.stem}_simulated{file.suffix}")
    _refuse_other(file, document.kind)
    return write_document(file, document)


def _refuse_other(place: Path, kind: str) -> None:
    found = kind_of(place)
    if place.exists() and found != kind:
        whose = "another page" if found else "somebody else's"
        raise RunError(f"{place} is {whose}: move it, or give another output=FILE")


def index_of(folder: Path, simulated: bool) -> Path:
    """Where the page of a folder is."""
    return folder / f"index{_KINDS[simulated]}.html"


def existing_index(folder: Path) -> Path | None:
    """The page of the run of a folder; None where there is none."""
    names = (f"{stem}{kind}.html" for stem in ("index", "run") for kind in reversed(_KINDS))
    return next((folder / name for name in names if kind_of(folder / name) == "run"), None)


def kind_of(page: Path) -> str:
    """What a page is of, if it was written by us; else nothing."""
    try:
        with page.open(encoding="utf-8", errors="replace") as stream:
            found = _GENERATOR.search(stream.read(2000))
    except OSError:
        return ""
    return found[1] if found else ""


def _marked(document: Document) -> Document:
    """The page with the banner in each chart, too: it can be saved as a picture of its own."""
    if not document.simulated:
        return document
    sections = [
        replace(one, figures=[_bannered(shown) for shown in one.figures])
        for one in document.sections
    ]
    return replace(document, sections=sections)


def _bannered(shown: Shown) -> Shown:
    if shown.kind != "chart":
        return shown
    spec = json.loads(shown.content)
    given = spec.get("title")
    if "SIMULATED" in str(given):
        return shown
    title = given if isinstance(given, dict) else {"text": given} if given else None
    marked = {**title, "subtitle": "SIMULATED DATA"} if title else _BANNER
    text = json.dumps({**spec, "title": marked}, separators=(",", ":"), ensure_ascii=False)
    return replace(shown, content=_harmless(text))


def html(document: Document) -> str:
    """The page as text."""
    document = _marked(document)
    has_charts = any(f.kind == "chart" for s in document.sections for f in s.figures)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=document,
            mark=_MARK.format(__version__, document.kind),
            style=(_HERE / "page.css").read_text(encoding="utf-8"),
            script=(_HERE / "page.js").read_text(encoding="utf-8"),
            bundle=bundle() if has_charts else "",
        )
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
