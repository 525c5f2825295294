"""Bounds that numbers set each other, judged with the rounding of all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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

    def bounds(self, values: Sequence[float]) -> tuple[float, float]:
        """The two ends at these values of the given metrics."""
        return self.low(*values), (self.high or self.low)(*values)

    def broken(self, line: Line) -> bool:
        """Whether no numbers that round to the printed ones satisfy the rule."""
        if not {self.metric, *self.given} <= line.keys():
            return False
        corners = itertools.product(*({*line[g].ends, line[g].value} for g in self.given))
        lows, highs = zip(*(self.bounds(corner) for corner in corners), strict=True)
        least, most = line[self.metric].ends
        return most < min(lows) - SLACK or least > max(highs) + SLACK
