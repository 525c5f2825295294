"""Between a frame of any size and the small image that the net reads, and back to a mask."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from vitruvian.muscle.recording import Image, Mask
from vitruvian.muscle.roi.masks import bounds_to_mask, mask_to_bounds

SURE = 4.0  # logits beyond it say no more
LEAST_SHARE = 0.01  # of the image; less is no muscle


def reduced(frame: Image, size: Sequence[int]) -> Image:
    """A frame (h, w) at the net's size (height, width), whatever its shape was."""
    return np.asarray(cv2.resize(frame, (size[1], size[0]), interpolation=cv2.INTER_AREA))


def reduced_mask(mask: Mask, size: Sequence[int]) -> Mask:
    """A mask (h, w) at the net's size: pixels of which most is muscle."""
    small: Mask = reduced(mask.astype(np.uint8) * 255, size) > 127
    return small


def muscle_of(logits: npt.NDArray[np.float32], shape: tuple[int, ...]) -> Mask | None:
    """The muscle in a frame.

    The logits are brought to the size of the frame before they are cut, which places the borders
    finer than the net's pixels. Of the parts that are found the largest is kept, and in each of
    its columns everything from the first to the last row: a muscle is one piece without holes.

    Args:
        logits: of the net, at its size.
        shape: (h, w) of the frame.

    Returns:
        (h, w), or None where the largest part is smaller than a hundredth of the frame.
    """
    height, width = shape
    # the net's four outputs for a packed square may disagree, which would make borders jagged
    logits = cv2.GaussianBlur(logits.clip(-SURE, SURE), (0, 0), sigmaX=1.0)
    logits = np.asarray(cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR))
    count, parts, stats, _ = cv2.connectedComponentsWithStats((logits > 0).view(np.uint8))
    if count < 2:  # the first part is the background
        return None
    areas = stats[1:, cv2.CC_STAT_AREA]
    if areas.max() < LEAST_SHARE * height * width:
        return None
    return bounds_to_mask(mask_to_bounds(parts == 1 + areas.argmax()), height)


def border_distances(found: Mask, truth: Mask) -> tuple[float, float]:
    """Mean distance of the upper and of the lower border, in rows.

    Taken along the columns in which both masks have muscle; NaN where there is none.
    """
    first, second = mask_to_bounds(found), mask_to_bounds(truth)
    both = (first[1] > first[0]) & (second[1] > second[0])
    if not both.any():
        return float("nan"), float("nan")
    apart = np.abs(first[:, both].astype(np.float64) - second[:, both])
    upper, lower = apart.mean(axis=1).tolist()
    return upper, lower
