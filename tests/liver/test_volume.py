"""Grid, Volume and HU: orientations there and back, and which masks fit an image."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from vitruvian.core.errors import DataError
from vitruvian.liver.volume import Grid, mask_grid, to_hu

SHAPE = (4, 5, 6)
SIZES = (0.7, 0.8, 2.5)  # mm along x, y, z of the patient


def axis_affine(order: tuple[int, ...], signs: tuple[int, ...]) -> np.ndarray:
    """An affine whose file axis n runs along patient axis order[n], forward or backward."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for n, (axis, sign) in enumerate(zip(order, signs, strict=True)):
        affine[axis, n] = sign * SIZES[axis]
    affine[:3, 3] = (-30.0, 12.0, 100.0)
    return affine


ORIENTATIONS = [
    axis_affine(order, signs)
    for order in permutations(range(3))
    for signs in product((1, -1), repeat=3)
]


def rotated(affine: np.ndarray, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.eye(4)
    turn[:2, :2] = [[c, -s], [s, c]]
    return turn @ affine


def numbered(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


@pytest.mark.parametrize("affine", ORIENTATIONS, ids=lambda a: "".join(nib.aff2axcodes(a)))
class TestOrientations:
    def test_native_undoes_canonical(self, affine: np.ndarray) -> None:
        grid = Grid(SHAPE, affine)
        canonical = grid.canonical(numbered())
        assert canonical.flags.c_contiguous
        assert canonical.shape == grid.canonical_shape
        np.testing.assert_array_equal(grid.native(canonical), numbered())

    def test_canonical_is_nibabels_ras_turned_to_lps(self, affine: np.ndarray) -> None:
        ras = nib.as_closest_canonical(nib.Nifti1Image(numbered(), affine))
        expected = np.asarray(ras.dataobj)[::-1, ::-1].transpose(2, 1, 0)
        np.testing.assert_array_equal(Grid(SHAPE, affine).canonical(numbered()), expected)

    def test_spacing_follows_the_patient_axes(self, affine: np.ndarray) -> None:
        grid = Grid(SHAPE, affine)
        assert grid.spacing_mm == pytest.approx(SIZES[::-1])
        assert grid.voxel_ml == pytest.approx(np.prod(SIZES) / 1000)
        axes = grid.canonical_affine[:3, :3]
        np.testing.assert_allclose(axes, np.diag([-SIZES[0], -SIZES[1], SIZES[2]]))

    def test_canonical_affine_keeps_every_voxel_in_its_place(self, affine: np.ndarray) -> None:
        grid = Grid(SHAPE, affine)
        value = numbered()[1, 2, 3]
        z, y, x = (int(n[0]) for n in np.nonzero(grid.canonical(numbered()) == value))
        np.testing.assert_allclose(
            grid.canonical_affine @ [x, y, z, 1], affine @ [1, 2, 3, 1], atol=1e-9
        )


def test_there_are_48_orientations() -> None:
    assert len({"".join(nib.aff2axcodes(affine)) for affine in ORIENTATIONS}) == 48


@pytest.mark.parametrize("degrees", [-40.0, -7.0, 20.0])
def test_an_oblique_grid_takes_the_nearest_axes(degrees: float) -> None:
    straight, oblique = (
        Grid(SHAPE, a) for a in (ORIENTATIONS[5], rotated(ORIENTATIONS[5], degrees))
    )
    assert oblique.spacing_mm == pytest.approx(straight.spacing_mm)
    assert not oblique.is_sheared
    np.testing.assert_array_equal(oblique.canonical(numbered()), straight.canonical(numbered()))
    np.testing.assert_array_equal(oblique.native(oblique.canonical(numbered())), numbered())


def test_a_sheared_grid_is_recognised_and_keeps_its_volume() -> None:
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[1, 2] = 0.5
    grid = Grid(SHAPE, affine)
    assert grid.is_sheared
    assert grid.voxel_ml == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("shape", "diagonal", "message"),
    [
        ((4, 0, 6), (1, 1, 1, 1), "4 x 0 x 6 holds no voxels"),
        (SHAPE, (1, 1, 0, 1), "zero voxel size"),
        (SHAPE, (1, np.nan, 1, 1), "not finite"),
        (SHAPE, (1, 1, 1), "singular"),
    ],
)
def test_impossible_grids_are_refused(shape: Any, diagonal: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Grid(shape, np.diag(np.array(diagonal, dtype=float)))


def test_a_grid_of_two_parallel_axes_is_refused() -> None:
    affine = np.eye(4)
    affine[:3, 1] = affine[:3, 0]
    with pytest.raises(DataError, match="singular"):
        Grid(SHAPE, affine)


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        ("<i2", [-3024, -1025, -1024, 0, 32767], [-1024, -1024, -1024, 0, 32767]),
        (">i2", [-3024, 60], [-1024, 60]),
        ("<u2", [0, 32768, 65535], [0, 32767, 32767]),
        ("i1", [-128, 127], [-128, 127]),
        ("u1", [0, 255], [0, 255]),
        ("i4", [-(2**31), 2**31 - 1], [-1024, 32767]),
        ("i8", [-(2**62), 2**62], [-1024, 32767]),
        ("f4", [-1e30, -0.6, 0.4, 59.5, 1e30], [-1024, -1, 0, 60, 32767]),
        ("f8", [-1024.4, 1e300], [-1024, 32767]),
    ],
)
def test_to_hu_rounds_and_clips_every_type(dtype: str, values: Any, expected: Any) -> None:
    hu = to_hu(np.array(values, dtype=dtype))
    assert hu.dtype == np.int16
    assert hu.tolist() == expected


IMAGE = Grid(SHAPE, ORIENTATIONS[0])


@pytest.mark.parametrize("affine", ORIENTATIONS[1::6], ids=lambda a: "".join(nib.aff2axcodes(a)))
def test_a_mask_stored_in_another_orientation_fits(affine: np.ndarray) -> None:
    image = nib.Nifti1Image(numbered(), ORIENTATIONS[0])
    ornt = nib.orientations.ornt_transform(
        nib.io_orientation(ORIENTATIONS[0]), nib.io_orientation(affine)
    )
    turned = image.as_reoriented(ornt)
    mask = Grid(turned.shape, turned.affine)
    assert mask_grid(IMAGE, mask) is mask
    np.testing.assert_array_equal(
        mask.canonical(np.asarray(turned.dataobj)), IMAGE.canonical(numbered())
    )


@pytest.mark.parametrize("unit", [np.eye(4), np.diag([-1.0, -1.0, 1.0, 1.0])])
def test_an_unfilled_header_is_matched_by_index(unit: np.ndarray) -> None:
    unit[:3, 3] = 1.0  # as found in masks of LiTS
    mask = Grid(SHAPE, unit)
    assert mask.is_placeholder
    assert mask_grid(IMAGE, mask) is IMAGE
    with pytest.raises(DataError, match="spacing"):
        mask_grid(IMAGE, mask, by_index=False)


def moved(mm: float) -> Grid:
    affine = np.array(IMAGE.affine)
    affine[0, 3] += mm
    return Grid(SHAPE, affine)


def scaled(factor: float) -> Grid:
    return Grid(SHAPE, IMAGE.affine @ np.diag([1.0, 1.0, factor, 1.0]))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (Grid((4, 5, 7), IMAGE.affine), "4 x 5 x 7 voxels, its image 4 x 5 x 6"),
        (scaled(1.1), "2.75 x 0.8 x 0.7 mm, its image's 2.5 x 0.8 x 0.7 mm"),
        (moved(0.2), "up to 0.2 mm away"),
        (Grid(SHAPE, ORIENTATIONS[1]), "mm away"),
    ],
)
def test_masks_on_another_grid_are_refused(mask: Grid, message: str) -> None:
    with pytest.raises(DataError, match=message):
        mask_grid(IMAGE, mask)


@pytest.mark.parametrize("mask", [moved(0.1), scaled(1.0005)])
def test_rounded_headers_still_fit(mask: Grid) -> None:
    assert mask_grid(IMAGE, mask) is mask
