"""Similarity of patches of two feature maps after every small displacement."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EPSILON = 1e-4  # of a squared feature: a patch without texture is like no other


class CostVolume(nn.Module):
    """Normalised cross-correlation of patches, for each displacement of up to `reach` each way.

    In every patch the features of the first map are multiplied with those of the second map that
    lie the displacement away, and the sum over the patch is divided by both energies: 1 for the
    same texture, and about 0 for another one, as long as the features have no level of their own.
    It is the block matching of ultrasound elastography with learned features, and nothing in it is
    to be learned.

    Args:
        reach: largest displacement, in places of the feature map.
        patch: height and width of a patch, in places; patches do not overlap.
    """

    def __init__(self, reach: int, patch: int) -> None:
        super().__init__()
        self.reach, self.patch = reach, patch

    @property
    def displacements(self) -> int:
        """Channels of the result."""
        return self._side**2

    @property
    def _side(self) -> int:
        return 2 * self.reach + 1

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Map two (n, C, H, W) to (n, displacements, H / patch, W / patch) in [-1, 1].

        The channel (reach + y) * (2 reach + 1) + (reach + x) is for tissue that moved y places
        down and x to the right.
        """
        # In half precision a tenth of a pixel would drown in the rounding of these sums.
        with torch.autocast(before.device.type, enabled=False):
            before, after = before.float(), after.float()
            around = F.pad(after, [self.reach] * 4)
            energy = self._over_patch(before.square()) * self._energy(around, before.shape[2:])
            return self._likeness(before, around) / (energy + _EPSILON**2).sqrt()

    def _likeness(self, before: Tensor, around: Tensor) -> Tensor:
        """Mean product of the patches with those that lie each displacement away."""
        height, width = before.shape[2:]
        products = [
            (before * around[:, :, y : y + height, x : x + width]).sum(1)
            for y in range(self._side)
            for x in range(self._side)
        ]
        return F.avg_pool2d(torch.stack(products, dim=1), self.patch)

    def _energy(self, around: Tensor, size: Sequence[int]) -> Tensor:
        """Mean square of the patches that lie each displacement away, which overlap much."""
        height, width = size
        # One map of every patch that there could be, of which each displacement picks its own.
        energies = F.avg_pool2d(around.square().sum(1, keepdim=True), self.patch, stride=1)
        picked = [
            energies[:, 0, y : y + height : self.patch, x : x + width : self.patch]
            for y in range(self._side)
            for x in range(self._side)
        ]
        return torch.stack(picked, dim=1)

    def _over_patch(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x.sum(1, keepdim=True), self.patch)
