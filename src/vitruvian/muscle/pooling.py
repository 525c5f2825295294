"""Rows of trials taken together: per participant, per task, over people, and the best of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from vitruvian.core.evaluation import Row
from vitruvian.muscle.metrics import INFIX, metric_name, moment_figures
from vitruvian.muscle.moments import Moments
from vitruvian.muscle.quantities import QUANTITIES, Quantity
from vitruvian.muscle.trial import Kind

__all__ = ["best_participant", "over_people", "pool"]

# Of a participant's pooled row, what is averaged over people.
_REPORTED = ("rmse", "nrmse", "r2", "r", "coverage", "rmse_mvc_percent")
_REPORTED_ONCE = ("ratio", "drift", "drift_end")

Floats = npt.NDArray[np.float64]


def pool(rows: Iterable[Row], by: Sequence[str]) -> list[Row]:
    """Join the rows of trials into one of each group.

    RMSE, bias, R2, r, ratio and coverage are exactly those of all frames of the group in one array:
    they are computed from counts, means and spreads, not averaged. So are drift (root mean
    square over frames) and, over trials, drift_end. nrmse and the interval's width are averages
    over the frames of the trials that have one. A quantity varies in a group if it does within one
    of its trials: levels at which a joint was locked are no variation.

    Args:
        rows: as `trial_row` makes them, or pooled ones.
        by: string keys that make a group, such as `participant` or `task`; predictors are never
            pooled.

    Returns:
        Rows in the order of their first trial; `case` is the group's name, `trials` says of how
        many, and strings on which all its rows agree stay.

    Raises:
        ValueError: a row lacks one of the keys.
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if lacking := [key for key in by if not isinstance(row.get(key), str)]:
            raise ValueError(f"cannot group by {lacking[0]!r}: not a string key of the row {row}")
        groups.setdefault((row["predictor"], *(row[key] for key in by)), []).append(row)
    return [_pooled(group, " / ".join(key[1:])) for key, group in groups.items()]


def _pooled(rows: Sequence[Row], case: str) -> Row:
    pooled = {**_agreed(rows), "case": case or "all", "trials": float(sum(map(_trials, rows)))}
    for of, kind in _measured(rows):
        parts = [row for row in rows if row.get(metric_name(of, kind, "frames"), 0) > 0]
        pooled |= _joined(parts or rows, of, kind)
    return pooled


def _agreed(rows: Sequence[Row]) -> Row:
    """String keys that have one value in all rows."""
    first, *others = rows
    return {
        key: value
        for key, value in first.items()
        if isinstance(value, str) and all(row.get(key) == value for row in others)
    }


def _measured(rows: Sequence[Row]) -> Iterator[tuple[Quantity, Kind]]:
    """Quantities and kinds that any of the rows is about; only the kind itself has a bias."""
    for of in QUANTITIES.values():
        for kind in INFIX:
            if any(metric_name(of, kind, "bias") in row for row in rows):
                yield of, kind


def _joined(rows: Sequence[Row], of: Quantity, kind: Kind) -> Row:
    """All metrics of one quantity in one group of rows."""
    frames = np.nan_to_num(_column(rows, metric_name(of, kind, "frames")))
    moments = Moments.join([_moments(row, of, kind) for row in rows])
    ranges = _column(rows, metric_name(of, None, "range"))
    extent = float(np.nanmax(ranges)) if np.isfinite(ranges).any() else math.nan
    joined: Row = {metric_name(of, kind, "frames"): moments.frames}
    joined |= moment_figures(of, kind, moments, extent)
    for metric in ("nrmse", "coverage", "interval"):
        joined |= _average(rows, metric_name(of, kind, metric), frames, 1)
    joined |= _average(rows, metric_name(of, kind, "rmse_mvc_percent"), frames, 2)
    joined |= _average(rows, metric_name(of, None, "drift"), frames, 2)
    trials = np.array([_trials(row) for row in rows])
    joined |= _average(rows, metric_name(of, None, "drift_end"), trials, 2)
    return joined | _ratio(rows, of, kind, frames, varies=extent >= of.varies)


def _moments(row: Row, of: Quantity, kind: Kind) -> Moments:
    names = ("truth_mean", "truth_sd", "predicted_sd", "bias", "rmse")
    figures = {name: row.get(metric_name(of, kind, name), math.nan) for name in names}
    return Moments(frames=row.get(metric_name(of, kind, "frames"), 0.0), **figures)


def _ratio(rows: Sequence[Row], of: Quantity, kind: Kind, frames: Floats, varies: bool) -> Row:
    """Ratio of the joined errors of the change, with what it rests on."""
    error, still = metric_name(of, "change", "rmse"), metric_name(of, None, "zero_change_rmse")
    joined: Row = {}
    if kind != "change":
        name = metric_name(of, "change", "frames")
        frames = np.nan_to_num(_column(rows, name))
        joined[name] = float(frames.sum())
    joined |= _average(rows, error, frames, 2) | _average(rows, still, frames, 2)
    unmoved = joined.get(still, math.nan)
    ratio = joined[error] / unmoved if varies and unmoved > 0 else math.nan
    return joined | {metric_name(of, None, "ratio"): ratio}


def _average(rows: Sequence[Row], name: str, weights: Floats, power: int) -> Row:
    """Mean (power 1) or root mean square (2) of the rows that have a value; {} if none has it."""
    if not any(name in row for row in rows):
        return {}
    values = _column(rows, name)
    known = np.isfinite(values) & (weights > 0)
    if not known.any():
        return {name: math.nan}
    return {name: float(np.average(values[known] ** power, weights=weights[known]) ** (1 / power))}


def _column(rows: Sequence[Row], name: str) -> Floats:
    return np.array([row.get(name, math.nan) for row in rows], np.float64)


def _trials(row: Row) -> float:
    trials: float = row.get("trials", 1.0)
    return trials


def over_people(rows: Iterable[Row]) -> dict[str, float]:
    """Mean and standard deviation over participants, each with all their trials as one.

    Args:
        rows: of trials of one predictor.

    Returns:
        `n_participants`, and for each of the rmse, nrmse, r2, r, ratio, drift and so on its mean
        over the participants who have it, `..._low` and `..._high` (95 % interval of the mean by
        Student's t, NaN for a single one) and `..._sd`.
    """
    people = pool(rows, by=("participant",))
    figures = {"n_participants": float(len(people))} if people else {}
    for of, kind in _measured(people):
        names = [metric_name(of, kind, metric) for metric in _REPORTED]
        names += [metric_name(of, None, metric) for metric in _REPORTED_ONCE]
        for name in (name for name in names if any(name in row for row in people)):
            figures |= _spread(name, _column(people, name))
    return figures


def _spread(name: str, values: Floats) -> dict[str, float]:
    known = values[np.isfinite(values)]
    mean = float(known.mean()) if len(known) else math.nan
    sd, half = math.nan, math.nan
    if len(known) > 1:
        sd = float(known.std(ddof=1))
        half = float(student.ppf(0.975, len(known) - 1)) * sd / math.sqrt(len(known))
    return {name: mean, f"{name}_low": mean - half, f"{name}_high": mean + half, f"{name}_sd": sd}


def best_participant(rows: Iterable[Row]) -> dict[str, float]:
    """The smallest errors beside those of paper 001, "as little as" (docs/muscle.md).

    A minimum compares with a minimum only: never put these beside a mean. The best pair of
    participant and task is often one in which the quantity hardly moves (docs/muscle.md), so the
    RMSE of no change at all stands beside it.

    Args:
        rows: of trials of one predictor.

    Returns:
        For every quantity, of the change per frame: `..._rmse_..._best_participant`,
        `..._rmse_..._best_participant_task`, `..._zero_change_rmse_..._best_participant_task` of
        the same pair, and `..._rmse_..._paper` where the paper reports one.
    """
    rows = list(rows)
    people, pairs = pool(rows, by=("participant",)), pool(rows, by=("participant", "task"))
    best: dict[str, float] = {}
    for of in dict.fromkeys(of for of, _ in _measured(rows)):
        error, still = metric_name(of, "change", "rmse"), metric_name(of, None, "zero_change_rmse")
        person, pair = _smallest(people, error), _smallest(pairs, error)
        best[f"{error}_best_participant"] = person.get(error, math.nan)
        best[f"{error}_best_participant_task"] = pair.get(error, math.nan)
        best[f"{still}_best_participant_task"] = pair.get(still, math.nan)
        if of.paper is not None:
            best[f"{error}_paper"] = of.paper
    return best


def _smallest(rows: Sequence[Row], name: str) -> Row:
    """The row with the smallest value of `name`; an empty one where none has any."""
    known = [row for row in rows if math.isfinite(row.get(name, math.nan))]
    return min(known, key=lambda row: row[name], default={})
