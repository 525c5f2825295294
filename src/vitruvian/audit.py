"""`vitruvian-audit`: can the numbers of a printed table belong together?"""

from __future__ import annotations

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

KEYS = {"paper": "", "unit": "percent", "volume_ml": ""}
UNITS = ("percent", "fraction")

HELP = """vitruvian-audit "NAME:metric=value,metric=value" ... [key=value ...]
vitruvian-audit TABLE.csv ... [key=value ...]
vitruvian-audit paper=wang2024|singha2021|cunningham2017

Find numbers that exclude each other in anybody's printed table: one line each, with the arithmetic.
Write them as they are printed: 98.4 means 98.35 to 98.45; a limit as people>=20 or percent>=79.

  overlap       dice jaccard voe precision recall rvd assd hd hd95 (means over cases); volume_ml: of
                the organ, judges the distances by the Dice; formula=voe:1-dice judges a formula
  whole people  accuracy (accuracy_NAME: several of the same people) with people, items each, or n;
                sensitivity with positives, specificity with negatives; percent with of, count, and
                group: its shares make 100 %
  scores        mean sd with n, step (1: whole scores), items (questions of a score), min, max; se,
                ci_low, ci_high
  relations     accuracy balanced_accuracy sensitivity specificity ppv npv prevalence auc;
                rmse mae bias; r r2

A CSV file has a row's name in its first column, and passes over columns of other names. One with a
column `case` holds single cases, as evaluation/*.csv of a run does (unit=fraction).

  unit        percent | fraction: of all shares without a % of their own      (percent)
  volume_ml   volume of the organ, such as 1500 for a liver
  paper       the rows we have written down of a paper we reproduce

  vitruvian-audit "EAS:dice=92.20,voe=93.05" "spine:accuracy=98.4,people=29"
  vitruvian-audit "score:mean=3.47,n=20,step=1"

Exit code 0: nothing found, 1: something was, 2: it cannot be read.
"""

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
    from vitruvian.report.audit import audit_lines

    unit: Unit = "fraction" if keys["unit"] == "fraction" else "percent"
    typed = [_typed(source) for source in sources if not _is_table(source)]
    lines = [*_of_paper(keys["paper"]), *typed]
    findings: list[AuditFinding] = []
    rows = len(lines)
    for path in (Path(source).expanduser() for source in sources if _is_table(source)):
        header, cells = _read(path)
        rows += len(cells)
        if "case" in header:
            findings += _single_cases(cells, unit)
        else:
            lines += _lines_of(path, header, cells)
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
    """A row as it is typed; the name ends at the last colon before the first value."""
    from vitruvian.papers.paper import AuditLine

    before = re.split(r"[=≥≤]", text, maxsplit=1)[0]
    name, colon, _ = before.rpartition(":")
    cells = [_CELL.fullmatch(cell) for cell in text[len(name) + 1 :].split(",")]
    if not colon or not all(cells):
        raise DataError(_no_row(text))
    found = [cell.groups() for cell in cells if cell is not None]
    return AuditLine(name, {key: (sign if sign != "=" else "") + cell for key, sign, cell in found})


def _no_row(text: str) -> str:
    from vitruvian.core.check import nearest

    key, equals, _ = text.partition("=")
    near = nearest(key, KEYS) if equals and ":" not in text else None
    hint = f"; did you mean `{near}`?" if near else ""
    return f"{text!r} is neither NAME:metric=value,metric=value nor a CSV file{hint}"


def _is_table(source: str) -> bool:
    return source.lower().endswith(".csv")


def _lines_of(path: Path, header: Sequence[str], rows: list[dict[str, str]]) -> Iterator[AuditLine]:
    from vitruvian.papers.paper import AuditLine
    from vitruvian.report.printed_row import known

    columns = [column for column in header[1:] if known(column.strip().lower())]
    if not columns:
        raise DataError(f"{path} has no column of a known number, such as dice, voe or accuracy")
    for number, row in enumerate(rows, start=2):
        cells = {column: row[column] for column in columns}
        yield AuditLine(f"{row[header[0]]} (line {number})", cells)


def _single_cases(rows: list[dict[str, str]], unit: Unit) -> Iterator[AuditFinding]:
    from vitruvian.report.audit import AuditFinding
    from vitruvian.report.consistency import check_rows, metric_of

    if rows and not any(metric_of(column) for column in rows[0]):
        raise DataError("a table of cases needs a column of a known metric, such as dice or voe")
    for found in check_rows(rows, unit):
        yield AuditFinding(found.row, found.message, found.impossible)


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    import csv

    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restkey="", restval="")
            return list(reader.fieldnames or []), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}") from error


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
