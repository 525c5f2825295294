"""Left and right, put right in four ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.spine.fake_clips import fake_landmarks

from vitruvian.core.errors import ConfigError
from vitruvian.spine.skeletons import BLAZEPOSE
from vitruvian.spine.tables.mirroring import Mirrored, unmirrored

LEFT, RIGHT = BLAZEPOSE.index("left wrist"), BLAZEPOSE.index("right wrist")


@pytest.mark.parametrize(
    ("mirrored", "of", "sign"),
    [("none", LEFT, 1), ("x", LEFT, -1), ("labels", RIGHT, 1), ("both", RIGHT, -1)],
)
def test_left_and_right(mirrored: Mirrored, of: int, sign: int) -> None:
    before = fake_landmarks()
    after = unmirrored(before, mirrored)
    assert before.world is not None
    assert after.world is not None
    x = before.points[:, of, 0] if sign == 1 else 1 - before.points[:, of, 0]
    assert np.allclose(after.points[:, LEFT, 0], x, equal_nan=True)
    assert np.array_equal(after.points[:, LEFT, 1:], before.points[:, of, 1:], equal_nan=True)
    assert np.array_equal(after.visibility[:, LEFT], before.visibility[:, of], equal_nan=True)
    assert np.array_equal(after.world[:, LEFT], before.world[:, of] * [sign, 1, 1], equal_nan=True)


@pytest.mark.parametrize("mirrored", ["none", "x", "labels", "both"])
@pytest.mark.parametrize("skeleton", ["blazepose33", "kinect22"])
def test_mirrored_twice_is_not_at_all(mirrored: Mirrored, skeleton: str) -> None:
    before = fake_landmarks(skeleton=skeleton)
    after = unmirrored(unmirrored(before, mirrored), mirrored)
    assert np.allclose(after.points, before.points, atol=1e-6, equal_nan=True)
    assert np.array_equal(after.visibility, before.visibility, equal_nan=True)


def test_positions_that_are_no_shares_are_mirrored_at_zero() -> None:
    before = fake_landmarks(skeleton="kinect22", world=False, size=None)
    after = unmirrored(before, "x")
    assert np.array_equal(after.points, before.points * [-1, 1, 1], equal_nan=True)


@pytest.mark.parametrize(
    ("mirrored", "skeleton", "message"),
    [
        ("labels", "joints4x1", "joints4x1 does not name left and right"),
        ("both", "joints18x2", "does not name left and right"),
        ("y", "kinect22", "mirrored: got 'y', expected none or x or labels or both"),
    ],
)
def test_mistakes_about_left_and_right(mirrored: Any, skeleton: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        unmirrored(fake_landmarks(skeleton=skeleton, world=False, size=None), mirrored)
