"""Images: anatomy where it should be, and speckle that the tissue carries along."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vitruvian.muscle.simulator.person import Muscle, Person, Scanner
from vitruvian.muscle.simulator.physiology import Shape, shape
from vitruvian.muscle.simulator.render import Picture, Probe, Renderer
from vitruvian.muscle.simulator.tissue import PIXEL_MM, grow

# A plain person: no taper, no unevenness, so that geometry can be checked by hand.
PERSON = replace(
    Person.drawn(0, 0, False),
    muscle=Muscle(taper_deg=0.0, uneven_mm=0.0),
    scanner=Scanner(shape=(240, 320), mm_per_pixel=0.15),
)
RENDERER = Renderer(PERSON)
STEADY = Probe()


def shaped(angle: float = 0.0, activity: float = 0.0) -> Shape:
    state = (np.array([angle]), np.array([activity]))
    return Shape(*(values[0] for values in shape(PERSON.muscle, PERSON.strength, *state)))


def picture(
    angle: float = 0.0,
    activity: float = 0.0,
    probe: Probe = STEADY,
    renderer: Renderer = RENDERER,
) -> Picture:
    return renderer.picture(shaped(angle, activity), probe, noise())


def noise() -> np.random.Generator:
    return np.random.default_rng(0)


def correlation(one: npt.NDArray, other: npt.NDArray, where: npt.NDArray) -> float:
    return float(np.corrcoef(one[where], other[where])[0, 1])


def inside(mask: npt.NDArray) -> npt.NDArray:
    """The muscle without its borders and the image's sides."""
    kernel = np.ones((15, 15), np.uint8)
    inner = cv2.erode(mask.astype(np.uint8), kernel).astype(bool)
    inner[:, :40] = inner[:, -40:] = False
    return inner


def test_image_and_mask_fit() -> None:
    image, mask = picture()
    assert image.shape == mask.shape == (240, 320)
    assert image.dtype == np.uint8
    assert mask.dtype == bool
    rows = mask.sum(0) * 0.15
    assert rows == pytest.approx(18.0, abs=0.16)
    assert 0.15 * mask.argmax(0) == pytest.approx(6.5, abs=0.16)


def test_aponeuroses_are_bright_and_muscle_is_dark() -> None:
    image, mask = picture()
    top, bottom = int(mask.argmax(0)[0]), int(mask[:, 0].sum() + mask.argmax(0)[0])
    by_row = image.astype(float).mean(1)
    muscle = by_row[top + 10 : bottom - 10].mean()
    assert by_row[top - 8 : top + 3].max() > muscle + 60
    assert by_row[bottom : bottom + 8].max() > muscle + 60
    assert by_row[:4].max() > muscle + 60  # skin
    assert by_row[bottom + 30 :].mean() < by_row[bottom]  # soleus
    assert 15 < muscle < 130


@pytest.mark.parametrize(("angle", "activity"), [(15, 0), (5, 0), (10, 0.15)])
def test_fascicles_run_at_the_pennation_angle(angle: float, activity: float) -> None:
    image, mask = picture(angle, activity)
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 2.0)
    gx, gy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    where = inside(mask)
    xx, yy, xy = (float((a * b)[where].sum()) for a, b in ((gx, gx), (gy, gy), (gx, gy)))
    found = np.degrees(0.5 * np.arctan2(-2.0 * xy, yy - xx))  # of the lines, downwards to the right
    assert found == pytest.approx(float(shaped(angle, activity).pennation_deg), abs=3.0)


@pytest.mark.parametrize(("step", "unmoved"), [(1.0, 0.9), (2.0, 0.7), (4.0, 0.4)])
def test_speckle_moves_with_the_tissue(step: float, unmoved: float) -> None:
    before, after = picture(6.0), picture(6.0 + step)
    follows = moved_back(after.image, shaped(6.0), shaped(6.0 + step))
    where = inside(before.mask)
    assert correlation(before.image, follows, where) > 0.8
    assert correlation(before.image, after.image, where) < unmoved


def moved_back(image: npt.NDArray, start: Shape, end: Shape) -> npt.NDArray:
    """The image as if the tissue were still where it was: its thickness has hardly changed."""
    maps = [
        RENDERER.material(one, Probe(), *RENDERER.surfaces(one, Probe()))[0] for one in (start, end)
    ]
    shift = (maps[0] - maps[1]) * PIXEL_MM / PERSON.scanner.mm_per_pixel
    rows, columns = np.indices(image.shape, dtype=np.float32)
    return cv2.remap(image, columns + shift, rows, cv2.INTER_LINEAR)


def test_speckle_decorrelates_as_the_tissue_deforms() -> None:
    before = picture(0.0)
    where = inside(before.mask)
    kept = [
        correlation(before.image, moved_back(picture(a).image, shaped(), shaped(a)), where)
        for a in (0.5, 3.0, 10.0)
    ]
    assert kept[0] > kept[1] > kept[2]


def test_tissue_that_leaves_the_plane_takes_its_speckle_with_it() -> None:
    still, where = shaped(), inside(picture().mask)
    images = [
        RENDERER.picture(still._replace(aside_rad=np.float64(aside)), STEADY, noise()).image
        for aside in (0.0, 0.3, 0.8)
    ]
    kept = [correlation(images[0], image, where) for image in images[1:]]
    assert 0.99 > kept[0] > 0.95 > 0.9 > kept[1] > 0.6  # the bright faces stay


def test_other_scatterers_give_another_speckle() -> None:
    fresh = Renderer(PERSON, grow(replace(PERSON, number=77)))
    one, other = picture(), picture(renderer=fresh)
    assert abs(correlation(one.image, other.image, inside(one.mask))) < 0.3


def test_frames_of_a_still_muscle_differ_by_electronic_noise_only() -> None:
    random = np.random.default_rng(3)
    one, other = (RENDERER.picture(shaped(), Probe(), random).image for _ in range(2))
    assert (one != other).any()
    assert correlation(one, other, inside(picture().mask)) > 0.97


@pytest.mark.parametrize(
    ("probe", "moved_px"),
    [
        (Probe(press_mm=0.6), (-4, -4)),
        (Probe(tilt_deg=1.0), (-2.8, 2.8)),
        (Probe(slide_mm=3.0), (0, 0)),
    ],
)
def test_probe_motion_moves_the_muscle(probe: Probe, moved_px: tuple[float, float]) -> None:
    moved = picture(probe=probe).mask.argmax(0) - picture().mask.argmax(0).astype(float)
    assert moved[[0, -1]] == pytest.approx(moved_px, abs=1.0)


def test_a_sliding_probe_shifts_the_image() -> None:
    still, slid = picture(), picture(probe=Probe(slide_mm=20 * 0.15))
    where = inside(still.mask)[:, 20:]
    assert correlation(still.image[:, 20:], slid.image[:, :-20], where) > 0.9


def test_activity_bulges_the_muscle() -> None:
    rest, active = (picture(activity=level).mask.sum(0) * 0.15 for level in (0.0, 0.7))
    grown = active - rest
    assert grown[160] > 1.5
    assert grown[160] > grown[0] + 0.5


def test_same_person_and_noise_same_image() -> None:
    again = Renderer(PERSON, grow.__wrapped__(PERSON))  # not the one that is kept
    assert np.array_equal(picture().image, picture(renderer=again).image)
