"""Which end of a metric is the good one, as far as its name says so."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

# Words that metrics are named after; a metric with none of them, such as an index, has no best.
_SMALL = {"rmse", "nrmse", "mae", "mse", "error", "loss", "ratio", "drift", "residual"}
_SMALL |= {"voe", "rvd", "assd", "hd", "hd95"}
_LARGE = {"r", "r2", "pearson", "spearman", "dice", "jaccard", "precision", "recall", "accuracy"}
_LARGE |= {"auc", "sensitivity", "specificity", "correct", "within"}


def badness(metric: str) -> Callable[[float], float] | None:
    """What is least for the best value of a metric; None where neither end is known to be good.

    Small is good of errors (signed ones by size) and of ratios to a baseline, large of overlaps,
    correlations and shares.
    """
    words = set(re.split(r"[_/]", metric))
    match bool(words & _SMALL), bool(words & _LARGE):
        case True, False:
            return abs
        case False, True:
            return operator.neg
    return None
