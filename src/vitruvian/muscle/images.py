"""Pieces of ultrasound frames that a net reads, and where the muscle lies in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Crops:
    """Frames of one trial, cropped around the muscle.

    Attributes:
        images: (T, H, W) uint8; not masked, so that neighbouring frames can share one mask.
        bounds: (T, 2, W) int16: in each column the first row of the muscle and the row after its
            last one; both 0 where a column has none.
        failures: frames in which the muscle was not found; the last one found was used.
    """

    images: npt.NDArray[np.uint8]
    bounds: npt.NDArray[np.int16]
    failures: int = 0
