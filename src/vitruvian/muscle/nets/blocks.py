"""The convolution blocks that several nets share, and how they begin."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def conv_blocks(channels: int, filters: Sequence[int], norm: bool) -> nn.Sequential:
    """One block of [3x3 convolution, ReLU, 2x2 max-pool] for each of `filters`.

    Args:
        channels: of the images.
        filters: maps of each block; each block halves height and width, rounding down.
        norm: normalise each batch after each convolution, which then needs no bias.
    """
    layers: list[nn.Module] = []
    for source, target in pairwise([channels, *filters]):
        layers.append(nn.Conv2d(source, target, 3, padding=1, bias=not norm))
        layers += [nn.BatchNorm2d(target)] if norm else []
        layers += [nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    blocks = nn.Sequential(*layers)
    begin_for_relu(blocks)
    return blocks


def begin_for_relu(module: nn.Module) -> None:
    """Draw the convolutions' weights so that ReLU layers keep the variance (He et al. 2015).

    With torch's own beginning each layer of convolution and ReLU lets about a sixth of the
    variance through: after five of them, all images would look the same to the dense layers.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
