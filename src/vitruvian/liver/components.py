"""Connected regions of a mask: a person has one liver."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.uint8]


def largest_component(mask: Mask) -> Mask:
    """Keep the largest face-connected region of label >= 1; the first one in a tie.

    Args:
        mask: uint8 (z, y, x); the labels within the region kept stay as they are.

    Returns:
        A mask of the same shape; `mask` itself where it holds one region at most.
    """
    regions, found = ndimage.label(mask)
    if found <= 1:
        return mask
    kept: Mask = np.where(regions == _largest(regions, found), mask, np.uint8(0))
    return kept


def _largest(regions: npt.NDArray[np.int32], found: int) -> int:
    """Number of the largest region; the first of equals."""
    sizes = np.zeros(found + 1, np.int64)
    for plane in regions:  # by slice: bincount makes an int64 copy of what it is given
        np.add(sizes, np.bincount(plane.ravel(), minlength=found + 1), out=sizes)
    return int(sizes[1:].argmax()) + 1
