from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitruvian.muscle.roi.grids import Box, Grid, straighten

PLACES = st.integers(-12, 12)
IMAGE = np.arange(1, 49, dtype=np.uint8).reshape(6, 8)


@pytest.mark.parametrize(
    ("image", "mm", "size"),
    [
        ((300, 400), (0.2, 0.2), (300, 400)),
        ((300, 400), (0.1, 0.1), (150, 200)),
        ((300, 400), (0.4, 0.1), (600, 200)),
        ((3, 3), (0.01, 0.01), (1, 1)),
    ],
)
def test_the_grid_has_fixed_millimetres_per_pixel(
    image: tuple[int, int], mm: tuple[float, float], size: tuple[int, int]
) -> None:
    grid = Grid.of_spacing(image, mm, 0.2)
    assert grid.size == size
    assert grid.reduce(np.full(image, 7, np.uint8)).shape == size


@pytest.mark.parametrize(
    ("image", "size"),
    [((100, 100), (128, 128)), ((300, 400), (128, 171)), ((100, 800), (32, 256))],
)
def test_an_image_fits_with_its_proportions(image: tuple[int, int], size: tuple[int, int]) -> None:
    assert Grid.within(image, (128, 256)).size == size


def test_smaller_is_averaged_along_each_axis_of_its_own() -> None:
    stripes = np.tile(np.array([0, 200], np.uint8), (4, 8))  # every second column
    reduced = Grid((4, 16), (8, 8)).reduce(stripes)  # rows grow, columns shrink
    np.testing.assert_array_equal(reduced, np.full((8, 8), 100))


def test_bounds_of_a_mask_on_the_grid() -> None:
    mask = np.zeros((10, 4), np.bool_)
    mask[3:8, 2:] = True
    np.testing.assert_allclose(
        Grid((10, 4), (5, 8)).bounds(mask), [[0, 0, 0, 0] + [1.5] * 4, [0, 0, 0, 0] + [4] * 4]
    )


@given(PLACES, PLACES, st.integers(1, 10), st.integers(1, 10))
def test_a_box_is_a_window_on_an_endless_black_image(
    top: int, left: int, height: int, width: int
) -> None:
    endless = np.pad(IMAGE, 40)
    expected = endless[40 + top : 40 + top + height, 40 + left : 40 + left + width]
    np.testing.assert_array_equal(Box(top, left, height, width).cut(IMAGE), expected)


@given(PLACES, PLACES, st.integers(1, 10), st.integers(1, 10))
def test_bounds_in_a_box_are_those_of_the_cut_mask(
    top: int, left: int, height: int, width: int
) -> None:
    rows = np.arange(6)[:, None]
    bounds = np.array([[0, 1, 2, 3, 0, 0, 5, 2], [6, 5, 4, 4, 0, 1, 6, 3]], np.float64)
    mask = (rows >= bounds[0]) & (rows < bounds[1])
    box = Box(top, left, height, width)
    first, last = box.bounds_in(bounds)
    inside = np.arange(height)[:, None]
    np.testing.assert_array_equal((inside >= first) & (inside < last), box.cut(mask))
    assert (first[first == last] == 0).all()


def test_a_box_has_the_region_in_its_middle() -> None:
    bounds = np.zeros((2, 40))
    bounds[:, 10:30] = [[20], [40]]
    assert Box.around(bounds, 10, 20) == Box(top=25, left=10, height=10, width=20)
    assert Box.around(bounds, 60, 50) == Box(top=0, left=-5, height=60, width=50)


def test_straightened_columns_run_from_bound_to_bound() -> None:
    rows = np.broadcast_to(np.arange(0, 200, 2, np.uint8)[:, None], (100, 3))
    first, last = np.array([10.0, 40.0, 0.0]), np.array([30.0, 80.0, 0.0])
    straight = straighten(np.ascontiguousarray(rows), np.stack([first, last]), 0, 10, down=0)
    for column in (0, 1):
        middles = first[column] + (np.arange(10) + 0.5) / 10 * (last - first)[column] - 0.5
        np.testing.assert_allclose(straight[:, column], 2 * middles, atol=1)
    assert not straight[:, 2].any()


def test_straightening_can_miss_on_purpose() -> None:
    bounds = np.array([[1.0, 1.0], [4.0, 4.0]])
    there = straighten(IMAGE, bounds, 2, 3, down=1)
    np.testing.assert_array_equal(there, straighten(IMAGE, bounds + 1, 2, 3, down=0))
    np.testing.assert_array_equal(there, IMAGE[2:5, 2:4])


def test_straightening_to_the_edge_of_the_image_does_not_darken() -> None:
    white = np.full((6, 8), 200, np.uint8)
    assert (straighten(white, np.array([[0.0], [6.0]]), 3, 12, down=0) == 200).all()


def test_beyond_the_image_is_black() -> None:
    assert not straighten(IMAGE, np.array([[1.0], [5.0]]), left=20, height=4, down=0).any()
