"""The outline of a region on its image, for a person to judge it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vitruvian.muscle.recording import Image
from vitruvian.muscle.roi.masks import bounds_to_mask

GREEN = (90, 230, 90)  # BGR


def draw_region(image: Image, region: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Draw where a muscle lies.

    Args:
        image: (h, w) uint8.
        region: a mask (h, w) bool, or bounds (2, w).

    Returns:
        The picture, (h, w, 3) BGR.
    """
    mask = region if region.dtype == np.bool_ else bounds_to_mask(region, len(image))
    picture = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, outlines, -1, GREEN, 1 + max(image.shape) // 600)
    return picture
