"""Augmentation: the same for all frames of an item, and a function of the item's seed alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vitruvian.core.errors import ConfigError
from vitruvian.muscle.augment import MuscleAugment

OFF: dict[str, Any] = {
    "gain": 0.0,
    "contrast": 0.0,
    "gamma": 0.0,
    "depth_gain": 0.0,
    "noise": 0.0,
    "shift_px": 0.0,
    "flip": 0.0,
    "bounds_px": 0.0,
}
SEEDS = torch.arange(12) * 7919 + 3


def crops(n: int = 12, frames: int = 2) -> tuple[Tensor, Tensor]:
    """Speckle in [0.2, 0.6], a muscle from row 5 to row 15, none in the last three columns."""
    draws = torch.Generator().manual_seed(0)
    images = 0.2 + 0.4 * torch.rand(n, frames, 20, 30, generator=draws)
    bounds = torch.tensor([5, 15], dtype=torch.int16)[None, :, None].repeat(n, 1, 30)
    bounds[..., 27:] = 0
    return images, bounds


def augmented(images: Tensor, bounds: Tensor, **kwargs: float) -> tuple[Tensor, Tensor]:
    return MuscleAugment(**{**OFF, **kwargs})(images, bounds, SEEDS[: len(images)])


def test_switched_off_it_changes_nothing() -> None:
    images, bounds = crops()
    same, edges = augmented(images, bounds)
    torch.testing.assert_close(same, images)
    assert torch.equal(edges, bounds)


def test_each_item_is_its_own_seed_in_any_batch() -> None:
    augment = MuscleAugment(flip=0.5)
    images, bounds = crops()
    whole = augment(images, bounds, SEEDS)
    order = torch.tensor([7, 2, 11, 0])
    part = augment(images[order], bounds[order], SEEDS[order])
    torch.testing.assert_close(whole[0][order], part[0], atol=1e-6, rtol=0)
    assert torch.equal(whole[1][order], part[1])
    again = augment(images, bounds, SEEDS)
    assert torch.equal(again[0], whole[0])
    assert not torch.equal(augment(images, bounds, SEEDS + 1)[0], whole[0])


@pytest.mark.parametrize("dtype", [torch.int16, torch.int64, torch.float32])
def test_types_and_ranges_are_kept(dtype: torch.dtype) -> None:
    images, bounds = crops()
    kwargs = {"gain": 0.9, "contrast": 0.9, "gamma": 1.0, "depth_gain": 0.9, "noise": 0.5}
    changed, edges = augmented(images, bounds.to(dtype), **kwargs, shift_px=9, bounds_px=9)
    assert changed.dtype == torch.float32
    assert changed.shape == images.shape
    assert (edges.dtype, edges.shape) == (dtype, bounds.shape)
    assert 0 <= float(changed.min()) < float(changed.max()) <= 1
    assert 0 <= float(edges.min()) < float(edges.max()) <= 20


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_frames_that_are_the_same_stay_the_same(frames: int) -> None:
    """Whatever is no noise must not look like motion."""
    images, bounds = crops(frames=1)
    changed, _ = MuscleAugment(noise=0.0, flip=0.5)(images.repeat(1, frames, 1, 1), bounds, SEEDS)
    torch.testing.assert_close(changed, changed[:, :1].expand_as(changed), atol=1e-6, rtol=0)
    assert not torch.allclose(changed[:, :1], images)


def test_noise_is_of_each_frame_alone() -> None:
    images, bounds = crops()
    noise = augmented(images, bounds, noise=0.05)[0] - images
    assert float(noise.std()) == pytest.approx(0.05, rel=0.03)
    assert float(noise.mean()) == pytest.approx(0, abs=0.002)
    together = torch.corrcoef(noise.transpose(0, 1).flatten(1))[0, 1]
    assert abs(float(together)) < 0.05


def test_gain_multiplies() -> None:
    images, bounds = crops()
    factor = augmented(images, bounds, gain=0.2)[0] / images
    torch.testing.assert_close(factor, factor[:, :1, :1, :1].expand_as(factor))
    assert 0.8 <= float(factor.min()) < 0.9
    assert 1.1 < float(factor.max()) <= 1.2


def test_contrast_keeps_the_mean() -> None:
    images, bounds = crops()
    changed = augmented(images, bounds, contrast=0.3)[0]
    torch.testing.assert_close(changed.mean((1, 2, 3)), images.mean((1, 2, 3)))
    factor = changed.std((1, 2, 3)) / images.std((1, 2, 3))
    assert 0.7 <= float(factor.min()) < 0.9
    assert 1.1 < float(factor.max()) <= 1.3


def test_gamma_raises_to_a_power() -> None:
    images, bounds = crops()
    power = augmented(images, bounds, gamma=0.5)[0].log() / images.log()
    torch.testing.assert_close(power, power[:, :1, :1, :1].expand_as(power), rtol=1e-4, atol=0)
    assert -0.5 <= float(power.log().min()) < -0.1
    assert 0.1 < float(power.log().max()) <= 0.5


def test_depth_gain_runs_from_one_sign_to_the_other() -> None:
    images, bounds = crops()
    factor = (augmented(images, bounds, depth_gain=0.2)[0] / images)[:, 0, :, 0] - 1
    torch.testing.assert_close(factor, -factor.flip(1), atol=1e-5, rtol=0)
    steps = factor.diff(dim=1)
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), atol=1e-5, rtol=0)
    assert 0.1 < float(factor.abs().max()) <= 0.2


def test_shifts_move_image_and_muscle_together() -> None:
    """A mark tells by how much; what comes in from outside is black, and no muscle."""
    images, bounds = crops()
    images[:, :, 5, 10] = 1.0
    changed, edges = augmented(images, bounds, shift_px=4)
    marks = (changed[:, 0] == 1).nonzero()
    assert marks[:, 0].tolist() == list(range(12))
    for item, row, column in marks.tolist():
        down, right = row - 5, column - 10
        expected = F.pad(images[item], (right, -right, down, -down))
        assert torch.equal(changed[item], expected)
        moved = torch.where(bounds[item] > 0, bounds[item] + down, 0)
        assert torch.equal(edges[item], F.pad(moved, (right, -right)))
    assert len(marks[:, 1].unique()) > 3
    assert len(marks[:, 2].unique()) > 3
    assert int((marks[:, 1:] - torch.tensor([5, 10])).abs().max()) <= 4


def test_flips_swap_left_and_right() -> None:
    images, bounds = crops()
    changed, edges = augmented(images, bounds, flip=1.0)
    torch.testing.assert_close(changed, images.flip(3))
    assert torch.equal(edges, bounds.flip(2))
    some, _ = augmented(images, bounds, flip=0.5)
    flipped = [torch.allclose(a, b.flip(2)) for a, b in zip(some, images, strict=True)]
    assert 1 < sum(flipped) < 11


def test_misjudged_edges_are_straight_and_of_one_muscle() -> None:
    images, bounds = crops()
    same, edges = augmented(images, bounds.float(), bounds_px=3.0)
    torch.testing.assert_close(same, images)
    assert not edges[..., 27:].any(), "no muscle appears where there is none"
    error = (edges - bounds)[..., :27]
    steps = error.diff(dim=2)
    torch.testing.assert_close(steps, steps[..., :1].expand_as(steps), atol=1e-4, rtol=0)
    assert 2 < float(error.abs().max()) <= 3
    assert abs(float(torch.corrcoef(error[:, :, 0].T)[0, 1])) < 0.9, "edges err each by itself"


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"gain": 1.0}, r"^gain: must be in \[0, 1\), not 1.0"),
        ({"contrast": -0.1}, r"^contrast: must be in"),
        ({"depth_gain": 2}, r"^depth_gain: must be in"),
        ({"gamma": 1.5}, r"^gamma: must be from 0 to 1"),
        ({"noise": -1}, r"^noise: must be from 0 to 1"),
        ({"flip": 1.1}, r"^flip: must be from 0 to 1"),
        ({"shift_px": -1}, r"^shift_px: must be at least 0"),
        ({"bounds_px": float("nan")}, r"^bounds_px: must be at least 0"),
    ],
)
def test_what_it_refuses(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MuscleAugment(**kwargs)
