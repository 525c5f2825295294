"""Trivial predictors of a liver mask."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from vitruvian.core.errors import DataError
from vitruvian.liver.baselines import (
    HuStatistics,
    empty_mask,
    fit_threshold,
    threshold_component,
)


@pytest.fixture
def scan():
    """Air with a liver of 120 HU (36 voxels), a spleen alike (8), bone, and a speck at a corner."""
    hu = np.full((4, 10, 10), -1000, np.int16)
    hu[1:4, 1:5, 1:4] = 120
    hu[1:3, 6:8, 6:8] = 120
    hu[:, 9, :] = 900
    hu[0, 0, 0] = 120
    return hu


def test_empty_mask(scan):
    mask = empty_mask(scan)
    assert (mask.shape, mask.dtype, mask.any()) == (scan.shape, np.uint8, False)


def test_threshold_keeps_the_largest_component(scan):
    mask = threshold_component(scan)
    assert mask.dtype == np.uint8
    assert mask[1:4, 1:5, 1:4].all()
    assert mask.sum() == 36


@pytest.mark.parametrize(
    ("low", "high", "voxels"),
    [(120, 120, 36), (800, 1000, 40), (-1000, 1000, 400), (121, 200, 0), (100, 119, 0)],
)
def test_threshold_bounds_are_inclusive(scan, low, high, voxels):
    assert threshold_component(scan, low, high).sum() == voxels


def test_components_that_touch_by_an_edge_are_apart():
    hu = np.zeros((1, 2, 3), np.int16)
    hu[0, 0, 0] = hu[0, 1, 1] = hu[0, 1, 2] = 100
    assert threshold_component(hu).tolist() == [[[0, 0, 0], [0, 1, 1]]]


def test_fitted_range_is_that_of_all_voxels_together():
    rng = np.random.default_rng(3)
    volumes = [rng.normal(mean, 15, (4, 20, 20)).astype(np.int16) for mean in (90, 130)]
    masks = [(rng.random((4, 20, 20)) < share).astype(np.uint8) for share in (0.2, 0.7)]
    masks[0][masks[0] == 1] = 2  # a tumour is liver too
    low, high = fit_threshold(map(HuStatistics.of, volumes, masks))
    voxels = np.concatenate([hu[mask >= 1] for hu, mask in zip(volumes, masks, strict=True)])
    expected = voxels.mean() - 2 * voxels.std(), voxels.mean() + 2 * voxels.std()
    assert (low, high) == pytest.approx(expected)


def test_fitted_range_predicts(scan):
    liver = HuStatistics(1000, 118.0, 4.0)
    low, high = fit_threshold([liver, HuStatistics(0, 0.0, 0.0)])
    assert (low, high) == (110.0, 126.0)
    assert partial(threshold_component, low=low, high=high)(scan).sum() == 36


def test_case_without_liver_has_no_statistics(scan):
    assert HuStatistics.of(scan, empty_mask(scan)).voxels == 0


def test_nothing_to_fit():
    with pytest.raises(DataError, match="no training case holds liver"):
        fit_threshold([HuStatistics(0, 0.0, 0.0)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda hu: threshold_component(hu[0]), "must be"),
        (lambda hu: threshold_component(hu, 200, 100), "low must not exceed high"),
        (lambda hu: HuStatistics.of(hu, hu[:2]), "differ in shape"),
    ],
)
def test_errors(scan, call, message):
    with pytest.raises(ValueError, match=message):
        call(scan)
