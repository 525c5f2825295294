"""One aligned trial as numbers: what was measured at each frame, and features of its image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# What is predicted of a quantity (docs/muscle.md): its change since the frame before, its value
# less the mean of the trial, or its value.
Kind = Literal["change", "centred", "absolute"]


@dataclass(frozen=True)
class Trial:
    """One trial of one person at the times of its frames.

    Attributes:
        name: of the recording.
        participant: who.
        task: what was done.
        times_s: (T,) of the frames.
        values: by quantity, (T,) in native units.
        follows: (T,) whether the frame before was kept, too, so that a change is known; the first
            is False.
        flow: (T, F) displacement between a frame and the one before; zeros where none follows.
        intensity: (T, G) brightness and contrast.
        rate_hz: frame rate.
        emg_mvc_v: EMG envelope at maximum voluntary contraction; None where unknown.
    """

    name: str
    participant: str
    task: str
    times_s: Floats
    values: Mapping[str, Floats]
    follows: npt.NDArray[np.bool_]
    flow: npt.NDArray[np.float32]
    intensity: npt.NDArray[np.float32]
    rate_hz: float
    emg_mvc_v: float | None = None

    def truth(self, quantity: str, kind: Kind) -> Floats:
        """What a predictor of this kind should say, (T,); NaN where a change is not known."""
        values = self.values[quantity]
        if kind == "absolute":
            return values
        if kind == "centred":
            return values - values.mean()
        return np.where(self.follows, np.diff(values, prepend=np.nan), np.nan)
