"""The code blocks of our pages, the output they promise, and the commands of ours within."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
_OPERATORS = (">", ">>", "2>", "|", "||", "&", "&&", ";")  # of the shell: the command ends here
_INLINE = re.compile(r"`(vitruvian-[a-z]+ [^`|…]*=[^`|…]*)`")  # with values, as in a table
_LITERAL = re.compile(r"<<'(\w+)'\n.*?^\1$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: file that it stands in.
        line: number of its first line.
        info: words after the fence, such as `sh no-run`.
        text: its lines.
        promised: lines of the `text` blocks that follow it: what it must print.
    """

    page: Path
    line: int
    info: tuple[str, ...]
    text: str
    promised: list[str] = field(default_factory=list)

    @property
    def runs(self) -> bool:
        """Whether a test runs it."""
        return self.info == ("sh",)

    @property
    def name(self) -> str:
        """Where it stands."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The blocks of a page; `text` blocks are joined to the one before."""
    content = page.read_text(encoding="utf-8")
    found: list[Block] = []
    for match in _FENCE.finditer(content):
        info = tuple(match["info"].split())
        if info == ("text",) and found:
            found[-1].promised.extend(match["text"].splitlines())
            continue
        line = content.count("\n", 0, match.start()) + 2
        found.append(Block(page, line, info, match["text"]))
    return found


def keeps(promise: str, printed: str) -> bool:
    """Whether a promised line was printed: whole, or, where it ends in `…`, its beginning.

    Spaces count as one, because tables are as wide as their figures.
    """
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    wanted = " ".join(promise.split())
    if wanted.endswith("…"):
        return any(line.startswith(wanted[:-1].rstrip()) for line in lines)
    return wanted in lines


@dataclass(frozen=True)
class Command:
    """A command line of ours: `vitruvian-VERB WORDS`."""

    place: str
    verb: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.place}: vitruvian-{self.verb} {shlex.join(self.words)}"


def commands(page: Path) -> Iterator[Command]:
    """Every command of ours on a page: in its blocks, and in its sentences where it has values."""
    for block in blocks(page):
        text = _LITERAL.sub("", block.text)
        yield from _commands(re.sub(r"\\\n\s*", " ", text).splitlines(), block.name)
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    inline = (" ".join(match[1].split()) for match in _INLINE.finditer(prose))
    whole = [line for line in inline if "..." not in line]
    yield from _commands(whole, str(page.relative_to(ROOT)))


def _commands(lines: Iterable[str], place: str) -> Iterator[Command]:
    for line in lines:
        words = _words(line.removeprefix("$ "))
        if words and words[0].startswith("vitruvian-"):
            yield Command(place, words[0].removeprefix("vitruvian-"), tuple(words[1:]))


def _words(line: str) -> list[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # prose, or a YAML block with an apostrophe
        return []
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words.pop(0)
    return list(takewhile(lambda word: word not in _OPERATORS, words))
