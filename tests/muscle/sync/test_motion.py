"""The motion of the image: direction and size, also of large images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.muscle.sync.scenes import Sliding
from vitruvian.muscle.sync.motion import image_motion

X = 3 * np.sin(np.arange(20) / 3)


@pytest.mark.parametrize("enlarged", [1, 4])
def test_motion_is_that_of_the_texture(enlarged):
    size = (64 * enlarged, 32 * enlarged)
    frames = [cv2.resize(f, size, interpolation=cv2.INTER_CUBIC) for f in Sliding(X)]
    moved = image_motion(frames)
    expected = enlarged * np.diff(X, prepend=X[0])
    assert moved[0] == 0
    assert np.corrcoef(moved, expected)[0, 1] > 0.99
    assert np.polyfit(expected, moved, 1)[0] == pytest.approx(1, abs=0.2)


def test_no_frames_no_motion():
    assert len(image_motion([])) == 0
