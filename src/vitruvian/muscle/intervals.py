"""How far off a prediction may be: split conformal intervals from people kept out of training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vitruvian.core.errors import ConfigError
from vitruvian.muscle.quantities import quantity

Floats = npt.NDArray[np.float64]


class Conformal(nn.Module):
    """Half widths of the intervals prediction +- half width, one for each quantity.

    Coverage is promised on average over people who are exchangeable with those whose residuals
    were seen, and over as many as possible. Here they are those of the inner held-out
    participants, often a single one, whose frames resemble each other: take the level as an aim,
    and read the coverage measured on the test participant beside it.

    Args:
        quantities: names, in the order of the buffer.

    Attributes:
        half_width: (V,) in native units, saved with the weights; NaN: not known.

    Raises:
        ConfigError: there is no quantity of a name.
    """

    half_width: Tensor

    def __init__(self, quantities: Sequence[str]) -> None:
        super().__init__()
        self.quantities = tuple(quantity(name).name for name in quantities)
        self.register_buffer("half_width", torch.full((len(self.quantities),), math.nan))

    def fit(self, residuals: Mapping[str, Sequence[Floats]], level: float = 0.9) -> None:
        """Take the half widths from residuals of people who were not trained on.

        Args:
            residuals: by quantity, prediction less truth of each trial, (T,) with NaN where it is
                not known; a quantity without any stays NaN.
            level: share of the frames that the interval shall hold.

        Raises:
            ConfigError: the level is not between 0 and 1.
        """
        widths = [_half_width(residuals.get(name, ()), level) for name in self.quantities]
        self.half_width.copy_(torch.tensor(widths))

    def half_widths(self) -> dict[str, float]:
        """Half width of each quantity in native units; NaN: not known."""
        return dict(zip(self.quantities, self.half_width.tolist(), strict=True))


def _half_width(trials: Sequence[Floats], level: float) -> float:
    return conformal_half_width(np.concatenate([*trials, np.empty(0)]), level)


def conformal_half_width(residuals: Floats, level: float) -> float:
    """Half width that holds the next residual with probability `level`.

    The ceil((n + 1) level)-th smallest of n absolute residuals (Lei et al., JASA 2018, 113,
    1094-1111): the + 1 is for the residual to come.

    Args:
        residuals: (n,) of people who were not trained on; those that are not finite are left out.
        level: share to hold.

    Returns:
        The half width; NaN where n is too small for any finite one at this level.

    Raises:
        ConfigError: the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ConfigError(f"level: must be between 0 and 1 (such as 0.9), not {level}")
    sizes = np.abs(residuals[np.isfinite(residuals)])
    rank = math.ceil((len(sizes) + 1) * level - 1e-9)  # 10 x 0.9 shall be 9, not a hair more
    if rank > len(sizes):
        return math.nan
    return float(np.partition(sizes, rank - 1)[rank - 1])
