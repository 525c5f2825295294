from __future__ import annotations

import numpy as np
import pytest

from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import Mask
from vitruvian.muscle.roi.finders import GivenMask, WholeImage

MM = (0.2, 0.2)
IMAGE = np.zeros((4, 6), np.uint8)
MASKS = np.arange(3)[:, None, None] < np.arange(24).reshape(1, 4, 6)


def test_the_whole_image_is_everywhere() -> None:
    mask = WholeImage().follow(MM, None)(IMAGE)
    assert mask is not None
    assert mask.shape == IMAGE.shape
    assert mask.all()


def test_given_masks_come_in_order_for_each_recording_anew() -> None:
    finder = GivenMask()
    for _ in range(2):
        follow = finder.follow(MM, MASKS)
        np.testing.assert_array_equal([follow(IMAGE) for _ in range(3)], MASKS)


def test_one_mask_stands_for_all_frames() -> None:
    follow = GivenMask().follow(MM, MASKS[:1])
    for _ in range(5):
        np.testing.assert_array_equal(follow(IMAGE), MASKS[0])


def test_an_empty_mask_is_a_muscle_not_seen() -> None:
    follow = GivenMask().follow(MM, np.stack([MASKS[0], np.zeros((4, 6), np.bool_)]))
    assert follow(IMAGE) is not None
    assert follow(IMAGE) is None


@pytest.mark.parametrize("given", [None, np.zeros((0, 4, 6), np.bool_)])
def test_masks_must_be_there(given: Mask | None) -> None:
    with pytest.raises(DataError, match="no masks"):
        GivenMask().follow(MM, given)


def test_there_must_be_enough_masks() -> None:
    follow = GivenMask().follow(MM, MASKS[:2])
    follow(IMAGE), follow(IMAGE)
    with pytest.raises(DataError, match="2 masks but more frames"):
        follow(IMAGE)


def test_masks_must_fit_the_frames() -> None:
    follow = GivenMask().follow(MM, np.ones((1, 6, 4), np.bool_))
    with pytest.raises(DataError, match=r"masks are \(6, 4\) .* frames \(4, 6\)"):
        follow(IMAGE)
