"""The augmentation of the segmenter: images and bounds are scaled alike."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vitruvian.core.errors import ConfigError
from vitruvian.muscle.segmentation.zoom import Zoom

SEEDS = torch.arange(8)


def muscles(height: int = 64, width: int = 80) -> tuple[Tensor, Tensor]:
    """White muscles between the rows 20 and 40, in the columns from 10 on; black around."""
    bounds = torch.tensor([20, 40], dtype=torch.int16)[:, None].repeat(8, 1, width).view(8, 2, -1)
    bounds[:, :, :10] = 0
    images = torch.zeros(8, 1, height, width)
    images[:, :, 20:40, 10:] = 1
    return images, bounds


def drawn(bounds: Tensor, height: int) -> Tensor:
    rows = torch.arange(height)[:, None]
    return ((rows >= bounds[:, None, :1]) & (rows < bounds[:, None, 1:])).float()


@pytest.mark.parametrize(("depth", "width"), [(0.5, 0.0), (0.0, 0.5), (0.4, 0.3)])
def test_bounds_follow_the_image(depth: float, width: float) -> None:
    images, bounds = Zoom(depth, width)(*muscles(), SEEDS)
    truth = drawn(bounds, 64)
    agreed = (images > 0.5).float()
    assert ((agreed != truth).float().mean(dim=(1, 2, 3)) < 0.02).all()
    assert len({tuple(b.flatten().tolist()) for b in bounds}) > 4  # each item its own


def test_views_become_deeper_and_shallower_within_the_range() -> None:
    _, bounds = Zoom(0.5, 0.0)(*muscles(), SEEDS)
    first = bounds[:, 0, 40]
    assert 20 / 1.5 - 1 <= first.min() < 18
    assert 22 < first.max() <= 20 * 1.5 + 1


def test_without_a_range_nothing_changes() -> None:
    images, bounds = muscles()
    zoomed, same = Zoom(0.0, 0.0)(images, bounds, SEEDS)
    torch.testing.assert_close(zoomed, images)
    torch.testing.assert_close(same, bounds)


def test_a_muscle_that_leaves_the_view_has_no_bounds() -> None:
    bounds = torch.tensor([[[60], [63]]], dtype=torch.int16).expand(8, 2, 16)
    _, moved = Zoom(1.0, 0.0)(torch.zeros(8, 1, 64, 16), bounds, SEEDS)
    left = (moved == 0).all(dim=1)
    assert left.any()
    assert not left.all()
    assert moved.max() <= 64


def test_an_item_does_not_depend_on_its_batch() -> None:
    images, bounds = muscles()
    whole = Zoom()(images, bounds, SEEDS)
    alone = Zoom()(images[3:4], bounds[3:4], SEEDS[3:4])
    torch.testing.assert_close(whole[0][3:4], alone[0])
    torch.testing.assert_close(whole[1][3:4], alone[1])


def test_what_follows_is_called_with_seeds_of_its_own() -> None:
    class Invert(nn.Module):
        def forward(self, images: Tensor, bounds: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
            self.seeds = seeds
            return 1 - images, bounds

    then = Invert()
    images, bounds = muscles()
    zoomed, _ = Zoom(0.0, 0.0, then)(images, bounds, SEEDS)
    torch.testing.assert_close(zoomed, 1 - images)
    assert not set(then.seeds.tolist()) & set(SEEDS.tolist())


@pytest.mark.parametrize("options", [{"depth": -0.1}, {"width": float("nan")}])
def test_impossible_ranges_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=rf"^augment.{next(iter(options))}: must be from 0 to 10"):
        Zoom(**options)
