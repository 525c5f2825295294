"""Masks of a muscle, and their outlines column by column."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vitruvian.muscle.recording import Floats, Mask


def mask_to_bounds(mask: Mask) -> npt.NDArray[np.int16]:
    """First and last row of a mask in each column; holes between them are filled.

    Args:
        mask: (h, w) bool.

    Returns:
        (2, w): the first row of the mask and the row after its last one; both 0 where a column has
        none.
    """
    first = mask.argmax(axis=0)
    last = len(mask) - mask[::-1].argmax(axis=0)
    return np.where(mask.any(axis=0), [first, last], 0).astype(np.int16)


def bounds_to_mask(bounds: npt.NDArray[np.int16] | Floats, height: int) -> Mask:
    """The inverse of `mask_to_bounds`, for one mask or several.

    Args:
        bounds: (..., 2, w); a fractional bound takes in the pixels whose centre lies within.
        height: rows of a mask.

    Returns:
        (..., height, w) bool.
    """
    whole = np.round(bounds).astype(np.int16)
    rows = np.arange(height, dtype=np.int16)[:, None]  # as narrow as the bounds: compared faster
    inside: Mask = (rows >= whole[..., :1, :]) & (rows < whole[..., 1:, :])
    return inside


def dice(first: Mask, second: Mask) -> float:
    """Dice coefficient of two masks, 0 to 1; of two empty ones NaN.

    Raises:
        ValueError: their shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"masks differ in shape: {first.shape} and {second.shape}")
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else float("nan")
