"""Scaling of the channels, fitted on the training people only: others would leak into it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from vitruvian.core.errors import DataError

Kind = Literal["minmax", "zscore", "window", "none"]
_STILL = 0.1  # deviation within a window, in that of the training people, below which it is still
_CONSTANT = 1e-6  # a channel that varies by less than this share of its size is rounding


class Scaling(nn.Module):
    """Puts every channel on a common scale: (x - low) / (high - low).

    Paper 003 states min-max scaling to [0, 1] and credits it with 4 to 5 % of accuracy. Values
    outside the range of the training people are not clipped: a bend deeper than any of theirs must
    stay deeper, and a clipped channel would have neither a gradient nor an explanation there.

    Until it is fitted, it changes nothing.

    Args:
        kind: "minmax": low and high are the extremes; "zscore": the mean, and one standard
            deviation above it; "window": each window by its own mean and deviation, so that only
            the shape of a movement is left (a stream cannot); "none": changes nothing.
        channels: of a frame.

    Attributes:
        low: (channels,), saved with the weights.
        high: (channels,), saved with the weights; low + 1 where a channel is constant.

    Raises:
        ValueError: an argument is out of range.
    """

    low: Tensor
    high: Tensor

    def __init__(self, kind: Kind, channels: int) -> None:
        super().__init__()
        if kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, not {kind!r}")
        if channels < 1:
            raise ValueError(f"channels must be at least 1, not {channels}")
        self.kind, self.channels = kind, channels
        self.register_buffer("low", torch.zeros(channels))
        self.register_buffer("high", torch.ones(channels))

    def fit(self, frames: Iterable[Tensor]) -> None:
        """Take the range from the frames of the training people, in one pass.

        Args:
            frames: any number of (m, channels), real frames only.

        Raises:
            DataError: there is no frame.
            ValueError: frames of another width, or a number that is not finite.
        """
        if self.kind == "none":
            return
        checked = (_checked(block, self.channels) for block in frames if len(block))
        low, high = _extremes(checked) if self.kind == "minmax" else _moments(checked)
        constant = high - low <= _CONSTANT * torch.maximum(low.abs(), high.abs())
        self.low.copy_(low)
        self.high.copy_(torch.where(constant, low + 1, high))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scale the channels.

        Args:
            x: (..., channels).
            mask: (...) bool, True for real frames; None: all are.

        Returns:
            The shape of `x`; zeros where a frame is padding.
        """
        scaled = (x - self.low) / (self.high - self.low)
        if self.kind == "window":
            scaled = _by_itself(scaled, mask)
        return scaled if mask is None else torch.where(mask[..., None], scaled, 0)


def _by_itself(x: Tensor, mask: Tensor | None) -> Tensor:
    """(n, T, channels) of zero mean and unit deviation in every window.

    A channel that hardly moves in a window stays small rather than become noise of unit size: the
    floor is a tenth of the channel's deviation among training people.
    """
    real = x.new_ones(x.shape[:2]) if mask is None else mask.to(x)
    weight = (real / real.sum(dim=1, keepdim=True).clamp(min=1))[..., None]
    centred = x - (x * weight).sum(dim=1, keepdim=True)
    variance = (centred.square() * weight).sum(dim=1, keepdim=True)
    return centred / (variance.sqrt() + _STILL)


def _checked(block: Tensor, channels: int) -> Tensor:
    if block.ndim != 2 or block.shape[1] != channels:
        raise ValueError(f"frames must be (m, {channels}), not {tuple(block.shape)}")
    if not block.isfinite().all():
        raise ValueError("frames hold a number that is not finite")
    return block.double()


def _extremes(blocks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    low = high = None
    for block in blocks:
        smallest, largest = block.aminmax(dim=0)
        low = smallest if low is None else torch.minimum(low, smallest)
        high = largest if high is None else torch.maximum(high, largest)
    if low is None or high is None:
        raise DataError("there is no training frame to take the range of the channels from")
    return low, high


def _moments(blocks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean, and mean plus standard deviation (Chan, Golub and LeVeque, 1979)."""
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for block in blocks:
        total = count + len(block)
        off = block.mean(dim=0) - mean
        spread = (block - block.mean(dim=0)).square().sum(dim=0)
        squares = squares + spread + off.square() * (count * len(block) / total)
        mean = mean + off * (len(block) / total)
        count = total
    if not count:
        raise DataError("there is no training frame to take the mean of the channels from")
    return mean, mean + (squares / count).sqrt()
