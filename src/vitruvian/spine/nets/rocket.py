"""Random convolutions: how often each of many random patterns is near, and a linear reading of it.

ROCKET (Dempster, Petitjean and Webb, Data Mining and Knowledge Discovery 2020): kernels that are
drawn and never trained, the share of frames in which each is above its threshold, and a linear
model. With some hundred clips of a handful of people there is little to learn a deep net from, and
only the last layer is learned here. Unlike the original the threshold is soft, so that an index has
a gradient. The shares are normalised to a vector of about unit length, so that plain gradient
descent with weight decay comes to the ridge regression that the original solves; Adam, whose steps
know no length, comes to something worse (on UI-PRMD's held-out people AUC 0.79 in place of 0.9).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vitruvian.spine.nets.base import Head, Output, WindowNet
from vitruvian.spine.nets.checks import require, require_count, require_counts
from vitruvian.spine.nets.masking import MaskedBatchNorm, blank
from vitruvian.spine.skeletons import Skeleton

LENGTH = 9  # taps of a kernel, as in MiniRocket
TOGETHER = 5  # channels that a kernel reads at most
SOFTNESS = 0.1  # width of the threshold, in standard deviations of the kernel's output on noise


class Rocket(WindowNet):
    """Shares of frames above the thresholds of random kernels -> one neuron.

    Give it scaled channels (`scaling=zscore`): thresholds are drawn for channels of unit spread.

    Args:
        channels: of the input.
        skeleton: of no use to this net; every net of the study takes it.
        kernels: random kernels of each dilation.
        dilations: frames from tap to tap.
        thresholds: of each kernel.
        seed: of the kernels and thresholds.
        dropout: probability of dropping a share before the last neuron, in [0, 1).
        output: activation of the last neuron: "leaky_relu", "relu", "sigmoid" or "none".

    Raises:
        ValueError: an argument is not legal; the message names it and the legal values.
    """

    def __init__(
        self,
        channels: int,
        skeleton: Skeleton | None = None,
        *,
        kernels: int = 128,
        dilations: Sequence[int] = (1, 2, 4, 8, 14),
        thresholds: int = 3,
        seed: int = 0,
        dropout: float = 0.0,
        output: Output = "none",
    ) -> None:
        require_count(channels=channels, kernels=kernels, thresholds=thresholds)
        require_counts("dilations", dilations)
        require(seed >= 0, "seed", ">= 0", seed)
        shares = kernels * thresholds * len(dilations)
        super().__init__(channels, Head(shares, (), dropout, output))
        self.dilations = tuple(dilations)
        self.norm = MaskedBatchNorm(shares).requires_grad_(False)
        random = torch.Generator().manual_seed(seed)
        for dilation in self.dilations:
            weights = _kernels(kernels, channels, random)
            levels = torch.empty(kernels, thresholds).uniform_(-1, 1, generator=random)
            self.register_buffer(f"kernels{dilation}", weights)
            self.register_buffer(f"levels{dilation}", levels)

    def encode(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Shares of real frames, (n, dilations * kernels * thresholds)."""
        series = x.transpose(1, 2)
        real = torch.ones_like(x[..., 0], dtype=torch.bool) if mask is None else mask
        shares = [self._shares(series, real, dilation) for dilation in self.dilations]
        normed: Tensor = self.norm(torch.cat(shares, dim=1))
        return normed / math.sqrt(normed.shape[1])

    def _shares(self, series: Tensor, real: Tensor, dilation: int) -> Tensor:
        weights = self.get_buffer(f"kernels{dilation}")
        padding = dilation * (LENGTH // 2)
        found = F.conv1d(series, weights, padding=padding, dilation=dilation)
        frames = real.sum(dim=1, keepdim=True).clamp(min=1)
        shares = []
        for level in self.get_buffer(f"levels{dilation}").unbind(dim=1):
            above = ((found - level[:, None]) / SOFTNESS).sigmoid()
            shares.append(blank(above, real[:, None]).sum(dim=2) / frames)
        return torch.cat(shares, dim=1)


def _kernels(count: int, channels: int, random: torch.Generator) -> Tensor:
    """(count, channels, LENGTH): zero mean in every channel that a kernel reads, unit norm."""
    weights = torch.randn(count, channels, LENGTH, generator=random)
    weights -= weights.mean(dim=2, keepdim=True)
    order = torch.rand(count, channels, generator=random).argsort(dim=1)
    most = min(channels, TOGETHER)
    reads = torch.randint(1, most + 1, (count, 1), generator=random)
    weights *= (order < reads)[..., None]
    return weights / weights.flatten(1).norm(dim=1)[:, None, None]
