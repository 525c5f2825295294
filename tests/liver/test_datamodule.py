"""The liver's data: found, checked, converted once, split by patient."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.splits import Splits
from vitruvian.liver import datamodule as module
from vitruvian.liver.cohort import SimulatedCohort
from vitruvian.liver.datamodule import LiverCT
from vitruvian.liver.readers import Case, Labels
from vitruvian.liver.slices import SliceCrops, VolumeCrops

SHAPE = (20, 18, 6)  # (i, j, k)
AFFINE = np.diag([-0.7, 0.8, 5.0, 1.0])
COHORT = SimulatedCohort(cases=2, size=32, slices=(8, 9))


def hu(number: int = 0) -> np.ndarray:
    return np.random.default_rng(number).integers(-100, 200, SHAPE).astype(np.int16)


def label(liver: int = 1, tumour: int = 2) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[4:12, 4:12, 1:5] = liver
    mask[6:8, 6:8, 2] = tumour
    return mask


def save(path: Path, voxels: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


def save_case(root: Path, number: int) -> None:
    save(root / f"volume-{number}.nii", hu(number))
    save(root / f"segmentation-{number}.nii", label())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three LiTS cases."""
    for number in (0, 2, 10):
        save_case(tmp_path / "scans", number)
    return tmp_path / "scans"


def prepared(root: Path | None, **changes: Any) -> LiverCT:
    cache = changes.pop("cache_dir", None)
    if cache is None:
        assert root is not None
        cache = root.parent / "cache"
    data = LiverCT(COHORT, cache, root=root, **changes)
    data.prepare()
    return data


def split(data: LiverCT, train: tuple[str, ...]) -> LiverCT:
    others = tuple(s for s in data.subjects if s not in train)
    data.use(Splits(train=train, val=others[:1], test=others[1:], kind="by hand"))
    return data


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the cases that are converted, in order."""
    done: list[str] = []
    convert = module.convert

    def counted(case: Case, labels: Labels) -> Any:
        done.append(case.id)
        return convert(case, labels)

    monkeypatch.setattr(module, "convert", counted)
    return done


# --- cases ---------------------------------------------------------------------------------------


def test_a_case_is_what_its_files_hold(root: Path) -> None:
    (case, *_) = prepared(root).cases(["2"])
    canonical = hu(2)[:, ::-1].transpose(2, 1, 0)  # the file's axes are L, A, S
    np.testing.assert_array_equal(case.voxels(), canonical)
    np.testing.assert_array_equal(case.scan().read(1, 4), canonical[1:4])
    assert case.scan().shape == canonical.shape
    assert case.spacing_mm == pytest.approx((5.0, 0.8, 0.7))
    truth = label()[:, ::-1].transpose(2, 1, 0)
    np.testing.assert_array_equal(case.truth(3), truth)
    np.testing.assert_array_equal(case.truth(2), truth > 0)
    assert case.record.read("areas").tolist() == [0, 64, 64, 64, 64, 0]


def test_subjects_are_patients_in_natural_order(root: Path) -> None:
    data = prepared(root)
    assert data.subjects == ["0", "2", "10"]
    assert data.simulated is False


def test_other_labels_than_lits(tmp_path: Path) -> None:
    save(tmp_path / "scans" / "p1_ct.nii", hu())
    save(tmp_path / "scans" / "p1_seg.nii", label(liver=5, tumour=7))
    named = {"layout": "pairs", "image_glob": "*_ct.nii", "label_glob": "*_seg.nii"}
    data = prepared(tmp_path / "scans", **named, liver_labels=[5], tumour_labels=[])
    (case,) = data.cases(["p1"])
    assert np.bincount(case.truth(3).ravel()).tolist() == [2160 - 252, 252]
    other = prepared(tmp_path / "scans", **named, liver_labels=[5, 7], tumour_labels=[7])
    assert np.bincount(other.cases(["p1"])[0].truth(3).ravel()).tolist() == [2160 - 256, 252, 4]


# --- conversion ----------------------------------------------------------------------------------


def test_cases_are_converted_once(root: Path, conversions: list[str]) -> None:
    prepared(root)
    prepared(root, batch_size=2, patch=(16, 16))
    assert sorted(conversions) == ["0", "10", "2"]


def test_added_cases_alone_are_converted(root: Path, conversions: list[str]) -> None:
    prepared(root)
    conversions.clear()
    save_case(root, 7)
    assert prepared(root).subjects == ["0", "2", "7", "10"]
    assert conversions == ["7"]


def test_moved_cases_are_not_converted_again(root: Path, conversions: list[str]) -> None:
    before = prepared(root)
    conversions.clear()
    moved = root.rename(root.parent / "elsewhere")
    after = prepared(moved)
    assert (after.subjects, conversions) == (before.subjects, [])


def test_other_labels_are_another_conversion(root: Path, conversions: list[str]) -> None:
    prepared(root)
    conversions.clear()
    data = prepared(root, liver_labels=[2], tumour_labels=[])
    assert len(conversions) == 3
    assert data.cases(["0"])[0].truth(2).sum() == 4


# --- bad cases -----------------------------------------------------------------------------------


def spoil_headers(root: Path) -> None:
    """Case 2 loses its mask, case 10's mask has another shape."""
    (root / "segmentation-2.nii").unlink()
    save(root / "segmentation-10.nii", label()[:-1])


def spoil_voxels(root: Path) -> None:
    """Sound headers, but NaN in one image and a strange number in one mask."""
    save(root / "volume-2.nii", np.full(SHAPE, np.nan, np.float32))
    save(root / "segmentation-10.nii", label(liver=9))


@pytest.mark.parametrize("spoil", [spoil_headers, spoil_voxels])
def test_all_bad_cases_are_listed(root: Path, spoil: Any) -> None:
    spoil(root)
    with pytest.raises(DataError) as caught:
        prepared(root)
    first, *others = str(caught.value).splitlines()
    assert first.startswith("2 of 3 cases cannot be used; mend them")
    assert "on_bad_case=skip" in first
    assert [line.split(":")[0].strip() for line in others] == ["case 2", "case 10"]


@pytest.mark.parametrize("spoil", [spoil_headers, spoil_voxels])
def test_bad_cases_are_skipped_aloud(
    root: Path, spoil: Any, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(root)
    with caplog.at_level(logging.INFO):
        data = prepared(root, on_bad_case="skip")
    assert data.subjects == ["0"]
    assert [("case 2:" in text, "case 10:" in text) for text in caplog.messages] == [
        (True, False),
        (False, True),
    ]


def test_faults_of_headers_are_told_before_anything_is_converted(
    root: Path, conversions: list[str]
) -> None:
    spoil_headers(root)
    with pytest.raises(DataError):
        prepared(root)
    assert conversions == []


def test_a_bad_case_that_was_mended_is_taken(root: Path, conversions: list[str]) -> None:
    spoil_voxels(root)
    prepared(root, on_bad_case="skip")
    conversions.clear()
    save_case(root, 2)
    assert prepared(root, on_bad_case="skip").subjects == ["0", "2"]
    assert sorted(conversions) == ["10", "2"]


@pytest.mark.parametrize("mode", ["raise", "skip"])
def test_no_good_case_is_an_error(root: Path, mode: Any) -> None:
    for path in root.glob("segmentation-*"):
        path.unlink()
    with pytest.raises(DataError, match="no case can be used"):
        prepared(root, on_bad_case=mode)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patch": (32,)}, "datamodule.patch"),
        ({"foreground": 2.0}, "datamodule.foreground: a share from 0 to 1, not 2.0"),
        ({"min_liver_fraction": -0.1}, "datamodule.min_liver_fraction: a share"),
        ({"classes": 3, "tumour_labels": []}, "datamodule.tumour_labels"),
        ({"liver_labels": [1], "tumour_labels": [2]}, "not among liver_labels"),
    ],
)
def test_errors(tmp_path: Path, arguments: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LiverCT(COHORT, tmp_path, **arguments)


# --- simulated data ------------------------------------------------------------------------------


def test_simulated_scans_without_a_root(tmp_path: Path) -> None:
    data = prepared(None, cache_dir=tmp_path)
    assert (data.subjects, data.simulated) == (["0", "1"], True)


@pytest.mark.parametrize("way", ["root", "parent", "moved", "link", "among real ones"])
def test_simulated_scans_are_known_wherever_they_are(tmp_path: Path, root: Path, way: str) -> None:
    cohort = COHORT.write(tmp_path / "simulated")
    if way == "parent":
        cohort = cohort.parent
    elif way == "moved":
        cohort = cohort.rename(tmp_path / "mine")
    elif way == "link":
        (tmp_path / "links").mkdir()
        for name in ("volume-1.nii", "segmentation-1.nii.gz"):
            (tmp_path / "links" / name).symlink_to(cohort / name)
        cohort = tmp_path / "links"
    elif way == "among real ones":
        for number in (0, 2, 10):
            (root / f"volume-{number}.nii").rename(root / f"volume-{number + 50}.nii")
            (root / f"segmentation-{number}.nii").rename(root / f"segmentation-{number + 50}.nii")
        shutil.move(cohort, root / "sub")
        cohort = root
    assert prepared(cohort, cache_dir=tmp_path / "cache").simulated is True


# --- training ------------------------------------------------------------------------------------


def test_the_threshold_is_fitted_on_training_patients_only(root: Path) -> None:
    for number, mean in ((0, 100), (2, 120), (10, 3000)):
        save(root / f"volume-{number}.nii", np.full(SHAPE, mean, np.int16))
    data = split(prepared(root), train=("0", "2"))
    assert data.liver_hu_range() == pytest.approx((110 - 20, 110 + 20))  # mean -+ 2 SD
    assert split(data, train=("10",)).liver_hu_range() == (3000, 3000)


@pytest.mark.parametrize(
    ("patch", "kind", "shapes"),
    [
        ((16, 8), SliceCrops, ((2, 3, 16, 8), (2, 16, 8))),
        ((4, 16, 8), VolumeCrops, ((2, 1, 4, 16, 8), (2, 4, 16, 8))),
    ],
)
def test_training_batches(root: Path, patch: Any, kind: type, shapes: Any) -> None:
    data = prepared(root, patch=patch, context=3, batch_size=2, samples_per_epoch=6, seed=4)
    split(data, train=("0", "10"))
    batches = data.train_batches()
    assert batches.batches_per_epoch == 3
    found = list(batches)
    assert len(found) == 3
    for batch in found:
        assert (tuple(batch["image"].shape), tuple(batch["label"].shape)) == shapes
        assert (batch["label"] > 0).flatten(1).any(1).sum() >= 1  # half of them hold liver
    crops = data._crops([case.record for case in data.cases(["0", "10"])])
    assert isinstance(crops, kind)
    assert len(crops.records) == 2


def test_parts_are_whole_cases(root: Path) -> None:
    data = split(prepared(root), train=("2",))
    assert [case.case for case in data.val_dataloader()] == ["0"]
    assert [case.case for case in data.test_dataloader()] == ["10"]
    data.evaluated = "all"
    assert [case.case for case in data.test_dataloader()] == ["0", "2", "10"]
