"""How near predictions of a muscle's state are to the sensors, trial by trial.

Names are `{word}{infix}_{metric}_{unit}`: the infix is empty for absolute values, `_centred` for
values less the trial's mean and `_change` for changes per frame, as in `angle_change_rmse_deg`.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from vitruvian.core.evaluation import Row
from vitruvian.core.sampling import generator
from vitruvian.muscle.moments import Moments
from vitruvian.muscle.quantities import EMG, Quantity, quantity
from vitruvian.muscle.trial import Kind, Trial

__all__ = [
    "INFIX",
    "SHUFFLED",
    "control_order",
    "metric_name",
    "moment_figures",
    "trial_metrics",
    "trial_row",
]

INFIX: Mapping[Kind, str] = {"change": "_change", "centred": "_centred", "absolute": ""}
SHUFFLED = "control: shuffled frames"  # the predictor's name in rows

_WITHOUT_UNIT = ("frames", "nrmse", "r2", "r", "ratio", "coverage", "rmse_mvc_percent")

Floats = npt.NDArray[np.float64]


def metric_name(of: Quantity, kind: Kind | None, metric: str) -> str:
    """Name of a metric of a quantity; `kind` None: one that is not of any kind, such as `ratio`."""
    infix = INFIX[kind] if kind else ""
    unit = "" if metric in _WITHOUT_UNIT else f"_{of.unit}"
    return f"{of.word}{infix}_{metric}{unit}"


def trial_row(
    trial: Trial,
    predictor: str,
    predictions: Mapping[str, Floats],
    kind: Kind,
    half_widths: Mapping[str, float] | None = None,
) -> Row:
    """Make the row of one trial under one predictor.

    Args:
        trial: with the truth.
        predictor: its name, such as `model`.
        predictions: by quantity, (T,) in native units; NaN where it says nothing.
        kind: what the predictions are of the quantity.
        half_widths: by quantity, of the predictive intervals; None: it has none.

    Returns:
        The strings `case` (the trial's name), `predictor`, `participant` and `task`, and the
        numbers of `trial_metrics` for every quantity.
    """
    row: Row = {
        "case": trial.name,
        "predictor": predictor,
        "participant": trial.participant,
        "task": trial.task,
    }
    for name, predicted in predictions.items():
        half_width = half_widths.get(name) if half_widths else None
        row |= trial_metrics(trial, name, predicted, kind, half_width)
    return row


def trial_metrics(
    trial: Trial,
    quantity_name: str,
    predicted: Floats,
    kind: Kind,
    half_width: float | None = None,
) -> dict[str, float]:
    """Compute the metrics of one quantity in one trial.

    Frames count at which prediction and truth are both finite. Where the quantity does not vary
    in the trial (`Quantity.varies`, on its measured value), nrmse, r2, r and ratio are NaN.

    Args:
        trial: with the truth.
        quantity_name: such as angle_deg.
        predicted: (T,) in native units.
        kind: what the prediction is of the quantity.
        half_width: of the predictive interval, in native units; None: it has none.

    Returns:
        Of the kind: rmse, nrmse (by the range of the truth in the trial), r2, r, bias (predicted
        less truth), truth_mean, truth_sd, predicted_sd; with an interval coverage and its half
        width `interval`; of EMG with a known maximum rmse_mvc_percent; frames. Of any kind: range
        (of the measured value in the trial), zero_change_rmse and ratio (RMSE of the predicted
        change by that of no change; values are differenced where frames follow). Of changes:
        drift (RMS error of the summed change, both from 0) and drift_end (its size at the end);
        of values: change_rmse and change_frames, which the ratio rests on.

    Raises:
        ConfigError: there is no quantity of that name.
        ValueError: `predicted` is not (T,).
    """
    of, truth = quantity(quantity_name), trial.truth(quantity_name, kind)
    predicted = np.asarray(predicted, np.float64)
    if predicted.shape != truth.shape:
        raise ValueError(f"{quantity_name}: {predicted.shape} predicted for {truth.shape} frames")
    moments, extent = Moments.of(truth, predicted), _range(trial.values[quantity_name])
    figures = {metric_name(of, kind, "frames"): moments.frames}
    figures |= moment_figures(of, kind, moments, extent)
    figures[metric_name(of, kind, "nrmse")] = _by(moments.rmse, _range(truth), extent >= of.varies)
    figures |= _changes(trial, of, predicted, kind, extent)
    if of is EMG and trial.emg_mvc_v:
        figures[metric_name(of, kind, "rmse_mvc_percent")] = 100 * moments.rmse / trial.emg_mvc_v
    if half_width is not None:
        figures |= _interval(of, kind, np.abs(predicted - truth), half_width)
    return figures


def moment_figures(of: Quantity, kind: Kind, moments: Moments, extent: float) -> dict[str, float]:
    """Figures that follow from moments, of one trial or of several joined.

    Args:
        of: the quantity.
        kind: what was predicted of it.
        moments: of truth and prediction.
        extent: range of the measured value within a trial (of several the largest); it decides
            whether r2 and r say anything.
    """
    varies = extent >= of.varies
    figures = {
        "rmse": moments.rmse,
        "r2": moments.r2 if varies else math.nan,
        "r": moments.r if varies else math.nan,
        "bias": moments.bias,
        "truth_mean": moments.truth_mean,
        "truth_sd": moments.truth_sd,
        "predicted_sd": moments.predicted_sd,
    }
    named = {metric_name(of, kind, metric): value for metric, value in figures.items()}
    return named | {metric_name(of, None, "range"): extent}


def _changes(
    trial: Trial, of: Quantity, predicted: Floats, kind: Kind, extent: float
) -> dict[str, float]:
    """The error of the change beside that of no change at all, and what the changes sum up to."""
    truth, given = trial.truth(of.name, "change"), kind == "change"
    change = predicted if given else np.diff(predicted, prepend=np.nan)
    error = change - truth  # NaN at frames that do not follow, as the truth is
    known = np.isfinite(error)
    rmse, unmoved = _rms(error[known]), _rms(truth[known])
    figures = {
        metric_name(of, None, "zero_change_rmse"): unmoved,
        metric_name(of, None, "ratio"): _by(rmse, unmoved, extent >= of.varies),
    }
    if given:
        drift = np.cumsum(error[known])
        end = abs(float(drift[-1])) if len(drift) else math.nan
        names = (metric_name(of, None, "drift"), metric_name(of, None, "drift_end"))
        return figures | dict(zip(names, (_rms(drift), end), strict=True))
    names = (metric_name(of, "change", "rmse"), metric_name(of, "change", "frames"))
    return figures | dict(zip(names, (rmse, float(known.sum())), strict=True))


def _interval(of: Quantity, kind: Kind, error: Floats, half_width: float) -> dict[str, float]:
    inside = error[np.isfinite(error)] <= half_width
    known = len(inside) > 0 and math.isfinite(half_width)
    return {
        metric_name(of, kind, "coverage"): float(inside.mean()) if known else math.nan,
        metric_name(of, kind, "interval"): half_width,
    }


def _range(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.ptp(known)) if len(known) else math.nan


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else math.nan


def _by(value: float, size: float, meaningful: bool) -> float:
    return value / size if meaningful and size > 0 else math.nan


def control_order(trial: Trial, seed: int) -> npt.NDArray[np.int64]:
    """Order of the frames for the permutation control, (T,).

    The predictor `SHUFFLED` sees the frames of the trial in this order and is compared with the
    truth in its own order: whoever reads the images loses what they said, and whoever does as well
    as before did not read them.

    Args:
        trial: its name makes the order its own.
        seed: of the run.
    """
    stream = zlib.crc32(trial.name.encode())
    return generator(seed, stream).permutation(len(trial.times_s))
