"""Checks of the arguments of the nets, in one wording that begins with the key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from vitruvian.core.errors import ConfigError


def require(holds: bool, name: str, rule: str, value: object) -> None:
    """Raise ConfigError "`name`: must be `rule`, not `value`" unless the rule holds."""
    if not holds:
        raise ConfigError(f"{name}: must be {rule}, not {value!r}")


def require_counts(**counts: int) -> None:
    """Raise ConfigError unless every argument is an integer of at least 1."""
    for name, value in counts.items():
        require(_is_count(value), name, "an integer of at least 1", value)


def require_widths(name: str, values: Sequence[int]) -> None:
    """Raise ConfigError unless `values` are one or more integers of at least 1."""
    holds = len(values) > 0 and all(map(_is_count, values))
    require(holds, name, "one or more integers of at least 1", list(values))


def require_probability(name: str, value: float) -> None:
    """Raise ConfigError unless `value` is in [0, 1)."""
    require(0 <= value < 1, name, "in [0, 1)", value)


def require_choice(name: str, value: object, choices: object) -> None:
    """Raise ConfigError unless `value` is one of those of the Literal type `choices`."""
    legal = get_args(choices)
    require(value in legal, name, f"one of {', '.join(legal)}", value)


def require_outputs(outputs: Sequence[str]) -> None:
    """Raise ConfigError unless `outputs` are one or more different names."""
    holds = len(outputs) > 0 and len(set(outputs)) == len(outputs)
    require(holds, "outputs", "one or more different names", list(outputs))


def require_images(channels: int, outputs: Sequence[str], size: Sequence[int]) -> None:
    """Raise ConfigError unless these describe the images and numbers of a net."""
    require_counts(channels=channels)
    require_outputs(outputs)
    require(len(size) == 2 and all(map(_is_count, size)), "size", "(height, width)", list(size))


def require_halvings(name: str, size: Sequence[int], halvings: int) -> None:
    """Raise ConfigError unless something remains of `size` after so many halvings."""
    height, width = size
    if min(size) < 2**halvings:
        raise ConfigError(
            f"{name}: {halvings} halvings leave nothing of images of {height}x{width}; use fewer, "
            f"or crops of at least {2**halvings}x{2**halvings}"
        )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
