"""A causal temporal convolutional net, over whole windows or frame by frame.

Source: Bai, Kolter and Koltun 2018 (dilated causal convolutions in residual blocks).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitruvian.spine.nets.base import CausalNet, Head, Output, Pooling, State
from vitruvian.spine.nets.checks import require, require_count, require_counts, require_probability
from vitruvian.spine.skeletons import Skeleton


class CausalConv(nn.Module):
    """A dilated convolution that reaches back only: padded with zeros before the first frame.

    Attributes:
        reach: how many frames it reaches back.
    """

    def __init__(self, width: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.reach = (kernel_size - 1) * dilation
        self.dilation = dilation
        self.conv = nn.Conv1d(width, width, kernel_size, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, width, T) to (n, width, T)."""
        convolved: Tensor = self.conv(F.pad(x, (self.reach, 0)))
        return convolved

    def step(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Map the next frame (n, width) to (n, width).

        Args:
            x: the frame.
            past: (n, reach, width), the frames before it, oldest first.

        Returns:
            The frame's value, and the new past.
        """
        known = torch.cat([past, x.unsqueeze(1)], dim=1)
        taps = known[:, :: self.dilation].flatten(1)
        # One product: for a single frame a convolution spends its time on preparing itself.
        kernel = self.conv.weight.transpose(1, 2).flatten(1)
        return F.linear(taps, kernel, self.conv.bias), known[:, 1:]


class CausalBlock(nn.Module):
    """x + (normalisation -> convolution -> ReLU -> dropout -> convolution -> dropout).

    Each frame is normalised over its channels, by itself: no frame depends on later ones, as it
    would under any normalisation over time. The sum carries the raw amplitude past it.
    """

    def __init__(self, width: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = CausalConv(width, kernel_size, dilation)
        self.second = CausalConv(width, kernel_size, dilation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, T, width) to (n, T, width)."""
        inner = self.dropout(self.first(self.norm(x).transpose(1, 2)).relu())
        added: Tensor = self.dropout(self.second(inner)).transpose(1, 2)
        return x + added

    def step(self, x: Tensor, pasts: State) -> tuple[Tensor, State]:
        """Map the next frame (n, width) to (n, width), given the pasts of both convolutions."""
        inner, first = self.first.step(self.norm(x), pasts[0])
        added, second = self.second.step(inner.relu(), pasts[1])
        return x + added, (first, second)


class TCN(CausalNet):
    """Linear embedding -> residual blocks of causal convolutions -> dense block -> one neuron.

    The state of a stream is the past of each convolution, so a frame costs the same however many
    came before.

    Args:
        channels: of the input.
        skeleton: of no use to this net; every net of the study takes it.
        width: channels of the convolutions.
        kernel_size: taps of each convolution, at least 2.
        dilations: of the blocks' convolutions. The default and 3 taps reach back 252 frames.
        dense: neurons of the dense block, or of several.
        dropout: probability of dropping a value, in [0, 1).
        output: activation of the last neuron: "leaky_relu", "relu", "sigmoid" or "none".
        pooling: "last": features of the last frame; "mean": of all frames.

    Attributes:
        reach: how many frames before the last one the net sees.

    Raises:
        ValueError: an argument is not legal; the message names it and the legal values.
    """

    def __init__(
        self,
        channels: int,
        skeleton: Skeleton | None = None,
        *,
        width: int = 64,
        kernel_size: int = 3,
        dilations: Sequence[int] = (1, 2, 4, 8, 16, 32),
        dense: int | Sequence[int] = 64,
        dropout: float = 0.2,
        output: Output = "none",
        pooling: Pooling = "last",
    ) -> None:
        require_count(width=width, kernel_size=kernel_size)
        require(kernel_size >= 2, "kernel_size", "at least 2", kernel_size)
        require_counts("dilations", dilations)
        require_probability("dropout", dropout)
        super().__init__(channels, Head(width, dense, dropout, output), pooling)
        self.width = width
        self.embedding = nn.Linear(channels, width)
        blocks = (CausalBlock(width, kernel_size, dilation, dropout) for dilation in dilations)
        self.blocks = nn.ModuleList(blocks)
        self._reaches = [(kernel_size - 1) * dilation for dilation in dilations for _ in range(2)]
        self.reach = sum(self._reaches)

    def frames(self, x: Tensor) -> Tensor:
        """Features of every frame: (n, T, channels) -> (n, T, width)."""
        x = self.embedding(x)
        for block in self.blocks:
            x = block(x)
        return x

    def before(self, n: int) -> State:
        """Zeros: for each convolution its past, (n, reach, width)."""
        like = self.embedding.weight
        return tuple(like.new_zeros(n, reach, self.width) for reach in self._reaches)

    def advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Features of the next frame: (n, channels) -> (n, width)."""
        x = self.embedding(x)
        after: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            assert isinstance(block, CausalBlock)
            x, pasts = block.step(x, state[2 * index : 2 * index + 2])
            after += pasts
        return x, tuple(after)
