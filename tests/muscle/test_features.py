"""Flow and brightness over the muscle: planted displacements, exact means, nothing outside."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vitruvian.muscle.features import (
    FLOW_FEATURES,
    INTENSITY_FEATURES,
    flow_between,
    flow_features,
    intensity_features,
    intensity_of,
)

H, W = 64, 128


def speckle(seed=0, height=H, width=W):
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def moved(image, matrix):
    size = image.shape[::-1]
    return cv2.warpAffine(image, np.float32(matrix), size, borderMode=cv2.BORDER_REFLECT)


def band(top=8, bottom=56, left=0, right=W, width=W):
    bounds = np.zeros((2, width), np.int16)
    bounds[0, left:right], bounds[1, left:right] = top, bottom
    return bounds


def cells(features):
    """(2, 3, 4) displacement and (2, 2) differences of a row."""
    return features[:24].reshape(2, 3, 4), features[24:].reshape(2, 2)


SHIFTS = [(1.0, 0.0), (0.0, -1.0), (0.5, 0.75), (-2.0, 1.0)]


@pytest.mark.parametrize(("x", "y"), SHIFTS)
def test_every_cell_finds_a_shift_in_pixels(x, y):
    image = speckle()
    after = moved(image, [[1, 0, x], [0, 1, y]])
    grid, _ = cells(flow_between(image, after, band(16, 48, 16, 112)))
    np.testing.assert_allclose(grid[0], x, atol=0.25)
    np.testing.assert_allclose(grid[1], y, atol=0.25)


SHAPES = {
    # matrix, which of [[shear, thickening], [lengthening, turning]] it raises
    "shear": ([[1, 0.04, -0.04 * H / 2], [0, 1, 0]], (0, 0), 0.04 * 32),
    "thickening": ([[1, 0, 0], [0, 1.04, -0.04 * H / 2]], (0, 1), 0.04 * 32),
    "lengthening": ([[1.02, 0, -0.02 * W / 2], [0, 1, 0]], (1, 0), 0.02 * 96),
    "turning": ([[1, 0, 0], [0.02, 1, -0.02 * W / 2]], (1, 1), 0.02 * 96),
}


@pytest.mark.parametrize("name", SHAPES)
def test_differences_tell_deformations_apart(name):
    matrix, place, size = SHAPES[name]
    image = speckle(1)
    _, differences = cells(flow_between(image, moved(image, matrix), band()))
    assert differences[place] == pytest.approx(size, abs=0.35 * size)
    others = np.delete(np.abs(differences).ravel(), 2 * place[0] + place[1])
    assert others.max() < 0.5 * size


def test_still_frames_have_no_flow():
    image = speckle()
    np.testing.assert_allclose(flow_between(image, image, band()), 0, atol=0.02)


def test_flow_outside_the_muscle_is_not_seen():
    image = speckle()
    after = moved(image, [[1, 0, 2], [0, 1, 0]])
    after[:40] = image[:40]  # only what lies below row 40 moves
    grid, _ = cells(flow_between(image, after, band(2, 20)))
    np.testing.assert_allclose(grid, 0, atol=0.1)


def test_flow_of_a_trial_is_that_of_its_pairs_and_zero_where_none_follows():
    images = np.stack([speckle(seed) for seed in (0, 0, 3, 4)])
    bounds = np.stack([band(top, 56) for top in (8, 9, 10, 11)])
    follows = np.array([True, True, False, True])  # the first cannot follow, whatever it says
    features = flow_features(images, bounds, follows)
    assert features.shape == (4, FLOW_FEATURES)
    assert features.dtype == np.float32
    assert not features[[0, 2]].any()
    for t in (1, 3):
        expected = flow_between(images[t - 1], images[t], bounds[t])
        np.testing.assert_array_equal(features[t], expected)
    assert features[3].any()


@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (40, 400)])
def test_sizes_on_which_opencv_crashes_are_refused(shape):
    image = np.zeros(shape, np.uint8)
    with pytest.raises(ValueError, match=f"optical flow needs .* not {shape[0]} x {shape[1]}"):
        flow_between(image, image, band(0, shape[0], right=shape[1], width=shape[1]))


def test_brightness_contrast_and_thickness_by_hand():
    """Muscle in rows 3..9 and columns 2..10: cells of 2 x 2 pixels, each row of one brightness."""
    image = np.full((12, 12), 250, np.uint8)
    image[3:9, 2:10] = np.repeat([10, 30, 50, 50, 70, 90], 8).reshape(6, 8)
    features = intensity_of(image, band(3, 9, 2, 10, width=12))
    assert features.shape == (INTENSITY_FEATURES,)
    rows = np.array([10, 30, 50, 50, 70, 90])
    np.testing.assert_allclose(features[:2], [50, rows.std()], rtol=1e-5)
    np.testing.assert_allclose(features[2:14], np.repeat([20, 50, 80], 4))
    np.testing.assert_allclose(features[14:26], np.repeat([10, 0, 10], 4), atol=1e-3)
    np.testing.assert_allclose(features[26:], 6)


def test_the_grid_bends_with_the_muscle():
    """A slanted band whose brightness depends on relative depth looks the same in all columns."""
    bounds = np.zeros((2, 40), np.int16)
    bounds[0] = np.arange(40) // 2
    bounds[1] = bounds[0] + 9
    image = np.zeros((64, 40), np.uint8)
    for column, top in enumerate(bounds[0]):
        image[top : top + 9, column] = np.repeat([40, 80, 160], 3)
    means = intensity_of(image, bounds)[2:14].reshape(3, 4)
    np.testing.assert_allclose(means, np.repeat([[40], [80], [160]], 4, axis=1))


def test_cells_without_pixels_take_the_mean_of_the_muscle():
    image = np.full((8, 8), 7, np.uint8)
    image[3, 2] = 101
    features = intensity_of(image, band(3, 4, 2, 3, width=8))  # one single pixel
    np.testing.assert_allclose(features[2:14], 101)
    np.testing.assert_allclose(features[26:], 1)


def test_without_muscle_there_are_zeros():
    bounds = np.zeros((2, W), np.int16)
    assert not intensity_of(speckle(), bounds).any()
    assert not flow_between(speckle(), speckle(5), bounds).any()


def test_intensity_of_a_trial_is_that_of_its_frames():
    images = np.stack([speckle(seed) for seed in range(3)])
    bounds = np.stack([band(top, 50) for top in (8, 20, 30)])
    features = intensity_features(images, bounds)
    assert features.shape == (3, INTENSITY_FEATURES)
    for row, image, bound in zip(features, images, bounds, strict=True):
        np.testing.assert_array_equal(row, intensity_of(image, bound))
