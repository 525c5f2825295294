"""Bounds that numbers set each other, judged with the rounding of all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from vitruvian.report.printed import Printed

SLACK = 1e-6  # single precision's; the rounding of printed numbers is apart

Line = Mapping[str, Printed]
Bound = Callable[..., float]


class Remark(NamedTuple):
    """What is wrong with a row: a line for the reader; False: only implausible."""

    message: str
    impossible: bool = True


@dataclass(frozen=True)
class Rule:
    """`metric` lies between two functions, each monotonic in every one of the `given` metrics.

    Functions of a size, such as |bias|, may turn at 0.
    """

    metric: str
    given: tuple[str, ...]
    low: Bound
    high: Bound | None = None  # None: an identity, `low` is both
    note: str = ""  # under which condition
    impossible: bool = True

    def broken(self, line: Line) -> bool:
        """Whether no numbers that round to the printed ones satisfy the rule."""
        if not {self.metric, *self.given} <= line.keys():
            return False
        low, high = self._span([line[name].ends for name in self.given])
        least, most = line[self.metric].ends
        return most < low - SLACK or least > high + SLACK

    def allowed(self, line: Line) -> tuple[float, float]:
        """What the given metrics leave to the metric: as printed, without their rounding."""
        return self._span([as_printed(line[name]) for name in self.given])

    def _span(self, given: Sequence[tuple[float, float]]) -> tuple[float, float]:
        """The lowest and the highest bound where each given metric lies between its two ends."""
        corners = list(itertools.product(*map(_turns, given)))
        high = self.high or self.low
        return min(self.low(*c) for c in corners), max(high(*c) for c in corners)


def as_printed(number: Printed) -> tuple[float, float]:
    """The two ends of a number without its rounding; they differ only where it is a limit."""
    return replace(number, half=Fraction(0)).ends


def _turns(ends: tuple[float, float]) -> set[float]:
    """Where a function may be at its least or most: at the ends, and at 0 between them."""
    return {*ends, 0.0} if ends[0] < 0 < ends[1] else {*ends}
