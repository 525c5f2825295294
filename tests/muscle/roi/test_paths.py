from __future__ import annotations

from itertools import product

import numpy as np

from vitruvian.muscle.roi.paths import brightest_paths, level_lines

ROWS, COLUMNS = 60, 31
SLOPES = (-0.4, -0.2, 0.0, 0.2, 0.4)


def _line(middle: float, slope: float) -> np.ndarray:
    return middle + slope * (np.arange(COLUMNS) - (COLUMNS - 1) / 2)


def _drawn(*lines: np.ndarray) -> np.ndarray:
    rows = np.arange(ROWS)[:, None]
    return sum(np.exp(-((rows - line) ** 2) / 4) for line in lines).astype(np.float32)


def test_straight_lines_are_found_with_their_slopes_from_the_top() -> None:
    drawn = [_line(14, 0.2), _line(40, -0.4)]
    lines, strength = level_lines(_drawn(*drawn), SLOPES, apart=8)
    np.testing.assert_allclose(lines, drawn, atol=0.5)
    assert (strength > 0.8).all()


def test_lines_closer_than_apart_are_one() -> None:
    image = _drawn(_line(20, 0)) + 0.5 * _drawn(_line(26, 0))
    assert len(level_lines(image, SLOPES, apart=2)[0]) == 2
    np.testing.assert_allclose(level_lines(image, SLOPES, apart=10)[0], [_line(20, 0)], atol=0.5)


def test_a_dark_image_has_no_lines() -> None:
    lines, strength = level_lines(np.zeros((ROWS, COLUMNS), np.float32), SLOPES, apart=4)
    assert lines.shape == (0, COLUMNS)
    assert strength.shape == (0,)


def test_a_line_that_leaves_the_image_counts_only_what_is_in_it() -> None:
    image = np.zeros((ROWS, COLUMNS), np.float32)
    image[0] = 1  # half of a steep line lies above it
    lines, strength = level_lines(image, (0.0, 1.0), apart=4)
    np.testing.assert_array_equal(lines, [np.zeros(COLUMNS)])
    np.testing.assert_allclose(strength, [1])


def test_a_curved_path_is_followed_from_a_straight_line() -> None:
    curve = 30 + 4 * np.sin(np.linspace(0, np.pi, COLUMNS))
    paths = brightest_paths(_drawn(curve), _line(31, 0)[None], reach=6, stiffness=0.05)
    np.testing.assert_allclose(paths, [curve], atol=0.6)


def test_paths_stay_within_reach_and_keep_their_places() -> None:
    near = np.stack([_line(10, 0), _line(50, 0)])
    paths = brightest_paths(_drawn(_line(30, 0)), near, reach=5, stiffness=0.1)
    assert np.abs(paths - near).max() <= 5
    assert (paths[0] < paths[1]).all()


def test_stiffness_holds_against_a_gap() -> None:
    image = _drawn(_line(30, 0))
    image[:, 12:18] = 0
    image[33, 12:18] = 0.5  # a bright spot beside the gap
    soft, stiff = (
        brightest_paths(image, _line(30, 0)[None], reach=5, stiffness=s) for s in (0.01, 2.0)
    )
    assert soft[0, 15] == 33
    np.testing.assert_array_equal(stiff[0], _line(30, 0))


def test_the_best_of_all_paths_is_found() -> None:
    rng = np.random.default_rng(1)
    image = rng.random((5, 4)).astype(np.float32)
    path = brightest_paths(image, np.full((1, 4), 2.0), reach=1, stiffness=0.3)[0].astype(int)

    def worth(rows: tuple[int, ...]) -> float:
        moves = np.abs(np.diff(rows))
        return -np.inf if moves.max() > 1 else image[rows, range(4)].sum() - 0.3 * moves.sum()

    assert tuple(path) == max(product((1, 2, 3), repeat=4), key=worth)
