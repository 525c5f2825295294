"""A U-Net small enough to find the muscle within a few milliseconds on one core."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitruvian.muscle.nets.blocks import begin_for_relu
from vitruvian.muscle.nets.checks import require_counts

FOLD = 2  # pixels along each axis that are packed into channels before the first convolution


class MuscleUNet(nn.Module):
    """A grey image in, the logits of the muscle out.

    Squares of 2x2 pixels are packed into channels first and unpacked last: no pixel is lost, and
    all convolutions work on a quarter of the image. Paper 001 names its segmentation only as
    "previously developed by our group" and never released it (docs/muscle.md).

    Brightness and contrast are taken out of each image before the net sees it, as no two scanners
    agree on them.

    Args:
        width: channels of the finest stage; each halving doubles them.
        depth: number of halvings after the packing.

    Raises:
        ConfigError: an argument is no integer of at least 1.
    """

    divisor: int  # height and width of the images must be multiples of it
    epsilon: ClassVar[float] = 1e-3  # keeps a black image finite

    def __init__(self, width: int = 8, depth: int = 3) -> None:
        super().__init__()
        require_counts(width=width, depth=depth)
        channels = [width * 2**level for level in range(depth + 1)]
        self.divisor = FOLD * 2**depth
        self.encoder = nn.ModuleList(_stage(i, o) for i, o in pairwise([FOLD**2, *channels]))
        self.up = nn.ModuleList(nn.Conv2d(2 * c, c, 1, bias=False) for c in channels[:-1])
        self.decoder = nn.ModuleList(_stage(2 * c, c) for c in channels[:-1])
        self.head = nn.Conv2d(width, FOLD**2, 1)
        begin_for_relu(self)

    def forward(self, image: Tensor) -> Tensor:
        """Map images (n, 1, h, w) to logits of the same shape; h and w multiples of `divisor`."""
        x = F.pixel_unshuffle(_standardised(image, self.epsilon), FOLD)
        skips = []
        for level, stage in enumerate(self.encoder):
            x = stage(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        x = skips.pop()
        for up, stage, skip in zip(
            reversed(self.up), reversed(self.decoder), reversed(skips), strict=True
        ):
            # the 1x1 convolution and the interpolation commute: first the one that leaves less
            x = F.interpolate(up(x), scale_factor=2, mode="bilinear", align_corners=False)
            x = stage(torch.cat([skip, x], dim=1))
        return F.pixel_shuffle(self.head(x), FOLD)


def _standardised(image: Tensor, epsilon: float) -> Tensor:
    deviation, mean = torch.std_mean(image, dim=(1, 2, 3), keepdim=True, correction=0)
    return (image - mean) / (deviation + epsilon)


def _stage(source: int, target: int) -> nn.Sequential:
    """(3x3 convolution, batch norm, ReLU) twice."""
    layers: list[nn.Module] = []
    for channels in (source, target):
        layers.append(nn.Conv2d(channels, target, 3, padding=1, bias=False))
        layers += [nn.BatchNorm2d(target), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
