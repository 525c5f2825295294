"""Three nets in place of one net with three heads (docs/muscle.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from vitruvian.muscle.nets.checks import require_outputs


class SeparateNets(nn.Module):
    """One net for each output; they share nothing.

    Args:
        channels: images stacked for one answer.
        outputs: names of the numbers.
        size: (height, width) of the images.
        net: builds one of the nets from channels, outputs (one name) and size.

    Raises:
        ConfigError: `outputs` are none or not all different, or `net` refuses an argument.
    """

    def __init__(
        self,
        channels: int,
        outputs: Sequence[str],
        size: Sequence[int],
        *,
        net: Callable[..., nn.Module],
    ) -> None:
        super().__init__()
        require_outputs(outputs)
        # A list, as a name such as "change angle_deg" might hold what a module's name must not.
        self.nets = nn.ModuleList(
            net(channels=channels, outputs=[name], size=size) for name in outputs
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, channels, height, width) to (n, outputs)."""
        return torch.cat([net(images) for net in self.nets], dim=1)
