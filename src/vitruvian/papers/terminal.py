"""What `vitruvian-reproduce` prints at its end: tables, claims and verdicts, what cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from vitruvian.papers.cells import columns_of, figure_cell, number_cell, reads
from vitruvian.papers.cells import table_cells as cells_of
from vitruvian.papers.results import Judged, Reproduction, ResultTable, Verdict
from vitruvian.report.table import Uncut

BANNER = "SIMULATED data: nothing here reproduces the paper"
STYLES = {  # the words say it, the colours only help to find it
    Verdict.REPRODUCED: "bold blue",
    Verdict.NOT_REPRODUCED: "bold yellow",
    Verdict.NOT_COMPARABLE: "",
    Verdict.IMPOSSIBLE: "bold magenta",
    Verdict.PENDING: "dim",
}
_PLAIN_WIDTH = 120  # columns of text when the output is a file or a pipe
_INDENT = "  "


def show(found: Reproduction, console: Console | None = None) -> None:
    """Print what became of one paper."""
    console = console or Console()
    paper = found.paper
    cited = f"{paper.key}: {paper.title} ({paper.authors}, {paper.year}, {paper.where})"
    _say(console, "")
    _say(console, cited, "bold")
    _banner(found, console)
    for table in found.tables:
        _show_table(table, found.simulated, console)
    _show_claims(found, console)
    if found.findings:
        _say(console, f"what the audit finds in the printed numbers ({paper.key})", "bold")
        for finding in found.findings:
            _say(console, f"{_INDENT}{finding}")
    for note in paper.notes:
        _say(console, f"note: {note}")


def _banner(found: Reproduction, console: Console) -> None:
    origin = BANNER if found.simulated else "real data"
    _say(console, f"{origin}; preset {found.preset}", "bold reverse" if found.simulated else "")
    if found.caveat:
        _say(console, found.caveat, "bold reverse")
    if found.split:
        _say(console, f"split: {found.split}")


def _show_table(found: ResultTable, simulated: bool, console: Console) -> None:
    """A result table; the columns that do not fit side by side go to further blocks."""
    origin = " (SIMULATED data)" if simulated and "simulated" not in found.title.lower() else ""
    _say(console, f"{found.title}{origin}", "bold")
    rows = [list(cells_of(found, line, "\n")) for line in found.lines]
    head = columns_of(found)
    for block in _blocks(head, rows, _width(console)):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for index in block:
            justify: JustifyMethod = "right" if index else "left"
            table.add_column(Text(head[index]), justify=justify, no_wrap=True)
        for line, row in zip(found.lines, rows, strict=True):
            style = "dim" if line.baseline else "bold" if line.experiment == found.reference else ""
            table.add_row(*(Text(row[index]) for index in block), style=style)
        console.print(Uncut(table), crop=False)
    for note in found.notes:
        _say(console, f"{_INDENT}{note}")


def _blocks(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[list[int]]:
    """Columns that fit side by side; the label stands in each block."""
    columns = zip(head, *rows, strict=True)
    wide = [3 + max(len(line) for cell in cells for line in cell.split("\n")) for cells in columns]
    blocks = [[0]]
    for index in range(1, len(head)):
        if len(blocks[-1]) > 1 and sum(wide[i] for i in blocks[-1]) + wide[index] > width:
            blocks.append([0])
        blocks[-1].append(index)
    return blocks


def _width(console: Console) -> int:
    return console.width if console.is_terminal else _PLAIN_WIDTH


# -- claims ---------------------------------------------------------------------------------------


def _show_claims(found: Reproduction, console: Console) -> None:
    """Each claim: what is printed, what we found, what becomes of it and why."""
    if not found.claims:
        return
    origin = " (SIMULATED data; only what needs no data is judged)" if found.simulated else ""
    _say(console, f"claims of {found.paper.key}{origin}: {counts_line(found.claims)}", "bold")
    for judged in found.claims:
        _show_claim(judged, console)


def _show_claim(judged: Judged, console: Console) -> None:
    claim = judged.claim
    line = Text(f"{_INDENT}{judged.verdict}".ljust(24), style=STYLES[judged.verdict])
    line.append(f" {claim.where}: {claim.words}", style="not bold not dim default")
    console.print(line, soft_wrap=True)
    _say(console, f"{_INDENT * 2}{'; '.join(_figures(judged))}")
    _say(console, f"{_INDENT * 2}{judged.reason}")


def _figures(judged: Judged) -> list[str]:
    claim, parts = judged.claim, []
    if claim.value is not None:
        parts.append(f"paper {reads(claim)}")
    for who, figure in (("ours", judged.ours), ("rival", judged.rival)):
        if figure is not None:
            parts.append(f"{who} {figure_cell(figure, claim)}")
    if judged.baseline is not None:
        name, figure = judged.baseline
        parts.append(f"best baseline {number_cell(figure.mean)} ({name})")
    return parts or ["no number"]


def counts_line(claims: Sequence[Judged]) -> str:
    """How many claims have which verdict."""
    counts = Counter(judged.verdict for judged in claims)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)
