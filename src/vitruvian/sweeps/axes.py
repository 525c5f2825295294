"""What is swept: Hydra's grammar, on the command line and in `hydra.sweeper`, as points."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from vitruvian.core.errors import ConfigError
from vitruvian.core.quoting import as_value

MOST = 1_000_000  # points of a sweep; more is a mistyped range

Axes = Mapping[str, Sequence[str]]  # the values of each swept key, as typed after the `=`


def split_arguments(
    loader: ConfigLoader, params: Mapping[str, Any], arguments: Sequence[str]
) -> tuple[list[str], dict[str, Override]]:
    """Tell what all runs share from what is swept.

    Args:
        loader: Hydra's, which knows the files that a `glob` means.
        params: `hydra.sweeper.params`; a key of the command line takes its place.
        arguments: the overrides of the command line.

    Returns:
        The overrides that all runs share, and the swept ones by their keys.
    """
    lines = [f"{key}={written(value, as_typed=True)}" for key, value in params.items()]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides([*lines, *arguments])
    last = {override.get_key_element(): override for override in parsed}
    fixed = [one.input_line or "" for one in last.values() if not one.is_sweep_override()]
    swept = {key: one for key, one in last.items() if one.is_sweep_override()}
    for key in swept:
        if key.startswith(("hydra.", "hydra/")):
            raise ConfigError(f"{key}: one sweep has one value of it; start two sweeps")
    return fixed, swept


def listed(swept: Mapping[str, Override]) -> dict[str, list[str]]:
    """The values of every axis.

    Raises:
        ConfigError: an axis has no list of values (an interval), or none at all.
    """
    axes = {}
    for key, override in swept.items():
        if not override.is_discrete_sweep():
            raise ConfigError(
                f"{override.input_line}: an interval needs a sampler; add hydra/sweeper=optuna, or "
                "write values: a,b,c or range(start,stop,step)"
            )
        axes[key] = [str(text) for text in override.sweep_string_iterator()]
        if not axes[key]:
            raise ConfigError(f"{override.input_line}: no value, there is nothing to sweep")
    return axes


def grid(axes: Axes) -> list[dict[str, str]]:
    """Every combination of the values; the last axis changes fastest.

    Raises:
        ConfigError: there are more than `MOST`.
    """
    count = 1
    for values in axes.values():
        count *= len(values)
    if count > MOST:
        raise ConfigError(f"{count:,} combinations of {', '.join(axes)}: at most {MOST:,} fit")
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def combined(points: Iterable[Mapping[str, str]], with_axes: Axes) -> list[dict[str, str]]:
    """Each point with every combination of further axes."""
    combinations = grid(with_axes)
    return [{**point, **further} for point in points for further in combinations]


def points_of(given: Any) -> list[dict[str, str]]:
    """Read a list of points: of a YAML file, or of `hydra.sweeper.points` itself.

    Each point is a mapping of keys to values or a list of overrides.

    Raises:
        ConfigError: it is no list of points.
    """
    name = f"hydra.sweeper.points={given}" if isinstance(given, str) else "hydra.sweeper.points"
    content = _content(name, given) if isinstance(given, str) else given
    if not isinstance(content, list) or not content:
        raise ConfigError(f"{name}: expected a list of points, as {{optimizer.lr: 0.01, seed: 1}}")
    return [_point(name, number, entry) for number, entry in enumerate(content, 1)]


def _content(name: str, file: str) -> Any:
    try:
        return yaml.safe_load(Path(file).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        told = getattr(error, "strerror", None) or error
        raise ConfigError(f"{name}: cannot be read: {told}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from error


def _point(name: str, number: int, entry: Any) -> dict[str, str]:
    if isinstance(entry, dict) and entry:
        return {str(key): written(value) for key, value in entry.items()}
    pairs = [str(line).partition("=") for line in entry] if isinstance(entry, list) else []
    if not pairs or not all(equals for _, equals, _ in pairs):
        raise ConfigError(f"{name}, point {number}: expected key: value pairs, or key=value texts")
    return {key: text for key, _, text in pairs}


def written(value: Any, as_typed: bool = False) -> str:
    """A value of a YAML file, as it would be typed in a shell.

    Args:
        value: plain.
        as_typed: whether a text is in Hydra's grammar already, such as `0.1,0.2`; otherwise it is
            one value, and is quoted where the grammar would see more in it.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(written(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{written(item)}' for key, item in value.items())}}}"
    text = str(value)
    return text if as_typed or "${" in text else as_value(text)


def overrides_of(point: Mapping[str, str]) -> tuple[str, ...]:
    """A point as one would type it."""
    return tuple(f"{key}={text}" for key, text in point.items())
