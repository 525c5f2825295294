"""ResNet-18 (He et al. 2016), which a sister paper on the same cohort used beside a plain CNN."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from vitruvian.muscle.nets.blocks import begin_for_relu
from vitruvian.muscle.nets.checks import (
    require_counts,
    require_halvings,
    require_images,
    require_probability,
    require_widths,
)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut.

    Args:
        source: maps that come in.
        target: maps that go out.
        stride: of the first convolution; the shortcut is a 1x1 convolution where maps or stride
            differ.
    """

    def __init__(self, source: int, target: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(source, target, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(target)
        self.second = nn.Conv2d(target, target, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(target)
        self.shortcut: nn.Module = nn.Identity()
        if source != target or stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(source, target, 1, stride, bias=False), nn.BatchNorm2d(target)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, source, H, W) to (n, target, H / stride, W / stride)."""
        inner = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(inner)) + self.shortcut(x))


class MuscleResNet(nn.Module):
    """A residual net of four stages of basic blocks over the stacked images.

    Args:
        channels: images stacked for one answer, such as 2 for a pair of frames.
        outputs: names of the numbers.
        size: (height, width) of the images, at least 32 each way.
        width: maps of the first stage; each later one doubles them.
        blocks: blocks of each stage; each stage after the first halves height and width.
        dropout: probability of dropping a feature before the last layer, in [0, 1).

    Raises:
        ConfigError: an argument is not legal, or `size` is too small.
    """

    def __init__(
        self,
        channels: int,
        outputs: Sequence[str],
        size: Sequence[int],
        *,
        width: int = 64,
        blocks: Sequence[int] = (2, 2, 2, 2),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        require_images(channels, outputs, size)
        require_counts(width=width)
        require_widths("blocks", blocks)
        require_halvings("blocks", size, len(blocks) + 1)
        require_probability("dropout", dropout)
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.stages = _stages(width, blocks)
        features = width << (len(blocks) - 1)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(features, len(outputs)),
        )
        begin_for_relu(self)
        _begin_as_shortcuts(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, channels, height, width) to (n, outputs)."""
        values: Tensor = self.head(self.stages(self.stem(images)))
        return values


def _stages(width: int, blocks: Sequence[int]) -> nn.Sequential:
    stages: list[nn.Module] = []
    source = width
    for stage, count in enumerate(blocks):
        target = width << stage
        for number in range(count):
            stride = 2 if stage and not number else 1
            stages.append(BasicBlock(source, target, stride))
            source = target
    return nn.Sequential(*stages)


def _begin_as_shortcuts(net: nn.Module) -> None:
    """Let each block begin as its shortcut alone: training is steadier (Goyal et al. 2017)."""
    for module in net.modules():
        if isinstance(module, BasicBlock):
            nn.init.zeros_(module.second_norm.weight)
