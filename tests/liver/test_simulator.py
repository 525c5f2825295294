"""The simulated scans are plausible, exact, repeatable, and LiTS files like any other."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from vitruvian.core.errors import ConfigError, DataError, RunError
from vitruvian.liver import simulator
from vitruvian.liver.anatomy import Patient
from vitruvian.liver.level_sets import (
    Ellipsoid,
    Segment,
    Space,
    bspline_field,
    smooth_max,
    smooth_min,
    tree,
    tube,
)
from vitruvian.liver.readers import find_cases, read_image, read_label, survey
from vitruvian.liver.simulator import MARKER, Phantom, phantom, simulate_cohort
from vitruvian.liver.volume import Grid

TINY: dict[str, Any] = {"size": 40, "slices": (12, 14)}
SMALL: dict[str, Any] = {"size": 80, "slices": (28, 32)}


def drawn(case: int, seed: int = 0, **settings: Any) -> Phantom:
    return phantom(np.random.default_rng([seed, case]), **settings)


def volume_ml(mask: npt.NDArray[np.bool_], scan: Phantom) -> float:
    return float(mask.sum() * np.prod(scan.spacing_mm) / 1000.0)


@pytest.fixture(scope="module")
def scans() -> list[Phantom]:
    return [drawn(case, **SMALL) for case in range(12)]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_cohort(tmp_path_factory.mktemp("simulated") / "cohort", cases=8, **TINY)


# --- anatomy -------------------------------------------------------------------------------------


def test_arrays_are_as_the_readers_make_them(scans: list[Phantom]) -> None:
    for hu, label, spacing in scans:
        assert (hu.dtype, label.dtype) == (np.int16, np.uint8)
        assert hu.shape == label.shape
        assert 28 <= hu.shape[0] <= 32
        assert hu.shape[1:] == (80, 80)
        assert set(np.unique(label)) <= {0, 1, 2}
        assert hu.flags.c_contiguous
        assert len(spacing) == 3


def test_liver_volume_is_that_of_an_adult(scans: list[Phantom]) -> None:
    volumes = [volume_ml(scan.label > 0, scan) for scan in scans]
    assert min(volumes) > 900
    assert max(volumes) < 2200
    assert np.ptp(volumes) > 300


def test_liver_is_one_piece_on_the_right_under_the_lungs(scans: list[Phantom]) -> None:
    for hu, label, _ in scans:
        liver = label > 0
        z, y, x = (centre / n for centre, n in zip(_centre(liver), liver.shape, strict=True))
        assert 0.2 < x < 0.45  # the patient's right is the image's left in LPS
        assert 0.35 < y < 0.6
        assert 0.35 < z < 0.8
        pieces, count = ndimage.label(liver)
        assert np.bincount(pieces.ravel())[1:].max() > 0.99 * liver.sum(), count
        top = np.flatnonzero(liver.any((1, 2)))[-1]
        assert (hu[top, 26:54, 22:58] < -700).mean() > 0.15  # lung around the dome


def _centre(mask: npt.NDArray[np.bool_]) -> list[float]:
    return [float(axis.mean()) for axis in np.nonzero(mask)]


def test_liver_has_the_hu_of_a_liver(scans: list[Phantom]) -> None:
    means = [float(hu[label == 1].mean()) for hu, label, _ in scans]
    noise = [float(hu[ndimage.binary_erosion(label == 1)].std()) for hu, label, _ in scans]
    assert min(means) > 40
    assert max(means) < 140
    assert min(noise) > 8
    assert max(noise) < 40


def test_organs_share_the_hu_of_the_liver(scans: list[Phantom]) -> None:
    """A threshold with the largest component must be a poor baseline, as on real scans."""
    dice = []
    for hu, label, _ in scans:
        pieces, _ = ndimage.label((hu >= 40) & (hu <= 200))
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        found, liver = pieces == sizes.argmax(), label > 0
        dice.append(2 * (found & liver).sum() / (found.sum() + liver.sum()))
    assert 0.25 < np.mean(dice) < 0.7


def test_tumours_are_dark_lumps_inside_the_liver(scans: list[Phantom]) -> None:
    with_tumour = [scan for scan in scans if (scan.label == 2).sum() > 20]
    assert 0 < len(with_tumour) <= len(scans)
    assert any((scan.label == 2).sum() == 0 for scan in scans)
    in_liver = []
    for hu, label, _ in with_tumour:
        inside = ndimage.binary_erosion(label == 2)
        inside = inside if inside.any() else label == 2
        assert hu[inside].mean() < hu[ndimage.binary_erosion(label == 1)].mean() - 12
        around = ndimage.binary_dilation(label == 2) & (label != 2)
        in_liver.append((label[around] == 1).mean())
    assert min(in_liver) > 0.25  # those that reach the surface
    assert np.mean(in_liver) > 0.6


@pytest.mark.parametrize("case", range(12))
def test_slices_above_and_below_hold_no_liver(case: int) -> None:
    label = drawn(case, seed=5, size=48, slices=(10, 16)).label
    holds = (label > 0).any((1, 2))
    assert holds.any()
    assert not holds[0]
    assert not holds[-1]


def test_body_keeps_its_millimetres_whatever_the_matrix() -> None:
    for size in (64, 128):
        hu, _, (_, dy, dx) = drawn(3, size=size, slices=(16, 16))
        width = ndimage.binary_opening(hu[8] > -300).any(0).sum() * dx
        assert dy == dx
        assert 0.6 <= dx * size / 512 <= 1.0
        assert 270 < width < 430


def test_slice_spacing_is_that_of_lits() -> None:
    spacings = [drawn(case, size=32).spacing_mm[0] for case in range(8)]
    assert 2.5 < min(spacings) < max(spacings) < 6.0


def test_some_scans_are_padded_outside_the_circle(scans: list[Phantom]) -> None:
    corners = [int(scan.hu[5, 0, 0]) for scan in scans]
    assert -3024 in corners
    assert any(corner > -3024 for corner in corners)
    assert all(scan.hu[:, 40, 40].min() > -1025 for scan in scans)


# --- chance --------------------------------------------------------------------------------------


def test_same_seed_same_voxels() -> None:
    first, again = drawn(4, **TINY), drawn(4, **TINY)
    np.testing.assert_array_equal(first.hu, again.hu)
    np.testing.assert_array_equal(first.label, again.label)
    assert first.spacing_mm == again.spacing_mm


@pytest.mark.parametrize(("case", "seed"), [(1, 0), (0, 1)])
def test_other_cases_and_seeds_are_other_patients(case: int, seed: int) -> None:
    one, other = drawn(0, size=40, slices=(12, 12)), drawn(case, seed, size=40, slices=(12, 12))
    assert (one.label != other.label).mean() > 0.005
    assert one.spacing_mm != other.spacing_mm


def test_voxels_are_the_same_on_every_machine() -> None:
    """After a deliberate change, raise simulator.VERSION and write down the new digests."""
    scan = drawn(0, size=64, slices=(20, 20))
    digests = [hashlib.sha256(a.tobytes()).hexdigest()[:16] for a in (scan.label, scan.hu)]
    assert (simulator.VERSION, *digests) == (1, "c82f87f8a6b2ad55", "28eda0003ad901a0")
    assert scan.spacing_mm == (12.662, 4.9009, 4.9009)


# --- files ---------------------------------------------------------------------------------------


def test_files_hold_the_phantoms_in_varied_orientations(cohort: Path) -> None:
    seen = set()
    for case in range(8):
        scan = drawn(case, **TINY)
        for name, voxels in (("volume-{}.nii", scan.hu), ("segmentation-{}.nii.gz", scan.label)):
            image = nib.load(cohort / name.format(case))
            grid = Grid(image.shape, image.affine)
            stored = np.asanyarray(image.dataobj)
            assert stored.dtype == voxels.dtype
            np.testing.assert_array_equal(grid.canonical(stored), voxels)
            assert grid.spacing_mm == pytest.approx(scan.spacing_mm, rel=1e-5)
            assert b"simulated" in image.header["descrip"].tobytes()
        seen.add("".join(nib.aff2axcodes(image.affine)))
    assert len(seen) >= 3
    assert seen <= set(simulator.ORIENTATIONS)


def test_the_lits_reader_reads_the_cohort(cohort: Path) -> None:
    cases = find_cases(cohort)
    assert len(survey(cases, voxels=True).accept()) == 8
    for number, case in enumerate(cases[:3]):
        image, scan = read_image(case), drawn(number, **TINY)
        np.testing.assert_array_equal(image.voxels, np.maximum(scan.hu, -1024))
        np.testing.assert_array_equal(read_label(case, image.grid).voxels, scan.label)


def test_marker_says_simulated_and_how(cohort: Path) -> None:
    marker = json.loads((cohort / MARKER).read_text(encoding="utf-8"))
    assert marker["simulated"] is True
    assert "simulated" in marker["what"]
    assert marker["version"] == simulator.VERSION
    assert marker["parameters"] == {"cases": 8, "seed": 0, "size": 40, "slices": [12, 14]}
    assert len(list(cohort.iterdir())) == 2 * 8 + 1
    assert [path.name for path in cohort.parent.iterdir()] == ["cohort"]


def test_a_finished_cohort_is_left_alone(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "_write_case", _must_not_run)
    assert simulate_cohort(cohort, cases=8, **TINY) == cohort


def _must_not_run(*_: object) -> None:
    raise AssertionError("simulated again")


def test_two_at_once_leave_one_whole_cohort(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "cohort"
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(simulate_cohort, root, 2, 7, 32, (12, 12)) for _ in range(2)]
    assert [job.result() for job in jobs] == [root, root]
    assert len(list(root.iterdir())) == 5
    assert [path.name for path in root.parent.iterdir()] == ["cohort"]


def test_a_cohort_that_appears_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, write = tmp_path / "cohort", simulator._write_case
    monkeypatch.setattr(simulator, "_write_case", lambda *a: (faster(), write(*a)))

    def faster() -> None:
        monkeypatch.setattr(simulator, "_write_case", write)
        simulate_cohort(root, cases=1, **TINY)
        (root / "first").touch()

    simulate_cohort(root, cases=1, **TINY)
    assert (root / "first").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(simulator, "_write_case", full)
    with pytest.raises(RunError, match=r"cohort: the disk is full"):
        simulate_cohort(tmp_path / "cohort", cases=1, **TINY)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    assert (simulate_cohort(tmp_path, cases=1, **TINY) / MARKER).is_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"notes.txt": "mine"}, "holds other files"),
        ({MARKER: "{}"}, "holds another simulated cohort"),
        ({MARKER: '{"simul'}, "holds other files"),
    ],
)
def test_other_contents_are_never_overwritten(
    tmp_path: Path, content: dict[str, str], message: str
) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        simulate_cohort(tmp_path, cases=1, **TINY)
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == content


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cases": 0}, "cases=0"),
        ({"size": 16}, "size=16"),
        ({"size": 1024}, "size=1024"),
        ({"slices": (30, 20)}, r"slices=\(30, 20\)"),
        ({"slices": (4, 20)}, r"slices=\(4, 20\)"),
    ],
)
def test_bad_settings(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        simulate_cohort(tmp_path / "cohort", **settings)
    assert not (tmp_path / "cohort").exists()


# --- level sets ----------------------------------------------------------------------------------


def at(*points: tuple[float, float, float]) -> Space:
    x, y, z = (np.array(axis, np.float32).reshape(-1, 1, 1) for axis in zip(*points, strict=True))
    return Space(x, y, z)


@pytest.mark.parametrize(
    ("shape", "point", "depth"),
    [
        (Ellipsoid((1.0, 2.0, 3.0), (4.0, 4.0, 4.0)), (1.0, 2.0, 3.0), 4.0),
        (Ellipsoid((1.0, 2.0, 3.0), (4.0, 4.0, 4.0)), (1.0, 2.0, 9.0), -2.0),
        (Ellipsoid((0.0, 0.0, 0.0), (4.0, 8.0, 9.0)), (0.0, 8.0, 0.0), 0.0),
        (Segment((0.0, 0.0, 0.0), (10.0, 0.0, 0.0), 2.0, 4.0), (5.0, 0.0, 1.0), 2.0),
        (Segment((0.0, 0.0, 0.0), (10.0, 0.0, 0.0), 2.0, 4.0), (-3.0, 0.0, 0.0), -1.0),
        (Segment((0.0, 0.0, 0.0), (10.0, 0.0, 0.0), 2.0, 4.0), (13.0, 0.0, 0.0), 1.0),
    ],
)
def test_depth_below_the_surface(
    shape: Ellipsoid | Segment, point: tuple[float, float, float], depth: float
) -> None:
    assert shape.depth(at(point)).item() == pytest.approx(depth, abs=1e-4)


@pytest.mark.parametrize(
    ("shape", "low", "high"),
    [
        (Ellipsoid((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)), (-3.0, -3.0, -3.0), (5.0, 7.0, 9.0)),
        (Segment((0.0, 9.0, 0.0), (5.0, 0.0, 0.0), 1.0, 2.0), (-2.0, -2.0, -2.0), (7.0, 11.0, 2.0)),
    ],
)
def test_bounds_enclose_the_shape(
    shape: Ellipsoid | Segment, low: tuple[float, ...], high: tuple[float, ...]
) -> None:
    assert shape.bounds() == (low, high)


def test_smooth_union_and_intersection() -> None:
    a, b = np.float32([[5.0, 0.0, -1.0]]), np.float32([[-5.0, 0.0, 8.0]])
    np.testing.assert_allclose(smooth_min(a, b, 4.0), [[-5.0, -1.0, -1.0]])
    np.testing.assert_allclose(smooth_max(a, b, 4.0), [[5.0, 1.0, 8.0]])


def test_tubes_are_joined_and_trees_fork() -> None:
    pipe = tube((0, 0, 0, 3), (0, 0, 10, 2), (0, 5, 10, 1))
    assert [(piece.r0, piece.r1) for piece in pipe] == [(3, 2), (2, 1)]
    assert pipe[0].end == pipe[1].start
    branches = tree(np.random.default_rng(0), Segment((0, 0, 0), (0, 0, 20), 6.0, 5.0), 3)
    assert len(branches) == 1 + 2 + 4 + 8
    ends = {piece.end for piece in branches}
    assert all(piece.start in ends for piece in branches[1:])
    assert max(piece.r0 for piece in branches[1:]) == 5.0


def test_bspline_field_is_bounded_smooth_and_not_flat() -> None:
    field = bspline_field(np.random.default_rng(3), (20, 40, 40), (2, 3, 3), 5.0)
    assert field.shape == (20, 40, 40)
    assert field.dtype == np.float32
    assert 0.5 < np.abs(field).max() <= 5.0
    steps = [float(np.abs(np.diff(field, axis=axis)).max()) for axis in range(3)]
    assert max(steps) < 1.0


def test_patients_vary_within_adult_bounds() -> None:
    patients = [Patient.drawn(np.random.default_rng([9, n])) for n in range(200)]
    assert all(980 <= p.liver_ml <= 2150 for p in patients)
    assert all(280 < p.width_mm < 400 for p in patients)
    assert {p.tumours for p in patients} == set(range(6))
    assert 0.1 < np.mean([p.tumours == 0 for p in patients]) < 0.3
