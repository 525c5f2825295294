"""What figures of one classification, or the errors of one regression, must have in common."""

from __future__ import annotations

import math
from collections.abc import Iterator

from vitruvian.report.printed import Printed
from vitruvian.report.rules import Line, Remark, Rule

_ONE = "of one table of right and wrong"
_CURVE = "of a curve through this point"


def _predictive(found: float, clear: float, share: float, undefined: float) -> float:
    """How many of those named are it; undefined where nobody is named."""
    hits, alarms = found * share, (1 - clear) * (1 - share)
    return hits / (hits + alarms) if hits + alarms > 0 else undefined


RULES = (
    Rule("balanced_accuracy", ("sensitivity", "specificity"), lambda s, t: (s + t) / 2),
    Rule(
        "accuracy",
        ("sensitivity", "specificity", "prevalence"),
        lambda s, t, p: s * p + t * (1 - p),
        note=_ONE,
    ),
    Rule("accuracy", ("sensitivity", "specificity"), min, max, note=_ONE),
    Rule(
        "ppv",
        ("sensitivity", "specificity", "prevalence"),
        lambda s, t, p: _predictive(s, t, p, 0.0),
        lambda s, t, p: _predictive(s, t, p, 1.0),
        note=_ONE,
    ),
    Rule(
        "npv",
        ("sensitivity", "specificity", "prevalence"),
        lambda s, t, p: _predictive(t, s, 1 - p, 0.0),
        lambda s, t, p: _predictive(t, s, 1 - p, 1.0),
        note=_ONE,
    ),
    Rule(  # a curve that never falls, through this point
        "auc",
        ("sensitivity", "specificity"),
        lambda s, t: s * t,
        lambda s, t: 1 - (1 - s) * (1 - t),
        note=_CURVE,
    ),
    Rule("mae", ("bias",), abs, lambda b: math.inf),
    Rule("rmse", ("bias",), abs, lambda b: math.inf),
    Rule("rmse", ("mae",), lambda m: m, lambda m: math.inf),
    Rule(
        "r2",
        ("r",),
        lambda r: -math.inf,
        lambda r: r * r,
        note="of a least-squares line it is r squared, of any other prediction less",
        impossible=False,
    ),
)
_RANGES = {"auc": (0.0, 1.0), "r": (-1.0, 1.0), "r2": (-math.inf, 1.0)}
_SIZES = ("rmse", "mae", "sd", "se")


def judged(line: Line, means: bool = False) -> Iterator[Remark]:
    """Say which numbers of a row exclude each other, or lie where they cannot.

    Args:
        line: the row's numbers.
        means: they are means over several classifications; what holds in each need not hold then.
    """
    ranges = {**_RANGES, **dict.fromkeys(_SIZES, (0.0, math.inf))}
    for name, (low, high) in ranges.items():
        if name in line and (line[name].ends[1] < low or line[name].ends[0] > high):
            yield Remark(f"{name} {line[name]} is impossible: {_range_text(low, high)}")
    for rule in RULES:
        if rule.broken(line) and not (means and rule.note in (_ONE, _CURVE)):
            yield _excluded(rule, line)


def _range_text(low: float, high: float) -> str:
    if math.isinf(high):
        return f"it cannot be below {low:g}"
    return f"it cannot be above {high:g}" if math.isinf(low) else f"it lies in {low:g} to {high:g}"


def _excluded(rule: Rule, line: Line) -> Remark:
    printed = line[rule.metric]
    given = " and ".join(f"{name} {line[name]}" for name in rule.given)
    low, high = rule.allowed(line)
    how = "impossible" if rule.impossible else "implausible"
    note = f" ({rule.note})" if rule.note else ""
    allowed = _allowed(low, high, printed)
    text = f"{rule.metric} {printed} is {how} with {given}, which allows {allowed}{note}"
    return Remark(text, rule.impossible)


def _allowed(low: float, high: float, like: Printed) -> str:
    def text(value: float) -> str:
        scale, unit = (100, " %") if like.share else (1, "")
        return f"{value * scale:.{max(2, like.places)}f}{unit}"

    if math.isinf(high):
        return f"{text(low)} or more"
    if math.isinf(low):
        return f"{text(high)} or less"
    return text(low) if math.isclose(low, high) else f"{text(low)} to {text(high)}"
