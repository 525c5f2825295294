"""Compose, then freeze: one plain, resolved, checked dict that everything afterwards reads.

Nothing here imports torch: composing and checking answer in well under a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Dict, Optional  # noqa: UP035 - OmegaConf 2.3 reads these spellings

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, InterpolationResolutionError

from vitruvian.core.check import check
from vitruvian.core.errors import ConfigError
from vitruvian.core.signatures import absolute_paths

Config = dict[str, Any]

# What the engine passes in code; the YAML of these groups leaves it out.
GIVEN: Mapping[str, frozenset[str]] = {
    "model": frozenset({"loss", "optimizer", "scheduler", "augment"}),
}


@dataclass
class Monitor:
    """What decides which checkpoint is the best one."""

    metric: str = "val/loss"
    mode: str = "min"


@dataclass
class Root:
    """The root of every training config; each field is a key or a config group."""

    name: str = "run"
    run: Optional[str] = None  # noqa: UP045 - OmegaConf 2.3
    output_dir: str = "outputs"
    seed: int = 0
    matmul_precision: str = "highest"
    monitor: Monitor = field(default_factory=Monitor)
    datamodule: Dict[str, Any] = field(default_factory=dict)  # noqa: UP006
    split: Dict[str, Any] = field(default_factory=dict)  # noqa: UP006
    model: Dict[str, Any] = field(default_factory=dict)  # noqa: UP006
    loss: Dict[str, Any] = field(default_factory=dict)  # noqa: UP006
    optimizer: Dict[str, Any] = field(default_factory=dict)  # noqa: UP006
    scheduler: Dict[str, Any] = field(default_factory=dict)  # noqa: UP006
    augment: Dict[str, Any] = field(default_factory=dict)  # noqa: UP006
    trainer: Dict[str, Any] = field(default_factory=dict)  # noqa: UP006
    callbacks: Dict[str, Any] = field(default_factory=dict)  # noqa: UP006
    logger: Dict[str, Any] = field(default_factory=dict)  # noqa: UP006


ROOT_KEYS = tuple(f.name for f in fields(Root))

# Where a run is kept is not part of what it computes: a moved run is still the same run.
PLACE_KEYS = ("run", "output_dir")


def config_directory() -> Path:
    """The folder of YAML files: inside an installed wheel, or `conf/` at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def freeze(composed: DictConfig) -> Config:
    """Resolve and check a composed config.

    Returns:
        Plain dicts, lists and scalars, relative paths made absolute, without the keys that only say
        where the run is kept.

    Raises:
        ConfigError: a value is missing, an interpolation leads nowhere, or a node does not fit the
            signature of its `_target_`; one line per problem.
    """
    config = _resolve(composed)
    for key in PLACE_KEYS:
        config.pop(key, None)
    return checked(config)


def checked(config: Config) -> Config:
    """Check a plain config and make its relative paths absolute."""
    check(config, given=GIVEN)
    return {key: absolute_paths(value, Path.cwd()) for key, value in config.items()}


def _resolve(composed: DictConfig) -> Config:
    missing = sorted(str(key) for key in OmegaConf.missing_keys(composed))
    if missing:
        raise ConfigError("\n".join(f"{key}: a value is needed; add {key}=..." for key in missing))
    try:
        plain = OmegaConf.to_container(composed, resolve=True)
    except (InterpolationKeyError, InterpolationResolutionError) as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def flatten(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield `(dotted key, value)` of every leaf; an empty dict is a leaf."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node


def differences(ours: Config, theirs: Config) -> list[str]:
    """Say in words which keys differ between two frozen configs."""
    a, b = dict(flatten(ours)), dict(flatten(theirs))
    return [
        f"{key} is {_show(b, key)} there, {_show(a, key)} here"
        for key in sorted(a.keys() | b.keys())
        if _show(a, key) != _show(b, key)
    ]


def _show(leaves: dict[str, Any], key: str) -> str:
    return repr(leaves[key]) if key in leaves else "absent"
