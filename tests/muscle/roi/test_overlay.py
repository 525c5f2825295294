from __future__ import annotations

import numpy as np
import pytest

from vitruvian.muscle.roi.masks import mask_to_bounds
from vitruvian.muscle.roi.overlay import GREEN, draw_region


@pytest.fixture
def mask() -> np.ndarray:
    mask = np.zeros((30, 40), np.bool_)
    mask[8:20, 5:35] = True
    return mask


def test_the_outline_is_green_and_the_rest_as_it_was(mask: np.ndarray) -> None:
    image = np.full((30, 40), 77, np.uint8)
    picture = draw_region(image, mask)
    assert (picture.shape, picture.dtype) == ((30, 40, 3), np.uint8)
    np.testing.assert_array_equal(picture[8, 20], GREEN)
    np.testing.assert_array_equal(picture[[14, 2], [20, 2]], np.full((2, 3), 77))
    assert (image == 77).all()


def test_bounds_are_drawn_as_their_mask(mask: np.ndarray) -> None:
    image = np.zeros((30, 40), np.uint8)
    drawn = draw_region(image, mask_to_bounds(mask))
    np.testing.assert_array_equal(drawn, draw_region(image, mask))


def test_nothing_is_drawn_without_a_region() -> None:
    assert not draw_region(np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.bool_)).any()
