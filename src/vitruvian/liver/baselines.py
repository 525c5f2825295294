"""Trivial predictors of a liver mask: a model that does not beat them has learnt nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import DataError
from vitruvian.liver.components import largest_component

_PORTAL_VENOUS_HU = (80.0, 160.0)  # textbook: enhanced liver 100 to 140 HU, noise of 20 HU

Mask = npt.NDArray[np.uint8]


def empty_mask(hu: npt.NDArray[np.int16]) -> Mask:
    """Predict no liver anywhere; same shape as `hu`."""
    return np.zeros(hu.shape, np.uint8)


def threshold_component(
    hu: npt.NDArray[np.int16],
    low: float = _PORTAL_VENOUS_HU[0],
    high: float = _PORTAL_VENOUS_HU[1],
) -> Mask:
    """Predict the largest 6-connected component of the voxels within a HU range.

    Bind the range that was fitted on the training cases: `partial(threshold_component, low=low,
    high=high)`. The default comes from textbooks, not from any data set.

    Args:
        hu: (z, y, x) in Hounsfield units.
        low: lowest HU of liver, inclusive.
        high: highest HU of liver, inclusive.

    Returns:
        (z, y, x), 0 background and 1 liver; empty if no voxel lies in the range.

    Raises:
        ValueError: `hu` is not 3-D, or `low` is above `high`.
    """
    if hu.ndim != 3:
        raise ValueError(f"hu must be (z, y, x), got {hu.ndim} dimensions")
    if not low <= high:
        raise ValueError(f"low must not exceed high, got low={low} and high={high}")
    return largest_component(((hu >= low) & (hu <= high)).view(np.uint8))


@dataclass(frozen=True)
class HuStatistics:
    """Statistics of the liver in one training case.

    Attributes:
        voxels: number of liver voxels.
        mean: their mean HU.
        sd: their standard deviation in HU.
    """

    voxels: int
    mean: float
    sd: float

    @classmethod
    def of(cls, hu: npt.NDArray[np.int16], mask: npt.NDArray[Any]) -> HuStatistics:
        """Measure the liver, `mask` >= 1 (tumours included), of `hu`; both (z, y, x)."""
        if hu.shape != mask.shape:
            raise ValueError(f"hu and mask differ in shape: {hu.shape} and {mask.shape}")
        liver = hu[mask >= 1].astype(np.float64)
        if liver.size == 0:
            return cls(0, 0.0, 0.0)
        return cls(liver.size, float(liver.mean()), float(liver.std()))


def fit_threshold(samples: Iterable[HuStatistics], width: float = 2.0) -> tuple[float, float]:
    """Fit the HU range of liver on training cases: mean +- `width` SD of all their liver voxels.

    Cases without liver are passed over.

    Returns:
        (low, high) in HU, for `threshold_component`.

    Raises:
        DataError: no training case holds liver.
    """
    livers = [sample for sample in samples if sample.voxels > 0]
    if not livers:
        raise DataError("no training case holds liver: the HU threshold cannot be fitted")
    voxels = np.array([liver.voxels for liver in livers], dtype=np.float64)
    means = np.array([liver.mean for liver in livers])
    variances = np.array([liver.sd for liver in livers]) ** 2
    mean = float(np.average(means, weights=voxels))
    # Law of total variance: within the cases plus between them, so that a contrast phase
    # that differs from case to case widens the range.
    variance = float(np.average(variances + (means - mean) ** 2, weights=voxels))
    reach = width * math.sqrt(variance)
    return mean - reach, mean + reach
