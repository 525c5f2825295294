"""The classic 2-D U-Net, and the encoder-decoder trunk that every 2-D net of the study shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitruvian.liver.nets.blocks import (
    Block,
    Upsampling,
    conv_unit,
    double,
    require_count,
    require_size,
    upsampler,
)


def plain_block() -> Block:
    """Return the classic block: (3x3 convolution -> BN -> ReLU) twice."""
    return double(partial(conv_unit, activation="relu"))


def stage_channels(width: int, depth: int) -> list[int]:
    """Return the channels of the encoder stages, finest first; the last is the bottleneck."""
    return [width * 2**level for level in range(depth + 1)]


class UNetTrunk(nn.Module):
    """Encoder, decoder and skip connections of a U-Net (paper 004, section II.A, Figure 1).

    Padding keeps the size, so the output is as large as the input (the figure's unpadded
    convolutions lose 184 pixels).

    Args:
        in_channels: channels of the image.
        width: channels of the finest stage; each pooling doubles them.
        depth: number of 2x2 max-poolings.
        block: builds the convolutions of one stage.
        upsampling: "transposed" (2x2 transposed convolution) or "bilinear" (then a 1x1).
        stem: builds the first stage instead of `block`.
        contexts: modules that refine the output of an encoder stage, by level (0 is the finest,
            `depth` the bottleneck); the skip connection carries the refined map too.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        depth: int,
        block: Block,
        upsampling: Upsampling,
        stem: Block | None = None,
        contexts: Mapping[int, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        channels = stage_channels(width, depth)
        refine = contexts or {}
        first = (stem or block)(in_channels, width)
        self.encoder = nn.ModuleList([first, *(block(i, o) for i, o in pairwise(channels))])
        self.contexts = nn.ModuleList(refine.get(i, nn.Identity()) for i in range(depth + 1))
        self.upsamplers = nn.ModuleList(upsampler(2 * c, c, upsampling) for c in channels[:-1])
        self.decoder = nn.ModuleList(block(2 * c, c) for c in channels[:-1])

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (n, c, h, w) to the decoder's maps, finest first.

        Map k is (n, width 2^k, h / 2^k, w / 2^k), for k = 0 .. depth - 1.
        """
        encoded = self._encode(x)
        coarser = encoded.pop()
        decoded: list[Tensor] = []
        levels = list(zip(encoded, self.upsamplers, self.decoder, strict=True))
        for skip, up, block in reversed(levels):
            coarser = block(torch.cat([skip, up(coarser)], dim=1))
            decoded.append(coarser)
        return decoded[::-1]

    def _encode(self, x: Tensor) -> list[Tensor]:
        encoded: list[Tensor] = []
        for block, context in zip(self.encoder, self.contexts, strict=True):
            source = F.max_pool2d(encoded[-1], kernel_size=2) if encoded else x
            encoded.append(context(block(source)))
        return encoded


class FinestHead(nn.Module):
    """Read the logits off the finest decoder map with a 1x1 convolution."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, num_classes, kernel_size=1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Map the decoder's maps, finest first, to logits (n, num_classes, h, w)."""
        logits: Tensor = self.conv(features[0])
        return logits


class UNet2D(nn.Module):
    """The classic U-Net, baseline "U-Net 2D" of paper 004's Table 1 (Ronneberger et al. 2015).

    Same padding and batch normalisation; 31.04 M parameters at width 64.

    Args:
        in_channels: channels of the image (1, or the number of neighbouring slices).
        num_classes: channels of the logits.
        width: channels of the finest stage; each pooling doubles them.
        depth: number of poolings; height and width must be multiples of `divisor` = 2^depth.
        upsampling: "transposed" (2x2 transposed convolution) or "bilinear" (then a 1x1).

    Raises:
        ValueError: an argument is not legal; the message names it and the legal values.
    """

    spatial_dims: ClassVar[int] = 2

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 2,
        width: int = 64,
        depth: int = 4,
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        require_count(in_channels=in_channels, num_classes=num_classes, width=width, depth=depth)
        self.divisor: int = 2**depth
        self.trunk = UNetTrunk(in_channels, width, depth, plain_block(), upsampling)
        self.head = FinestHead(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, in_channels, h, w) to logits (n, num_classes, h, w).

        Raises:
            ValueError: `x` is not 4-D, or h or w is no multiple of `divisor`.
        """
        require_size(x, self.spatial_dims, self.divisor)
        logits: Tensor = self.head(self.trunk(x))
        return logits
