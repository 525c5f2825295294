"""Augmentation of whole batches of crops, on the device where the net trains.

What happens to an item is a function of its own 64-bit seed alone: the same in any batch, at any
place in it, after any resume; the draws are the same on every device.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vitruvian.core.errors import ConfigError
from vitruvian.core.sampling import spawn, uniform

_TONE, _PLACE, _EDGE, _NOISE = range(4)  # streams of randomness


class MuscleAugment(nn.Module):
    """Another scanner, another hand, another segmentation: but never another motion.

    All frames of an item get the very same change of brightness and of place; a change that
    differed between them would look like moving tissue. Only noise is drawn for each frame. Every
    range is symmetric about "no change"; 0 switches a change off.

    Args:
        gain: brightness is multiplied by 1 - gain to 1 + gain; in [0, 1).
        contrast: distances from the item's mean are multiplied by 1 - contrast to 1 + contrast; in
            [0, 1).
        gamma: brightness is raised to the power exp(-gamma) to exp(gamma), as another log
            compression would; from 0 to 1.
        depth_gain: brightness changes evenly along the depth, by up to this share at the top and
            by as much the other way at the bottom, as another time-gain compensation; in [0, 1).
        noise: standard deviation of the noise, of the full range 1. It is evenly distributed, as
            that is the same to the bit on every device.
        shift_px: largest shift of image and muscle, each way, in pixels. Shifts are whole pixels,
            as interpolation would blur the speckle; what comes in from outside is black.
        flip: probability of swapping left and right, from 0 to 1. A flipped muscle runs the other
            way: leave it at 0 where the probe is always held in one direction.
        bounds_px: largest error of the muscle's upper and lower edge at either end, in pixels; in
            between the error changes evenly.

    Raises:
        ConfigError: an argument is out of range.
    """

    def __init__(
        self,
        gain: float = 0.1,
        contrast: float = 0.1,
        gamma: float = 0.1,
        depth_gain: float = 0.1,
        noise: float = 0.02,
        shift_px: float = 2.0,
        flip: float = 0.0,
        bounds_px: float = 1.0,
    ) -> None:
        super().__init__()
        for name, share in (("gain", gain), ("contrast", contrast), ("depth_gain", depth_gain)):
            _require(0 <= share < 1, name, "in [0, 1)", share)
        for name, share in (("gamma", gamma), ("noise", noise), ("flip", flip)):
            _require(0 <= share <= 1, name, "from 0 to 1", share)
        for name, pixels in (("shift_px", shift_px), ("bounds_px", bounds_px)):
            _require(0 <= pixels < math.inf, name, "at least 0", pixels)
        self.gain, self.contrast, self.gamma = gain, contrast, gamma
        self.depth_gain, self.noise = depth_gain, noise
        self.shift_px, self.flip, self.bounds_px = shift_px, flip, bounds_px

    def forward(self, images: Tensor, bounds: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Change crops and the bounds of the muscle in them together.

        Args:
            images: (n, k, H, W) floats in [0, 1], not masked.
            bounds: (n, 2, W) of any number type: in each column the first row of the muscle and
                the row after its last one, both 0 where a column has none.
            seeds: (n,) int64.

        Returns:
            Both in the shapes and types they came in.
        """
        images = self._toned(images, spawn(seeds, _TONE))
        rows, rows_seen, columns, columns_seen, down = self._places(images, spawn(seeds, _PLACE))
        images = _taken(images, rows, rows_seen, 2)
        images = _taken(images, columns, columns_seen, 3)
        bounds = _taken(_moved(bounds, down, images.shape[2]), columns, columns_seen, 2)
        images = self._noised(images, spawn(seeds, _NOISE))
        return images, self._misjudged(bounds, images.shape[2], spawn(seeds, _EDGE))

    def _toned(self, images: Tensor, seeds: Tensor) -> Tensor:
        """Gamma, contrast, gain and depth gain, in [0, 1] again."""
        height = images.shape[2]
        draws = [_symmetric(seeds, draw)[:, None, None, None] for draw in range(4)]
        images = images ** (self.gamma * draws[0]).exp()
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = mean + (images - mean) * (1 + self.contrast * draws[1])
        depth = torch.linspace(1, -1, height, device=images.device)[:, None]
        gain = (1 + self.gain * draws[2]) * (1 + self.depth_gain * draws[3] * depth)
        return (images * gain).clamp(0, 1)

    def _places(
        self, images: Tensor, seeds: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Where each row and column comes from, whether it was seen, and the shift down."""
        height, width = images.shape[2:]
        down, right = ((_symmetric(seeds, i) * self.shift_px).round().long() for i in range(2))
        rows = torch.arange(height, device=seeds.device) - down[:, None]
        columns = torch.arange(width, device=seeds.device) - right[:, None]
        flipped = (uniform(seeds, 2) < self.flip)[:, None]
        columns = torch.where(flipped, width - 1 - columns, columns)
        return rows, _inside(rows, height), columns, _inside(columns, width), down

    def _noised(self, images: Tensor, seeds: Tensor) -> Tensor:
        if self.noise == 0:
            return images
        numbers = torch.arange(images[0].numel(), device=images.device)
        # SplitMix64 mixes consecutive numbers well: each pixel has a seed of its own.
        noise = _symmetric(seeds[:, None] + numbers, 0).view_as(images)
        return (images + noise * (self.noise * math.sqrt(3))).clamp(0, 1)

    def _misjudged(self, bounds: Tensor, height: int, seeds: Tensor) -> Tensor:
        """Move either edge by an error that changes evenly from left to right."""
        share = torch.linspace(0, 1, bounds.shape[2], device=bounds.device)
        left, right = (
            torch.stack([_symmetric(seeds, end), _symmetric(seeds, end + 1)], dim=1)[..., None]
            for end in (0, 2)
        )
        error = torch.lerp(left, right, share) * self.bounds_px
        return _moved(bounds, error, height)


def _require(holds: bool, name: str, rule: str, value: float) -> None:
    if not holds:
        raise ConfigError(f"{name}: must be {rule}, not {value!r}")


def _symmetric(seeds: Tensor, draw: int) -> Tensor:
    """Numbers in [-1, 1)."""
    drawn: Tensor = 2 * uniform(seeds, draw) - 1
    return drawn


def _inside(places: Tensor, length: int) -> Tensor:
    return (places >= 0) & (places < length)


def _taken(x: Tensor, places: Tensor, seen: Tensor, dim: int) -> Tensor:
    """Take `places` (n, L) of `x` along `dim`; zero where they were not `seen`."""
    shape = [1] * x.ndim
    shape[0], shape[dim] = places.shape
    places = places.clamp(0, x.shape[dim] - 1).view(shape)
    return torch.where(seen.view(shape), x.take_along_dim(places, dim), 0)


def _moved(bounds: Tensor, down: Tensor, height: int) -> Tensor:
    """Bounds moved by `down`, (n,) or (n, 2, W), kept inside; columns without muscle stay so."""
    muscle = (bounds[:, 1:] > bounds[:, :1]).expand_as(bounds)
    down = down.view(-1, 1, 1) if down.ndim == 1 else down
    moved = (bounds + down).clamp(0, height)
    moved = moved if bounds.is_floating_point() else moved.round()
    return torch.where(muscle, moved, 0).to(bounds.dtype)
