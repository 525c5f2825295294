"""Predicting scans: masks on the scan's own voxels, volumes in mL, and nothing of the header."""

from __future__ import annotations

import errno
import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np
import pytest

from tests.liver.known import HIGH, LOW, expected_mask, threshold_task
from tests.liver.test_dicom import ct_slice, positions, series
from vitruvian.core.errors import DataError, RunError
from vitruvian.liver.dicom import open_series
from vitruvian.liver.inference import Inference
from vitruvian.liver.predict import find_scans, predict_path

SHAPE = (7, 6, 5)
SPACING = (0.7, 0.9, 2.5)
FLIPS = list(itertools.product((1, -1), repeat=3))
ORDERS = list(itertools.permutations(range(3)))
SECRET = "Mustermann"


def ct(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-3024, 400, shape).astype(np.int16)


def affine_of(order: tuple[int, ...] = (0, 1, 2), flips: tuple[int, ...] = (1, 1, 1)) -> np.ndarray:
    """An affine whose file axis i lies along the patient's axis order[i]."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (along, sign) in enumerate(zip(order, flips, strict=True)):
        affine[along, axis] = sign * SPACING[axis]
    affine[:3, 3] = (-31.5, 12.25, 400.0)
    return affine


def save(path: Path, voxels: np.ndarray | None = None, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = ct() if voxels is None else voxels
    nib.save(nib.Nifti1Image(voxels, affine_of() if affine is None else affine), path)
    return path


def predict(source: Path, target: Path, classes: int = 2, **provenance: Any) -> list[Path]:
    return list(predict_path(threshold_task(classes), source, target, provenance))


def voxels_of(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


# --- the mask lies where its scan lies -----------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_every_orientation(tmp_path: Path, order: tuple[int, ...]) -> None:
    for number, flips in enumerate(FLIPS):
        save(tmp_path / "scans" / f"{number}.nii", ct(seed=number), affine_of(order, flips))
    predict(tmp_path / "scans", tmp_path / "masks")
    for number, flips in enumerate(FLIPS):
        mask = nib.load(tmp_path / "masks" / f"{number}_liver.nii.gz")
        scan = nib.load(tmp_path / "scans" / f"{number}.nii")
        np.testing.assert_array_equal(np.asarray(mask.dataobj), expected_mask(ct(seed=number)))
        np.testing.assert_array_equal(mask.affine, scan.affine)
        assert nib.aff2axcodes(mask.affine) == nib.aff2axcodes(affine_of(order, flips))
        assert (mask.shape, mask.get_data_dtype()) == (SHAPE, np.uint8)


OBLIQUE = affine_of() @ nib.affines.from_matvec(nib.eulerangles.euler2mat(0.3, -0.2, 0.1))


def with_qform_only(image: nib.Nifti1Image) -> None:
    image.set_qform(OBLIQUE, code=2)
    image.set_sform(None, code=0)


def with_two_minds(image: nib.Nifti1Image) -> None:
    image.set_qform(OBLIQUE, code=1)
    image.set_sform(affine_of(), code=4)


def with_no_orientation(image: nib.Nifti1Image) -> None:
    image.set_qform(None, code=0)
    image.set_sform(None, code=0)


@pytest.mark.parametrize("change", [with_qform_only, with_two_minds, with_no_orientation])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_both_transforms_of_the_header_are_kept(tmp_path: Path, change: Any, kind: Any) -> None:
    """A viewer that reads the other of the two must find mask and scan together as well."""
    image = kind(ct(), OBLIQUE)
    change(image)
    nib.save(image, tmp_path / "scan.nii.gz")
    (mask, *_) = predict(tmp_path / "scan.nii.gz", tmp_path / "masks")
    scan, found = nib.load(tmp_path / "scan.nii.gz"), nib.load(mask)
    for transform in ("get_sform", "get_qform"):
        ours, our_code = getattr(found, transform)(coded=True)
        theirs, code = getattr(scan, transform)(coded=True)
        assert our_code == code
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(found.dataobj), expected_mask(ct()))


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<f4", "<i4"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_types_and_compression(tmp_path: Path, dtype: str, ending: str) -> None:
    image = nib.Nifti1Image(ct().astype(dtype), affine_of())
    image.header.set_data_dtype(np.dtype(dtype))
    nib.save(image, tmp_path / f"scan{ending}")
    written = predict(tmp_path / f"scan{ending}", tmp_path / "masks")
    names = [path.name for path in written]
    assert names == ["scan_liver.nii.gz", "scan_liver.json", "scan_liver.png"]
    np.testing.assert_array_equal(voxels_of(written[0]), expected_mask(ct()))


def test_a_dicom_series(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    slices = [
        ct_slice(place, pixels=rng.integers(900, 1300, (6, 7)).astype(np.int16))
        for place in positions()
    ]
    case = series(tmp_path / "scan", slices)
    written = predict(tmp_path / "scan", tmp_path / "masks")
    known, mask = open_series(case.images), nib.load(written[0])
    assert written[0].name == "scan_liver.nii.gz"
    np.testing.assert_array_equal(np.asarray(mask.dataobj), expected_mask(known.read_hu()))
    np.testing.assert_allclose(mask.affine, known.grid.affine, atol=1e-5)
    assert mask.get_sform(coded=True)[1] == mask.get_qform(coded=True)[1] == 1
    assert 0 < np.asarray(mask.dataobj).mean() < 1


# --- the volume ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("classes", "liver", "tumour"), [(2, 5, None), (3, 5, 2)])
def test_volumes_are_counted_in_ml(
    tmp_path: Path, classes: int, liver: int, tumour: int | None
) -> None:
    hu = np.full((40, 40, 40), -50, np.int16)
    hu[3, 4, 5:8], hu[3, 5, 5:7] = LOW, HIGH
    source = save(tmp_path / "scan.nii.gz", hu, np.diag([2.0, 4.0, 5.0, 1.0]))
    (_, report, _) = predict(source, tmp_path / "masks", classes)
    found = json.loads(report.read_text())
    assert found["liver_ml"] == pytest.approx(liver * 0.04)  # 2 x 4 x 5 mm are 0.04 mL
    assert found.get("tumour_ml") == (None if tumour is None else pytest.approx(tumour * 0.04))
    assert found["empty"] is False
    assert found["shape_ijk"] == [40, 40, 40]
    assert found["spacing_mm_zyx"] == [5.0, 4.0, 2.0]
    assert (found["input"], found["input_files"]) == ("scan.nii.gz", 1)


def test_no_liver_is_said(tmp_path: Path) -> None:
    source = save(tmp_path / "scan.nii.gz", np.full(SHAPE, -1000, np.int16))
    mask, report, picture = predict(source, tmp_path / "masks")
    found = json.loads(report.read_text())
    assert (found["liver_ml"], found["empty"]) == (0.0, True)
    assert not voxels_of(mask).any()
    assert cv2.imread(str(picture)).shape[2] == 3


def test_one_liver_is_kept_if_asked(tmp_path: Path) -> None:
    hu = np.full((6, 6, 6), -50, np.int16)
    hu[0, 0, 0], hu[3:5, 3, 3] = LOW, LOW
    source = save(tmp_path / "scan.nii", hu)
    task = threshold_task(inference=Inference(largest_component=True))
    mask = next(predict_path(task, source, tmp_path / "masks", {}))
    assert np.argwhere(voxels_of(mask)).tolist() == [[3, 3, 3], [4, 3, 3]]


@pytest.mark.parametrize("simulated", [True, False, None])
def test_a_model_of_simulated_data_is_called_so(tmp_path: Path, simulated: bool | None) -> None:
    source = save(tmp_path / "scan.nii")
    mask, report, picture = predict(source, tmp_path, trained_on_simulated=simulated, run="here")
    assert mask.name == f"scan_liver{'_simulated' if simulated else ''}.nii.gz"
    found = json.loads(report.read_text())
    assert (found["trained_on_simulated"], found["run"]) == (simulated, "here")
    assert found["input_simulated"] is False
    text = bytes(nib.load(mask).header["descrip"])
    assert (b"SIMULATED" in text) == bool(simulated)
    plain = predict(source, tmp_path / "plain")[2]
    assert (cv2.imread(str(picture)).shape == cv2.imread(str(plain)).shape) != bool(simulated)


def test_a_simulated_scan_is_called_so(tmp_path: Path) -> None:
    source = save(tmp_path / "cohort" / "sub" / "volume-0.nii")
    (tmp_path / "cohort" / "SIMULATED.json").write_text("{}")
    report = predict(source, tmp_path / "masks")[1]
    assert json.loads(report.read_text())["input_simulated"] is True


# --- privacy -------------------------------------------------------------------------------------


def contents(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def assert_says_nothing(written: list[Path]) -> None:
    assert len(written) == 3
    for path in written:
        assert SECRET.lower().encode() not in contents(path).lower(), path.name
        assert path.read_bytes().lower().find(SECRET.lower().encode()) < 0


def test_nifti_free_text_stays_behind(tmp_path: Path) -> None:
    image = nib.Nifti1Image(ct(), affine_of())
    for field in ("descrip", "aux_file", "intent_name", "db_name"):
        image.header[field] = SECRET.encode()
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", SECRET.encode()))
    nib.save(image, tmp_path / "scan.nii.gz")
    assert SECRET.encode() in contents(tmp_path / "scan.nii.gz")
    assert_says_nothing(predict(tmp_path / "scan.nii.gz", tmp_path / "masks"))


def test_dicom_names_stay_behind(tmp_path: Path) -> None:
    tags = ("PatientName", "PatientID", "StudyDescription", "SeriesDescription")
    told = dict.fromkeys(tags, SECRET)
    series(tmp_path / "scan", [ct_slice(place, **told) for place in positions()])
    assert_says_nothing(predict(tmp_path / "scan", tmp_path / "masks"))


# --- folders -------------------------------------------------------------------------------------


def test_equal_names_in_sub_folders(tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    for number, folder in enumerate(("a", "b", "a/c")):
        save(scans / folder / "ct.nii.gz", ct(seed=number))
    save(scans / "a" / "ct.nii", ct(seed=3))
    predict(scans, tmp_path / "masks")
    found = {
        path.relative_to(tmp_path / "masks").as_posix(): voxels_of(path)
        for path in (tmp_path / "masks").rglob("*.nii.gz")
    }
    # two compressions of one name in one folder are numbered
    assert found.keys() == {f"{s}_liver.nii.gz" for s in ("a/ct", "a/ct-2", "b/ct", "a/c/ct")}
    np.testing.assert_array_equal(found["b/ct_liver.nii.gz"], expected_mask(ct(seed=1)))
    np.testing.assert_array_equal(found["a/c/ct_liver.nii.gz"], expected_mask(ct(seed=2)))
    pair = {found[f"a/{name}_liver.nii.gz"].tobytes() for name in ("ct", "ct-2")}
    assert pair == {expected_mask(ct(seed=seed)).tobytes() for seed in (0, 3)}


def test_lits_volumes_without_their_masks(tmp_path: Path) -> None:
    for number in (2, 10):
        save(tmp_path / "scans" / f"volume-{number}.nii")
        save(tmp_path / "scans" / f"segmentation-{number}.nii")
    written = predict(tmp_path / "scans", tmp_path / "masks")
    assert [path.name for path in written[::3]] == [
        "volume-2_liver.nii.gz",
        "volume-10_liver.nii.gz",
    ]


def test_bad_scans_are_told_and_the_others_predicted(tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    for name in "abcd":
        save(scans / f"{name}.nii")
    (scans / "b.nii").write_bytes((scans / "b.nii").read_bytes()[:500])
    save(scans / "c.nii", np.full(SHAPE, np.nan, np.float32))
    with pytest.raises(DataError) as caught:
        predict(scans, tmp_path / "masks")
    first, *others = str(caught.value).splitlines()
    assert first == "2 of 4 scans cannot be predicted; 2 are done:"
    assert [("b.nii" in line, "c.nii" in line) for line in others] == [(True, False), (False, True)]
    names = {path.name for path in (tmp_path / "masks").iterdir()}
    assert names == {f"{n}_liver{end}" for n in "ad" for end in (".nii.gz", ".json", ".png")}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "nothing.nii", "no such file or folder"),
        (lambda folder: folder, "no cases found"),
        (lambda folder: save(folder / "scan.nii").rename(folder / "scan.txt"), "a single file"),
        (
            lambda folder: save(folder / "x.nii").rename(folder / "x.nii.gz"),
            "^case x: .* remove .gz",
        ),
    ],
)
def test_nothing_to_predict(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        predict(make(tmp_path), tmp_path / "masks")


def test_earlier_results_are_no_scans(tmp_path: Path) -> None:
    source = save(tmp_path / "scan.nii")
    first = [path.read_bytes() for path in predict(tmp_path, tmp_path)[::2]]
    written = predict(tmp_path, tmp_path)
    assert [path.read_bytes() for path in written[::2]] == first  # equal masks, equal files
    assert sorted(tmp_path.iterdir()) == sorted([source, *written])
    source.unlink()
    with pytest.raises(DataError, match="masks predicted earlier, and no scan"):
        predict(tmp_path, tmp_path)


def test_a_scan_named_like_a_result_is_a_scan(tmp_path: Path) -> None:
    save(tmp_path / "my_liver.nii.gz")
    assert list(find_scans(tmp_path)) == ["my_liver"]


def test_a_result_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = save(tmp_path / "scan.nii"), tmp_path / "masks"
    before = {path: path.read_bytes() for path in predict(source, target)}
    save(tmp_path / "scan.nii", ct(seed=9))

    def full_disk(image: Any, files: Any) -> None:
        files["image"].fileobj.write(b"half a mask")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(nib.Nifti1Image, "to_file_map", full_disk)
    with pytest.raises(RunError, match="the disk is full"):
        predict(source, target)
    assert {path: path.read_bytes() for path in target.iterdir()} == before
    monkeypatch.undo()
    mask = predict(source, target)[0]
    np.testing.assert_array_equal(voxels_of(mask), expected_mask(ct(seed=9)))
