"""Augmentation by other depths and widths of view, for whole batches on their device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitruvian.core.errors import ConfigError
from vitruvian.core.sampling import spawn, uniform

_ZOOM, _THEN = range(2)  # streams of randomness


class Zoom(nn.Module):
    """Another depth setting and another probe: images are scaled along either axis.

    The skin stays at the top, as on a screen whose depth is changed; along the width the middle
    stays. What comes in from outside is black. An item's scale is a function of its own seed.

    Args:
        depth: a view is up to 1 + depth times as deep, or as shallow; at least 0.
        width: the same along the width.
        then: a further augmentation, called like this one; None: there is none.

    Raises:
        ConfigError: an argument is out of range.
    """

    def __init__(
        self, depth: float = 0.4, width: float = 0.2, then: nn.Module | None = None
    ) -> None:
        super().__init__()
        for name, value in (("depth", depth), ("width", width)):
            if not 0 <= value < 10:
                raise ConfigError(f"augment.{name}: must be from 0 to 10, not {value!r}")
        self.depth, self.width, self.then = depth, width, then

    def forward(self, images: Tensor, bounds: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Scale images and the bounds of the muscle in them together.

        Args:
            images: (n, k, h, w) floats in [0, 1].
            bounds: (n, 2, w) integers: in each column the first row of the muscle and the row
                after its last one, both 0 where a column has none.
            seeds: (n,) int64.

        Returns:
            Both in the shapes and types they came in.
        """
        drawn = spawn(seeds, _ZOOM)
        deeper = (1 + self.depth) ** (2 * uniform(drawn, 0) - 1)
        wider = (1 + self.width) ** (2 * uniform(drawn, 1) - 1)
        images = _sampled(images, deeper, wider)
        bounds = _scaled(bounds, deeper, wider, images.shape[2])
        if self.then is None:
            return images, bounds
        images, bounds = self.then(images, bounds, spawn(seeds, _THEN))
        return images, bounds


def _sampled(images: Tensor, deeper: Tensor, wider: Tensor) -> Tensor:
    """Row y shows what was at y * deeper; columns are scaled about the middle."""
    theta = images.new_zeros(len(images), 2, 3)  # of coordinates from -1 to 1
    theta[:, 0, 0], theta[:, 1, 1], theta[:, 1, 2] = wider, deeper, deeper - 1
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", align_corners=False)


def _scaled(bounds: Tensor, deeper: Tensor, wider: Tensor, height: int) -> Tensor:
    """Each column's bounds from the column that it shows; no muscle where it shows none."""
    length = bounds.shape[2]
    middle = (length - 1) / 2
    columns = torch.arange(length, device=bounds.device) - middle
    shown = (middle + columns * wider[:, None]).round().long()
    seen = ((shown >= 0) & (shown < length))[:, None]
    taken = bounds.take_along_dim(shown.clamp(0, length - 1)[:, None], 2)
    rows = (taken / deeper[:, None, None]).round().clamp(max=height)
    return torch.where(seen & (rows[:, 1:] > rows[:, :1]), rows, 0).to(bounds.dtype)
