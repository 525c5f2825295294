"""Probabilities of classes of volumes or windows, as one module that TorchScript can hold."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Probabilities(nn.Module):
    """Probabilities of classes of a volume or window of HU, averaged over mirrorings if asked for.

    Args:
        net: from HU to logits, 2-D or 3-D, traced.
        spatial_dims: 2 or 3, of the net.
        context: neighbouring slices that a 2-D net sees.
        divisor: the net's sizes are multiples of it.
        batch: slices at a time.
        mirror: average over the four in-plane mirrorings.
        padding: HU beyond the borders; anything at or below the window.
    """

    def __init__(
        self,
        net: nn.Module,
        spatial_dims: int,
        context: int,
        divisor: int,
        batch: int,
        mirror: bool,
        padding: float,
    ) -> None:
        super().__init__()
        self.net = net
        self.spatial_dims, self.context, self.divisor = spatial_dims, context, divisor
        self.batch, self.mirror, self.padding = batch, mirror, padding

    def forward(self, hu: Tensor) -> Tensor:
        """Map HU (n, 1, z, y, x) to probabilities (n, classes, z, y, x); n is 1 for a 2-D net."""
        if self.spatial_dims == 3:
            return self.averaged(hu)
        planes = hu[0, 0]
        depth, margin = planes.shape[0], self.context // 2
        parts: list[Tensor] = []
        for first in range(0, depth, self.batch):
            last = min(first + self.batch, depth)
            place = torch.arange(first - margin, last + margin, device=hu.device)
            stacks = planes[place.clamp(0, depth - 1)].unfold(0, self.context, 1)
            parts.append(self.averaged(stacks.permute(0, 3, 1, 2)))
        return torch.cat(parts).transpose(0, 1).unsqueeze(0)

    def averaged(self, x: Tensor) -> Tensor:
        """Probabilities, averaged over the mirrorings of the last two axes."""
        total = self.scores(x)
        if not self.mirror:
            return total
        total = total + self.scores(x.flip([-1])).flip([-1])
        total = total + self.scores(x.flip([-2])).flip([-2])
        return (total + self.scores(x.flip([-1, -2])).flip([-1, -2])) / 4

    def scores(self, x: Tensor) -> Tensor:
        """Probabilities of an input of any size: padded at its ends, and cropped back."""
        height, width = x.shape[-2], x.shape[-1]
        pads = [0, -width % self.divisor, 0, -height % self.divisor]
        if self.spatial_dims == 3:
            pads += [0, -x.shape[-3] % self.divisor]
        padded = F.pad(x, pads, value=self.padding)
        found = self.net(padded).float().softmax(1)[..., :height, :width]
        return found[:, :, : x.shape[2]] if self.spatial_dims == 3 else found
