"""The segmenter: what it trains on, how it is judged, and what it is compared with."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.muscle.segmentation.calves import calf, recorded
from tests.muscle.segmentation.test_samples import record
from vitruvian.core.errors import ConfigError
from vitruvian.muscle.recording import Image, Mask
from vitruvian.muscle.roi.finders import WholeImage
from vitruvian.muscle.segmentation.samples import MaskCase
from vitruvian.muscle.segmentation.task import MuscleSegmenter, judged
from vitruvian.muscle.segmentation.unet import MuscleUNet

SIZE = (48, 60)


class Dark(nn.Module):
    """Says muscle where the image is dark and lies below row 8."""

    divisor = 2

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, image: Tensor) -> Tensor:
        low = torch.arange(image.shape[2])[:, None] >= 8
        return self.scale * torch.where((image < 0.4) & low, 5.0, -5.0)


def segmenter(net: nn.Module | None = None, **options: Any) -> MuscleSegmenter:
    settings: dict[str, Any] = {
        "loss": nn.BCEWithLogitsLoss(),
        "size": SIZE,
        "classical": WholeImage(),
    } | options
    return MuscleSegmenter(
        net=net or Dark(),
        optimizer=partial(torch.optim.SGD, lr=0.1),
        **settings,
    )


def case(folder: Path, mm_per_pixel: tuple[float, float] | None = (1.0, 0.8)) -> MaskCase:
    recording = recorded()
    return MaskCase(recording.name, "P01", record(folder, recording), mm_per_pixel, True)


class Recorder(nn.Module):
    """A loss that keeps what it was given."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        self.output, self.target = output, target
        return (output * 0).sum()


class Mirror(nn.Module):
    """An augmentation that says what it was given."""

    def forward(self, image: Tensor, bounds: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
        self.range, self.seed = (image.min().item(), image.max().item()), seed
        return image.flip(-1), bounds.flip(-1)


@pytest.mark.parametrize("augment", [None, Mirror()])
def test_the_truth_is_drawn_from_the_bounds(augment: Mirror | None) -> None:
    task = segmenter(loss=Recorder(), augment=augment, size=(4, 2))
    batch = {
        "image": torch.tensor([[0, 255]] * 4, dtype=torch.uint8).view(1, 1, 4, 2),
        "bounds": torch.tensor([[[1, 0], [3, 0]]], dtype=torch.int16),
        "seed": torch.tensor([7]),
    }
    task.training_loss(batch)
    truth = torch.tensor([[0.0, 0], [1, 0], [1, 0], [0, 0]])
    torch.testing.assert_close(task.loss.target[0, 0], truth if augment is None else truth.flip(-1))
    if augment is not None:
        assert augment.range == (0.0, 1.0)
        assert augment.seed.tolist() == [7]


def test_a_frame_of_any_size_gives_a_mask_of_its_size() -> None:
    image, truth = calf()
    image[70:] = 255  # nothing else is dark
    found = segmenter().find(image)
    assert found is not None
    assert found.shape == image.shape
    assert (found != truth).sum() / truth.sum() < 0.04  # a row at either border


def test_an_image_without_muscle_is_said_to_have_none() -> None:
    assert segmenter().find(np.full((96, 120), 255, np.uint8)) is None


def test_validation_judges_the_model_alone(tmp_path: Path) -> None:
    (row,) = segmenter().evaluate_case(case(tmp_path), "val")
    assert (row["case"], row["participant"], row["predictor"]) == ("P01_passive", "P01", "model")


def test_the_test_has_the_baselines_beside_the_model(tmp_path: Path) -> None:
    task = segmenter()
    task.fit_statistics(SimpleNamespace(mean_mask=lambda: np.full(SIZE, 0.4, np.float32)))
    rows = {row["predictor"]: row for row in task.evaluate_case(case(tmp_path), "test")}
    assert list(rows) == ["model", "baseline: mean mask", "baseline: classical"]
    assert rows["baseline: mean mask"]["dice"] == 0  # nowhere have most people muscle
    whole = rows["baseline: classical"]  # 20 of 48 rows are muscle, and all is taken
    assert whole["dice"] == pytest.approx(40 / 68)
    assert whole["found"] == 1
    # rows 12 to 31 in the first of four frames, a row lower in each
    assert (whole["upper_mm"], whole["lower_mm"]) == pytest.approx((13.5, 14.5))


def test_without_a_scale_there_are_no_millimetres_and_no_classical_finder(tmp_path: Path) -> None:
    rows = segmenter().evaluate_case(case(tmp_path, None), "test")
    assert [row["predictor"] for row in rows] == ["model", "baseline: mean mask"]
    assert np.isnan(rows[0]["upper_mm"])


def test_frames_without_a_finding_count_as_nothing_found(tmp_path: Path) -> None:
    done = case(tmp_path)
    truths = iter(done.truths())

    def every_other(image: Image) -> Mask | None:
        truth = next(truths)
        every_other.calls += 1
        return truth if every_other.calls % 2 else None

    every_other.calls = 0
    assert judged(done, every_other) == {"dice": 0.5, "upper_mm": 0, "lower_mm": 0, "found": 0.5}


EMPTY, FULL = np.zeros((2, 3), np.bool_), np.ones((2, 3), np.bool_)


@pytest.mark.parametrize(
    ("truths", "found", "dice"),
    [
        ([FULL, EMPTY], [FULL, None], 1.0),  # right in both: a frame without muscle takes nothing
        ([FULL, EMPTY], [None, None], 0.0),
        ([FULL, EMPTY], [FULL, FULL], 0.5),  # found where there is none
        ([EMPTY], [None], np.nan),
    ],
)
def test_frames_without_muscle_count_only_where_some_was_found(
    truths: list[Mask], found: list[Mask | None], dice: float
) -> None:
    frames = [np.zeros((2, 3), np.uint8)] * len(truths)
    done = SimpleNamespace(images=lambda: frames, truths=lambda: truths, mm_per_pixel=(1.0, 1.0))
    answers = iter(found)
    judgement = judged(done, lambda image: next(answers))
    assert judgement["dice"] == pytest.approx(dice, nan_ok=True)
    assert judgement["found"] == sum(mask is not None for mask in found) / len(found)


def test_the_classical_baseline_sees_each_frame_by_itself(tmp_path: Path) -> None:
    class Tiring(WholeImage):
        """Finds the muscle in the first frame of whatever it follows, and in no other."""

        def follow(self, mm_per_pixel: tuple[float, float], given: Mask | None) -> Any:
            masks = iter([np.ones(SIZE, np.bool_)])
            return lambda image: next(masks, None)

    rows = segmenter(classical=Tiring()).evaluate_case(case(tmp_path), "test")
    assert rows[-1]["predictor"] == "baseline: classical"
    assert rows[-1]["found"] == 1


@pytest.mark.parametrize(
    ("dices", "mean"), [([0.5, 1.0], 0.75), ([0.5, np.nan], 0.5), ([np.nan], np.nan)]
)
def test_the_headline_is_the_mean_of_the_recordings(dices: list[float], mean: float) -> None:
    task = segmenter()
    headline = task.headline([{"dice": dice} for dice in dices])
    assert tuple(headline) == task.validated
    assert headline == {"roi_dice": pytest.approx(mean, nan_ok=True)}


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((48,), r"^size: must be \(height, width\), not \[48\]"),
        ((0, 16), r"^size: must be \(height, width\)"),
        ((48, 60), r"^size: \[48, 60\] must be multiples of 16"),
    ],
)
def test_sizes_that_the_net_cannot_read_are_refused(size: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        segmenter(MuscleUNet(width=1), size=size)


def test_data_of_another_size_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^datamodule.size: \[64, 64\] but the model reads"):
        segmenter().fits(SimpleNamespace(size=(64, 64)))


def test_the_mean_mask_travels_in_the_checkpoint() -> None:
    task = segmenter()
    task.fit_statistics(SimpleNamespace(mean_mask=lambda: np.ones(SIZE, np.float32)))
    other = segmenter()
    other.load_state_dict(task.state_dict())
    assert other.mean_mask.min() == 1


def test_it_learns_where_the_muscle_is() -> None:
    torch.manual_seed(0)
    image, mask = calf(12, 32, SIZE)
    task = segmenter(MuscleUNet(width=4, depth=1))
    batch = {
        "image": torch.from_numpy(np.stack([image, image[::-1].copy()]))[:, None],
        "bounds": torch.tensor([[12, 32], [16, 36]], dtype=torch.int16)[:, :, None].expand(
            2, 2, 60
        ),
        "seed": torch.zeros(2, dtype=torch.int64),
    }
    optimizer = torch.optim.Adam(task.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        task.training_loss(batch).backward()
        optimizer.step()
    found = task.find(image)
    assert found is not None
    assert (found == mask).mean() > 0.95
