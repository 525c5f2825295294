"""Augmentation of whole batches of windows, on the device where the net trains.

What happens to a window is a function of its own 64-bit seed alone: the same in any batch, at any
place in it, after any resume; the draws are the same on every device. Called as
`augment(points, visibility, mask, seeds)`:

    points: (n, T, J, D).
    visibility: (n, T, J).
    mask: (n, T) bool, True for real frames, which come first.
    seeds: (n,) int64.

and returns points and visibility in the same shapes and types. What becomes of padded frames does
not matter: the features set them to zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from vitruvian.core.errors import ConfigError
from vitruvian.core.sampling import spawn, uniform
from vitruvian.spine.skeletons import skeleton_named

Augmented = tuple[Tensor, Tensor]


class Compose(nn.Module):
    """One transform after the other, each with randomness of its own.

    Args:
        transforms: modules that are called like this one.
    """

    def __init__(self, transforms: Iterable[nn.Module]) -> None:
        super().__init__()
        self.transforms = nn.ModuleList(transforms)

    def forward(self, points: Tensor, visibility: Tensor, mask: Tensor, seeds: Tensor) -> Augmented:
        """Apply the transforms."""
        for stream, transform in enumerate(self.transforms):
            points, visibility = transform(points, visibility, mask, spawn(seeds, stream))
        return points, visibility


class Mirror(nn.Module):
    """Shows the person in a mirror: x is flipped, left and right joints swap.

    An index that knows no side does not change; do not use it where the target tells left from
    right.

    Args:
        skeleton: name of the joints' skeleton.
        axis_at: x of the mirror: 0.5 for image landmarks, 0 for world landmarks.
        probability: from 0 to 1.

    Raises:
        ConfigError: the joints are no points of one space, so that a mirror image is not known.
        ValueError: `probability` is out of range.
    """

    _other: Tensor

    def __init__(
        self, skeleton: str = "blazepose33", axis_at: float = 0.5, probability: float = 0.5
    ) -> None:
        super().__init__()
        joints = skeleton_named(skeleton)
        if joints.relative:
            raise ConfigError(
                f"augment: the skeleton {skeleton} gives positions relative to other joints, whose "
                "axes are not known to be those of a mirror; leave Mirror out"
            )
        _check_share("probability", probability)
        self.axis_at, self.probability = axis_at, probability
        self.register_buffer("_other", torch.tensor(joints.mirror), persistent=False)

    def forward(self, points: Tensor, visibility: Tensor, mask: Tensor, seeds: Tensor) -> Augmented:
        """Mirror some of the windows."""
        chosen = (uniform(seeds, 0) < self.probability)[:, None, None]
        mirrored = points[:, :, self._other]
        x = 2 * self.axis_at - mirrored[..., :1]
        mirrored = torch.cat([x, mirrored[..., 1:]], dim=-1)
        visibility = torch.where(chosen, visibility[:, :, self._other], visibility)
        return torch.where(chosen[..., None], mirrored, points), visibility


class Jitter(nn.Module):
    """Moves every coordinate of every frame a little, independently, as a pose net's noise does.

    Args:
        sd: standard deviation, in the units of the points. The noise is evenly distributed, as
            that is the same to the bit on every device.

    Raises:
        ValueError: `sd` is negative.
    """

    def __init__(self, sd: float = 0.005) -> None:
        super().__init__()
        if not 0 <= sd < math.inf:
            raise ValueError(f"sd must not be negative, as {sd} is")
        self.sd = sd

    def forward(self, points: Tensor, visibility: Tensor, mask: Tensor, seeds: Tensor) -> Augmented:
        """Add the noise."""
        numbers = torch.arange(points[0].numel(), device=points.device)
        # SplitMix64 mixes consecutive numbers well: each coordinate has a seed of its own.
        noise = uniform(seeds[:, None] + numbers, 0).view_as(points) - 0.5
        return points + noise.to(points.dtype) * (self.sd * math.sqrt(12)), visibility


class Scale(nn.Module):
    """Makes the person larger or smaller, by one factor for a whole window.

    Args:
        low: smallest factor, above 0.
        high: largest factor.
        about: what stays in place: "body", the mean of the window's joints; "zero", where the
            coordinates are zero: for positions relative to something.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self, low: float = 0.9, high: float = 1.1, about: Literal["body", "zero"] = "body"
    ) -> None:
        super().__init__()
        if not 0 < low <= high < math.inf:
            raise ValueError(f"low and high must be above 0 and in order, not {low} and {high}")
        if about not in ("body", "zero"):
            raise ValueError(f'about must be "body" or "zero", not {about!r}')
        self.low, self.high, self.about = low, high, about

    def forward(self, points: Tensor, visibility: Tensor, mask: Tensor, seeds: Tensor) -> Augmented:
        """Scale each window."""
        factor = self.low + (self.high - self.low) * uniform(seeds, 0)
        factor = factor.to(points.dtype)[:, None, None, None]
        if self.about == "zero":
            return points * factor, visibility
        centre = _centre(points, mask)
        return centre + (points - centre) * factor, visibility


class TimeWarp(nn.Module):
    """Lets the movement run faster in one half of the window and slower in the other.

    The first and the last real frame stay where they are.

    Args:
        max_stretch: the speed lies between 1 - max_stretch and 1 + max_stretch, from 0 to 1.

    Raises:
        ValueError: `max_stretch` is out of range.
    """

    def __init__(self, max_stretch: float = 0.2) -> None:
        super().__init__()
        if not 0 <= max_stretch < 1:
            raise ValueError(f"max_stretch must be from 0 to below 1, not {max_stretch}")
        self.max_stretch = max_stretch

    def forward(self, points: Tensor, visibility: Tensor, mask: Tensor, seeds: Tensor) -> Augmented:
        """Warp the time of each window."""
        last = (mask.sum(dim=1, keepdim=True) - 1).clamp(min=1)
        stretch = self.max_stretch * (2 * uniform(seeds, 0) - 1)[:, None]
        frame = torch.arange(mask.shape[1], device=mask.device)
        place = frame + stretch * frame * (1 - frame / last)  # speed: 1 + stretch to 1 - stretch
        place = torch.minimum(place.clamp(min=0), last)
        return _at(points, place), _at(visibility, place)


class Drop(nn.Module):
    """Hides joints for a whole window, as if the pose net had never seen them.

    A hidden joint rests at the middle of the others in the first frame and has visibility 0, just
    as the cleaning leaves a joint that never appears.

    Args:
        probability: of each joint, from 0 to 1.

    Raises:
        ValueError: `probability` is out of range.
    """

    def __init__(self, probability: float = 0.05) -> None:
        super().__init__()
        _check_share("probability", probability)
        self.probability = probability

    def forward(self, points: Tensor, visibility: Tensor, mask: Tensor, seeds: Tensor) -> Augmented:
        """Hide some joints; a window of which all would be hidden keeps them all."""
        numbers = torch.arange(points.shape[2], device=points.device)
        kept = uniform(seeds[:, None] + numbers, 0) >= self.probability
        kept = kept | ~kept.any(dim=1, keepdim=True)
        weight = kept.to(points.dtype)
        rest = (points[:, 0] * weight[..., None]).sum(1) / weight.sum(1, keepdim=True)
        shown = kept[:, None]
        points = torch.where(shown[..., None], points, rest[:, None, None])
        return points, torch.where(shown, visibility, 0)


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be from 0 to 1, not {value}")


def _centre(points: Tensor, mask: Tensor) -> Tensor:
    """(n, 1, 1, D): mean of the joints of the real frames."""
    weight = mask.to(points.dtype)[..., None, None]
    frames = weight.sum(dim=1, keepdim=True).clamp(min=1)
    return (points.mean(dim=2, keepdim=True) * weight).sum(dim=1, keepdim=True) / frames


def _at(x: Tensor, place: Tensor) -> Tensor:
    """Frames of (n, T, ...) at the fractional numbers `place`, (n, T)."""
    before = place.floor().long().clamp(max=x.shape[1] - 1)
    after = (before + 1).clamp(max=x.shape[1] - 1)
    items = torch.arange(len(x), device=x.device)[:, None]
    share = (place - before).to(x.dtype).view(*place.shape, *[1] * (x.ndim - 2))
    return torch.lerp(x[items, before], x[items, after], share)
