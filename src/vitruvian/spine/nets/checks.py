"""Checks of the arguments and inputs of the nets, in one wording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor


def require(holds: bool, name: str, rule: str, value: object) -> None:
    """Raise ValueError "`name` must be `rule`; got `value`" unless the rule holds."""
    if not holds:
        raise ValueError(f"{name} must be {rule}; got {value!r}")


def is_count(value: object) -> bool:
    """Whether `value` is an integer of at least 1 (True is none)."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def require_count(**counts: object) -> None:
    """Raise ValueError unless every argument is an integer of at least 1."""
    for name, value in counts.items():
        require(is_count(value), name, "an integer >= 1", value)


def require_counts(name: str, values: Sequence[int]) -> None:
    """Raise ValueError unless `values` are one or more integers of at least 1."""
    holds = bool(values) and all(map(is_count, values))
    require(holds, name, "one or more integers >= 1", values)


def require_odd(name: str, value: object) -> None:
    """Raise ValueError unless `value` is an odd positive integer."""
    holds = isinstance(value, int) and value >= 1 and value % 2 == 1
    require(holds, name, "an odd integer >= 1", value)


def require_choice(name: str, value: object, choices: object) -> None:
    """Raise ValueError unless `value` is one of the values of the Literal type `choices`."""
    legal = get_args(choices)
    require(value in legal, name, f"one of {', '.join(legal)}", value)


def require_probability(name: str, value: float) -> None:
    """Raise ValueError unless `value` is in [0, 1)."""
    require(0 <= value < 1, name, "in [0, 1)", value)


def require_window(x: Tensor, channels: int, mask: Tensor | None) -> None:
    """Raise ValueError unless `x` is (n, T, channels) and `mask` is (n, T) of booleans."""
    if x.dim() != 3 or x.shape[2] != channels or x.shape[1] == 0:
        raise ValueError(
            f"input must have the shape (n, frames, {channels}); got {tuple(x.shape)}; "
            "channels are set by the features of the data"
        )
    if mask is not None and (mask.shape != x.shape[:2] or mask.dtype != torch.bool):
        raise ValueError(
            f"mask must be {tuple(x.shape[:2])} booleans; got {tuple(mask.shape)} {mask.dtype}"
        )
