"""What a prediction has to beat: guesses that cost nothing, and what simple features say.

All are fitted on training people only and live in buffers, so that they travel in the checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.muscle.features import FLOW_FEATURES, INTENSITY_FEATURES
from vitruvian.muscle.quantities import ANGLE, TORQUE, quantity
from vitruvian.muscle.trial import Kind, Trial

__all__ = ["Baselines"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Predictions = dict[str, Floats]  # by quantity

_STEEPEST = 3.0  # of a spring: per standard deviation of the angle


class Baselines(nn.Module):
    """The trivial predictors of one kind of target.

    Args:
        quantities: names, in the order of the buffers.
        kind: what is predicted of them.
        ridge: penalty of the ridge regressions per training frame, on z-scored features. 1 would
            halve the weight of a feature that is correlated with no other.

    Raises:
        ConfigError: there is no quantity of a name, or the penalty is not above 0.
    """

    mean: Tensor

    def __init__(self, quantities: Sequence[str], kind: Kind, ridge: float = 0.01) -> None:
        super().__init__()
        if not ridge > 0:
            raise ConfigError(f"ridge: must be above 0, not {ridge}")
        self.quantities = tuple(quantity(name).name for name in quantities)
        self.kind = kind
        self.register_buffer("mean", torch.full((len(self.quantities),), math.nan))
        self.flow = _Ridge(FLOW_FEATURES, len(self.quantities), ridge)
        self.intensity = _Ridge(INTENSITY_FEATURES, len(self.quantities), ridge)
        self.spring = _Spring()

    def fit(self, trials: Iterable[Trial]) -> None:
        """Fit everything that is fitted.

        Args:
            trials: of training people only.

        Raises:
            DataError: there is no frame at which all quantities are known.
        """
        trials = list(trials)
        truths = [self._truths(trial) for trial in trials]
        known: list[Flags] = [np.all(np.isfinite(truth), axis=1) for truth in truths]
        if not any(rows.any() for rows in known):
            raise DataError("no training frame has all of " + ", ".join(self.quantities))
        target = _stacked(truths, known)
        self.mean.copy_(torch.from_numpy(target.mean(axis=0)))
        self.flow.fit(_stacked([self._flow(trial) for trial in trials], known), target)
        self.intensity.fit(_stacked([self._intensity(trial) for trial in trials], known), target)
        if moved := [trial for trial in trials if self._has_spring(trial)]:
            self.spring.fit(moved)

    def predict(self, trial: Trial) -> dict[str, Predictions]:
        """What each predictor says of a trial.

        Zero change: nothing moves; the absolute value stays at the first one measured, the mean of
        the trial is 0. Persistence repeats the last thing that was measured; it knows the sensors,
        which no model of the images does. Ridge on flow integrates the displacement over the
        trial and takes its mean away, unless the target is the change; of the level it knows the
        mean of the training people only. Ridge on intensity sees the frame's brightness, contrast
        and thickness, less the trial's mean or the frame before where the target is. The passive
        spring takes the measured angle for torque: it knows the angle's sensor, and no activity.

        Args:
            trial: of anyone.

        Returns:
            Name of the predictor -> quantity -> (T,) in native units, NaN where it says nothing.
            The spring comes only with torque among the quantities and an angle in the trial.
        """
        said = {
            "baseline: zero change": self._unmoved(trial),
            "baseline: persistence": _delayed(self._truths(trial)),
            "baseline: train mean": np.tile(_numpy(self.mean), (len(trial.times_s), 1)),
            "baseline: ridge on flow": self.flow.predict(self._flow(trial)),
            "baseline: ridge on intensity": self.intensity.predict(self._intensity(trial)),
        }
        if self._has_spring(trial):
            said["baseline: passive spring"] = self._sprung(trial)
        if self.kind == "change":
            said = {name: np.where(trial.follows[:, None], x, np.nan) for name, x in said.items()}
        return {name: dict(zip(self.quantities, x.T, strict=True)) for name, x in said.items()}

    def _truths(self, trial: Trial) -> Floats:
        return np.stack([trial.truth(name, self.kind) for name in self.quantities], axis=1)

    def _flow(self, trial: Trial) -> Floats:
        """Flow as it is for a change, else its integral less its mean: the flow knows no level.

        Features that have no mean within a trial leave the regression of the absolute value the
        same as that of the centred one, plus the training mean.
        """
        flow = trial.flow.astype(np.float64)
        if self.kind == "change":
            return flow
        path: Floats = np.cumsum(flow * trial.follows[:, None], axis=0)
        return path - path.mean(axis=0)

    def _intensity(self, trial: Trial) -> Floats:
        """Intensity, its difference to the frame before, or less its mean: as the target is."""
        intensity = trial.intensity.astype(np.float64)
        if self.kind == "absolute":
            return intensity
        if self.kind == "centred":
            return intensity - intensity.mean(axis=0)
        return np.diff(intensity, axis=0, prepend=intensity[:1]) * trial.follows[:, None]

    def _unmoved(self, trial: Trial) -> Floats:
        still = np.zeros((len(trial.times_s), len(self.quantities)))
        if self.kind != "absolute":
            return still
        return still + [_first(trial.values[name]) for name in self.quantities]

    def _has_spring(self, trial: Trial) -> bool:
        return TORQUE.name in self.quantities and ANGLE.name in trial.values

    def _sprung(self, trial: Trial) -> Floats:
        """The spring's torque, of the kind that is predicted; the other columns stay NaN."""
        sprung = np.full((len(trial.times_s), len(self.quantities)), np.nan)
        torque = self.spring.torque(trial.values[ANGLE.name])
        if self.kind == "change":
            torque = np.diff(torque, prepend=np.nan)
        elif self.kind == "centred":
            torque = torque - torque.mean()
        sprung[:, self.quantities.index(TORQUE.name)] = torque
        return sprung


def _first(values: Floats) -> float:
    """The first value that was measured; NaN if none was."""
    measured = values[np.isfinite(values)]
    return float(measured[0]) if len(measured) else math.nan


def _delayed(values: Floats) -> Floats:
    """For each row of (T, V) the last known value before it; NaN until there is one."""
    rows = np.arange(len(values))[:, None]
    last = np.maximum.accumulate(np.where(np.isfinite(values), rows, -1), axis=0)
    before = np.concatenate([np.full_like(last[:1], -1), last[:-1]])
    found = np.take_along_axis(values, np.maximum(before, 0), axis=0)
    return np.where(before >= 0, found, np.nan)


def _stacked(arrays: Iterable[Floats], known: Sequence[Flags]) -> Floats:
    return np.concatenate([array[rows] for array, rows in zip(arrays, known, strict=True)])


def _numpy(buffer: Tensor) -> Floats:
    values: Floats = buffer.double().cpu().numpy()
    return values


class _Ridge(nn.Module):
    """Ridge regression in closed form on z-scored features."""

    centre: Tensor  # (F,) mean of the features
    weight: Tensor  # (F, V) per unit of the features
    offset: Tensor  # (V,) mean of the target

    def __init__(self, features: int, targets: int, penalty: float) -> None:
        super().__init__()
        self.penalty = penalty
        self.register_buffer("centre", torch.full((features,), math.nan))
        self.register_buffer("weight", torch.full((features, targets), math.nan))
        self.register_buffer("offset", torch.full((targets,), math.nan))

    def fit(self, features: Floats, target: Floats) -> None:
        """Fit (n, F) to (n, V): the penalty is times n, so that it means the same for any n."""
        centre, scale = features.mean(axis=0), features.std(axis=0)
        scale = np.where(scale > 1e-9 * np.abs(centre), scale, np.inf)  # a constant says nothing
        scored, offset = (features - centre) / scale, target.mean(axis=0)
        normal = scored.T @ scored / len(scored) + self.penalty * np.eye(len(centre))
        weight = np.linalg.solve(normal, scored.T @ (target - offset) / len(scored))
        self.centre.copy_(torch.from_numpy(centre))
        self.weight.copy_(torch.from_numpy(weight / scale[:, None]))
        self.offset.copy_(torch.from_numpy(offset))

    def predict(self, features: Floats) -> Floats:
        """Targets (n, V) of features (n, F)."""
        return (features - _numpy(self.centre)) @ _numpy(self.weight) + _numpy(self.offset)


class _Spring(nn.Module):
    """Torque of a passive joint: exponential in its angle, with the straight line as a limit.

    torque = rest + stiffness (exp(steepness u) - 1) / steepness, u the z-scored angle.
    """

    # centre and scale of the angle in deg, lowest and highest u seen, rest, stiffness, steepness
    curve: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("curve", torch.full((7,), math.nan))

    def fit(self, trials: Sequence[Trial]) -> None:
        """Fit to the trials in which the joint moves; if there is none, torque is their mean."""
        moved = [t for t in trials if np.ptp(t.values[ANGLE.name]) >= ANGLE.varies] or trials
        angle = np.concatenate([trial.values[ANGLE.name] for trial in moved])
        torque = np.concatenate([trial.values[TORQUE.name] for trial in moved])
        centre, scale = angle.mean(), angle.std() or 1.0
        u = (angle - centre) / scale
        # With the steepness given the rest is a line: one number is searched, none can diverge.
        search = minimize_scalar(
            lambda steepness: _line(_stretch(u, steepness), torque)[2],
            bounds=(-_STEEPEST, _STEEPEST),
            method="bounded",
        )
        steepness = min(0.0, float(search.x), key=lambda x: _line(_stretch(u, x), torque)[2])
        rest, stiffness, _ = _line(_stretch(u, steepness), torque)
        found = [centre, scale, u.min(), u.max(), rest, stiffness, steepness]
        self.curve.copy_(torch.tensor(found, dtype=torch.float64))

    def torque(self, angle: Floats) -> Floats:
        """Torque (T,) in Nm at (T,) deg; held at the ends of the angles seen in training."""
        centre, scale, low, high, rest, stiffness, steepness = _numpy(self.curve)
        u = np.clip((angle - centre) / scale, low, high)
        return rest + stiffness * _stretch(u, float(steepness))


def _stretch(u: Floats, steepness: float) -> Floats:
    stretch: Floats = u if abs(steepness) < 1e-6 else np.expm1(steepness * u) / steepness
    return stretch


def _line(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Offset, slope and mean squared error of the line through (n,) and (n,)."""
    dx, dy = x - x.mean(), y - y.mean()
    variance = np.mean(dx**2)
    slope = np.mean(dx * dy) / variance if variance > 0 else 0.0
    return float(y.mean() - slope * x.mean()), float(slope), float(np.mean((dy - slope * dx) ** 2))
