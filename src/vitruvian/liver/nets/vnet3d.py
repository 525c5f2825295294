"""V-Net (Milletari et al. 2016), baseline "VNet 3D" of paper 004's Table 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from vitruvian.liver.nets.blocks import require_choice, require_count, require_odd, require_size

Normalization = Literal["batch", "instance", "none"]

# Convolutions of each stage, finest first: they give the receptive fields of V-Net's Table 1.
ENCODER_CONVS = (1, 2, 3, 3, 3)
DECODER_CONVS = (1, 2, 3, 3)


def _norm(kind: Normalization, channels: int) -> nn.Module:
    layers: dict[str, Callable[[int], nn.Module]] = {
        "batch": nn.BatchNorm3d,
        "instance": lambda c: nn.InstanceNorm3d(c, affine=True),
        "none": lambda c: nn.Identity(),
    }
    return layers[kind](channels)


def _bias(kind: Normalization) -> bool:
    return kind == "none"  # a normalisation right after it would remove a bias


class ResidualStage(nn.Module):
    """Some convolutions with PReLU between them, the stage's input added before the last PReLU.

    Where the stage widens (the first one does), its input is repeated to match, as in V-Net.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        convs: int,
        kernel_size: int,
        normalization: Normalization,
    ) -> None:
        super().__init__()
        self.repeats = channels // in_channels
        layers: list[nn.Module] = []
        for index in range(convs):
            source = channels if index else in_channels
            layers += [nn.PReLU(channels)] if index else []
            conv = nn.Conv3d(
                source, channels, kernel_size, padding=kernel_size // 2, bias=_bias(normalization)
            )
            layers += [conv, _norm(normalization, channels)]
        self.convs = nn.Sequential(*layers)
        self.activation = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, in_channels, d, h, w) to (n, channels, d, h, w)."""
        shortcut = x.repeat(1, self.repeats, 1, 1, 1) if self.repeats > 1 else x
        total: Tensor = self.activation(self.convs(x) + shortcut)
        return total


def _resampler(
    conv: type[nn.Conv3d | nn.ConvTranspose3d],
    in_channels: int,
    channels: int,
    normalization: Normalization,
) -> nn.Sequential:
    """Return a convolution of stride 2 (or its transpose) -> normalisation -> PReLU."""
    return nn.Sequential(
        conv(in_channels, channels, kernel_size=2, stride=2, bias=_bias(normalization)),
        _norm(normalization, channels),
        nn.PReLU(channels),
    )


class VNet3D(nn.Module):
    """V-Net: residual stages of 5x5x5 convolutions with PReLU, strided convolutions to go down.

    Args:
        in_channels: channels of the volume; must divide `width`.
        num_classes: channels of the logits.
        width: channels of the finest stage; doubled by each of the four down-samplings.
        kernel_size: edge of the convolutions, odd; 5 in the paper, 3 costs a fifth of it.
        normalization: "batch" (default, as every present-day V-Net has it), "instance" (for
            batches of one patch), or "none" (the original network, which is hard to train).

    Raises:
        ValueError: an argument is not legal; the message names it and the legal values.
    """

    spatial_dims: ClassVar[int] = 3
    divisor: ClassVar[int] = 16

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 2,
        width: int = 16,
        kernel_size: int = 5,
        normalization: Normalization = "batch",
    ) -> None:
        super().__init__()
        _require_vnet(in_channels, num_classes, width, kernel_size, normalization)
        channels = [width * 2**level for level in range(len(ENCODER_CONVS))]

        def stage(source: int, target: int, convs: int) -> nn.Module:
            return ResidualStage(source, target, convs, kernel_size, normalization)

        def down(source: int, target: int) -> nn.Module:
            return _resampler(nn.Conv3d, source, target, normalization)

        def up(source: int, target: int) -> nn.Module:
            return _resampler(nn.ConvTranspose3d, source, target, normalization)

        # A decoder stage works on the skip and the up-sampled map together: twice the channels.
        doubled = [2 * c for c in channels[:-1]]
        self.encoder = nn.ModuleList(
            map(stage, [in_channels, *channels[1:]], channels, ENCODER_CONVS)
        )
        self.downsamplers = nn.ModuleList(map(down, channels[:-1], channels[1:]))
        self.upsamplers = nn.ModuleList(map(up, [*doubled[1:], channels[-1]], channels[:-1]))
        self.decoder = nn.ModuleList(map(stage, doubled, doubled, DECODER_CONVS))
        self.head = nn.Conv3d(2 * width, num_classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, in_channels, d, h, w) to logits (n, num_classes, d, h, w).

        Raises:
            ValueError: `x` is not 5-D, or d, h or w is no multiple of 16.
        """
        require_size(x, self.spatial_dims, self.divisor)
        skips: list[Tensor] = []
        for block, down in zip(self.encoder, self.downsamplers, strict=False):
            skips.append(block(x))
            x = down(skips[-1])
        x = self.encoder[-1](x)
        levels = list(zip(skips, self.upsamplers, self.decoder, strict=True))
        for skip, up, block in reversed(levels):
            x = block(torch.cat([up(x), skip], dim=1))
        logits: Tensor = self.head(x)
        return logits


def _require_vnet(
    in_channels: int,
    num_classes: int,
    width: int,
    kernel_size: int,
    normalization: Normalization,
) -> None:
    require_count(in_channels=in_channels, num_classes=num_classes, width=width)
    require_odd("kernel_size", kernel_size)
    require_choice("normalization", normalization, Normalization)
    if width % in_channels:
        raise ValueError(
            f"width must be a multiple of in_channels; got width={width}, in_channels={in_channels}"
        )
