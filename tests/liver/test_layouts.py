"""Which cases a folder of NIfTI files holds (DICOM folders: test_dicom.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.liver.layouts import Case, find_cases


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


@pytest.mark.parametrize(
    ("names", "options", "expected"),
    [
        pytest.param(
            ["volume-10.nii", "segmentation-2.nii", "a/volume-2.nii.gz",
             "b/segmentation-10.nii.gz"],
            {},
            {"2": ("a/volume-2.nii.gz", "segmentation-2.nii"),
             "10": ("volume-10.nii", "b/segmentation-10.nii.gz")},
            id="lits, mixed compression and folders, natural order",
        ),
        pytest.param(
            ["volume-0.nii", "segmentation-0.nii", "segmentation-0_cropped.nii", "._volume-0.nii",
             ".cache/volume-7.nii", "__MACOSX/volume-8.nii", "notes.txt"],
            {},
            {"0": ("volume-0.nii", "segmentation-0.nii")},
            id="lits, bystanders",
        ),
        pytest.param(
            ["volume-0.nii", "segmentation-1.nii"],
            {},
            {"0": ("volume-0.nii", None), "1": (None, "segmentation-1.nii")},
            id="lits, missing partners are listed for the survey",
        ),
        pytest.param(
            ["volume-0.nii", "segmentation-0.nii"],
            {"labelled": False},
            {"0": ("volume-0.nii", None)},
            id="lits, masks not wanted",
        ),
        pytest.param(
            ["Task03/imagesTr/liver_12.nii.gz", "Task03/imagesTr/._liver_12.nii.gz",
             "Task03/labelsTr/liver_12.nii.gz", "Task03/imagesTs/liver_140.nii.gz"],
            {},
            {"12": ("Task03/imagesTr/liver_12.nii.gz", "Task03/labelsTr/liver_12.nii.gz")},
            id="msd",
        ),
        pytest.param(
            ["s01/ct.nii.gz", "s01/segmentations/liver.nii.gz", "s02/ct.nii.gz"],
            {"layout": "pairs", "image_glob": "*/ct.nii.gz",
             "label_glob": "*/segmentations/liver.nii.gz"},
            {"s01": ("s01/ct.nii.gz", "s01/segmentations/liver.nii.gz"),
             "s02": ("s02/ct.nii.gz", None)},
            id="pairs",
        ),
        pytest.param(
            ["my scan.nii", "other.nii.gz", "._other.nii.gz"],
            {"labelled": False},
            {"my scan": ("my scan.nii", None), "other": ("other.nii.gz", None)},
            id="any files to predict on",
        ),
    ],
)  # fmt: skip
def test_find_cases(tmp_path: Path, names: list[str], options: Any, expected: Any) -> None:
    cases = find_cases(touch(tmp_path, *names), **options)
    found = {
        case.id: tuple(
            paths[0].relative_to(tmp_path).as_posix() if paths else None
            for paths in (case.images, case.masks)
        )
        for case in cases
    }
    assert found == expected
    assert list(found) == list(expected)


def test_globs_without_star_name_one_case_after_the_folder(tmp_path: Path) -> None:
    touch(tmp_path / "scan", "ct.nii.gz", "seg.nii.gz")
    (case,) = find_cases(
        tmp_path / "scan", "pairs", image_glob="ct.nii.gz", label_glob="seg.nii.gz"
    )
    assert (case.id, case.label) == ("scan", tmp_path / "scan" / "seg.nii.gz")


def test_a_single_file_is_a_case_without_label(tmp_path: Path) -> None:
    touch(tmp_path, "volume-3.nii.gz")
    (case,) = find_cases(tmp_path / "volume-3.nii.gz", labelled=False)
    assert case == Case("volume-3", (tmp_path / "volume-3.nii.gz",), labelled=False)
    with pytest.raises(DataError, match="single file"):
        find_cases(tmp_path / "volume-3.nii.gz")


def test_linked_folders_are_searched_and_loops_end(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "volume-1.nii", "segmentation-1.nii")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path / "root")
    (case,) = find_cases(tmp_path / "root")
    assert (len(case.images), len(case.masks)) == (1, 1)


@pytest.mark.parametrize(
    ("names", "options", "error", "message"),
    [
        ([], {}, DataError, "no cases found .*nothing.*volume-N"),
        (["a.png"], {}, DataError, "it holds a.png"),
        (["ct.nii"], {}, DataError, "layout=pairs with image_glob"),
        (["segmentation-1.nii"], {}, DataError, "no cases found"),
        (["volume-1.nii"], {"layout": "msd"}, DataError, "no case of layout msd"),
        (["volume-1.nii", "imagesTr/liver_1.nii"], {}, DataError, "lits and msd; choose one"),
        (["volume-1.nii"], {"layout": "dicom"}, DataError, "no CT series"),
        ([], {"layout": "lists"}, ConfigError, "'lists' is unknown; choose one of auto, lits"),
        ([], {"layout": "pairs"}, ConfigError, "belong to layout=pairs"),
        ([], {"image_glob": "*.nii"}, ConfigError, "belong to layout=pairs"),
        (
            ["a.nii"],
            {"layout": "pairs", "image_glob": "*/*.nii", "label_glob": "*/*.nii"},
            ConfigError,
            r"image_glob='\*/\*.nii': one \* at most",
        ),
        (
            ["a.nii"],
            {"layout": "pairs", "image_glob": "*.nii", "label_glob": "seg.nii"},
            ConfigError,
            "both have one",
        ),
        (
            ["a.nii"],
            {"layout": "pairs", "image_glob": "*.nii"},
            ConfigError,
            "give label_glob",
        ),
        (["a.nii"], {"layout": "files"}, ConfigError, "masks are needed"),
    ],
)
def test_folders_without_sense_are_refused(
    tmp_path: Path, names: list[str], options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        find_cases(touch(tmp_path, *names), **options)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder"):
        find_cases(tmp_path / "nowhere")
