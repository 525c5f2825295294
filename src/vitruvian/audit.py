"""`vitruvian-audit`: can the numbers of a printed table belong together?"""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vitruvian.core.cli import choose, exit_with, wants_help
from vitruvian.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vitruvian.papers.paper import AuditLine
    from vitruvian.report.audit import AuditFinding
    from vitruvian.report.printed import Unit
    from vitruvian.report.printed_table import PrintedTable

KEYS = {"paper": "", "unit": "", "volume_ml": ""}
UNITS = ("percent", "fraction")

HELP = """vitruvian-audit "NAME:metric=value,metric=value" ... [key=value ...]
vitruvian-audit TABLE.csv ... [key=value ...]
vitruvian-audit paper=wang2024|singha2021|cunningham2017

Find numbers that exclude each other in anybody's printed table: one line each, with the arithmetic.
Write them as they are printed: 98.4 means 98.35 to 98.45; a limit as dice>=90 or percent>=79.

  overlap       dice jaccard voe precision recall rvd assd hd hd95 (means over cases); volume_ml: of
                the organ, judges the distances by the Dice; formula=voe:1-dice judges a formula
  whole people  accuracy (accuracy_NAME: several of the same people) with people, items each, of or
                n (beside dice and the like it is a mean over voxels, and n is passed over);
                sensitivity with positives, specificity with negatives; percent with of, count, and
                group: its shares make 100 %
  scores        mean sd with n, step (1: whole scores), items (questions of a score), min, max; se,
                ci_low, ci_high
  relations     accuracy balanced_accuracy sensitivity specificity ppv npv prevalence auc;
                rmse mae bias; r r2

A CSV file has a row's name in its first column, and passes over columns of other names; heads may
have a unit, such as Dice (%) or ASD (mm). Commas, semicolons or tabs separate its columns; with the
last two decimal commas are read. One with a column `case` holds single cases, as evaluation/*.csv
of a run does (unit=fraction).

  unit        percent | fraction: of all shares without a % of their own; not given: percent, and a
              table that is plainly in fractions is refused
  volume_ml   volume of the organ, such as 1500 for a liver
  paper       the rows we have written down of a paper we reproduce

  vitruvian-audit "EAS:dice=92.20,voe=93.05" "spine:accuracy=98.4,people=29"
  vitruvian-audit "score:mean=3.47,n=20,step=1"

Exit code 0: nothing found, 1: something was, 2: it cannot be read.
"""

_BEGINS = re.compile(r":\s*(\w+)\s*[=<>≥≤]")
_CELL = re.compile(r"\s*(\w+)\s*(>=|<=|≥|≤|=)\s*(.*?)\s*", re.DOTALL)


def main() -> None:
    """Entry point of the console script."""
    exit_with(audit)


def audit() -> int:
    """Judge what the command line names."""
    arguments = sys.argv[1:]
    if wants_help(arguments) or not arguments:
        print(HELP, end="")
        return 0
    keys, sources = _parsed(arguments)
    if keys["unit"]:
        choose(keys, "unit", UNITS)
    findings, rows = _judged(keys, sources)
    for finding in findings:
        print(finding.message)
    print(_summary(findings, rows))
    return int(bool(findings))


def _parsed(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The keys, and the rows and tables."""
    keys, sources = dict(KEYS), []
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if equals and key in keys:
            keys[key] = text
        else:
            sources.append(argument)
    if not sources and not keys["paper"]:
        raise ConfigError("nothing to judge: give a row, a table as CSV, or paper=NAME")
    return keys, sources


def _judged(keys: dict[str, str], sources: Sequence[str]) -> tuple[list[AuditFinding], int]:
    from vitruvian.papers.paper import AuditLine
    from vitruvian.report.audit import audit_lines
    from vitruvian.report.printed_table import read_table

    unit = _unit(keys["unit"])
    lines = [*_of_paper(keys["paper"]), *map(_typed, itertools.filterfalse(_is_table, sources))]
    findings: list[AuditFinding] = []
    rows = len(lines)
    for path in (Path(source).expanduser() for source in filter(_is_table, sources)):
        table = read_table(path)
        rows += len(table.rows)
        if table.of_cases:
            findings += _single_cases(table, unit)
        else:
            lines += itertools.starmap(AuditLine, table.numbers())
    return [*audit_lines(lines, unit, _volume(keys["volume_ml"])), *findings], rows


def _summary(findings: Sequence[AuditFinding], rows: int) -> str:
    if not rows:
        return "nothing to judge: no printed numbers that must fit together are written down"
    where = f"in {rows} row{'' if rows == 1 else 's'}"
    impossible = sum(finding.impossible for finding in findings)
    if impossible:
        return f"{impossible} impossible, {len(findings) - impossible} to be doubted {where}"
    doubted = f", {len(findings)} to be doubted" if findings else ""
    return f"nothing impossible found {where}{doubted}"


# -- where the rows come from ---------------------------------------------------------------------


def _of_paper(key: str) -> Sequence[AuditLine]:
    if not key:
        return ()
    from vitruvian.papers.reading import read_paper

    return read_paper(key).audit


def _typed(text: str) -> AuditLine:
    """A row as it is typed."""
    from vitruvian.papers.paper import AuditLine
    from vitruvian.report.names import refuse_twice

    name, numbers = _name_and_numbers(text)
    cells = [_CELL.fullmatch(cell) for cell in numbers.split(",")]
    if not all(cells):
        raise DataError(_no_row(text))
    found = [cell.groups() for cell in cells if cell is not None]
    refuse_twice(f"row {name!r}", [key for key, _, _ in found])
    return AuditLine(name, {key: (sign if sign != "=" else "") + cell for key, sign, cell in found})


def _name_and_numbers(text: str) -> tuple[str, str]:
    """A name may have colons and signs itself: it ends where the first known number begins."""
    from vitruvian.report.printed_row import known

    begins = list(_BEGINS.finditer(text))
    if not begins:
        raise DataError(_no_row(text))
    end = next((begin for begin in begins if known(begin[1].lower())), begins[0]).start()
    return text[:end], text[end + 1 :]


def _no_row(text: str) -> str:
    from vitruvian.core.check import nearest

    key, equals, _ = text.partition("=")
    near = nearest(key, KEYS) if equals and ":" not in text else None
    hint = f"; did you mean `{near}`?" if near else ""
    return f"{text!r} is neither NAME:metric=value,metric=value nor a CSV file{hint}"


def _is_table(source: str) -> bool:
    return source.lower().endswith((".csv", ".tsv"))


def _single_cases(table: PrintedTable, unit: Unit | None) -> Iterator[AuditFinding]:
    from vitruvian.report.audit import AuditFinding
    from vitruvian.report.consistency import check_rows

    for found in check_rows(table.cases(), unit):
        yield AuditFinding(found.row, found.message, found.impossible)


def _unit(text: str) -> Unit | None:
    if not text:
        return None
    return "fraction" if text == "fraction" else "percent"


def _volume(text: str) -> float | None:
    if not text:
        return None
    try:
        volume = float(text)
    except ValueError:
        volume = -1.0
    if not 0 < volume < float("inf"):
        raise ConfigError(f"volume_ml: got {text!r}, expected a volume in millilitres, above 0")
    return volume


if __name__ == "__main__":
    main()
