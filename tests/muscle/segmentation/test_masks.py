"""From the net's logits to one muscle in the frame, and how far two masks lie apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vitruvian.muscle.roi.masks import dice
from vitruvian.muscle.segmentation.masks import border_distances, muscle_of, reduced, reduced_mask


def rows(first: int, last: int, shape: tuple[int, int] = (40, 50)) -> np.ndarray:
    mask = np.zeros(shape, np.bool_)
    mask[first:last] = True
    return mask


def logits_of(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, 5, -5).astype(np.float32)


def test_the_largest_part_is_the_muscle() -> None:
    both = rows(5, 15) | rows(30, 33)
    np.testing.assert_array_equal(muscle_of(logits_of(both), (40, 50)), rows(5, 15))


def test_holes_are_filled_along_columns() -> None:
    holed = rows(5, 15)
    holed[8:11, 20:30] = False
    np.testing.assert_array_equal(muscle_of(logits_of(holed), (40, 50)), rows(5, 15))


@pytest.mark.parametrize(
    "logits", [logits_of(rows(0, 0)), logits_of(rows(3, 4) & (np.arange(50) < 9))]
)
def test_next_to_nothing_is_no_muscle(logits: np.ndarray) -> None:
    assert muscle_of(logits, (40, 50)) is None


def test_borders_are_placed_finer_than_the_pixels_of_the_net() -> None:
    small = np.repeat(np.linspace(1, -1, 10, dtype=np.float32)[:, None], 10, axis=1)
    found = muscle_of(small + 0.11, (100, 100))  # crosses 0 at the middle of row 4.995
    assert found is not None
    assert found.sum(axis=0).tolist() == [55] * 100


@given(arrays.arrays(np.float32, (12, 10), elements=st.floats(-1, 1, width=32)))
def test_a_muscle_is_one_interval_in_each_column(logits: np.ndarray) -> None:
    found = muscle_of(logits, (30, 20))
    if found is not None:
        steps = np.diff(found.astype(int), axis=0, prepend=0, append=0)
        assert ((steps == 1).sum(axis=0) <= 1).all()
        assert found.sum() >= 0.01 * 600


def test_reducing_a_mask_keeps_its_place() -> None:
    big = rows(24, 64, (96, 120))
    np.testing.assert_array_equal(reduced_mask(big, (48, 60)), rows(12, 32, (48, 60)))
    assert dice(reduced_mask(big, (40, 50)), rows(10, 27, (40, 50))) > 0.98


def test_reducing_a_frame_averages() -> None:
    checked = np.indices((8, 8)).sum(axis=0).astype(np.uint8) % 2 * 200
    assert reduced(checked, (4, 2)).tolist() == [[100, 100]] * 4


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        (rows(5, 20), rows(5, 20), (0, 0)),
        (rows(7, 17), rows(5, 20), (2, 3)),
        (rows(7, 17) & (np.arange(50) < 25), rows(5, 20), (2, 3)),  # where both have muscle
    ],
)
def test_border_distances(found: np.ndarray, truth: np.ndarray, expected: tuple[int, int]) -> None:
    assert border_distances(found, truth) == expected


def test_without_a_common_column_there_is_no_distance() -> None:
    left = rows(5, 20) & (np.arange(50) < 25)
    assert np.isnan(border_distances(left, rows(5, 20) & ~left & (np.arange(50) >= 25))).all()
