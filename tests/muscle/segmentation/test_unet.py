"""The U-Net of the region: shapes, what it does not care about, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from vitruvian.core.errors import ConfigError
from vitruvian.muscle.segmentation.unet import MuscleUNet


@pytest.mark.parametrize(
    ("options", "size", "divisor"),
    [({}, (128, 160), 16), ({"width": 2, "depth": 1}, (4, 8), 4), ({"depth": 2}, (24, 8), 8)],
)
def test_logits_have_the_shape_of_the_images(
    options: dict[str, int], size: tuple[int, int], divisor: int
) -> None:
    net = MuscleUNet(**options)
    assert net.divisor == divisor
    assert net(torch.rand(2, 1, *size)).shape == (2, 1, *size)


def test_it_is_small() -> None:
    assert 100_000 < sum(p.numel() for p in MuscleUNet().parameters()) < 300_000


def test_brightness_and_contrast_of_the_scanner_do_not_matter() -> None:
    net = MuscleUNet(width=4, depth=2).eval()
    image = torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(net(image), net(0.4 * image + 0.3), rtol=0.02, atol=0.02)


def test_a_black_image_is_finite() -> None:
    assert MuscleUNet(width=2, depth=1).eval()(torch.zeros(1, 1, 8, 8)).isfinite().all()


def test_every_weight_learns() -> None:
    net = MuscleUNet(width=2, depth=2)
    net(torch.rand(2, 1, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [({"width": 0}, "^width: must be an integer"), ({"depth": 0}, "^depth: must be an integer")],
)
def test_impossible_sizes_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MuscleUNet(**options)
