"""Masks of new images and recordings."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.muscle.segmentation.calves import calf
from tests.muscle.segmentation.cohort import write_cohort
from tests.muscle.segmentation.test_task import segmenter
from vitruvian.core.errors import DataError
from vitruvian.core.task import SIMULATED_KEY

PROVENANCE = {"checkpoint": "a.ckpt", SIMULATED_KEY: True}


def image(folder: Path, name: str, top: int = 24) -> Path:
    picture, _ = calf(top, top + 40)
    picture[top + 46 :] = 255
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / name), picture)
    return folder / name


def test_a_folder_of_images_gives_a_mask_and_its_origin_for_each(tmp_path: Path) -> None:
    image(tmp_path / "in", "a.png")
    image(tmp_path / "in", "b.tif", top=30)
    (tmp_path / "in" / "notes.txt").write_text("left alone")
    out = tmp_path / "out"
    written = list(segmenter().predict_path(tmp_path / "in", out, PROVENANCE))
    names = ["a_mask_simulated.png", "a_mask_simulated.json", "b_mask_simulated.png"]
    assert [path.relative_to(out).as_posix() for path in written[:3]] == names
    mask = cv2.imread(str(written[2]), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (96, 120)
    assert np.unique(mask).tolist() == [0, 255]
    assert np.abs(np.flatnonzero(mask[:, 60])[[0, -1]] - [30, 69]).max() <= 1
    outline = json.loads(written[1].read_text())
    assert (outline["input"], outline["frames"], outline["found"]) == ("a", 1, 1)
    assert outline["checkpoint"] == "a.ckpt"


def test_where_nothing_was_found_the_mask_is_black(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "white.png"), np.full((96, 120), 255, np.uint8))
    mask, outline = segmenter().predict_path(tmp_path / "white.png", tmp_path / "out", {})
    assert mask.name == "white_mask.png"  # not trained on simulated people
    assert not cv2.imread(str(mask)).any()
    assert json.loads(outline.read_text())["found"] == 0


def test_recordings_give_a_mask_for_each_frame(tmp_path: Path) -> None:
    root = write_cohort(tmp_path / "root", ["P01", "P02"])
    out = tmp_path / "out"
    written = list(segmenter().predict_path(root, out, {}))
    assert len(written) == 2 * 5
    assert written[3] == out / "P01_passive_mask" / "00003.png"
    outline = json.loads(written[4].read_text())
    assert (outline["frames"], outline["input_simulated"]) == (4, True)


@pytest.mark.parametrize(
    ("name", "message"),
    [("absent", r"^input=.*absent: no such file"), ("a.txt", r"^input=.*a.txt: neither an image")],
)
def test_what_cannot_be_segmented_is_named(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(DataError, match=message):
        list(segmenter().predict_path(tmp_path / name, tmp_path / "out", {}))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"recording.yaml"):
        list(segmenter().predict_path(tmp_path, tmp_path / "out", {}))
