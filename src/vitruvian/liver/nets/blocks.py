"""Building blocks of the liver networks: convolution units, ECA, EAS, up-sampling and checks.

Sources: paper 004, section II.B (separable unit, EAS); ECA-Net (Wang et al. 2020, adaptive kernel);
DeepLabV3+ (Chen et al. 2018, atrous spatial pyramid pooling, ASPP).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor, nn

Activation = Literal["leaky_relu", "hswish", "relu"]
ECAPosition = Literal["branch1x1", "concat", "output", "every_branch", "none"]
Upsampling = Literal["transposed", "bilinear"]
Block = Callable[[int, int], nn.Module]
"""Builds a module from `(in_channels, out_channels)`; the map keeps its size."""

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": partial(nn.LeakyReLU, 0.01, inplace=True),
    "hswish": nn.Hardswish,
    "relu": partial(nn.ReLU, inplace=True),
}


def require(holds: bool, name: str, rule: str, value: object) -> None:
    """Raise ValueError "`name` must be `rule`; got `value`" unless the rule holds."""
    if not holds:
        raise ValueError(f"{name} must be {rule}; got {value!r}")


def require_count(**counts: int) -> None:
    """Raise ValueError unless every argument is an integer of at least 1."""
    for name, value in counts.items():
        require(isinstance(value, int) and value >= 1, name, "an integer >= 1", value)


def require_choice(name: str, value: object, choices: object) -> None:
    """Raise ValueError unless `value` is one of the values of the Literal type `choices`."""
    legal = get_args(choices)
    require(value in legal, name, f"one of {', '.join(legal)}", value)


def require_odd(name: str, value: object) -> None:
    """Raise ValueError unless `value` is an odd positive integer."""
    holds = isinstance(value, int) and value >= 1 and value % 2 == 1
    require(holds, name, "an odd integer >= 1", value)


def require_eca_kernel(name: str, value: object) -> None:
    """Raise ValueError unless `value` is "adaptive" or an odd positive integer."""
    odd = isinstance(value, int) and value >= 1 and value % 2 == 1
    require(odd or value == "adaptive", name, "'adaptive' or an odd integer >= 1", value)


def require_rates(name: str, value: Sequence[int]) -> None:
    """Raise ValueError unless `value` is a non-empty sequence of dilations."""
    holds = bool(value) and all(isinstance(rate, int) and rate >= 1 for rate in value)
    require(holds, name, "one or more integers >= 1", value)


def require_probability(name: str, value: float) -> None:
    """Raise ValueError unless `value` is in [0, 1)."""
    require(0 <= value < 1, name, "in [0, 1)", value)


def require_size(x: Tensor, spatial_dims: int, divisor: int) -> None:
    """Raise ValueError unless `x` is (n, c, *spatial) with sizes that `divisor` divides."""
    size = "x".join(str(length) for length in x.shape[2:])
    if x.dim() != spatial_dims + 2:
        raise ValueError(
            f"input must have {spatial_dims + 2} dimensions (n, c and {spatial_dims} spatial); "
            f"got shape {tuple(x.shape)}"
        )
    if any(length % divisor for length in x.shape[2:]):
        raise ValueError(f"input size {size} must be a multiple of {divisor}; pad or crop it")


def activation_layer(name: Activation) -> nn.Module:
    """Return a fresh activation by its name."""
    require_choice("activation", name, Activation)
    return _ACTIVATIONS[name]()


def conv_unit(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int = 3,
    dilation: int = 1,
    groups: int = 1,
    activation: Activation = "relu",
) -> nn.Sequential:
    """Return a same-size 2-D convolution -> batch normalisation -> activation."""
    padding = dilation * (kernel_size // 2)
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=False,  # the normalisation that follows removes it
        ),
        nn.BatchNorm2d(out_channels),
        activation_layer(activation),
    )


def separable_unit(
    in_channels: int,
    out_channels: int,
    *,
    dilation: int = 1,
    depthwise_activation: Activation = "leaky_relu",
    pointwise_activation: Activation = "hswish",
) -> nn.Sequential:
    """Return depthwise 3x3 -> BN -> activation -> pointwise 1x1 -> BN -> activation.

    Paper 004, section II.B and Figure 4: LeakyReLU after the depthwise, h-swish after the
    pointwise convolution.
    """
    depthwise = conv_unit(
        in_channels,
        in_channels,
        dilation=dilation,
        groups=in_channels,
        activation=depthwise_activation,
    )
    pointwise = conv_unit(in_channels, out_channels, kernel_size=1, activation=pointwise_activation)
    return nn.Sequential(depthwise, pointwise)


def double(unit: Block, first: Block | None = None) -> Block:
    """Return the U-Net block: `unit` twice (or `first`, `unit`); the first changes the channels."""
    opening = first or unit

    def block(in_channels: int, out_channels: int) -> nn.Module:
        return nn.Sequential(opening(in_channels, out_channels), unit(out_channels, out_channels))

    return block


def upsampler(in_channels: int, out_channels: int, kind: Upsampling) -> nn.Module:
    """Return a layer that doubles height and width: a 2x2 transposed convolution, or bilinear."""
    require_choice("upsampling", kind, Upsampling)
    if kind == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2)
    return nn.Sequential(
        # A 1x1 convolution and bilinear interpolation commute: first, it costs a quarter.
        nn.Conv2d(in_channels, out_channels, kernel_size=1),
        nn.Upsample(scale_factor=2, mode="bilinear"),
    )


def adaptive_eca_kernel(channels: int) -> int:
    """Return the ECA kernel |log2(C) / 2 + 1 / 2|, made odd (upwards), of ECA-Net's equation 12."""
    kernel = int((math.log2(channels) + 1) / 2)
    return kernel if kernel % 2 else kernel + 1


class ECA(nn.Module):
    """Efficient channel attention: scale each channel by a gate computed from its neighbours.

    Args:
        channels: number of channels of the input.
        kernel: neighbouring channels that share a gate: odd, or "adaptive" (3 at 64 channels,
            5 from 128 to 2048).
    """

    def __init__(self, channels: int, kernel: int | Literal["adaptive"] = "adaptive") -> None:
        super().__init__()
        require_count(channels=channels)
        require_eca_kernel("kernel", kernel)
        size = adaptive_eca_kernel(channels) if kernel == "adaptive" else kernel
        self.mix = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, c, h, w)."""
        means = x.mean(dim=(-2, -1))
        gates: Tensor = self.mix(means.unsqueeze(1)).sigmoid().squeeze(1)
        return x * gates[:, :, None, None]


class ImagePooling(nn.Module):
    """The image-level path of ASPP: global mean -> 1x1 convolution -> activation -> broadcast.

    It has no batch normalisation: on a 1x1 map that would take its statistics over the batch
    alone, which fails on a batch of one (the last batch of an epoch may be one).
    """

    def __init__(self, in_channels: int, out_channels: int, activation: Activation) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=1)
        self.activation = activation_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, out_channels, h, w), constant over each map."""
        pooled: Tensor = self.activation(self.conv(x.mean(dim=(-2, -1), keepdim=True)))
        return pooled.expand(-1, -1, *x.shape[-2:])


class EAS(nn.Module):
    """EAS = ASPP with ECA (paper 004, section II.B, Figure 5); it keeps the shape of its input.

    Parallel branches (1x1; 3x3 dilated by each rate; image pooling) -> concatenation -> 1x1 ->
    BN -> activation -> dropout. A rate r reaches 2r + 1 positions: on a 16x16 map (256x256 input,
    4 poolings) the outer taps of rates 12 and 18 fall almost wholly in the zero padding.

    Args:
        channels: channels of the input and of the output.
        branch_channels: channels of each branch; a quarter of `channels` if not given
            (256 at the bottleneck of a U-Net of width 64, as in DeepLab).
        rates: dilations of the 3x3 branches.
        eca_position: where attention acts: after the 1x1 branch (the one the paper finds
            wanting), after every branch, on the concatenation, on the output, or nowhere.
        eca_kernel: kernel of the attention, see `ECA`.
        separable: make the dilated branches depthwise separable; full ones would cost more
            parameters than the whole separable U-Net.
        dropout: probability of dropping a value of the output, in [0, 1).
        depthwise_activation: activation after depthwise convolutions.
        pointwise_activation: activation after all others.

    Raises:
        ValueError: an argument is not legal; the message names it and the legal values.
    """

    def __init__(
        self,
        channels: int,
        branch_channels: int | None = None,
        *,
        rates: Sequence[int] = (6, 12, 18),
        eca_position: ECAPosition = "branch1x1",
        eca_kernel: int | Literal["adaptive"] = "adaptive",
        separable: bool = True,
        dropout: float = 0.1,
        depthwise_activation: Activation = "leaky_relu",
        pointwise_activation: Activation = "hswish",
    ) -> None:
        super().__init__()
        width = max(1, channels // 4) if branch_channels is None else branch_channels
        require_count(channels=channels, branch_channels=width)
        require_rates("rates", rates)
        require_choice("eca_position", eca_position, ECAPosition)
        require_eca_kernel("eca_kernel", eca_kernel)
        require_probability("dropout", dropout)
        pointwise = partial(conv_unit, kernel_size=1, activation=pointwise_activation)
        dilated = partial(
            _dilated_branch, separable, depthwise_activation, pointwise_activation, channels, width
        )
        self.branches = nn.ModuleList(
            [
                pointwise(channels, width),
                *map(dilated, rates),
                ImagePooling(channels, width, pointwise_activation),
            ]
        )
        count = len(self.branches)
        attended = {"branch1x1": 1, "every_branch": count}.get(eca_position, 0)
        self.branch_attention = nn.ModuleList(
            ECA(width, eca_kernel) if index < attended else nn.Identity() for index in range(count)
        )
        joined = width * count
        self.project = nn.Sequential(
            ECA(joined, eca_kernel) if eca_position == "concat" else nn.Identity(),
            pointwise(joined, channels),
            ECA(channels, eca_kernel) if eca_position == "output" else nn.Identity(),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, c, h, w)."""
        paths = zip(self.branches, self.branch_attention, strict=True)
        joined = torch.cat([attend(branch(x)) for branch, attend in paths], dim=1)
        projected: Tensor = self.project(joined)
        return projected


def _dilated_branch(
    separable: bool,
    depthwise: Activation,
    pointwise: Activation,
    in_channels: int,
    out_channels: int,
    dilation: int,
) -> nn.Module:
    if not separable:
        return conv_unit(in_channels, out_channels, dilation=dilation, activation=pointwise)
    return separable_unit(
        in_channels,
        out_channels,
        dilation=dilation,
        depthwise_activation=depthwise,
        pointwise_activation=pointwise,
    )
