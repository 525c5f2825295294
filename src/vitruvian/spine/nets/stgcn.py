"""A spatial-temporal graph convolutional net on the skeleton.

Sources: Yan, Xiong and Lin 2018 (ST-GCN); Shi et al. 2019 (2s-AGCN), for edges that are learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from vitruvian.spine.nets.base import Head, Output, WindowNet
from vitruvian.spine.nets.checks import (
    require,
    require_count,
    require_counts,
    require_odd,
    require_probability,
)
from vitruvian.spine.nets.masking import MaskedBatchNorm, blank, mean_frame
from vitruvian.spine.skeletons import Skeleton


def partitions(skeleton: Skeleton) -> Tensor:
    """Whom a joint listens to: itself, the joints it has bones with, and its mirror image.

    ST-GCN divides the neighbours by their distance from the middle of the body. Here the third
    part is the other side, as asymmetry is what this study looks for.

    Returns:
        (3, J, J); row j holds the weights of the joints that j listens to, with the sum 1 (or 0
        for a joint without bones).
    """
    joints = len(skeleton)
    itself = torch.eye(joints)
    bones = torch.zeros(joints, joints)
    for one, other in skeleton.bones:
        bones[one, other] = bones[other, one] = 1
    mirror = itself[list(skeleton.mirror)] if skeleton.mirror else itself
    return torch.stack([itself, bones / bones.sum(1, keepdim=True).clamp(min=1), mirror])


class GraphConv(nn.Module):
    """Gather from the parts of the graph, then mix channels.

    The edges are the graph's weights plus a learned correction, which starts at zero: joints that
    no bone joins, such as a face and a shoulder of BlazePose, can come to hear each other.
    """

    graph: Tensor

    def __init__(self, source: int, target: int, graph: Tensor) -> None:
        super().__init__()
        self.register_buffer("graph", graph, persistent=False)
        self.correction = nn.Parameter(torch.zeros_like(graph))
        self.mix = nn.Conv2d(source * len(graph), target, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, source, J, T) to (n, target, J, T)."""
        gathered = [edges @ x for edges in (self.graph + self.correction).unbind()]
        mixed: Tensor = self.mix(torch.cat(gathered, dim=1))
        return mixed


class GraphBlock(nn.Module):
    """Graph convolution -> temporal convolution, each normalised; the input is added; ReLU."""

    def __init__(
        self,
        source: int,
        target: int,
        stride: int,
        graph: Tensor,
        kernel_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.space = GraphConv(source, target, graph)
        self.space_norm = MaskedBatchNorm(target)
        self.time = nn.Conv2d(
            target,
            target,
            (1, kernel_size),
            stride=(1, stride),
            padding=(0, kernel_size // 2),
            bias=False,
        )
        self.time_norm = MaskedBatchNorm(target)
        self.dropout = nn.Dropout(dropout)
        same = source == target
        self.shortcut = nn.Identity() if same else nn.Conv2d(source, target, 1, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Map (n, source, J, T) and its mask (n, 1, 1, T) to (n, target, J, T / stride) and its."""
        y = self.space_norm(blank(self.space(x), mask), mask).relu()
        kept = None if mask is None else mask[..., :: self.stride]
        y = self.time_norm(blank(self.time(blank(y, mask)), kept), kept)
        y = self.dropout(y) + self.shortcut(x[..., :: self.stride])
        return blank(y.relu(), kept), kept


class STGCN(WindowNet):
    """Blocks of graph and temporal convolutions -> mean over joints and frames -> one neuron.

    Three blocks of ST-GCN's ten, and narrower ones: studies of this kind have some hundred people,
    and a processor can train it.

    Args:
        channels: of the input, joint by joint: those of joint 0, then those of joint 1, ...
        skeleton: the joints, their bones and mirror images.
        joint_channels: channels of each joint, where `channels` may hold others as well (angles):
            then the net says so rather than take them for joints'.
        widths: channels of the blocks.
        strides: of the blocks in time.
        kernel_size: frames of the temporal convolutions, odd.
        dropout: probability of dropping a value, in [0, 1).
        output: activation of the last neuron: "leaky_relu", "relu", "sigmoid" or "none".

    Raises:
        ValueError: an argument is not legal, or there are channels that are no joint's; the
            message names it and the legal values.
    """

    def __init__(
        self,
        channels: int,
        skeleton: Skeleton,
        *,
        joint_channels: int | None = None,
        widths: Sequence[int] = (32, 64, 64),
        strides: Sequence[int] = (1, 2, 2),
        kernel_size: int = 9,
        dropout: float = 0.2,
        output: Output = "none",
    ) -> None:
        require_counts("widths", widths)
        require_counts("strides", strides)
        require(len(strides) == len(widths), "strides", f"{len(widths)}, as widths are", strides)
        require_count(channels=channels)
        require_odd("kernel_size", kernel_size)
        require_probability("dropout", dropout)
        super().__init__(channels, Head(widths[-1], (), dropout, output))
        self.joints = len(skeleton)
        each = _joint_channels(channels, skeleton, joint_channels)
        self.input_norm = MaskedBatchNorm(channels)
        graph = partitions(skeleton)
        self.blocks = nn.ModuleList(
            GraphBlock(source, target, stride, graph, kernel_size, dropout)
            for (source, target), stride in zip(pairwise([each, *widths]), strides, strict=True)
        )

    def encode(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (n, T, channels) to the mean over joints and real frames (n, widths[-1])."""
        shown = None if mask is None else mask[:, None]
        maps = blank(self.input_norm(x.transpose(1, 2), shown), shown)
        maps = maps.unflatten(1, (self.joints, -1)).transpose(1, 2)
        shown = None if shown is None else shown[:, None]
        for block in self.blocks:
            maps, shown = block(maps, shown)
        return mean_frame(maps.mean(2).transpose(1, 2), None if shown is None else shown[:, 0, 0])


def _joint_channels(channels: int, skeleton: Skeleton, expected: int | None) -> int:
    joints = len(skeleton)
    each = channels // joints if expected is None else expected
    if each < 1 or each * joints != channels:
        raise ValueError(
            f"channels must be those of {joints} joints ({skeleton.name}), {max(each, 1)} of each, "
            f"and no others; got {channels}; leave angles out of the features, or take a net that "
            "knows no joints"
        )
    return each
