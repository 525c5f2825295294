"""How far the tissue moves along the image from one frame to the next."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from vitruvian.muscle.recording import Floats, Image

_LARGEST = 160  # px; finer detail says nothing more about when something moved


def image_motion(frames: Iterable[Image]) -> Floats:
    """Mean displacement along the image (x) between each frame and the one before.

    Dense inverse search optical flow (Kroeger et al., ECCV 2016) on images of 160 px at most.

    Args:
        frames: (h, w) uint8, of one size.

    Returns:
        (frames,) in px of the frames as given; the first is 0.
    """
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    moved: list[float] = []
    before: Image | None = None
    for frame in frames:
        small, scale = _reduced(frame)
        if before is None:
            moved.append(0.0)
        else:
            field = np.asarray(flow.calc(before, small, np.empty(0, np.float32)))
            moved.append(float(field[..., 0].mean()) * scale)
        before = small
    return np.array(moved)


def _reduced(frame: Image) -> tuple[Image, float]:
    scale = max(1.0, max(frame.shape) / _LARGEST)
    if scale == 1.0:
        return np.ascontiguousarray(frame), scale
    size = (max(1, round(frame.shape[1] / scale)), max(1, round(frame.shape[0] / scale)))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return small, frame.shape[1] / size[0]
