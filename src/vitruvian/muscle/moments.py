"""Means, spreads and errors of a prediction beside the truth, which add up over trials exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_CONSTANT = 1e-6  # of a prediction's own size: spread below it is rounding


@dataclass(frozen=True)
class Moments:
    """What RMSE, R2, correlation and bias are computed from.

    Two sets of frames are joined by adding their sums; nothing is lost against having them in one
    array. All spreads are those of the population (divided by n).

    Attributes:
        frames: how many were compared.
        truth_mean: of the truth.
        truth_sd: of the truth.
        predicted_sd: of the prediction.
        bias: mean of prediction less truth.
        rmse: root of the mean squared error.
    """

    frames: float
    truth_mean: float
    truth_sd: float
    predicted_sd: float
    bias: float
    rmse: float

    @staticmethod
    def of(truth: Floats, predicted: Floats) -> Moments:
        """Compare the frames, (T,), at which both are finite; all NaN where there is none."""
        both = np.isfinite(truth) & np.isfinite(predicted)
        if not both.any():
            return _NOTHING
        truth, predicted = truth[both], predicted[both].astype(np.float64)
        error = predicted - truth
        return Moments(
            frames=float(len(error)),
            truth_mean=float(truth.mean()),
            truth_sd=float(truth.std()),
            predicted_sd=float(predicted.std()),
            bias=float(error.mean()),
            rmse=float(np.sqrt(np.mean(error**2))),
        )

    @staticmethod
    def join(parts: Sequence[Moments]) -> Moments:
        """The moments of all frames of the parts together.

        With weights w = n_i / n: the mean is sum(w m_i), the variance sum(w (s_i^2 + (m_i - m)^2)),
        the mean squared error sum(w rmse_i^2).
        """
        parts = [part for part in parts if part.frames > 0]
        if not parts:
            return _NOTHING
        frames, mean, truth_sd, predicted_sd, bias, rmse = np.array(
            [astuple(part) for part in parts], np.float64
        ).T
        weights = frames / frames.sum()
        return Moments(
            frames=float(frames.sum()),
            truth_mean=float(weights @ mean),
            truth_sd=_spread(weights, mean, truth_sd),
            predicted_sd=_spread(weights, mean + bias, predicted_sd),
            bias=float(weights @ bias),
            rmse=math.sqrt(weights @ rmse**2),
        )

    @property
    def r2(self) -> float:
        """Share of the variance explained, 1 - MSE / variance of the truth; NaN of a constant."""
        return 1 - (self.rmse / self.truth_sd) ** 2 if self.truth_sd > 0 else math.nan

    @property
    def r(self) -> float:
        """Pearson's correlation; NaN where one side is constant.

        The covariance follows from MSE = bias^2 + var(truth) + var(predicted) - 2 cov.
        """
        size = abs(self.truth_mean + self.bias) + self.truth_sd
        if not self.truth_sd > 0 or not self.predicted_sd > _CONSTANT * size:
            return math.nan
        variances = self.truth_sd**2 + self.predicted_sd**2
        covariance = (variances + self.bias**2 - self.rmse**2) / 2
        return min(1.0, max(-1.0, covariance / (self.truth_sd * self.predicted_sd)))


_NOTHING = Moments(0.0, math.nan, math.nan, math.nan, math.nan, math.nan)


def _spread(weights: Floats, means: Floats, sds: Floats) -> float:
    """Standard deviation of groups together: within them and between their means."""
    return math.sqrt(weights @ (sds**2 + (means - weights @ means) ** 2))
