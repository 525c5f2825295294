"""The classic U-Net: its known size, its stages and how far it sees."""

from __future__ import annotations

import pytest
import torch

from vitruvian.liver.nets import UNet2D


@pytest.mark.parametrize(
    ("kwargs", "count"),
    [
        ({}, 31_036_546),
        ({"in_channels": 3}, 31_037_698),
        ({"width": 32}, 7_762_498),
        ({"width": 16}, 1_942_306),
        ({"upsampling": "bilinear"}, 28_947_586),
    ],
)
def test_parameter_counts(kwargs: dict[str, object], count: int) -> None:
    with torch.device("meta"):
        net = UNet2D(**kwargs)
    assert sum(parameter.numel() for parameter in net.parameters()) == count


def test_stages_are_figure_1() -> None:
    with torch.device("meta"):
        trunk = UNet2D().trunk
        decoded = trunk(torch.empty(1, 1, 256, 256))
    encoder = [stage[0][0].out_channels for stage in trunk.encoder]
    assert encoder == [64, 128, 256, 512, 1024]
    assert [tuple(feature.shape[1:]) for feature in decoded] == [
        (64, 256, 256),
        (128, 128, 128),
        (256, 64, 64),
        (512, 32, 32),
    ]
