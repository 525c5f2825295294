from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.muscle.roi.phantom import Phantom, moving
from vitruvian.core.errors import ConfigError
from vitruvian.muscle.recording import Image, Mask
from vitruvian.muscle.roi.aponeuroses import Aponeuroses
from vitruvian.muscle.roi.masks import bounds_to_mask, dice, mask_to_bounds


def _found(image: Image, mm: tuple[float, float], **finder: Any) -> Mask | None:
    return Aponeuroses(**finder).follow(mm, None)(image)


@pytest.mark.parametrize(
    "phantom",
    [
        Phantom(),
        Phantom(fascicles_deg=None),
        Phantom(tilts_deg=(2.0, -8.0)),
        Phantom(tilts_deg=(-5.0, 10.0), deep_mm=26),
        Phantom(bow_mm=3.0),
        Phantom(superficial_mm=3, deep_mm=13),
        Phantom(superficial_mm=15, deep_mm=40),
        Phantom(mm=(0.1, 0.1), size=(500, 600)),
        Phantom(mm=(0.15, 0.3), size=(330, 200)),
        Phantom(brightness=70),
        Phantom(band_mm=1.0),
    ],
    ids=str,
)
def test_the_muscle_is_between_the_bands(phantom: Phantom) -> None:
    mask = _found(phantom.image(), phantom.mm)
    assert mask is not None
    assert dice(mask, phantom.mask()) > 0.95


def test_edges_are_right_to_half_a_millimetre() -> None:
    phantom = Phantom(tilts_deg=(1.0, -4.0))
    mask = _found(phantom.image(), phantom.mm)
    assert mask is not None
    off_mm = 0.2 * (mask_to_bounds(mask) - mask_to_bounds(phantom.mask()).astype(float))
    assert np.abs(off_mm.mean(axis=1)).max() < 0.3
    assert np.abs(off_mm).mean() < 0.5


def test_a_moving_muscle_is_followed_frame_by_frame() -> None:
    follow = Aponeuroses().follow((0.2, 0.2), None)
    for image, truth in moving(26):
        mask = follow(image)
        assert mask is not None
        assert dice(mask, truth) > 0.95


def test_a_muscle_that_jumps_is_searched_for_anew() -> None:
    follow = Aponeuroses().follow((0.2, 0.2), None)
    for phantom in (Phantom(5, 20), Phantom(12, 34), Phantom(5, 20)):
        mask = follow(phantom.image())
        assert mask is not None
        assert dice(mask, phantom.mask()) > 0.95


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((250, 300), np.uint8),
        np.full((250, 300), 90, np.uint8),
        Phantom(brightness=0, fascicles_deg=None).image(seed=2),
    ],
    ids=["black", "grey", "speckle"],
)
def test_nothing_is_found_in_nothing_and_the_muscle_again_after_it(image: Image) -> None:
    follow, phantom = Aponeuroses().follow((0.2, 0.2), None), Phantom()
    assert follow(image) is None
    again = [follow(frame) for frame in (phantom.image(), image, phantom.image())]
    assert again[1] is None
    for mask in (again[0], again[2]):
        assert mask is not None
        assert dice(mask, phantom.mask()) > 0.95


@pytest.mark.parametrize(
    ("phantom", "finder"),
    [
        (Phantom(6, 24), {"thickness_mm": (8.0, 12.0)}),
        (Phantom(6, 24), {"thickness_mm": (25.0, 35.0)}),
        (Phantom(24, 42), {"depth_mm": 15.0}),
    ],
)
def test_what_lies_beyond_the_priors_is_not_taken(phantom: Phantom, finder: dict[str, Any]) -> None:
    mask = _found(phantom.image(), phantom.mm, **finder)
    assert mask is None or dice(mask, phantom.mask()) < 0.9


def test_of_three_bands_the_upper_two_hold_the_muscle() -> None:
    gastrocnemius, soleus = Phantom(6, 22), Phantom(22, 40)
    both = np.maximum(gastrocnemius.image(0), soleus.image(1))
    mask = _found(both, (0.2, 0.2))
    assert mask is not None
    assert dice(mask, gastrocnemius.mask()) > 0.95


def test_no_frame_sees_a_later_one() -> None:
    frames = [image for image, _ in moving(8)]
    whole, part = (Aponeuroses().follow((0.2, 0.2), None) for _ in range(2))
    early = [part(image) for image in frames[:4]]
    np.testing.assert_array_equal([whole(image) for image in frames][:4], early)


@pytest.mark.parametrize(
    ("finder", "message"),
    [
        ({"depth_mm": 0}, "depth_mm: must be above 0"),
        ({"motion_mm": -1}, "motion_mm: must be above 0"),
        ({"thickness_mm": (9.0,)}, "thickness_mm: must be two"),
        ({"thickness_mm": (30.0, 8.0)}, "thickness_mm: must be two"),
        ({"tilt_deg": 60}, "tilt_deg: must be from 0 to 45"),
        ({"least_contrast": float("nan")}, "least_contrast: must be a number"),
    ],
)
def test_mistakes(finder: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        Aponeuroses(**finder)


TIMTRACK_MM = (50 / 725, 50 / 725)  # "De 50 mm" from the first to the last tick of its ruler


def _timtrack(real_data: Path, condition: str) -> list[Image]:
    paths = sorted((real_data / "us_timtrack" / "dataset 3" / condition).glob("*.jpg"))
    images = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]
    return [image[97:815, 382:1284] for image in images if image is not None]


@pytest.mark.real_data
@pytest.mark.parametrize("condition", ["030", "120", "210", "500", "isometric"])
def test_real_gastrocnemius(real_data: Path, condition: str) -> None:
    frames = _timtrack(real_data, condition)
    assert len(frames) == 20
    follow = Aponeuroses().follow(TIMTRACK_MM, None)
    for image in frames:
        followed, alone = follow(image), _found(image, TIMTRACK_MM)
        assert followed is not None
        assert alone is not None
        assert dice(followed, alone) > 0.97  # whatever went before, the same muscle
        top, bottom = mask_to_bounds(alone).mean(axis=1) * TIMTRACK_MM[0]
        assert 3 < top < 6  # mm, as read from the overlays by eye
        assert 18 < bottom < 27


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "mm", "rows"),
    [
        ("img_00100", 0.125, (130, 598)),
        ("img_00188", 0.15, (129, 598)),
        ("img_00568", 0.1287, (0, 555)),
    ],
)
def test_real_scans_with_outlined_aponeuroses(
    real_data: Path, name: str, mm: float, rows: tuple[int, int]
) -> None:
    folder = real_data / "us_dltrack_masks"
    image, drawn = (
        cv2.imread(str(folder / kind / f"{name}.tif"), cv2.IMREAD_GRAYSCALE)
        for kind in ("apo_images", "apo_masks")
    )
    assert image is not None
    assert drawn is not None
    columns = np.flatnonzero(drawn.any(axis=0))
    screen = slice(*rows), slice(columns[0], columns[-1] + 1)
    mask = _found(np.ascontiguousarray(image[screen]), (mm, mm))
    assert mask is not None
    assert dice(mask, _muscle(drawn[screen] > 127)) > 0.95


def _muscle(aponeuroses: Mask) -> Mask:
    """Between the upper two of the drawn bands, where both are."""
    _, labels = cv2.connectedComponents(aponeuroses.astype(np.uint8))
    bands = [labels == label for label in range(1, labels.max() + 1)]
    bands.sort(key=lambda band: np.nonzero(band)[0].mean())
    upper, lower = (mask_to_bounds(band) for band in bands[:2])
    both = (upper[1] > 0) & (lower[1] > 0)
    return bounds_to_mask(np.where(both, [upper[1], lower[0]], 0), len(aponeuroses))
