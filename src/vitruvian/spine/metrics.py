"""How near an index is to the self-rating, clip by clip and pooled; and what costs nothing to say.

The paper gives an "accuracy" of a regression without defining it (003, section IV). Every reading
of the word is here: the right side of the red flag, a tolerance, and the plain errors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from vitruvian.core.evaluation import Row
from vitruvian.spine.data.cases import RED_FLAG

__all__ = [
    "RED_FLAG",
    "TOLERANCE",
    "clip_row",
    "evaluate_clip",
    "majority",
    "per_exercise",
    "per_person",
    "pooled",
    "train_mean",
    "wilson",
    "within_name",
]

TOLERANCE = 0.1  # of an index: ten points of the rating
_Z95 = 1.959963984540054  # 97.5 % quantile of the normal distribution
_SLACK = 1e-6  # single precision's: 0.4 - 0.3 is a hair more than 0.1
_GROUP = ("predictor", "fold", "participant")  # what makes a person's rows one measurement

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def evaluate_clip(
    index: float, truth: float, threshold: float = RED_FLAG, tolerance: float = TOLERANCE
) -> dict[str, float]:
    """Compute the metrics of one clip, for a row of `vitruvian.core.evaluation`.

    Args:
        index: of the model, any number; it is reported, and judged, clipped to 0..1.
        truth: 1 - rating/100; NaN without a rating.
        threshold: above it is a red flag.
        tolerance: largest error that counts as a hit.

    Returns:
        `index`, `truth`, `abs_error`, `squared_error`, `within_01` (named after the tolerance; 1 or
        0) and `correct`: 1 if index and truth lie on the same side of the threshold, else 0. NaN
        where the index or the truth is.

    Raises:
        ValueError: the tolerance is negative.
    """
    reported, known = np.clip(np.float64(index), 0, 1), np.float64(truth)
    error = float(reported - known)
    hit, same = abs(error) <= tolerance + _SLACK, (reported > threshold) == (known > threshold)
    undefined = math.isnan(error)
    return {
        "index": float(reported),
        "truth": float(known),
        "abs_error": abs(error),
        "squared_error": error**2,
        within_name(tolerance): math.nan if undefined else float(hit),
        "correct": math.nan if undefined else float(same),
    }


def clip_row(
    case: str, participant: str, exercise: str, predictor: str, index: float, truth: float
) -> Row:
    """Make the row of one clip under one predictor: who, what, and `evaluate_clip`."""
    strings = {
        "case": case,
        "predictor": predictor,
        "participant": participant,
        "exercise": exercise,
    }
    return {**strings, **evaluate_clip(index, truth)}


def within_name(tolerance: float) -> str:
    """Name of the share of clips within a tolerance: `within_01` of 0.1, `within_005` of 0.05.

    Raises:
        ValueError: the tolerance is negative.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance must not be negative, got {tolerance}")
    return f"within_{tolerance:g}".replace(".", "")


def pooled(
    rows: Iterable[Row], threshold: float = RED_FLAG, tolerance: float = TOLERANCE
) -> dict[str, float]:
    """Compute the figures of many clips (or people: `per_person`) of one predictor taken together.

    A red flag is the positive class. Clips without a rating or an index are left out and counted as
    `n_missing`. The intervals are Wilson's at 95 %, which hold for independent rows: clips of one
    person are not, so quote those of `per_person`.

    Args:
        rows: with `index` and `truth`, as `evaluate_clip` makes them.
        threshold: above it is a red flag.
        tolerance: largest error that counts as a hit.

    Returns:
        `n`, `n_missing`, `n_red_flags`, `mae`, `rmse`, `spearman` (NaN if either side is constant),
        `balanced_accuracy` and `auc` (NaN with a single class), and the shares `within_01`,
        `accuracy`, `sensitivity`, `specificity`, each with `..._low` and `..._high`; NaN of none.
    """
    index, truth, missing = _columns(rows)
    error, flagged, called = index - truth, truth > threshold, index > threshold
    shares = (
        _share(within_name(tolerance), np.abs(error) <= tolerance + _SLACK)
        | _share("accuracy", flagged == called)
        | _share("sensitivity", called[flagged])
        | _share("specificity", ~called[~flagged])
    )
    return {
        "n": float(len(index)),
        "n_missing": float(missing),
        "n_red_flags": float(np.count_nonzero(flagged)),
        "mae": _mean(np.abs(error)),
        "rmse": math.sqrt(_mean(error**2)),
        "spearman": _spearman(index, truth),
        "balanced_accuracy": (shares["sensitivity"] + shares["specificity"]) / 2,
        "auc": _auc(index, flagged),
        **shares,
    }


def _columns(rows: Iterable[Row]) -> tuple[Floats, Floats, int]:
    """Index and truth of the rows that have both, and the number of the others."""
    pairs = np.array([(row["index"], row["truth"]) for row in rows], np.float64).reshape(-1, 2)
    kept = pairs[np.isfinite(pairs).all(axis=1)]
    return kept[:, 0], kept[:, 1], len(pairs) - len(kept)


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if values.size else math.nan


def _share(name: str, hits: Flags) -> dict[str, float]:
    low, high = wilson(int(np.count_nonzero(hits)), len(hits))
    return {name: _mean(hits), f"{name}_low": low, f"{name}_high": high}


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Compute Wilson's 95 % interval of a share (E. B. Wilson, JASA 1927, 22, 209-212).

    Unlike the textbook's p +- 1.96 sqrt(p (1 - p) / n) it never leaves 0..1 and is no point at
    28 of 28.

    Args:
        hits: how many of them.
        n: how many at all.

    Returns:
        The ends; NaN, NaN for none at all.

    Raises:
        ValueError: `hits` is not within 0..n.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"hits must lie within 0..{n}, got {hits}")
    if n == 0:
        return math.nan, math.nan
    share, z2 = hits / n, _Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _spearman(first: Floats, second: Floats) -> float:
    """Correlation of the ranks, ties sharing theirs."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def _auc(scores: Floats, positive: Flags) -> float:
    """Mann-Whitney: the chance that a positive scores above a negative; a tie counts one half."""
    n_positive, n_negative = np.count_nonzero(positive), np.count_nonzero(~positive)
    if not n_positive or not n_negative:
        return math.nan
    above = rankdata(scores)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def per_person(
    rows: Iterable[Row], threshold: float = RED_FLAG, tolerance: float = TOLERANCE
) -> list[Row]:
    """Average index and truth over the clips of a person, and judge the averages.

    Clips without a rating are left out, unless a person has none with one.

    Args:
        rows: of clips, with the string keys `participant` and `predictor`, perhaps `fold`.
        threshold: above it is a red flag.
        tolerance: largest error that counts as a hit.

    Returns:
        Rows as `evaluate_clip` makes them, whose `case` is the participant; `clips` says of how
        many, and strings on which all clips agree stay.

    Raises:
        ValueError: a row does not say whose it is.
    """
    averaged = []
    for clips in _grouped(rows, "participant", _GROUP).values():
        rated = [row for row in clips if not math.isnan(row["truth"])] or clips
        index, truth = (float(np.mean([row[key] for row in rated])) for key in ("index", "truth"))
        strings = _agreed(clips) | {"case": clips[0]["participant"]}
        metrics = evaluate_clip(index, truth, threshold, tolerance)
        averaged.append({**strings, **metrics, "clips": float(len(rated))})
    return averaged


def per_exercise(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows of each exercise, in the order of their first one.

    Raises:
        ValueError: a row does not say which exercise it is of.
    """
    groups = _grouped(rows, "exercise", ("exercise",))
    return {str(key[0]): clips for key, clips in groups.items()}


def _grouped(
    rows: Iterable[Row], needed: str, keys: Sequence[str]
) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if not isinstance(row.get(needed), str):
            raise ValueError(f"cannot group by {needed!r}: not a string key of the row {row}")
        groups.setdefault(tuple(row.get(key) for key in keys), []).append(row)
    return groups


def _agreed(rows: Sequence[Row]) -> Row:
    """String keys that have one value in all rows."""
    first, *others = rows
    return {
        key: value
        for key, value in first.items()
        if isinstance(value, str) and all(row.get(key) == value for row in others)
    }


def train_mean(targets: Iterable[float]) -> float:
    """Index of the trivial predictor that says the mean of the training clips of everyone.

    Raises:
        ValueError: no training clip has a rating.
    """
    return float(_known(targets).mean())


def majority(targets: Iterable[float], threshold: float = RED_FLAG) -> float:
    """Index of the trivial predictor that takes everyone for the larger class of training clips.

    That is the mean of that class, so that the predictor has an error, too; of two classes of one
    size the one without a red flag.

    Raises:
        ValueError: no training clip has a rating.
    """
    known = _known(targets)
    flagged = known > threshold
    larger = flagged if 2 * np.count_nonzero(flagged) > len(known) else ~flagged
    return float(known[larger].mean())


def _known(targets: Iterable[float]) -> Floats:
    values = np.array(list(targets), np.float64)
    known: Floats = values[np.isfinite(values)]
    if not known.size:
        raise ValueError("no training clip has a rating: the baselines cannot be fitted")
    return known
