"""A light convolutional net with hand-crafted filters, after LITE and LITEMV.

Source: Ismail-Fawaz et al., "LITE: Light Inception with boosTing tEchniques", DSAA 2023; and
"Look Into the LITE", arXiv 2409.02869, for the multivariate variant.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitruvian.spine.nets.base import Head, Output, WindowNet
from vitruvian.spine.nets.checks import require, require_count, require_probability
from vitruvian.spine.nets.masking import MaskedBatchNorm, blank, mean_frame
from vitruvian.spine.skeletons import Skeleton

TREND_LENGTHS = (2, 4, 8, 16, 32, 64)
PEAK_LENGTHS = (4, 8, 16, 32, 64)


def same_padding(taps: int, dilation: int = 1) -> tuple[int, int]:
    """Frames to add before and after, so that a convolution keeps the length of its input."""
    reach = (taps - 1) * dilation
    return reach // 2, reach - reach // 2


def trend_filter(length: int) -> Tensor:
    """-1, 1, -1, 1 ...: positive where a series rises, negative where it falls."""
    return torch.tensor([-1.0, 1.0]).repeat(length // 2)


def peak_filter(length: int) -> Tensor:
    """A hump of `length` taps and height 2 between two of half its length and height -1."""
    rise = torch.linspace(0, 1, length // 4 + 1)[1:] ** 2
    hump = torch.cat([rise, rise.flip(0)])
    return torch.cat([-hump, 2 * hump, -hump])


class HandCrafted(nn.Module):
    """Fixed filters that find rises, falls and peaks of several lengths; nothing to learn.

    Attributes:
        count: maps that come of each series.
    """

    count = 2 * len(TREND_LENGTHS) + len(PEAK_LENGTHS)

    def __init__(self) -> None:
        super().__init__()
        for length in TREND_LENGTHS:
            self.register_buffer(f"trend{length}", trend_filter(length), persistent=False)
        for length in PEAK_LENGTHS:
            self.register_buffer(f"peak{length}", peak_filter(length), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, T) to (n, 17 c, T)."""
        series = x.reshape(-1, 1, x.shape[2])
        trends = [_convolve(series, self.get_buffer(f"trend{k}")) for k in TREND_LENGTHS]
        peaks = [_convolve(series, self.get_buffer(f"peak{k}")) for k in PEAK_LENGTHS]
        # A filter for falls is one for rises with its sign changed.
        found = torch.cat([*trends, *(-trend for trend in trends), *peaks], dim=1).relu()
        return found.reshape(x.shape[0], -1, x.shape[2])


def _convolve(series: Tensor, taps: Tensor) -> Tensor:
    return F.conv1d(F.pad(series, same_padding(len(taps))), taps.view(1, 1, -1).to(series.dtype))


class SameConv(nn.Conv1d):
    """A convolution without bias that keeps the length, for kernels of even size too."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, T) to (n, c', T)."""
        return super().forward(F.pad(x, same_padding(self.kernel_size[0], self.dilation[0])))


def separable(source: int, target: int, kernel_size: int, dilation: int = 1) -> nn.Sequential:
    """Return a depthwise convolution over time, then a 1x1 across channels, without biases."""
    depthwise = SameConv(source, source, kernel_size, dilation=dilation, groups=source, bias=False)
    return nn.Sequential(depthwise, nn.Conv1d(source, target, 1, bias=False))


class Normalized(nn.Module):
    """A layer -> batch normalisation of real frames -> ReLU, zero in padding."""

    def __init__(self, layer: nn.Module, channels: int) -> None:
        super().__init__()
        self.layer = layer
        self.norm = MaskedBatchNorm(channels)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (n, c, T) to (n, channels, T); `mask` is (n, 1, T)."""
        return blank(self.norm(blank(self.layer(x), mask), mask).relu(), mask)


class Multiplexed(nn.Module):
    """Learned kernels of three lengths beside the hand-crafted filters, joined.

    Args:
        channels: of the input.
        filters: learned ones of each length.
        kernel_size: of the longest; the others have a half and a quarter of it.
        multivariate: LITEMV: learned convolutions are depthwise separable, and each channel has
            its hand-crafted filters to itself; else LITE: they act on the sum of channels.
    """

    def __init__(self, channels: int, filters: int, kernel_size: int, multivariate: bool) -> None:
        super().__init__()
        sizes = [kernel_size // 2**halvings for halvings in range(3)]
        self.learned = nn.ModuleList(
            separable(channels, filters, size)
            if multivariate
            else SameConv(channels, filters, size, bias=False)
            for size in sizes
        )
        self.fixed = HandCrafted()
        self.multivariate = multivariate
        self.channels = len(sizes) * filters + (channels if multivariate else 1) * self.fixed.count

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, T) to (n, self.channels, T)."""
        series = x if self.multivariate else x.sum(1, keepdim=True)
        return torch.cat([*(layer(x) for layer in self.learned), self.fixed(series)], dim=1)


class LITE(WindowNet):
    """Multiplexed and hand-crafted filters -> 2 dilated separable blocks -> mean -> one neuron.

    87,989 parameters at 75 channels (25 joints), 114,005 at 99. The public benchmark of
    rehabilitation data (arXiv 2507.21018) gives 88k for LITEMV, its strongest regressor.

    Args:
        channels: of the input.
        skeleton: of no use to this net; every net of the study takes it.
        filters: of each kernel length, and of the blocks.
        kernel_size: taps of the longest kernel, at least 8; the others follow from it.
        multivariate: LITEMV (default), where each channel is first looked at by itself; else LITE.
        dropout: probability of dropping a feature before the last neuron, in [0, 1).
        output: activation of the last neuron: "leaky_relu", "relu", "sigmoid" or "none".

    Raises:
        ValueError: an argument is not legal; the message names it and the legal values.
    """

    def __init__(
        self,
        channels: int,
        skeleton: Skeleton | None = None,
        *,
        filters: int = 32,
        kernel_size: int = 40,
        multivariate: bool = True,
        dropout: float = 0.0,
        output: Output = "none",
    ) -> None:
        require_count(filters=filters, kernel_size=kernel_size)
        require(kernel_size >= 8, "kernel_size", "at least 8", kernel_size)
        require_probability("dropout", dropout)
        super().__init__(channels, Head(filters, (), dropout, output))
        first = Multiplexed(channels, filters, kernel_size, multivariate)
        blocks = [
            (first, first.channels),
            (separable(first.channels, filters, kernel_size // 2, dilation=2), filters),
            (separable(filters, filters, kernel_size // 4, dilation=4), filters),
        ]
        self.blocks = nn.ModuleList(Normalized(layer, width) for layer, width in blocks)

    def encode(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (n, T, channels) to the mean over real frames (n, filters)."""
        maps, shown = x.transpose(1, 2), None if mask is None else mask[:, None]
        for block in self.blocks:
            maps = block(maps, shown)
        return mean_frame(maps.transpose(1, 2), mask)
