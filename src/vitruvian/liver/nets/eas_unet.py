"""EAS U-Net of paper 004: separable convolutions, EAS and multi-scale fusion, each a switch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitruvian.liver.nets.blocks import (
    EAS,
    Activation,
    ECAPosition,
    Upsampling,
    conv_unit,
    double,
    require_choice,
    require_count,
    require_eca_kernel,
    require_probability,
    require_rates,
    require_size,
    separable_unit,
)
from vitruvian.liver.nets.unet2d import FinestHead, UNetTrunk, plain_block, stage_channels

Stem = Literal["separable", "plain"]
Placement = Literal["bottleneck", "stage4", "every_stage"]
FusionMode = Literal["concat", "add"]


class FusionHead(nn.Module):
    """Multi-scale output fusion with deep supervision (paper 004, section II.B, Figure 6).

    Each decoder scale -> 1x1 side head -> bilinear to full size -> merged -> 1x1 -> fused logits.

    Args:
        channels: channels of the decoder's maps, finest first.
        num_classes: channels of every logit map.
        mode: merge the sides by concatenation ("concat", the paper's choice) or sum ("add").
        deep_supervision: return the sides too while training.
    """

    def __init__(
        self, channels: Sequence[int], num_classes: int, mode: FusionMode, deep_supervision: bool
    ) -> None:
        super().__init__()
        require_choice("fusion_mode", mode, FusionMode)
        self.mode = mode
        self.deep_supervision = deep_supervision
        self.sides = nn.ModuleList(nn.Conv2d(c, num_classes, kernel_size=1) for c in channels)
        merged = num_classes * len(channels) if mode == "concat" else num_classes
        self.fuse = nn.Conv2d(merged, num_classes, kernel_size=1)

    def forward(self, features: Sequence[Tensor]) -> Tensor | tuple[Tensor, ...]:
        """Map the decoder's maps, finest first, to fused logits or (fused, side_1, ...)."""
        size = features[0].shape[-2:]
        sides = [
            F.interpolate(head(feature), size=size, mode="bilinear")
            for head, feature in zip(self.sides, features, strict=True)
        ]
        merged = torch.cat(sides, dim=1) if self.mode == "concat" else torch.stack(sides).sum(0)
        fused: Tensor = self.fuse(merged)
        return (fused, *sides) if self.training and self.deep_supervision else fused


class EASUNet(nn.Module):
    """U-Net with three switchable parts; all three off, it is exactly `UNet2D`.

    Args:
        in_channels: channels of the image (1, or the number of neighbouring slices).
        num_classes: channels of the logits.
        width: channels of the finest stage; each pooling doubles them.
        depth: number of poolings; height and width must be multiples of `divisor` = 2^depth.
        separable: depthwise separable instead of full 3x3 convolutions in every block.
        stem: with `separable`, "separable" or "plain": whether the very first convolution is
            separable too. A depthwise filter of a one-channel image is one single filter.
        eas: refine encoder features by EAS (ASPP with ECA) at `eas_placement`.
        fusion: fuse logits of all decoder scales instead of reading the finest only.
        eas_rates: dilations of the EAS branches.
        eas_placement: "bottleneck" (end of the encoder), "stage4" (the stage before it: the
            fourth at depth 4), or "every_stage" (bottleneck included).
        eas_eca: where attention acts in EAS: "branch1x1", "every_branch", "concat", "output",
            or "none" (a plain ASPP).
        eca_kernel: "adaptive", or an odd number of channels (ECA-Net's code defaults to 3).
        eas_separable: separable dilated branches in EAS.
        eas_dropout: dropout at the end of EAS, in [0, 1).
        fusion_mode: "concat" or "add".
        deep_supervision: with `fusion`, return the side logits too while training.
        depthwise_activation: "leaky_relu", "hswish" or "relu", after depthwise convolutions.
        pointwise_activation: the same, after pointwise convolutions and throughout EAS.
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
        *,
        separable: bool = True,
        stem: Stem = "separable",
        eas: bool = True,
        fusion: bool = True,
        eas_rates: Sequence[int] = (6, 12, 18),
        eas_placement: Placement = "bottleneck",
        eas_eca: ECAPosition = "branch1x1",
        eca_kernel: int | Literal["adaptive"] = "adaptive",
        eas_separable: bool = True,
        eas_dropout: float = 0.1,
        fusion_mode: FusionMode = "concat",
        deep_supervision: bool = True,
        depthwise_activation: Activation = "leaky_relu",
        pointwise_activation: Activation = "hswish",
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        require_count(in_channels=in_channels, num_classes=num_classes, width=width, depth=depth)
        # Every key is checked, whether or not its switch is on: a typo must not wait for a sweep.
        require_choice("stem", stem, Stem)
        require_choice("eas_placement", eas_placement, Placement)
        require_choice("eas_eca", eas_eca, ECAPosition)
        require_choice("fusion_mode", fusion_mode, FusionMode)
        require_choice("depthwise_activation", depthwise_activation, Activation)
        require_choice("pointwise_activation", pointwise_activation, Activation)
        require_rates("eas_rates", eas_rates)
        require_eca_kernel("eca_kernel", eca_kernel)
        require_probability("eas_dropout", eas_dropout)

        unit = partial(
            separable_unit,
            depthwise_activation=depthwise_activation,
            pointwise_activation=pointwise_activation,
        )
        context = partial(
            EAS,
            rates=eas_rates,
            eca_position=eas_eca,
            eca_kernel=eca_kernel,
            separable=eas_separable,
            dropout=eas_dropout,
            depthwise_activation=depthwise_activation,
            pointwise_activation=pointwise_activation,
        )
        channels = stage_channels(width, depth)
        levels = _placed_levels(eas_placement, depth) if eas else ()
        contexts = {level: context(channels[level]) for level in levels}
        block = double(unit) if separable else plain_block()
        plain = partial(conv_unit, activation=pointwise_activation)
        opening = double(unit, plain) if separable and stem == "plain" else block
        self.divisor: int = 2**depth
        self.trunk = UNetTrunk(in_channels, width, depth, block, upsampling, opening, contexts)
        self.head: nn.Module = (
            FusionHead(channels[:-1], num_classes, fusion_mode, deep_supervision)
            if fusion
            else FinestHead(width, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Map (n, in_channels, h, w) to logits (n, num_classes, h, w).

        While training with `fusion` and `deep_supervision` the result is a tuple
        `(fused, side_1, ..., side_depth)`, side_1 the finest; all have the input's size, because
        the fusion needs the sides at that size anyway.

        Raises:
            ValueError: `x` is not 4-D, or h or w is no multiple of `divisor`.
        """
        require_size(x, self.spatial_dims, self.divisor)
        logits: Tensor | tuple[Tensor, ...] = self.head(self.trunk(x))
        return logits


def _placed_levels(placement: Placement, depth: int) -> Sequence[int]:
    """Return the encoder levels that get an EAS: level `depth` is the bottleneck."""
    levels = {"bottleneck": [depth], "stage4": [depth - 1], "every_stage": range(depth + 1)}
    return levels[placement]
