"""The largest connected region of a mask."""

from __future__ import annotations

import numpy as np
import pytest

from vitruvian.liver.components import largest_component


def mask(*boxes: tuple[slice, slice, slice]) -> np.ndarray:
    """A region of label 1 for each box."""
    volume = np.zeros((6, 8, 8), np.uint8)
    for box in boxes:
        volume[box] = 1
    return volume


LARGE = np.s_[0:3, 0:4, 0:4]
SMALL = np.s_[4:6, 5:8, 5:8]
EDGE = np.s_[3:5, 4:6, 0:4]  # touches LARGE by an edge only
FACE = np.s_[3:4, 0:2, 0:2]  # lies on LARGE


@pytest.mark.parametrize(
    ("boxes", "kept"),
    [
        ([], []),
        ([LARGE], [LARGE]),
        ([LARGE, SMALL], [LARGE]),
        ([SMALL, EDGE], [SMALL]),
        ([LARGE, EDGE], [LARGE]),
        ([LARGE, FACE, SMALL], [LARGE, FACE]),
    ],
)
def test_the_largest_region_is_kept(boxes: list, kept: list) -> None:
    before = mask(*boxes)
    given = before.copy()
    found = largest_component(given)
    np.testing.assert_array_equal(found, mask(*kept))
    np.testing.assert_array_equal(given, before)
    assert found.dtype == np.uint8


def test_the_first_of_equals_is_kept() -> None:
    first, second = np.s_[0:2, 0:2, 0:2], np.s_[4:6, 0:2, 0:2]
    np.testing.assert_array_equal(largest_component(mask(second, first)), mask(first))


def test_a_tumour_belongs_to_the_liver_around_it() -> None:
    before = mask(LARGE, SMALL)
    before[1, 1, 1] = before[5, 6, 6] = 2
    found = largest_component(before)
    assert found[1, 1, 1] == 2
    assert (np.count_nonzero(found), found[5, 6, 6]) == (48, 0)
