"""Figures of an evaluation of the segmenter."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.muscle.segmentation.test_task import case, segmenter
from vitruvian.core.evaluation import merge
from vitruvian.core.gallery import Gallery
from vitruvian.muscle.segmentation.samples import MaskCase


def test_masks_and_dice_of_a_recording(tmp_path: Path) -> None:
    task, one = segmenter(), case(tmp_path)
    rows = merge([task.evaluate_case(one, "test")])
    gallery = Gallery(tmp_path / "figures", simulated=True)
    task.illustrate([one], rows, gallery)
    assert [figure.name for figure in gallery.figures] == ["mask_only", "dice_per_recording"]
    chart = json.loads((tmp_path / "figures" / gallery.figures[1].file).read_text())
    model = {
        r["recording"]: r["dice"] for r in chart["data"]["values"] if r["predictor"] == "model"
    }
    assert model == {row["case"]: row["dice"] for row in rows if row["predictor"] == "model"}


@pytest.mark.parametrize("dice", [math.nan, None])
def test_nothing_to_show_is_no_mistake(tmp_path: Path, dice: float | None) -> None:
    row = {"case": "P01_passive", "predictor": "model"} | ({} if dice is None else {"dice": dice})
    cases: list[MaskCase] = [case(tmp_path)]
    for rows in ([row], []):
        gallery = Gallery(tmp_path / "figures", simulated=True)
        segmenter().illustrate(cases, rows, gallery)
        assert not gallery.figures
