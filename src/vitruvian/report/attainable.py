"""Shares of whole people: is there a number of them that gives the printed percentage?

Of N people k can be right, never k and a half, so that with N = 29 an accuracy is one of 0/29, 1/29
... 29/29. A printed share that none of these rounds to was not counted over those 29. (Brown and
Heathers 2017 asked the same of means: doi.org/10.1177/1948550616673876.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from vitruvian.report.printed import Printed
from vitruvian.report.rules import Remark

MOST = 20_000  # people looked through for the fewest that allow what is printed


def attainable(share: Printed, total: int) -> bool:
    """Whether some whole number of `total` rounds to the share, by any rule for halves."""
    least = math.ceil((share.exact - share.half) * total)
    most = math.floor((share.exact + share.half) * total)
    return max(0, least) <= min(total, most)


def counted(share: Printed, count: int, total: int) -> bool:
    """Whether this number of `total` rounds to the share, or is within its limit."""
    low, high = share.ends
    exact = Fraction(count, total)
    if share.bound == "=":
        return abs(share.exact - exact) <= share.half
    return low <= exact <= high


def cut_off(share: Printed, total: int) -> bool:
    """Whether some whole number of `total` gives the share if its digits were cut, not rounded."""
    least = math.ceil(share.exact * total)
    return least <= total and Fraction(least, total) < share.exact + 2 * share.half


def fewest(shares: Sequence[Printed]) -> int | None:
    """The smallest total that allows every one of the shares; None: none up to `MOST` does."""
    return next((n for n in range(1, MOST + 1) if all(attainable(s, n) for s in shares)), None)


def judged(
    name: str, share: Printed, total: int, whom: str, others: Sequence[Printed] = ()
) -> Iterator[Remark]:
    """Say why a share cannot be one of `total`; nothing if it can.

    Args:
        name: what the share is of, such as accuracy.
        share: as printed.
        total: over how many.
        whom: the total in words, such as "29 people".
        others: further shares that are said to be of as many.
    """
    if share.bound != "=" or attainable(share, total):
        return
    cut = cut_off(share, total)
    how = (
        f"implausible with {whom}, unless its digits were cut" if cut else f"impossible with {whom}"
    )
    near = " and ".join(_fraction(k, total) for k in _beside(share, total))
    text = "; ".join(
        [f"{name} {share} is {how}: the nearest are {near}", *_fewest_text(share, others)]
    )
    yield Remark(text, impossible=not cut)


def _fewest_text(share: Printed, others: Sequence[Printed]) -> Iterator[str]:
    alone = fewest([share])
    if alone is not None:
        example = _fraction(_nearest(share, alone), alone)
        yield f"the fewest that allow {share} are {alone} ({example})"
    every = [share, *(other for other in others if other.exact != share.exact)]
    together = fewest(every) if len(every) > 1 else None
    if together is not None:
        listed = ", ".join(_fraction(_nearest(one, together), together) for one in every)
        yield f"the fewest that allow {' and '.join(map(str, every))} are {together} ({listed})"


def _beside(share: Printed, total: int) -> list[int]:
    """The counts below and above the share."""
    below = math.floor(share.exact * total)
    return [count for count in (below, below + 1) if 0 <= count <= total]


def _nearest(share: Printed, total: int) -> int:
    return min(total, max(0, round(share.exact * total)))


def _fraction(count: int, total: int) -> str:
    return f"{count}/{total} = {100 * count / total:.2f} %"
