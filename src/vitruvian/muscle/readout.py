"""From the outputs of the net to what is reported: heads, fused, with predictive intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from torch import nn

from vitruvian.core.errors import ConfigError
from vitruvian.muscle.data.inputs import KINDS, Target
from vitruvian.muscle.fusion import KalmanFusion
from vitruvian.muscle.intervals import Conformal
from vitruvian.muscle.trial import Kind, Trial

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Predicted = dict[Kind, Floats]  # (T, V) of every kind; NaN where nothing can be said yet

FUSED: Kind = "absolute"  # what the change and the absolute head are fused into


@dataclass(frozen=True)
class Answered:
    """A validation trial and what the net said of it, (T, outputs) in native units."""

    trial: Trial
    outputs: Floats

    def errors(self, kinds: Sequence[Kind], quantities: Sequence[str]) -> Floats:
        """What the net said less what was so, (T, outputs)."""
        truth = [self.trial.truth(name, kind) for kind in kinds for name in quantities]
        return self.outputs - np.stack(truth, axis=1)


class Readout(nn.Module):
    """Reads outputs in native units; fusion and intervals are fitted on validation people.

    Args:
        quantities: in the order of the outputs.
        target: with "both", changes and values are fused by a Kalman filter.
        level: share of truths that a predictive interval should hold.

    Raises:
        ConfigError: `level` is no share.
    """

    def __init__(self, quantities: Sequence[str], target: Target, level: float) -> None:
        super().__init__()
        if not 0 < level < 1:
            raise ConfigError(f"model.level: a share between 0 and 1, not {level}")
        self.quantities, self.kinds, self.level = tuple(quantities), KINDS[target], level
        self.intervals = nn.ModuleList(Conformal(quantities) for _ in self.kinds)
        self.fusion = KalmanFusion(quantities) if target == "both" else None

    def heads(self, outputs: Floats) -> Predicted:
        """Outputs by kind, (T, V) each, as the net gave them."""
        return dict(zip(self.kinds, np.split(outputs, len(self.kinds), axis=1), strict=True))

    def predicted(self, outputs: Floats, follows: Flags) -> Predicted:
        """Outputs by kind, (T, V) each; of two heads the absolute one is the fused one.

        Args:
            outputs: (T, outputs), NaN where the net has not answered.
            follows: (T,) whether the frame before is that of the row before.
        """
        found = self.heads(outputs)
        if self.fusion is not None:
            found[FUSED] = self._fused(found["change"], found[FUSED], follows)
        return found

    def _fused(self, change: Floats, absolute: Floats, follows: Flags) -> Floats:
        """The filter begins where the net has begun to answer, and again after a gap."""
        assert self.fusion is not None
        known: Flags = np.all(np.isfinite(change + absolute), axis=1)
        connected = _connected(follows, known)
        fused = np.full_like(absolute, np.nan)
        fused[known] = self.fusion.fuse(change[known], absolute[known], connected[known])[0]
        return fused

    def half_widths(self, kind: Kind) -> dict[str, float]:
        """Half width of the predictive interval of each quantity; NaN before a validation."""
        return cast("Conformal", self.intervals[self.kinds.index(kind)]).half_widths()

    # -- what is fitted on validation people --------------------------------------------------

    def fit(self, answered: Sequence[Answered]) -> None:
        """Fit the fusion, then the intervals of what it gives."""
        self._fit_fusion(answered)
        self._fit_intervals(answered)

    def _fit_fusion(self, answered: Sequence[Answered]) -> None:
        """Fit on frames with an answer of both heads; trials without any have nothing to say."""
        if self.fusion is None:
            return
        changes, values, follows = [], [], []
        for found in answered:
            errors = found.errors(self.kinds, self.quantities)
            known: Flags = np.all(np.isfinite(errors), axis=1)
            if known.any():
                change, value = np.split(errors[known], 2, axis=1)
                changes.append(change)
                values.append(value)
                follows.append(_connected(found.trial.follows, known)[known])
        if changes:
            self.fusion.fit(changes, values, follows)

    def _fit_intervals(self, answered: Sequence[Answered]) -> None:
        """Widths of what is reported: the filter is linear, so it maps errors to errors."""
        errors = [
            self.predicted(a.errors(self.kinds, self.quantities), a.trial.follows) for a in answered
        ]
        for kind, intervals in zip(self.kinds, self.intervals, strict=True):
            by_quantity = {
                name: [trial[kind][:, place] for trial in errors]
                for place, name in enumerate(self.quantities)
            }
            cast("Conformal", intervals).fit(by_quantity, self.level)


def _connected(follows: Flags, known: Flags) -> Flags:
    """Which frames follow one that was answered, too, (T,)."""
    before = np.concatenate([[False], known[:-1]])
    connected: Flags = follows & before
    return connected
