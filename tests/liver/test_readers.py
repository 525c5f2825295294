"""Reading and checking cases: NIfTI files written here, and broken on purpose."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from vitruvian.core.errors import DataError
from vitruvian.liver.labels import Labels
from vitruvian.liver.readers import (
    Case,
    check_case,
    find_cases,
    read_image,
    read_label,
    survey,
)

SHAPE = (12, 11, 10)
AFFINE = np.array([[-0.7, 0, 0, 170], [0, 0.7, 0, -180], [0, 0, 5, -360], [0, 0, 0, 1.0]])


def ct(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-3024, 1400, SHAPE).astype(np.int16)


def mask() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 3, SHAPE).astype(np.uint8)


def save(path: Path, voxels: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


def save_case(root: Path, number: int = 0, suffix: str = ".nii.gz") -> Case:
    image = save(root / f"volume-{number}{suffix}", ct(number))
    label = save(root / f"segmentation-{number}{suffix}", mask())
    return Case(str(number), (image,), (label,))


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_case_is_read_in_canonical_order(tmp_path: Path, suffix: str) -> None:
    case = save_case(tmp_path, 0, suffix)
    image = read_image(case)
    label = read_label(case, image.grid)
    ras = nib.as_closest_canonical(nib.load(case.images[0]))
    expected = np.maximum(np.asarray(ras.dataobj)[::-1, ::-1].transpose(2, 1, 0), -1024)
    np.testing.assert_array_equal(image.voxels, expected)
    np.testing.assert_array_equal(label.grid.native(label.voxels), mask())
    assert (image.voxels.dtype, label.voxels.dtype) == (np.int16, np.uint8)
    assert image.grid.spacing_mm == pytest.approx((5.0, 0.7, 0.7))
    np.testing.assert_allclose(image.grid.affine, AFFINE, rtol=1e-6)
    assert check_case(case, voxels=True) == []


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "i4", "f4", "f8", "u2"])
def test_image_types(tmp_path: Path, dtype: str) -> None:
    voxels = np.clip(ct(), 0 if dtype == "u2" else -3024, None).astype(dtype)
    image = nib.Nifti1Image(voxels, AFFINE)
    image.header.set_data_dtype(np.dtype(dtype))
    nib.save(image, tmp_path / "volume-0.nii.gz")
    found = read_image(Case("0", (tmp_path / "volume-0.nii.gz",)))
    expected = np.maximum(voxels.astype(np.int32), -1024)
    np.testing.assert_array_equal(found.grid.native(found.voxels), expected)


@pytest.mark.parametrize(("slope", "inter"), [(1.0, -1024.0), (2.0, 0.0), (0.5, -1000.0)])
def test_slope_and_intercept_are_applied(tmp_path: Path, slope: float, inter: float) -> None:
    stored = np.random.default_rng(2).integers(0, 2000, SHAPE).astype(np.int16)
    image = nib.Nifti1Image(stored, AFFINE)
    image.header.set_slope_inter(slope, inter)
    nib.save(image, tmp_path / "volume-0.nii")
    case = Case("0", (tmp_path / "volume-0.nii",))
    # nibabel resets the slope on saving integers: write it into the header's bytes
    content = bytearray(case.images[0].read_bytes())
    content[112:120] = struct.pack("<ff", slope, inter)
    case.images[0].write_bytes(content)
    found = read_image(case)
    expected = np.rint(np.asanyarray(nib.load(case.images[0]).dataobj)).astype(np.int16)
    assert expected.max() != stored.max()
    np.testing.assert_array_equal(found.grid.native(found.voxels), expected)


def test_large_volumes_are_joined_from_slabs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitruvian.liver.nifti._SLAB_VOXELS", 3 * SHAPE[0] * SHAPE[1])
    case = save_case(tmp_path)
    found = read_image(case)
    np.testing.assert_array_equal(found.grid.native(found.voxels), np.maximum(ct(), -1024))


def test_a_bad_voxel_is_named_in_any_slab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitruvian.liver.nifti._SLAB_VOXELS", 2 * SHAPE[0] * SHAPE[1])
    case = save_case(tmp_path)
    save(case.images[0], with_value(ct(), np.nan))
    with pytest.raises(DataError, match=r"\(1, 2, 3\)"):
        read_image(case)


def test_a_trailing_axis_of_length_one_is_dropped(tmp_path: Path) -> None:
    save(tmp_path / "volume-0.nii", ct()[..., None])
    assert read_image(Case("0", (tmp_path / "volume-0.nii",))).voxels.shape == SHAPE[::-1]


def test_gzip_joined_from_several_streams_is_whole(tmp_path: Path) -> None:
    case = save_case(tmp_path, suffix=".nii")
    content = case.images[0].read_bytes()
    joined = tmp_path / "volume-0.nii.gz"
    joined.write_bytes(gzip.compress(content[:400]) + gzip.compress(content[400:]))
    found = read_image(Case("0", (joined,)))
    np.testing.assert_array_equal(found.grid.native(found.voxels), np.maximum(ct(), -1024))


def test_a_mask_with_an_unfilled_header_is_matched_by_index(tmp_path: Path) -> None:
    case = save_case(tmp_path)
    save(case.masks[0], mask(), np.eye(4))
    (note,) = check_case(case)
    assert "segmentation-0.nii.gz" in note
    assert "matched by index" in note
    image = read_image(case)
    label = read_label(case, image.grid)
    np.testing.assert_array_equal(label.voxels, image.grid.canonical(mask()))


def test_an_identity_affine_is_a_note_not_an_error(tmp_path: Path) -> None:
    case = save_case(tmp_path)
    for path, voxels in ((case.images[0], ct()), (case.masks[0], mask())):
        save(path, voxels, np.eye(4))
    found = survey([case])
    assert found.good == (case,)
    assert ["volume-0.nii.gz" in note.text and "1 mm" in note.text for note in found.notes] == [
        True
    ]


@pytest.mark.parametrize(
    ("name", "change"),
    [("no orientation", {"codes": 0}), ("right angles", {"shear": 0.5})],
)
def test_doubtful_headers_are_noted(tmp_path: Path, name: str, change: dict[str, float]) -> None:
    affine = AFFINE.copy()
    affine[1, 2] = change.get("shear", 0.0)
    image = nib.Nifti1Image(ct(), affine)
    if "codes" in change:
        image.set_qform(AFFINE, 0)
        image.set_sform(AFFINE, 0)
    nib.save(image, tmp_path / "volume-0.nii")
    (note,) = check_case(Case("0", (tmp_path / "volume-0.nii",), labelled=False))
    assert name in note


# --- broken cases --------------------------------------------------------------------------------

Breaker = Callable[[Case], Any]


def cut(which: str, keep: float) -> Breaker:
    def breaks(case: Case) -> None:
        path = getattr(case, which)[0]
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])

    return breaks


def rewrite(which: str, voxels: np.ndarray, affine: np.ndarray = AFFINE) -> Breaker:
    return lambda case: save(getattr(case, which)[0], voxels, affine)


def with_value(voxels: np.ndarray, value: float) -> np.ndarray:
    changed = voxels.astype(np.float32)
    changed[1, 2, 3] = value
    return changed


def damage(case: Case) -> None:
    """Change stored bytes but not the length: only gzip's checksum can tell."""
    content = gzip.decompress(case.images[0].read_bytes())
    packed = bytearray(gzip.compress(content, compresslevel=0))
    packed[len(packed) // 2] ^= 0xFF
    case.images[0].write_bytes(packed)


def rgb(case: Case) -> None:
    colours = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, AFFINE), case.images[0])


def zero_spacing(case: Case) -> None:
    content = bytearray(gzip.decompress(case.images[0].read_bytes()))
    content[280:328] = struct.pack("<12f", *(AFFINE * [1, 1, 0, 1])[:3].ravel())  # srow_x, _y, _z
    case.images[0].write_bytes(gzip.compress(content))


def other_image_format(case: Case) -> None:
    mgh = nib.MGHImage(ct().astype(np.float32), AFFINE)
    mgh.to_filename(case.images[0].with_name("x.mgz"))
    case.images[0].with_name("x.mgz").rename(case.images[0])


shifted, thicker, flipped = AFFINE.copy(), AFFINE.copy(), AFFINE.copy()
shifted[0, 3] += 3.0
thicker[2, 2] = 2.5
flipped[1, 1] *= -1

HEADER_FAULTS = {
    "image empty": (lambda c: c.images[0].write_bytes(b""), "volume-0.nii.gz.*empty.*again"),
    "mask empty": (lambda c: c.masks[0].write_bytes(b""), "segmentation-0.nii.gz.*empty"),
    "image gone": (lambda c: c.images[0].unlink(), "volume-0.nii.gz: no such file"),
    "image cut": (cut("images", 0.5), "volume-0.nii.gz.*cut short.*again"),
    "mask cut": (cut("masks", 0.9), "segmentation-0.nii.gz.*cut short"),
    "cut in the header": (cut("images", 0.02), "volume-0.nii.gz: the file is cut short or damaged"),
    "not gzip": (lambda c: c.images[0].write_bytes(b"hello"), "is not compressed; remove .gz"),
    "not NIfTI": (
        lambda c: c.images[0].write_bytes(gzip.compress(b"hello" * 200)),
        "volume-0.nii.gz: not a NIfTI file",
    ),
    "another format": (other_image_format, "not a NIfTI file"),
    "2-D": (rewrite("images", ct()[:, :, 0]), "2-D, 12 x 11; one 3-D volume"),
    "4-D": (rewrite("images", np.stack([ct(), ct()], -1)), "4-D, 12 x 11 x 10 x 2"),
    "complex": (rewrite("images", ct().astype(np.complex64)), "complex numbers"),
    "colours": (rgb, r"colours \(RGB\)"),
    "zero spacing": (zero_spacing, "volume-0.nii.gz.*zero voxel size"),
    "other shape": (
        rewrite("masks", mask()[:, :, :3]),
        "mask has 12 x 11 x 3 .*image 12 x 11 x 10",
    ),
    "other spacing": (
        rewrite("masks", mask(), thicker),
        "spacing .* 2.5 x 0.7 x 0.7 mm, its image's 5 x 0.7 x 0.7 mm",
    ),
    "other place": (rewrite("masks", mask(), shifted), "3 mm away.*mask affine.*image affine"),
    "other direction": (rewrite("masks", mask(), flipped), "mm away"),
}

VOXEL_FAULTS = {
    "NaN in the image": (
        rewrite("images", with_value(ct(), np.nan)),
        r"volume-0.nii.gz.*NaN.*\(1, 2, 3\)",
    ),
    "infinite": (rewrite("images", with_value(ct(), np.inf)), "volume-0.nii.gz.*infinite"),
    "NaN in the mask": (rewrite("masks", with_value(mask(), np.nan)), "segmentation-0.*NaN"),
    "label 3": (rewrite("masks", mask() + 1), "segmentation-0.nii.gz: holds labels 3 besides"),
    "half labels": (rewrite("masks", mask() / np.float32(2)), "segmentation-0.*no whole numbers"),
    "wrong checksum": (damage, "volume-0.nii.gz.*cut short or damaged"),
}


@pytest.mark.parametrize("name", HEADER_FAULTS)
def test_faults_are_found_from_headers_alone(tmp_path: Path, name: str) -> None:
    breaks, message = HEADER_FAULTS[name]
    case = save_case(tmp_path)
    breaks(case)
    with pytest.raises(DataError, match=message) as caught:
        check_case(case)
    assert str(caught.value).startswith("case 0: ")


@pytest.mark.parametrize("name", VOXEL_FAULTS)
def test_faults_are_found_in_voxels(tmp_path: Path, name: str) -> None:
    breaks, message = VOXEL_FAULTS[name]
    case = save_case(tmp_path)
    breaks(case)
    check_case(case)
    with pytest.raises(DataError, match=message) as caught:
        check_case(case, voxels=True)
    assert str(caught.value).startswith("case 0: ")


def test_a_file_cut_short_uncompressed(tmp_path: Path) -> None:
    case = save_case(tmp_path, suffix=".nii")
    cut("images", 0.8)(case)
    with pytest.raises(DataError, match=r"volume-0.nii.*cut short: 2393 of 2992 bytes"):
        check_case(case)


@pytest.mark.parametrize(
    ("images", "masks", "message"),
    [
        (["volume-1.nii"], [], "volume-1.nii has no mask beside it; add the mask or remove"),
        ([], ["segmentation-1.nii"], "segmentation-1.nii has no image beside it; add the image"),
        (["volume-1.nii", "volume-1.nii.gz"], [], "2 images.*delete .*volume-1.nii if both"),
        (["a/volume-1.nii", "b/volume-1.nii"], [], "2 images.*keep one"),
    ],
)
def test_missing_and_double_partners(
    tmp_path: Path, images: list[str], masks: list[str], message: str
) -> None:
    case = Case(
        "1",
        tuple(save(tmp_path / name, ct()) for name in images),
        tuple(save(tmp_path / name, mask()) for name in masks),
    )
    with pytest.raises(DataError, match=f"case 1: .*{message}"):
        check_case(case)


# --- survey --------------------------------------------------------------------------------------


@pytest.fixture
def mixed(tmp_path: Path) -> list[Case]:
    cases = [save_case(tmp_path, number) for number in range(4)]
    cut("images", 0.5)(cases[1])
    rewrite("masks", mask()[:-1])(cases[2])
    return find_cases(tmp_path)


def test_all_bad_cases_are_in_one_error(mixed: list[Case]) -> None:
    with pytest.raises(DataError) as caught:
        survey(mixed).accept("raise")
    message = str(caught.value)
    assert message.startswith("2 of 4 cases cannot be used")
    assert "on_bad_case=skip" in message
    assert "case 1: " in message
    assert "case 2: " in message


def test_bad_cases_can_be_skipped(mixed: list[Case]) -> None:
    found = survey(mixed)
    assert [case.id for case in found.accept("skip")] == ["0", "3"]
    assert [problem.case_id for problem in found.problems] == ["1", "2"]


def test_nothing_left_is_an_error_even_when_skipping(mixed: list[Case]) -> None:
    with pytest.raises(DataError, match="no case can be used"):
        survey(mixed[1:3]).accept("skip")


def test_voxels_are_surveyed_on_request(tmp_path: Path) -> None:
    case = save_case(tmp_path)
    rewrite("masks", mask() + 1)(case)
    assert survey([case]).good == (case,)
    assert survey([case], voxels=True).good == ()
    assert survey([case], Labels([3], []), voxels=True).good == (case,)


def test_nifti_needs_no_pydicom(tmp_path: Path) -> None:
    save_case(tmp_path)
    program = (
        "import sys; sys.modules['pydicom'] = None; from pathlib import Path\n"
        "from vitruvian.liver.readers import find_cases, read_image, survey\n"
        f"cases = survey(find_cases(Path({str(tmp_path)!r})), voxels=True).accept()\n"
        "print(read_image(cases[0]).voxels.shape)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "(10, 11, 12)", done.stderr


# --- real data -----------------------------------------------------------------------------------


@pytest.mark.real_data
def test_lits_volume_0(real_data: Path) -> None:
    (case,) = find_cases(real_data / "ct_lits_volume0")
    assert check_case(case) == []
    image = read_image(case)
    label = read_label(case, image.grid)
    assert image.voxels.shape == label.voxels.shape == (75, 512, 512)
    assert image.grid.spacing_mm == pytest.approx((5.0, 0.703125, 0.703125))
    assert (image.voxels.min(), image.voxels.max()) == (-1024, 1410)
    assert np.bincount(label.voxels.ravel()).tolist() == [19108173, 552627]
    liver = label.voxels > 0
    assert image.voxels[liver].mean() == pytest.approx(120.6, abs=0.1)
    assert liver.sum() * image.grid.voxel_ml == pytest.approx(1366.05, abs=0.1)
    z, y, x = (float(n.mean()) for n in np.nonzero(liver))
    assert x < 256  # in LPS the patient's right, where the liver is, comes first
    assert nib.aff2axcodes(image.grid.affine) == ("L", "A", "S")
    table = np.argwhere(image.voxels[int(z)] > -300)[:, 0].max()
    assert table > y  # the table lies behind the patient


@pytest.mark.real_data
def test_totalsegmentator_example(real_data: Path) -> None:
    globs = {"image_glob": "example_ct_sm.nii.gz", "label_glob": "example_seg.nii.gz"}
    root = real_data / "ct_totalsegmentator_example"
    cases = find_cases(root, "pairs", **globs)
    with pytest.raises(DataError, match="besides 0, 1 and 2; set liver_labels"):
        survey(cases, voxels=True).accept()
    image = read_image(cases[0])
    liver = read_label(cases[0], image.grid, Labels([5], [])).voxels
    assert np.bincount(liver.ravel()).tolist() == [122 * 101 * 30 - 38634, 38634]
    assert 40 < image.voxels[liver == 1].mean() < 50
    (larger,) = find_cases(root, "pairs", **{**globs, "image_glob": "example_ct.nii.gz"})
    with pytest.raises(DataError, match="122 x 101 x 30 voxels, its image 122 x 101 x 112"):
        check_case(larger)
