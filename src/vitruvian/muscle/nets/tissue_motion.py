"""Displacement of patches between two feature maps, to a fraction of a pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_RIDGE = 0.01  # share of the mean gradient energy: a patch without texture is taken for still


class TissueMotion(nn.Module):
    """Least-squares displacement of patches (Lucas and Kanade 1981), with nothing to learn in it.

    Where features move by less than a place, their change is their gradient times the displacement;
    a patch has many places and features, and two unknowns. The cost volume sees larger moves, but
    only in whole places; between frames at 25 Hz calf muscle mostly moves by less than one.

    Args:
        patch: height and width of a patch, in places; patches do not overlap.
    """

    channels = 2  # displacement along x and along y

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patch = patch

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Map two (n, C, H, W) to displacements (n, 2, H / patch, W / patch) in places, -2 to 2."""
        with torch.autocast(before.device.type, enabled=False):  # differences of nearly equal sums
            before, after = before.float(), after.float()
            along_x, along_y = _gradients((before + after) / 2)
            change = after - before
            xx, yy = self._energy(along_x, along_x), self._energy(along_y, along_y)
            xy = self._energy(along_x, along_y)
            x, y = self._energy(along_x, change), self._energy(along_y, change)
            ridge = _RIDGE * (xx + yy).mean(dim=(1, 2, 3), keepdim=True) + 1e-6
            xx, yy = xx + ridge, yy + ridge
            determinant = xx * yy - xy * xy
            moved = torch.cat([xy * y - yy * x, xy * x - xx * y], dim=1) / determinant
            return 2 * torch.tanh(moved / 2)  # beyond, the gradient tells nothing

    def _energy(self, a: Tensor, b: Tensor) -> Tensor:
        return F.avg_pool2d((a * b).sum(1, keepdim=True), self.patch)


def _gradients(features: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences along x and along y, of the size of the features."""
    padded = F.pad(features, [1, 1, 1, 1], mode="replicate")
    along_x = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    along_y = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    return along_x, along_y
