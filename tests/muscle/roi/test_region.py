from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest

from tests.muscle.roi.phantom import Phantom, moving
from vitruvian.core.errors import ConfigError, DataError
from vitruvian.muscle.recording import Image, Mask
from vitruvian.muscle.roi.aponeuroses import Aponeuroses
from vitruvian.muscle.roi.finders import GivenMask, WholeImage
from vitruvian.muscle.roi.masks import bounds_to_mask, dice
from vitruvian.muscle.roi.region import RegionOfInterest

MM = (0.2, 0.2)
SMALL = {"size": (40, 60)}


class Seen:
    """A finder that finds `mask` in the frames whose numbers it is told, and nothing in others."""

    def __init__(self, mask: Mask, *found: int) -> None:
        self.mask, self.found = mask, found

    def follow(self, mm: tuple[float, float], given: Mask | None) -> Callable[[Image], Mask | None]:
        numbers = count()
        return lambda image: self.mask if next(numbers) in self.found else None


def _images(frames: int, size: tuple[int, int] = (50, 80)) -> list[Image]:
    return list(np.random.default_rng(0).integers(1, 255, (frames, *size), np.uint8))


def _rectangle(top: int, bottom: int, left: int, right: int) -> Mask:
    mask = np.zeros((50, 80), np.bool_)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(
    "region",
    [{}, {"rectify": True, "size": (64, 256)}, {"jitter_mm": 0.6}, {"smoothing": 0.7}, SMALL],
    ids=str,
)
def test_off_line_and_on_line_agree_and_see_no_later_frame(region: dict[str, Any]) -> None:
    frames = [image for image, _ in moving(6)]
    region = RegionOfInterest(Aponeuroses(), **region)
    crops = region.crops(frames, MM, None)
    cropper = region.cropper(MM, None)
    for number, image in enumerate(frames[:4]):
        crop, bounds = cropper(image)
        np.testing.assert_array_equal(crop, crops.images[number])
        np.testing.assert_array_equal(bounds, crops.bounds[number])


def test_shapes_types_and_the_muscle_in_the_crop() -> None:
    frames = list(moving(5))
    crops = RegionOfInterest(Aponeuroses()).crops((image for image, _ in frames), MM, None)
    assert (crops.images.shape, crops.images.dtype) == ((5, 128, 256), np.uint8)
    assert (crops.bounds.shape, crops.bounds.dtype) == ((5, 2, 256), np.int16)
    assert crops.failures == 0
    given = np.stack([mask for _, mask in frames])
    truth = RegionOfInterest(GivenMask()).crops((image for image, _ in frames), MM, given)
    for found, true in zip(crops.bounds, truth.bounds, strict=True):
        assert dice(bounds_to_mask(found, 128), bounds_to_mask(true, 128)) > 0.95


def test_the_box_stays_while_the_bounds_follow() -> None:
    images = [_images(1)[0]] * 2
    masks = np.stack([_rectangle(10, 30, 20, 60), _rectangle(14, 30, 20, 60)])
    crops = RegionOfInterest(GivenMask(), **SMALL).crops(images, MM, masks)
    np.testing.assert_array_equal(crops.images[0], crops.images[1])  # nothing moved
    # Middle of the first mask: row 20, column 40; so the box is rows 0 to 40, columns 10 to 70.
    np.testing.assert_array_equal(crops.images[0], images[0][0:40, 10:70])
    inside = (np.arange(60) >= 10) & (np.arange(60) < 50)
    for bounds, (first, last) in zip(crops.bounds, [(10, 30), (14, 30)], strict=True):
        np.testing.assert_array_equal(bounds, np.where(inside, [[first], [last]], 0))


def test_beyond_the_image_is_black_and_no_muscle() -> None:
    image = np.full((50, 80), 9, np.uint8)
    mask = _rectangle(0, 10, 0, 10)[None]
    crop, bounds = RegionOfInterest(GivenMask(), **SMALL).cropper(MM, mask)(image)
    assert not crop[:15].any()
    assert not crop[:, :25].any()
    assert (crop[15:, 25:] == 9).all()
    np.testing.assert_array_equal(bounds[:, 25:35], np.array([[15], [25]]) * np.ones(10))
    assert bounds.sum() == 10 * (15 + 25)


def test_crops_have_the_same_scale_whatever_the_frames_have() -> None:
    fine = Phantom(mm=(0.1, 0.1), size=(500, 600))
    coarse = Phantom(mm=(0.2, 0.2), size=(250, 300))
    region = RegionOfInterest(GivenMask())
    made = [
        region.crops([phantom.image(noise=0)], phantom.mm, phantom.mask()[None])
        for phantom in (fine, coarse)
    ]
    first, second = (crops.images[0].astype(int) for crops in made)
    assert np.abs(first - second).mean() < 3
    assert np.abs(made[0].bounds - made[1].bounds).max() <= 1


def test_lost_frames_keep_the_last_bounds_and_are_counted() -> None:
    mask = _rectangle(10, 30, 20, 60)
    region = RegionOfInterest(Seen(mask, 0, 3), **SMALL)
    crops = region.crops(_images(5), MM, None)
    assert crops.failures == 3
    assert (crops.bounds == crops.bounds[0]).all()


def test_early_frames_take_the_first_find_off_line_and_the_whole_box_on_line() -> None:
    region = RegionOfInterest(Seen(_rectangle(30, 50, 20, 60), 2), **SMALL)
    images = _images(4)
    crops = region.crops(iter(images), MM, None)
    assert crops.failures == 3
    for image, crop in zip(images, crops.images, strict=True):
        np.testing.assert_array_equal(crop[:30], image[20:, 10:70])
    cropper = region.cropper(MM, None)
    crop, bounds = cropper(images[0])
    np.testing.assert_array_equal(crop, images[0][5:45, 10:70])  # the middle of the image
    np.testing.assert_array_equal(bounds, [[0] * 60, [40] * 60])
    cropper(images[1])
    for number in (2, 3):
        np.testing.assert_array_equal(cropper(images[number])[0], crops.images[number])
    assert cropper.failures == 3


def test_a_muscle_that_is_never_found_is_an_error_off_line() -> None:
    region = RegionOfInterest(Seen(_rectangle(0, 9, 0, 9)))
    with pytest.raises(DataError, match="found in none of 3 frames"):
        region.crops(_images(3), MM, None)


def test_smoothing_is_exponential_and_causal() -> None:
    masks = np.stack([_rectangle(10, 30, 0, 80)] + [_rectangle(18, 30, 0, 80)] * 3)
    region = RegionOfInterest(GivenMask(), smoothing=0.5, **SMALL)
    tops = region.crops(_images(4), MM, masks).bounds[:, 0, 30]
    np.testing.assert_array_equal(tops, [10, 14, 16, 17])


def test_rectified_columns_fill_all_rows() -> None:
    rows = np.arange(50, dtype=np.uint8)[:, None] * np.ones(80, np.uint8)
    mask = bounds_to_mask(np.stack([np.full(80, 10), np.linspace(20, 40, 80)]), 50)
    mask[:, :20] = False
    region = RegionOfInterest(GivenMask(), rectify=True, size=(40, 80))
    crop, bounds = region.cropper(MM, mask[None])(rows)
    # The box is centred on columns 20 to 80, so column 0 of the mask is column -10 of the crop.
    np.testing.assert_array_equal(bounds[0], np.zeros(80))
    np.testing.assert_array_equal(bounds[1] == 40, (np.arange(80) >= 10) & (np.arange(80) < 70))
    assert not crop[:, :10].any()
    assert (np.abs(crop[0, 10:70].astype(int) - 10) <= 1).all()
    last_row = np.linspace(20, 40, 80)[20:]
    assert np.abs(crop[-1, 10:70] - last_row).max() < 3


def _offsets(region: RegionOfInterest, frames: int) -> list[tuple[int, int]]:
    """Where in a picture of unique pixels the crops begin."""
    picture = np.random.default_rng(3).integers(0, 255, (50, 80), np.uint8)
    crops = region.crops([picture] * frames, MM, _rectangle(15, 35, 30, 50)[None])
    windows = np.lib.stride_tricks.sliding_window_view(picture, crops.images.shape[1:])
    return [tuple(np.argwhere((windows == crop).all(axis=(2, 3)))[0]) for crop in crops.images]


def test_jitter_moves_the_region_over_the_muscle_and_is_repeatable() -> None:
    tiny = {"size": (32, 32)}
    assert _offsets(RegionOfInterest(GivenMask(), **tiny), 3) == [(9, 24)] * 3
    jittered = RegionOfInterest(GivenMask(), jitter_mm=0.4, seed=5, **tiny)
    offsets = np.array(_offsets(jittered, 60)) - (9, 24)
    assert 1.4 < offsets.std() < 2.6  # 0.4 mm are two pixels
    assert np.abs(offsets.mean(axis=0)).max() < 1
    np.testing.assert_array_equal(np.array(_offsets(jittered, 60)) - (9, 24), offsets)
    other = RegionOfInterest(GivenMask(), jitter_mm=0.4, seed=6, **tiny)
    assert (np.array(_offsets(other, 60)) - (9, 24) != offsets).any()


def test_jitter_takes_the_bounds_along() -> None:
    mask = _rectangle(10, 30, 20, 60)[None]
    still, jittered = (
        RegionOfInterest(GivenMask(), jitter_mm=jitter, **SMALL).crops(_images(3), MM, mask)
        for jitter in (0.0, 1.0)
    )
    np.testing.assert_array_equal(still.bounds, jittered.bounds)
    assert (still.images != jittered.images).any()


def test_without_a_scale_the_whole_image_is_fitted() -> None:
    crop, bounds = RegionOfInterest(WholeImage(), **SMALL).cropper(None, None)(
        np.full((100, 100), 5, np.uint8)
    )
    np.testing.assert_array_equal(crop, np.pad(np.full((40, 40), 5), ((0, 0), (10, 10))))
    np.testing.assert_array_equal(bounds[1], [0] * 10 + [40] * 40 + [0] * 10)


def test_without_a_scale_no_muscle_can_be_found() -> None:
    with pytest.raises(DataError, match=r"set frames\.mm_per_pixel in recording\.yaml"):
        RegionOfInterest(Aponeuroses()).cropper(None, None)


def test_frames_of_another_size_are_refused() -> None:
    cropper = RegionOfInterest(WholeImage()).cropper(MM, None)
    cropper(np.zeros((5, 6), np.uint8))
    with pytest.raises(DataError, match=r"\(6, 5\) .* \(5, 6\)"):
        cropper(np.zeros((6, 5), np.uint8))


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ({"mm_per_pixel": 0}, "mm_per_pixel: must be above 0"),
        ({"mm_per_pixel": float("inf")}, "mm_per_pixel: must be above 0"),
        ({"size": (128,)}, "size: must be rows and columns"),
        ({"size": (0, 256)}, r"size: must be rows and columns from 32 to 4096, not \[0, 256\]"),
        ({"size": (31, 64)}, "size: must be rows and columns"),
        ({"size": (64, 31)}, "size: must be rows and columns"),
        ({"size": (64, 4097)}, "size: must be rows and columns"),
        ({"size": (32, 257)}, "size: at most 8 times as many columns as rows"),
        ({"smoothing": 1.0}, "smoothing: must be from 0"),
        ({"jitter_mm": -1}, "jitter_mm: must be a length"),
        ({"seed": -1}, "seed: must not be negative"),
    ],
)
def test_mistakes(region: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        RegionOfInterest(WholeImage(), **region)
