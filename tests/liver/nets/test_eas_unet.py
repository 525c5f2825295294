"""EAS U-Net: the ablation grid, what its outputs are, and the paper's claim on parameters."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vitruvian.liver.nets import EASUNet, UNet2D
from vitruvian.liver.nets.blocks import EAS

OFF = {"separable": False, "eas": False, "fusion": False}
GRID = [
    dict(zip(("separable", "eas", "fusion"), cell, strict=True))
    for cell in product((False, True), repeat=3)
]


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def seeded(**kwargs: Any) -> EASUNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return EASUNet(**kwargs)


@pytest.mark.parametrize(
    ("kwargs", "count"),
    [
        (OFF, 31_036_546),
        ({**OFF, "fusion": True}, 31_038_362),
        ({**OFF, "eas": True}, 33_696_135),
        ({"separable": False}, 33_697_951),
        ({**OFF, "separable": True}, 5_999_821),
        ({"eas": False}, 6_001_637),
        ({"fusion": False}, 8_659_410),
        ({}, 8_661_226),
        ({"eas_placement": "stage4"}, 6_676_074),
        ({"eas_placement": "every_stage"}, 9_567_400),
        ({"eas_separable": False}, 14_918_890),
        ({"width": 16}, 563_288),
        ({"stem": "plain"}, 8_661_226 - (9 + 2 + 64) + 9 * 64),  # 9 weights become 9 x 64
    ],
)
def test_parameter_counts(kwargs: dict[str, Any], count: int) -> None:
    with torch.device("meta"):
        assert parameters(EASUNet(**kwargs)) == count


def test_the_paper_claim_of_fewer_parameters_holds() -> None:
    with torch.device("meta"):
        assert parameters(EASUNet()) < 0.3 * parameters(UNet2D())


@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
def test_all_off_is_the_plain_unet(upsampling: Any) -> None:
    plain = UNet2D(width=4, depth=3, upsampling=upsampling).eval()
    off = EASUNet(width=4, depth=3, upsampling=upsampling, **OFF).eval()
    off.load_state_dict(plain.state_dict(), strict=True)
    x = noise(2, 1, 16, 24)
    assert parameters(off) == parameters(plain)
    assert torch.equal(off(x), plain(x))


VARIANTS: list[dict[str, Any]] = [
    *GRID,
    {"eas_rates": [1, 2, 4]},
    {"eas_placement": "stage4"},
    {"eas_placement": "every_stage"},
    *({"eas_eca": position} for position in ("concat", "output", "every_branch", "none")),
    {"eca_kernel": 3},
    {"stem": "plain"},
    {"eas_separable": False},
    {"fusion_mode": "add"},
    {"deep_supervision": False},
    {"depthwise_activation": "relu", "pointwise_activation": "leaky_relu"},
    {"upsampling": "bilinear"},
]


@pytest.mark.parametrize("kwargs", VARIANTS, ids=str)
def test_every_parameter_learns(kwargs: dict[str, Any]) -> None:
    # Three channels: behind a depthwise convolution of one, the next normalisation cancels a scale.
    net = seeded(in_channels=3, width=8, depth=2, eas_dropout=0.0, **kwargs)
    outputs = net(noise(2, 3, 16, 16))
    fused = outputs if isinstance(outputs, Tensor) else outputs[0]
    fused.square().sum().backward()
    without = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("kwargs", VARIANTS, ids=str)
def test_outputs(kwargs: dict[str, Any]) -> None:
    net = seeded(width=4, depth=2, num_classes=3, **kwargs)
    x = noise(2, 1, 8, 12)
    trained = net(x)
    supervised = kwargs.get("fusion", True) and kwargs.get("deep_supervision", True)
    assert isinstance(trained, tuple) == supervised
    sides = trained if isinstance(trained, tuple) else (trained,)
    assert [tuple(side.shape) for side in sides] == [(2, 3, 8, 12)] * (3 if supervised else 1)
    evaluated = net.eval()(x)
    assert isinstance(evaluated, Tensor)
    assert evaluated.shape == (2, 3, 8, 12)


@pytest.mark.parametrize("mode", ["concat", "add"])
def test_fusion_merges_the_sides(mode: Any) -> None:
    net = seeded(width=4, depth=2, fusion_mode=mode)
    fused, *sides = net(noise(2, 1, 8, 8))
    merged = torch.cat(sides, dim=1) if mode == "concat" else sides[0] + sides[1]
    torch.testing.assert_close(net.head.fuse(merged), fused)


@pytest.mark.parametrize(
    ("placement", "levels"),
    [("bottleneck", [3]), ("stage4", [2]), ("every_stage", [0, 1, 2, 3])],
)
def test_placement(placement: Any, levels: list[int]) -> None:
    net = EASUNet(width=4, depth=3, eas_placement=placement)
    contexts = net.trunk.contexts
    assert [i for i, context in enumerate(contexts) if isinstance(context, EAS)] == levels
