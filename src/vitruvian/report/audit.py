"""Which printed numbers exclude each other: every check of `vitruvian-audit`, over any table.

Overlap of masks (report/consistency.py), formulas (formulas.py), shares of whole people
(attainable.py), scores (granularity.py), figures of one classification or regression
(relations.py), and shares of one group, which make 100 %.

What cannot be at all is called impossible, what only should not be is called implausible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

from vitruvian.papers.paper import AuditLine
from vitruvian.report import attainable, formulas, granularity, relations
from vitruvian.report.consistency import check_line, jaccard_of
from vitruvian.report.printed import Printed, Unit
from vitruvian.report.printed_row import PrintedRow, read_row
from vitruvian.report.rules import Line, Remark
from vitruvian.report.units import refuse_fractions, without_percent


@dataclass(frozen=True)
class AuditFinding:
    """Something wrong with a row.

    Attributes:
        row: its name.
        message: one line with the arithmetic, which begins with the row's name.
        impossible: False if it is only implausible, or a formula of another name.
        claims: of the `AuditLine`: those that fall with it.
    """

    row: str
    message: str
    impossible: bool = True
    claims: tuple[str, ...] = ()


def audit_lines(
    lines: Sequence[AuditLine], unit: Unit | None = None, volume_ml: float | None = None
) -> list[AuditFinding]:
    """Check rows of printed numbers.

    Args:
        lines: rows; see `report.printed_row` for the names of the numbers.
        unit: of all shares, unless a row has a `unit` or a number its own %; None: percent, and
            a table that is plainly in fractions is refused.
        volume_ml: typical volume of the organ; judges the distances by the Dice, too.

    Returns:
        The findings in the order of the rows; empty if all is possible.

    Raises:
        DataError: a row cannot be read, or all shares seem to be of another unit.
    """
    rows = [read_row(line.row, line.numbers, unit or "percent") for line in lines]
    if unit is None:
        _refuse_other_unit(lines)
    whole = _Table(rows)
    findings = []
    for index, (row, line) in enumerate(zip(rows, lines, strict=True)):
        note = f" [{line.note}]" if line.note else ""
        for remark in chain(_remarks(row, whole, volume_ml), whole.of_group(index)):
            text = f"{row.name}: {remark.message}{note}"
            findings.append(AuditFinding(row.name, text, remark.impossible, line.claims))
    return findings


def _remarks(row: PrintedRow, table: _Table, volume_ml: float | None) -> Iterator[Remark]:
    yield from _overlap(row, volume_ml)
    yield from _one_minus_dice(row.overlap)
    if "formula" in row.texts:
        yield from formulas.judged(row.texts["formula"], row.overlap)
    yield from _whole_people(row, table)
    yield from granularity.judged(row.line, row.counts)
    yield from relations.judged(_with_prevalence(row), means=row.of_masks)


# -- overlap --------------------------------------------------------------------------------------


def _overlap(row: PrintedRow, volume_ml: float | None) -> Iterator[Remark]:
    if "volume_ml" in row.line:
        volume_ml = row.line["volume_ml"].value
    for finding in check_line(row.name, row.overlap, row.unit, volume_ml):
        yield Remark(finding.message.removeprefix(f"{row.name}: "), finding.impossible)


def _one_minus_dice(line: Line) -> Iterator[Remark]:
    """A VOE that is the complement of the Dice, where cases that differ would give more."""
    if not {"dice", "voe"} <= line.keys():
        return
    dice, voe = line["dice"], line["voe"]
    if not dice.bound == voe.bound == "=":
        return
    rounding = voe.half + dice.half
    alike = 1 - jaccard_of(dice.value)
    if abs(voe.exact - (1 - dice.exact)) > rounding or alike - voe.ends[1] < 2 * float(rounding):
        return
    yield Remark(
        f"voe {voe} is 1 - dice (100 - {dice.value * 100:.2f}): the official VOE is 1 - Jaccard, "
        f"{alike * 100:.2f} % if all cases are alike; it is 1 - dice only if every case is either "
        "perfect or missed",
        impossible=False,
    )


# -- whole people ---------------------------------------------------------------------------------


def _whole_people(row: PrintedRow, table: _Table) -> Iterator[Remark]:
    counts = row.counts
    total, whom = _total(row)
    if total:
        others = table.accuracies(total)
        for name, share in row.accuracies.items():
            yield from attainable.judged(name, share, total, whom, others)
    for name, among in (("sensitivity", "positives"), ("specificity", "negatives")):
        if name in row.line and among in counts and not row.of_masks:
            text = f"{counts[among]} {among}"
            yield from attainable.judged(name, row.line[name], counts[among], text)
    if "percent" in row.line and "of" in counts:
        yield from _percent(row.line["percent"], counts)


def _percent(share: Printed, counts: Mapping[str, int]) -> Iterator[Remark]:
    of, count = counts["of"], counts.get("count")
    if count is None:
        yield from attainable.judged("percent", share, of, f"a total of {of}")
    elif count > of:
        yield Remark(f"count {count} is impossible of {of}")
    elif not attainable.counted(share, count, of):
        true = f"{count}/{of} = {100 * count / of:.2f} %"
        yield Remark(f"percent {share} is impossible with {count} of {of}: {true}")


def _total(row: PrintedRow) -> tuple[int, str]:
    """Over how many an accuracy was counted; 0: not said, or it is a mean over voxels."""
    counts = row.counts
    if "people" in counts and "items" in counts:
        total = counts["people"] * counts["items"]
        return total, f"{counts['people']} people x {counts['items']} = {total}"
    if "people" in counts:
        return counts["people"], f"{counts['people']} people"
    if "of" in counts and "percent" not in row.line:
        return counts["of"], f"a total of {counts['of']}"
    if row.of_masks:
        return 0, ""
    if "n" in counts:
        return counts["n"], f"n = {counts['n']}"
    if {"positives", "negatives"} <= counts.keys():
        total = counts["positives"] + counts["negatives"]
        return total, f"{counts['positives']} positives and {counts['negatives']} negatives"
    return 0, ""


def _with_prevalence(row: PrintedRow) -> dict[str, Printed]:
    """The numbers, with the prevalence that follows from the counts."""
    line, counts = dict(row.line), row.counts
    if "prevalence" not in line and {"positives", "negatives"} <= counts.keys():
        share = Fraction(counts["positives"], counts["positives"] + counts["negatives"])
        line["prevalence"] = Printed(share, share=True)
    return line


# -- over several rows ----------------------------------------------------------------------------


class _Table:
    """What is judged over several rows."""

    def __init__(self, rows: Sequence[PrintedRow]) -> None:
        self._rows = rows

    def accuracies(self, total: int) -> list[Printed]:
        """Every accuracy of the table that is said to be of as many."""
        alike = [row for row in self._rows if _total(row)[0] == total]
        return [share for row in alike for share in row.accuracies.values()]

    def of_group(self, index: int) -> Iterator[Remark]:
        """Shares of one group make 100 %; told at its last row."""
        group = self._rows[index].texts.get("group")
        members = [i for i, row in enumerate(self._rows) if row.texts.get("group") == group]
        if group is None or members[-1] != index:
            return
        shares = [row.line["percent"] for i in members if "percent" in (row := self._rows[i]).line]
        low, high = (sum(share.ends[end] for share in shares) for end in (0, 1))
        if shares and not low - 1e-9 <= 1 <= high + 1e-9:
            total = " + ".join(str(share) for share in shares)
            told = sum(share.value for share in shares) * 100
            yield Remark(f"the shares of {group} are impossible: {total} = {told:g} %, not 100 %")


def _refuse_other_unit(lines: Sequence[AuditLine]) -> None:
    """Refuse rows that do not say that they are in fractions."""
    rows = [read_row(line.row, without_percent(line.numbers), "percent") for line in lines]
    unsaid = [row for row in rows if "unit" not in row.texts]
    refuse_fractions(line for row in unsaid for line in (row.line, row.overlap))
