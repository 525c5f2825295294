from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitruvian.muscle.roi.masks import bounds_to_mask, dice, mask_to_bounds

HEIGHT = 9


@given(st.lists(st.tuples(st.integers(0, HEIGHT), st.integers(0, HEIGHT)), min_size=1))
def test_bounds_and_masks_are_the_same_thing(columns: list[tuple[int, int]]) -> None:
    bounds = np.array([sorted(column) for column in columns], np.int16).T
    bounds = np.where(bounds[0] == bounds[1], 0, bounds).astype(np.int16)
    mask = bounds_to_mask(bounds, HEIGHT)
    assert mask.sum() == (bounds[1] - bounds[0]).sum()
    np.testing.assert_array_equal(mask_to_bounds(mask), bounds)


def test_several_masks_are_made_at_once() -> None:
    bounds = np.random.default_rng(0).integers(0, HEIGHT, (2, 3, 2, 5)).astype(np.int16)
    masks = bounds_to_mask(bounds, HEIGHT)
    assert masks.shape == (2, 3, HEIGHT, 5)
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(masks[index], bounds_to_mask(bounds[index], HEIGHT))


def test_holes_are_filled_and_empty_columns_are_nought() -> None:
    mask = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1], [1, 0, 1]], np.bool_)
    np.testing.assert_array_equal(mask_to_bounds(mask), [[1, 0, 2], [4, 0, 4]])


def test_fractional_bounds_take_in_pixels_whose_centre_they_hold() -> None:
    mask = bounds_to_mask(np.array([[0.4, 0.6], [2.6, 2.4]]), 4)
    np.testing.assert_array_equal(mask.astype(int), [[1, 0], [1, 1], [1, 0], [0, 0]])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([[1, 1, 0, 0]], [[1, 1, 0, 0]], 1.0),
        ([[1, 1, 0, 0]], [[0, 0, 1, 1]], 0.0),
        ([[1, 1, 1, 0]], [[1, 0, 0, 0]], 0.5),
        ([[0, 0]], [[0, 0]], math.nan),
    ],
)
def test_dice(first: list[list[int]], second: list[list[int]], expected: float) -> None:
    found = dice(np.array(first, np.bool_), np.array(second, np.bool_))
    assert found == pytest.approx(expected, nan_ok=True)


def test_dice_refuses_masks_of_different_shape() -> None:
    with pytest.raises(ValueError, match=r"\(1, 2\) and \(2, 1\)"):
        dice(np.ones((1, 2), np.bool_), np.ones((2, 1), np.bool_))
