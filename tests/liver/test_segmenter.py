"""The liver task: what it learns from, what it reports, and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.liver.known import HIGH, LOW, Threshold, threshold_task
from vitruvian.core.errors import ConfigError
from vitruvian.core.store import Converter, Store
from vitruvian.liver.datamodule import LiverCase
from vitruvian.liver.inference import Inference
from vitruvian.liver.segmenter import HUWindow, LiverSegmenter

SPACING = (2.0, 1.0, 1.0)
BOX = np.s_[1:5, 4:12, 4:12]  # liver of the case below; 64 of 1600 pixels in a slice


@pytest.fixture
def case(tmp_path: Path) -> LiverCase:
    """Four slices of liver with a tumour, and a speck of the liver's HU far from it."""
    hu, label = np.full((6, 40, 40), -100, np.int16), np.zeros((6, 40, 40), np.uint8)
    hu[BOX], label[BOX] = LOW + 20, 1
    hu[2, 6:8, 6:8], label[2, 6:8, 6:8] = HIGH + 20, 2
    hu[5, 30:32, 30:32] = LOW + 20
    arrays = {"image": hu, "label": label, "areas": (label > 0).sum(axis=(1, 2))}
    source = tmp_path / "source"
    source.write_text("one")
    record = Store(tmp_path / "store").add(
        [source], Converter("test", 1), lambda: (arrays, {"spacing_mm": SPACING})
    )
    return LiverCase("7", record, SPACING)


def rows_of(task: LiverSegmenter, case: LiverCase, split: str = "test") -> dict[str, Any]:
    rows = task.evaluate_case(case, split)
    assert {row["case"] for row in rows} == {"7"}
    return {row["predictor"]: row for row in rows}


# --- window and target ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hu", "image"), [(-1024, 0.0), (-200, 0.0), (25, 0.5), (250, 1.0), (3000, 1.0), (-110, 0.2)]
)
@pytest.mark.parametrize("dtype", [torch.int16, torch.float32])
def test_the_window(hu: int, image: float, dtype: torch.dtype) -> None:
    given = torch.tensor([[hu]], dtype=dtype)
    shown = HUWindow(-200, 250)(given)
    torch.testing.assert_close(shown, torch.tensor([[image]]))
    assert given.item() == hu


def test_the_window_travels_in_the_checkpoint() -> None:
    trained = threshold_task(window=(-100.0, 300.0)).state_dict()
    assert trained["window.limits"].tolist() == [-100.0, 300.0]
    with pytest.raises(ConfigError, match=r"trained with \[-100.0, 300.0\], not \[0.0, 1.0\]"):
        threshold_task(window=(0.0, 1.0)).load_state_dict(trained)


class Loss(nn.Module):
    """Keeps what it is given."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        self.output, self.target = output, target
        return output.sum()


class Twice(nn.Module):
    """An augmentation that says what it was given."""

    def forward(self, image: Tensor, label: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
        self.seed = seed
        return image.flip(-1), label.flip(-1)


@pytest.mark.parametrize(("classes", "target"), [(2, [0, 1, 1, 0]), (3, [0, 1, 2, 0])])
@pytest.mark.parametrize("augment", [None, Twice()])
def test_a_training_loss(classes: int, target: list[int], augment: Twice | None) -> None:
    task = threshold_task(classes, loss=Loss(), augment=augment)
    batch = {
        "image": torch.tensor([-500, LOW, HIGH, 0], dtype=torch.int16).view(1, 1, 1, 4),
        "label": torch.tensor([0, 1, 2, 0], dtype=torch.uint8).view(1, 1, 4),
        "seed": torch.tensor([3]),
    }
    loss = task.training_loss(batch)
    wanted = target if augment is None else target[::-1]
    assert task.loss.target.tolist() == [[wanted]]
    assert task.loss.target.dtype == torch.int64
    assert task.loss.output.argmax(1).tolist() == [[wanted]]
    assert loss.item() == task.loss.output.sum().item()
    assert batch["label"].tolist() == [[[0, 1, 2, 0]]]
    if augment is not None:
        assert augment.seed.tolist() == [3]


# --- evaluation ----------------------------------------------------------------------------------


def test_logits_keep_any_size() -> None:
    hu = torch.randint(-300, 400, (2, 1, 21, 35), dtype=torch.int16)
    for classes in (2, 3):
        logits = threshold_task(classes).logits(hu)
        assert logits.shape == (2, classes, 21, 35)
        brightest = torch.where(hu >= LOW, 1, 0) + ((hu >= HIGH) & (classes == 3))
        assert torch.equal(logits.argmax(1, keepdim=True), brightest)


def test_the_fused_output_is_taken_of_several() -> None:
    class Several(Threshold):
        def forward(self, image: Tensor) -> Any:
            logits = super().forward(image)
            return logits, -logits

    task = threshold_task(net=Several())
    hu = torch.tensor([LOW, LOW - 1], dtype=torch.int16).view(1, 1, 1, 2)
    assert task.logits(hu).argmax(1).flatten().tolist() == [1, 0]


def test_a_validation_has_the_model_alone(case: LiverCase) -> None:
    rows = rows_of(threshold_task(), case, "val")
    assert rows.keys() == {"model"}
    true, speck = 4 * 64, 4
    assert rows["model"]["dice"] == pytest.approx(2 * true / (2 * true + speck))
    assert (rows["model"]["tp"], rows["model"]["fp"], rows["model"]["fn"]) == (true, speck, 0)
    assert "hd_mm" not in rows["model"]


def test_a_test_has_baselines_and_surfaces(case: LiverCase) -> None:
    task = threshold_task()
    task.threshold_hu = torch.tensor([LOW + 10.0, LOW + 30.0])  # the tumour is brighter
    rows = rows_of(task, case)
    assert list(rows) == ["model", "baseline: empty mask", "baseline: HU threshold"]
    # from the speck's far corner to the liver's: 1 slice of 2 mm, 20 pixels of 1 mm each way
    assert rows["model"]["hd_mm"] == pytest.approx(math.sqrt(2**2 + 20**2 + 20**2))
    assert rows["baseline: empty mask"]["dice"] == 0
    assert math.isnan(rows["baseline: empty mask"]["hd95_mm"])
    assert rows["baseline: empty mask"]["empty_prediction"] == 1
    threshold = rows["baseline: HU threshold"]
    assert (threshold["tp"], threshold["fp"], threshold["fn"]) == (4 * 64 - 4, 0, 4)
    for row in rows.values():
        assert {*LiverSegmenter.reported, "dice_small", "dice_superior"} <= row.keys()


def test_the_largest_component_is_shown_beside_all(case: LiverCase) -> None:
    rows = rows_of(threshold_task(inference=Inference(largest_component=True)), case)
    assert rows["model"]["dice"] == 1
    assert rows["model, all components"]["fp"] == 4
    assert list(rows)[:2] == ["model", "model, all components"]


def test_the_papers_slices_are_those_with_enough_liver(case: LiverCase) -> None:
    name = "model, slices with liver only (paper)"
    assert name not in rows_of(threshold_task(), case)
    row = rows_of(threshold_task(paper_slices=True), case)[name]
    assert row["dice"] == 1  # the speck lies on a slice without liver
    assert row["tp"] == 4 * 64


def test_the_papers_slices_may_be_none(case: LiverCase, monkeypatch: pytest.MonkeyPatch) -> None:
    small = np.zeros((6, 40, 40), np.uint8)
    small[2, :4, :5] = 1  # 1.25 % of the slice
    monkeypatch.setattr(LiverCase, "truth", lambda *_: small)
    rows = rows_of(threshold_task(paper_slices=True), case)
    assert set(rows) == {"model", "baseline: empty mask", "baseline: HU threshold"}


def test_tumours_are_a_class_of_their_own(case: LiverCase) -> None:
    task = threshold_task(3)
    (row,) = rows_of(task, case, "val").values()
    assert row["tumour_dice"] == 1
    assert row["dice"] == pytest.approx(512 / 516)  # liver with its tumour
    assert rows_of(task, case)["baseline: HU threshold"]["tumour_dice"] == 0
    assert "tumour_dice" not in rows_of(threshold_task(2), case, "val")["model"]


def test_the_headline() -> None:
    rows = [
        {"dice": 1.0, "tp": 10.0, "fp": 0.0, "fn": 0.0, "tumour_dice": 0.5},
        {"dice": 0.5, "tp": 100.0, "fp": 200.0, "fn": 0.0, "tumour_dice": 1.0},
    ]
    assert threshold_task().headline(rows) == {
        "liver_dice": 0.75,
        "liver_global_dice": pytest.approx(220 / 420),
    }
    assert threshold_task(3).headline(rows)["tumour_dice"] == 0.75
    for classes in (2, 3):
        tissues = threshold_task(classes)
        assert tuple(tissues.headline(rows)) == tissues.validated


# --- agreement with the data ---------------------------------------------------------------------


def data(**changes: Any) -> Any:
    return SimpleNamespace(**({"patch": (32, 32), "context": 1, "classes": 2} | changes))


def test_data_that_fit() -> None:
    threshold_task().fits(data())
    threshold_task(3, context=5).fits(data(context=5, classes=3))
    threshold_task(spatial_dims=3).fits(data(patch=(16, 32, 32)))


@pytest.mark.parametrize(
    ("model", "found", "message"),
    [
        ({}, {"patch": (16, 32, 32)}, r"datamodule.patch: .* 2-D patches such as \[256, 256\]"),
        ({"spatial_dims": 3}, {}, r"datamodule.patch: .* 3-D patches such as \[32, 256, 256\]"),
        ({}, {"patch": (32, 40)}, r"datamodule.patch: \[32, 40\] must be multiples of 16"),
        ({"context": 3}, {}, "datamodule.context: the model sees 3 slices, the data have 1"),
        ({"classes": 3}, {}, "datamodule.classes: the model tells 3 classes, the data 2"),
        (
            {"spatial_dims": 3, "context": 3},
            {"patch": (16, 16, 16), "context": 3},
            "datamodule.context: a 3-D net",
        ),
    ],
)
def test_data_that_do_not_fit(model: dict[str, Any], found: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        threshold_task(**model).fits(data(**found))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": (250.0, -200.0)}, "window must be"),
        ({"window": (0.0, 1.0, 2.0)}, "window must be"),
        ({"classes": 4}, "classes must be 2 or 3"),
        ({"context": 2}, "context must be an odd number"),
        ({"net": nn.Conv2d(1, 2, 1)}, "spatial_dims is needed: Conv2d does not say"),
        ({"net": nn.Conv2d(1, 2, 1), "spatial_dims": 2}, "divisor is needed"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        threshold_task(**arguments)


def test_the_threshold_is_fitted_by_the_datamodule_and_travels() -> None:
    task, other = threshold_task(), threshold_task()
    task.fit_statistics(SimpleNamespace(liver_hu_range=lambda: (81.5, 140.25)))
    other.load_state_dict(task.state_dict())
    assert other.threshold_hu.tolist() == [81.5, 140.25]
