"""V-Net: size, the receptive field of the paper's Table 1, gradients of every variant."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vitruvian.liver.nets import VNet3D
from vitruvian.liver.nets.vnet3d import ENCODER_CONVS


@pytest.mark.parametrize(
    ("kwargs", "count"),
    [({}, 65_178_770), ({"kernel_size": 3}, 14_700_146), ({"width": 4}, 4_076_006)],
)
def test_parameter_counts(kwargs: dict[str, int], count: int) -> None:
    with torch.device("meta"):
        net = VNet3D(**kwargs)
    assert sum(parameter.numel() for parameter in net.parameters()) == count


def test_encoder_sees_as_far_as_milletaris() -> None:
    field, reach = 1, []
    for level, convs in enumerate(ENCODER_CONVS):
        field += (2**level // 2) + convs * 4 * 2**level  # a 2x2x2 down-sampling, then 5x5x5 ones
        reach.append(field)
    assert reach == [5, 22, 72, 172, 372]


@pytest.mark.parametrize("normalization", ["batch", "instance", "none"])
def test_every_parameter_learns(normalization: Any) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = VNet3D(width=2, kernel_size=3, normalization=normalization)
    noise = torch.randn(2, 1, 16, 32, 32, generator=torch.Generator().manual_seed(0))
    net(noise).square().sum().backward()
    without = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []
