"""Changes and absolute readings, fused: drift-free, and as quiet as the changes.

Changes added up drift away; absolute readings do not, but are noisy. A scalar Kalman filter for
each quantity weighs them against each other (docs/muscle.md), looking back only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vitruvian.core.errors import ConfigError, DataError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# Candidates of r / q. A filter that has settled gives a reading the weight 1 / sqrt(r / q) where
# that is small: from nearly all of it to one part in 10 000, a memory of minutes.
_RATIOS = np.logspace(-2, 8, 61)
_SMALLEST = 1e-30  # a variance, in float32; a gain must not be 0 / 0


class Fused(NamedTuple):
    """What is known after a frame; hand it to the next step.

    Attributes:
        values: (V,) fused readings.
        sd: (V,) their standard errors.
        variance: (V,) that the filter carries on.
    """

    values: Floats
    sd: Floats
    variance: Floats


class KalmanFusion(nn.Module):
    """A causal scalar Kalman filter for each quantity.

    The change carries the value on and adds the variance q; the absolute reading, of variance r,
    pulls it back. At a frame that follows no other one the reading alone counts.

    Args:
        quantities: names, in the order of the columns.

    Attributes:
        q: (V,) variance of the change's error for each frame, in squared units.
        r: (V,) variance of the reading's error; larger than what one reading shows, see `fit`.
        scatter: (V,) variance of one reading's error about its mean over the trial, which no fused
            value exceeds.
        bias: (V,) mean square of that mean, which nothing can filter away: each person's own.

    Raises:
        ConfigError: `quantities` are none or not all different.
    """

    q: Tensor
    r: Tensor
    scatter: Tensor
    bias: Tensor

    def __init__(self, quantities: Sequence[str]) -> None:
        super().__init__()
        if not quantities or len(set(quantities)) < len(quantities):
            raise ConfigError(f"quantities: must be different names, not {list(quantities)}")
        self.quantities = tuple(quantities)
        for name in ("q", "r", "scatter", "bias"):
            self.register_buffer(name, torch.ones(len(quantities)))

    def step(self, state: Fused | None, change: Floats, absolute: Floats) -> Fused:
        """One more frame.

        Args:
            state: from the step before; None: the frame follows no other one.
            change: (V,) since the frame before; not read without a state.
            absolute: (V,) readings.
        """
        known = None if state is None else (state.values, state.variance)
        values, variance = _step(known, change, absolute, _array(self.q), _array(self.r))
        return Fused(values, self._sd(variance), variance)

    def fuse(self, change: Floats, absolute: Floats, follows: Bools) -> tuple[Floats, Floats]:
        """Filter a whole trial, as `step` does frame by frame.

        Args:
            change: (T, V) since the frame before; not read where `follows` is False.
            absolute: (T, V) readings, in the same units.
            follows: (T,) whether the frame before is that of the row before.

        Returns:
            Values and their standard errors, each (T, V).

        Raises:
            DataError: the shapes do not fit.
        """
        change, absolute, follows = self._checked(change, absolute, follows)
        values, variance = _filtered(change, absolute, follows, _array(self.q), _array(self.r))
        return values, self._sd(variance)

    def fit(
        self,
        change_error: Sequence[Floats],
        absolute_error: Sequence[Floats],
        follows: Sequence[Bools],
    ) -> None:
        """Set q and r by what would have served best on held-out trials.

        A Kalman filter takes errors for independent from frame to frame. Those of a net are not:
        readings of one person are off in the same direction for seconds, so that their plain
        variance would make the filter trust them far too much and follow their every wave. The
        usual cure multiplies r by the integrated autocorrelation time, which is hard to estimate
        and does nothing about changes that are wrong in a way that lingers, too. But the filter is
        linear: fed with the errors of both inputs it returns the errors of its output. So we run
        it with each of a row of ratios r / q on the held-out errors, and keep the ratio with the
        smallest squared error. As "changes alone" and "readings alone" lie at the ends of the row,
        the result is about as good as either there, or better. Both are then scaled so that the
        mean variance that the filter claims is the squared error that it made. The mean error of
        the readings of a trial is taken out before, and comes back in the standard errors: no
        weight could mend it.

        Args:
            change_error: for each trial (T, V), predicted less true change.
            absolute_error: for each trial (T, V), predicted less true value.
            follows: for each trial (T,) as in `fuse`.

        Raises:
            DataError: there is no trial, or the shapes do not fit.
        """
        given = zip(change_error, absolute_error, follows, strict=True)
        trials = [self._checked(*trial) for trial in given]
        if not trials:
            raise DataError("KalmanFusion needs at least one held-out trial to be fitted on")
        biases = [absolute.mean(axis=0) for _, absolute, _ in trials]
        trials = [(c, a - bias, f) for (c, a, f), bias in zip(trials, biases, strict=True)]
        made, claimed = _tried(trials)
        best = made.argmin(axis=0), np.arange(made.shape[1])
        scale = made[best] / claimed[best]
        scatter = np.concatenate([absolute for _, absolute, _ in trials])
        self._set("q", scale)
        self._set("r", scale * _RATIOS[best[0]])
        self._set("scatter", (scatter**2).mean(axis=0))
        self._set("bias", np.square(biases).mean(axis=0))

    def _set(self, name: str, variances: Floats) -> None:
        self.get_buffer(name).copy_(torch.from_numpy(np.maximum(variances, _SMALLEST)))

    def _sd(self, variance: Floats) -> Floats:
        return np.sqrt(np.minimum(variance, _array(self.scatter)) + _array(self.bias))

    def _checked(
        self, change: Floats, absolute: Floats, follows: Bools
    ) -> tuple[Floats, Floats, Bools]:
        change, absolute = np.asarray(change, np.float64), np.asarray(absolute, np.float64)
        follows = np.asarray(follows, np.bool_)
        shape = (len(follows), len(self.quantities))
        if change.shape != shape or absolute.shape != shape or follows.ndim != 1:
            raise DataError(
                f"changes {change.shape} and readings {absolute.shape} must both be {shape}: "
                f"frames x ({', '.join(self.quantities)})"
            )
        return change, absolute, follows


def _array(buffer: Tensor) -> Floats:
    return buffer.double().cpu().numpy()


def _step(
    state: tuple[Floats, Floats] | None, change: Floats, absolute: Floats, q: Floats, r: Floats
) -> tuple[Floats, Floats]:
    """Predict and update: the next values and their variance."""
    if state is None:
        return absolute, r
    values, variance = state[0] + change, state[1] + q
    gain = variance / (variance + r)
    return values + gain * (absolute - values), gain * r


def _filtered(
    change: Floats, absolute: Floats, follows: Bools, q: Floats, r: Floats
) -> tuple[Floats, Floats]:
    """Values and variances after every frame, each (T, V)."""
    values, variances = np.empty_like(absolute), np.empty_like(absolute)
    state = None
    for frame, connected in enumerate(follows):
        state = _step(state if connected else None, change[frame], absolute[frame], q, r)
        values[frame], variances[frame] = state
    return values, variances


def _tried(trials: Sequence[tuple[Floats, Floats, Bools]]) -> tuple[Floats, Floats]:
    """Mean squared error made and mean variance claimed with q = 1 and each ratio, (ratios, V)."""
    quantities = trials[0][0].shape[1]
    ratios = np.repeat(_RATIOS, quantities)  # each candidate is filtered as a column of its own
    made, claimed, frames = np.zeros(ratios.shape), np.zeros(ratios.shape), 0
    for change, absolute, follows in trials:
        columns = (1, len(_RATIOS))
        errors, variances = _filtered(
            np.tile(change, columns), np.tile(absolute, columns), follows, np.ones(1), ratios
        )
        made += (errors**2).sum(axis=0)
        claimed += variances.sum(axis=0)
        frames += len(follows)
    shape = (len(_RATIOS), quantities)
    return made.reshape(shape) / frames, claimed.reshape(shape) / frames
