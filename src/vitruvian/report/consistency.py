"""Can these metrics of overlap belong together? Flags those of a row that exclude each other.

`vitruvian-audit` asks this, among other things, of printed tables (see report/audit.py), and every
evaluation of ours is asked, too.

In one case the overlap metrics determine each other (D Dice, J Jaccard, P precision, R recall):

    J = D / (2 - D),    VOE = 1 - J,    D = 2 P R / (P + R),    RVD = R / P - 1.

Of means over cases only bounds remain:

- J is convex in D, so Jensen gives mean J >= D / (2 - D) at the mean D; and it lies below its chord
  from (0, 0) to (1, 1), so mean J <= D. Hence 1 - D <= mean VOE <= 2 (1 - D) / (2 - D): the lower
  end when every case is either perfect or missed, the upper end when all cases are equal.
- 2 P R / (P + R) is concave in (P, R) jointly, so mean D <= 2 P R / (P + R) at the mean P and R;
  and it is nowhere below P + R - 1, so neither is the mean D.
- With one of the two unknown, R <= 1 leaves P >= D / (2 - D); and likewise for R.
- J is no more than P and no more than R in any case, so neither is the mean J.

All this holds for any average, as long as every mean of a row is taken over the same cases with
the same weights. Numbers are judged with their rounding: "89.13" means 89.125 to 89.135.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from vitruvian.core.errors import DataError
from vitruvian.core.evaluation import Summary
from vitruvian.report.names import ALIASES, DISTANCES, SHARES, metric_of, refuse_twice
from vitruvian.report.printed import Printed, Unit, read
from vitruvian.report.rules import SLACK, Line, Rule, as_printed
from vitruvian.report.units import refuse_fractions, without_percent


@dataclass(frozen=True)
class Finding:
    """One number that does not go with the others of its row.

    Attributes:
        row: the row's name.
        metric: which of its metrics.
        printed: its value, in the table's unit.
        low: lowest value the others of the row allow, in the same unit; NaN: it must be NaN.
        high: highest such value; both are of the numbers as printed, without their rounding. A
            number that is a limit stands for all that keep within it.
        message: one line for the reader.
        impossible: False if the number is only implausible.
    """

    row: str
    metric: str
    printed: float
    low: float
    high: float
    message: str
    impossible: bool = True


def jaccard_of(dice: float) -> float:
    return dice / (2 - dice)


def dice_of(jaccard: float) -> float:
    return 2 * jaccard / (1 + jaccard)


def _harmonic(precision: float, recall: float) -> float:
    total = precision + recall
    return 2 * precision * recall / total if total > 0 else 0.0


def _growth(precision: float, recall: float, undefined: float) -> float:
    return recall / precision - 1 if precision > 0 else undefined


_ANYWHERE = (
    Rule("voe", ("jaccard",), lambda j: 1 - j),
    Rule("voe_paper", ("dice",), lambda d: 1 - d),
    Rule("precision", ("dice",), jaccard_of, lambda d: 1.0),
    Rule("recall", ("dice",), jaccard_of, lambda d: 1.0),
    Rule("precision", ("jaccard",), lambda j: j, lambda j: 1.0),
    Rule("recall", ("jaccard",), lambda j: j, lambda j: 1.0),
    Rule("precision", ("voe",), lambda v: 1 - v, lambda v: 1.0),
    Rule("recall", ("voe",), lambda v: 1 - v, lambda v: 1.0),
    Rule("assd_mm", ("hd_mm",), lambda h: 0.0, lambda h: h),
    Rule("hd95_mm", ("hd_mm",), lambda h: 0.0, lambda h: h),
)
_VOE_OF_MEANS = Rule("voe", ("dice",), lambda d: 1 - d, lambda d: 1 - jaccard_of(d))
_OF_MEANS = (
    _VOE_OF_MEANS,
    Rule("jaccard", ("dice",), jaccard_of, lambda d: d),
    Rule("dice", ("precision", "recall"), lambda p, r: max(0.0, p + r - 1), _harmonic),
    *_ANYWHERE,
)
_OF_A_CASE = (
    Rule("voe", ("dice",), lambda d: 1 - jaccard_of(d)),
    Rule("jaccard", ("dice",), jaccard_of),
    Rule("dice", ("precision", "recall"), _harmonic),
    Rule(  # without a single hit the prediction may have any size
        "rvd",
        ("precision", "recall"),
        lambda p, r: _growth(p, r, undefined=-1.0),
        lambda p, r: _growth(p, r, undefined=math.inf),
    ),
    *_ANYWHERE,
)


def check_means(
    table: Mapping[str, Mapping[str, str | float]],
    unit: Unit | None = None,
    volume_ml: float | None = None,
) -> list[Finding]:
    """Check a table of means over cases, such as a paper prints.

    Args:
        table: from a row's name to its metrics: dice, jaccard, voe, voe_paper, precision, recall,
            rvd, assd_mm, hd_mm, hd95_mm, or dsc, iou, sensitivity, asd, assd, hd, hd95. Text is
            taken as rounded to its last digit, floats as exact; NaN and empty text are passed over.
        unit: of every metric but the distances, which are in mm; None: percent, and a table that
            is plainly in fractions is refused.
        volume_ml: typical volume of the organ; if given, an ASSD too large for the Dice is noted
            as implausible.

    Returns:
        The findings in the order of the table; empty if all is possible.

    Raises:
        DataError: an unknown metric, something not a number, or a value that its unit excludes.
    """
    lines = _lines(table.items(), unit)
    return [f for row, line in lines for f in check_line(row, line, unit or "percent", volume_ml)]


def check_line(
    row: str, line: Line, unit: Unit = "percent", volume_ml: float | None = None
) -> Iterator[Finding]:
    """Check one row of means that `read_line` has read; see `check_means`."""
    yield from _broken(row, line, _OF_MEANS, unit)
    yield from _too_far(row, line, volume_ml)


def check_rows(rows: Iterable[Mapping[str, Any]], unit: Unit | None = "fraction") -> list[Finding]:
    """Check the metrics of single cases, such as `core.evaluation` keeps, against the identities.

    Also finds a distance that is a number although `empty_prediction` is 1.

    Args:
        rows: one per case, named by `case` and `predictor`; metrics not known here are passed over.
        unit: of every metric but the distances, which are in mm; None: as in `check_means`.

    Returns:
        The findings in the order of the rows; empty if all is possible.

    Raises:
        DataError: something not a number, or a value that its unit excludes.
    """
    cases = list(rows)
    named = [(_name(row), {key: row[key] for key in row if metric_of(key)}) for row in cases]
    findings: list[Finding] = []
    for (name, line), row in zip(_lines(named, unit), cases, strict=True):
        findings += _broken(name, line, _OF_A_CASE, unit or "percent")
        if str(row.get("empty_prediction")) in ("1", "1.0"):
            findings += _measured_nothing(name, line)
    return findings


def check_summary(summary: Summary) -> list[Finding]:
    """Check the means of a summary (in fractions), those taken over the same cases."""
    table: dict[str, dict[str, str | float]] = {}
    for key, group in summary.groups.items():
        cases = group["dice"].n if "dice" in group else 0
        table[" / ".join(key)] = {
            name: statistic.mean
            for name, statistic in group.items()
            if name in DISTANCES or (name in SHARES and statistic.n == cases)
        }
    return check_means(table, "fraction")


def _broken(row: str, line: Line, rules: Iterable[Rule], unit: Unit) -> Iterator[Finding]:
    for rule in (rule for rule in rules if rule.broken(line)):
        scale, printed, bounds = _scale(rule.metric, unit), line[rule.metric], rule.allowed(line)
        given = [f"{name} {_shown(line[name], _scale(name, unit))}" for name in rule.given]
        ends = dict.fromkeys(_text(bound, scale) for bound in bounds)
        text = (
            f"{row}: {rule.metric} {_shown(printed, scale)} is impossible with "
            f"{' and '.join(given)}, which allows {' to '.join(ends)}"
        )
        if rule is _VOE_OF_MEANS and printed.bound == line["dice"].bound == "=":
            text = "; ".join([text, *_readings(printed.value, line["dice"].value, scale)])
        low, high = (bound * scale for bound in bounds)
        yield Finding(row, rule.metric, printed.value * scale, low, high, text)


def _shown(number: Printed, scale: float) -> str:
    return f"{_limit(number)}{_text(number.value, scale)}"


def _limit(number: Printed) -> str:
    return "" if number.bound == "=" else f"{number.bound} "


def _text(value: float, scale: float) -> str:
    return f"{value * scale:.{2 if scale > 1 else 4}f}"


def _readings(value: float, dice: float, scale: float) -> Iterator[str]:
    """What the VOE would mean, and what else papers have printed under that head."""
    low, high = _text(1 - value, scale), _text(dice_of(1 - value), scale)
    yield f"as VOE it belongs to a Dice of {low} to {high}"
    if value > 0.5:  # rather an agreement than an error
        low, high = _text(value, scale), _text(dice_of(value), scale)
        yield f"as Jaccard it belongs to a Dice of {low} to {high}"
    if value >= jaccard_of(dice):
        recall = dice * value / (2 * value - dice) if dice else 0.0
        yield f"as precision it leaves a recall of {_text(recall, scale)} or more"


def _too_far(row: str, line: Line, volume_ml: float | None) -> Iterator[Finding]:
    """Note an ASSD above what errors along the surface amount to.

    False positives and negatives together fill about 2 V (1 - D); spread over the surface, which is
    no smaller than a sphere's, they make a layer of that thickness.
    """
    if volume_ml is None or not {"assd_mm", "dice"} <= line.keys():
        return
    volume, assd = volume_ml * 1000, line["assd_mm"]  # mm3
    sphere = math.pi ** (1 / 3) * (6 * volume) ** (2 / 3)  # mm2
    layer = 2 * volume * (1 - as_printed(line["dice"])[0]) / sphere
    if assd.ends[0] > layer:
        text = (
            f"{row}: assd_mm {_limit(assd)}{assd.value:.2f} is implausible: errors along the "
            f"surface reach {layer:.2f} mm at this Dice; far false positives, or another kind of "
            "distance?"
        )
        yield Finding(row, "assd_mm", assd.value, 0.0, layer, text, impossible=False)


def _measured_nothing(row: str, line: Line) -> Iterator[Finding]:
    for name in (name for name in DISTANCES if name in line):
        value = line[name].value
        text = f"{row}: {name} {value:.2f} is measured to an empty prediction; it must be NaN"
        yield Finding(row, name, value, math.nan, math.nan, text)


def _lines(
    table: Iterable[tuple[str, Mapping[str, str | float]]], unit: Unit | None
) -> list[tuple[str, dict[str, Printed]]]:
    """Read the numbers of a table, and refuse one that does not say that it is in fractions."""
    rows = list(table)
    if unit is None:
        refuse_fractions(read_line(row, without_percent(cells), "percent") for row, cells in rows)
    return [(row, read_line(row, cells, unit or "percent")) for row, cells in rows]


def read_line(row: str, cells: Mapping[str, str | float], unit: Unit) -> dict[str, Printed]:
    """Read the numbers of a row: shares as fractions, without those that are NaN.

    Raises:
        DataError: an unknown metric, one under two names, something not a number, or a value that
            its unit excludes.
    """
    refuse_twice(f"row {row!r}", list(cells))
    named = {_known(row, key): value for key, value in cells.items()}
    numbers = {name: _number(row, name, value, unit) for name, value in named.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def _known(row: str, key: str) -> str:
    if name := metric_of(key):
        return name
    legal = ", ".join([*SHARES, *DISTANCES, *ALIASES])
    raise DataError(f"row {row!r}: unknown metric {key!r}; use one of {legal}")


def _scale(metric: str, unit: Unit) -> float:
    return {"percent": 100.0, "fraction": 1.0}[unit] if metric in SHARES else 1.0


def _number(row: str, name: str, value: str | float, unit: Unit) -> Printed | None:
    try:
        number = read(value, unit if name in SHARES else None)
    except ValueError as error:
        raise DataError(f"row {row!r}: {name}={error}") from error
    if number is None:
        return None
    if name == "rvd":
        number = replace(number, reach=(-1.0, math.inf))
    _check_range(row, name, number, unit)
    return number


def _check_range(row: str, name: str, number: Printed, unit: Unit) -> None:
    lowest = -1.0 if name == "rvd" else 0.0
    highest = 1.0 if name in SHARES and name != "rvd" else sys.float_info.max
    low, high = number.ends if number.bound == "=" else (number.value, number.value)
    if high < lowest - SLACK or low > highest + SLACK:
        value = f"{number.value * _scale(name, unit):g}"
        raise DataError(f"row {row!r}: {name} cannot be {value} (the unit of shares is {unit})")


def _name(row: Mapping[str, Any]) -> str:
    return " / ".join(str(row[key]) for key in ("case", "predictor") if key in row)
