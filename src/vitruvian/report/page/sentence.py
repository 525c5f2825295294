"""What became of a paper's claims, in one sentence that a stranger understands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitruvian.papers.results import Judged

# of one, of several
_SIMULATED = {
    "reproduced": ("holds on what needs no data", "hold on what needs no data"),
    "not reproduced": ("fails on what needs no data", "fail on what needs no data"),
    "not comparable": ("cannot be judged on simulated data",) * 2,
}
_ALWAYS = {
    "reproduced": ("is reproduced", "are reproduced"),
    "not reproduced": ("is not reproduced", "are not reproduced"),
    "impossible as printed": ("is impossible as printed", "are impossible as printed"),
    "not comparable": ("cannot be compared with ours",) * 2,
    "untested": ("cannot be judged from outside",) * 2,
    "not run yet": ("waits for a run or a measurement", "wait for a run or a measurement"),
}


def sentence(claims: Sequence[Judged], simulated: bool) -> str:
    """`24 claims: 3 hold on what needs no data, 4 are impossible as printed, 17 ...`."""
    counted = Counter(_kind(one) for one in claims)
    says = ", ".join(_parts(counted, simulated))
    return f"{len(claims)} claim{'' if len(claims) == 1 else 's'}{f': {says}' if says else ''}."


def is_untested(one: Judged) -> bool:
    """Whether no experiment can judge it, and nothing else did."""
    return one.claim.kind == "untested" and str(one.verdict) == "not comparable"


def _kind(one: Judged) -> str:
    return "untested" if is_untested(one) else str(one.verdict)


def _parts(counted: Counter[str], simulated: bool) -> Iterator[str]:
    words = _ALWAYS | (_SIMULATED if simulated else {})
    for kind, (single, several) in words.items():
        if count := counted[kind]:
            yield f"{count} {single if count == 1 else several}"
