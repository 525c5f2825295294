"""Windows of unequal length in one batch: padding stands at the end and must not be seen.

A mask is (n, T), True where a frame is real; a row is some real frames, then padding. None stands
for "all are real" and costs nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def blank(x: Tensor, mask: Tensor | None) -> Tensor:
    """Zero what is padding; `mask` is made to broadcast to `x` beforehand.

    Not a product: padding may be NaN, and zero times NaN is NaN.
    """
    return x if mask is None else torch.where(mask, x, 0.0)


def last_frame(x: Tensor, mask: Tensor | None) -> Tensor:
    """Pick the last real frame: (n, T, F), (n, T) -> (n, F)."""
    if mask is None:
        return x[:, -1]
    last = (mask.long().sum(1) - 1).clamp(min=0)
    return x.gather(1, last[:, None, None].expand(-1, 1, x.shape[2])).squeeze(1)


def mean_frame(x: Tensor, mask: Tensor | None) -> Tensor:
    """Average over real frames: (n, T, F), (n, T) -> (n, F)."""
    if mask is None:
        return x.mean(1)
    frames = mask.sum(1, keepdim=True).clamp(min=1)
    return blank(x, mask[..., None]).sum(1) / frames


def reversed_frames(x: Tensor, mask: Tensor | None) -> Tensor:
    """Real frames in reverse order, padding after them still; twice gives the real ones back."""
    if mask is None:
        return x.flip(1)
    frames = torch.arange(x.shape[1], device=x.device)
    source = (mask.long().sum(1, keepdim=True) - 1 - frames).clamp(min=0)
    return x.gather(1, source[..., None].expand(-1, -1, x.shape[2]))


class MaskedBatchNorm(nn.Module):
    """Batch normalisation over all dimensions but the second, whose statistics ignore padding.

    Batch rather than group or layer normalisation: those divide a clip by its own spread, and how
    far and how fast a person moves is what the index depends on. The statistics are over the
    frames of all windows, so that a batch of one trains.

    Args:
        channels: size of the second dimension.
        momentum: share of the new batch in the running statistics.
        eps: added to the variance.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalise (n, channels, ...), zero in padding; `mask` broadcasts to one channel of it."""
        mean, variance = self.running_mean, self.running_var
        if self.training:
            mean, variance, count = _moments(x.float(), mask)
            self._remember(mean.detach(), variance.detach(), count)
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        shape = (1, -1, *(1,) * (x.dim() - 2))
        return torch.addcmul(shift.view(shape), x, scale.view(shape)).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        unbiased = variance * count / (count - 1).clamp(min=1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(unbiased, self.momentum)


def _moments(x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance of every channel over real frames, and how many values each is of.

    Those over everything come in one pass; zeros of padding are then taken out of them, which
    costs a fifth of what sums over a mask do.
    """
    one = x[:, :1]
    real = torch.ones_like(one) if mask is None else mask.expand_as(one).to(x.dtype)
    count = real.sum().clamp(min=1)
    variance, mean = torch.var_mean(x, [0, *range(2, x.dim())], correction=0)
    excess = one.numel() / count
    outside = excess * (excess - 1) * mean**2
    return excess * mean, (excess * variance - outside).clamp(min=0), count
