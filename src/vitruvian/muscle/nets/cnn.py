"""The deep convolutional net of paper 001, in the form that its siblings of 2017 suggest."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from vitruvian.muscle.nets.blocks import conv_blocks
from vitruvian.muscle.nets.checks import (
    require_counts,
    require_halvings,
    require_images,
    require_probability,
    require_widths,
)


class MuscleCNN(nn.Module):
    """Five blocks of [3x3 convolution, ReLU, 2x2 max-pool], a dense layer, dropout, outputs.

    Paper 001 names no layer. This is the period's habit (docs/muscle.md); dropout is
    documented for the sister papers on the same cohort.

    Args:
        channels: images stacked for one answer, such as 2 for a pair of frames.
        outputs: names of the numbers.
        size: (height, width) of the images, at least 2^blocks each way.
        filters: maps of each block.
        dense: neurons of the dense layer.
        dropout: probability of dropping a neuron of the dense layer, in [0, 1).
        norm: normalise each batch after each convolution; not of 2017, but it learns faster.

    Raises:
        ConfigError: an argument is not legal, or `size` is too small.
    """

    def __init__(
        self,
        channels: int,
        outputs: Sequence[str],
        size: Sequence[int],
        *,
        filters: Sequence[int] = (32, 64, 128, 128, 256),
        dense: int = 512,
        dropout: float = 0.5,
        norm: bool = False,
    ) -> None:
        super().__init__()
        require_images(channels, outputs, size)
        require_widths("filters", filters)
        require_halvings("filters", size, len(filters))
        require_counts(dense=dense)
        require_probability("dropout", dropout)
        height, width = (length >> len(filters) for length in size)
        self.blocks = conv_blocks(channels, filters, norm)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(filters[-1] * height * width, dense),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(dense, len(outputs)),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, channels, height, width) to (n, outputs)."""
        values: Tensor = self.head(self.blocks(images))
        return values
