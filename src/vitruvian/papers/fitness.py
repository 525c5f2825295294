"""Whether the figures of a run say anything of people whom its net has never seen."""

from __future__ import annotations

from collections.abc import Mapping

from vitruvian.core.evaluating import held_out
from vitruvian.core.splits import RESUBSTITUTION, Splits
from vitruvian.papers.paper import SPLIT, UNIT

_LEAKY = "LEAKY: "  # what follows it in the kind of a split says how it leaks
_SEVERAL_SIDES = "one person is on several sides of the split"
_TRAINED_ON = "judged on the people it was trained on"
_CHOSE = "judged on the validation people, who chose the weights"


def unfit(splits: Splits, leaky: bool, asked: Mapping[str, str]) -> str:
    """Why the figures of a run flatter, in a few words; empty where they do not.

    A split that the experiment of the paper's own file asks for is what it is to be tested with:
    its claims say so.

    Args:
        splits: of the run.
        leaky: whether its evaluation is marked so.
        asked: what the paper's own file sets for this run; what a user types is not in it.
    """
    part = held_out(splits)
    if (leaky or _LEAKY in splits.kind) and UNIT not in asked:
        return splits.kind.partition(_LEAKY)[2] or _SEVERAL_SIDES
    if set(splits.train) & {*splits.val, *splits.test} and asked.get(SPLIT) != RESUBSTITUTION:
        return _TRAINED_ON
    return _CHOSE if part == "val" and SPLIT not in asked else ""
