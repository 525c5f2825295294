"""Compose, then freeze: one plain, resolved, checked dict that everything afterwards reads.

Nothing here imports torch: composing and checking answer in well under a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from vitruvian.core.check import is_node, nearest, problems
from vitruvian.core.confidential import confidential, passwords
from vitruvian.core.errors import ConfigError
from vitruvian.core.signatures import absolute_paths
from vitruvian.core.trainer_keys import trainer_problems

Config = dict[str, Any]

# What the engine passes in code; the YAML of these groups leaves it out.
GIVEN: Mapping[str, frozenset[str]] = {
    "model": frozenset({"loss", "optimizer", "scheduler", "augment"}),
    "optimizer": frozenset({"params"}),
    "scheduler": frozenset({"optimizer"}),
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
    run: str | None = None
    output_dir: str = "outputs"
    seed: int = 0
    threads: int | None = None
    matmul_precision: str = "highest"
    page: bool = True
    monitor: Monitor = field(default_factory=Monitor)
    datamodule: dict[str, Any] = field(default_factory=dict)
    split: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)
    augment: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)


ROOT_KEYS = tuple(f.name for f in fields(Root))

# Where a run is kept is not part of what it computes: a moved run is still the same run.
PLACE_KEYS = ("run", "output_dir")

# Without one of these there is nothing to train; `scheduler` and `augment` may be left out.
NEEDED = ("datamodule", "split", "model", "loss", "optimizer", "trainer")
COLLECTIONS = ("callbacks", "logger")  # groups whose options hold several objects, by their role
_INTERPOLATED = re.compile(r"^Interpolation key '(.+)' not found")
CHOICES: Mapping[str, tuple[str, ...]] = {
    "matmul_precision": ("highest", "high", "medium"),
    "monitor.mode": ("min", "max"),
}
LEAST: Mapping[str, int] = {
    "seed": 0,
    "threads": 1,
    "trainer.accumulate_grad_batches": 1,
    "trainer.check_val_every_n_epoch": 1,
}


def config_directory() -> Path:
    """The folder of YAML files: inside an installed wheel, or `conf/` at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def freeze(composed: DictConfig, base: Path | None = None) -> Config:
    """Resolve and check a composed config.

    Args:
        composed: by Hydra, or as Hydra would.
        base: where relative paths start; the folder we are in by default.

    Returns:
        Plain dicts, lists and scalars, relative paths made absolute, without the keys that only say
        where the run is kept.

    Raises:
        ConfigError: a value is missing, an interpolation leads nowhere, or a node does not fit the
            signature of its `_target_`; one line per problem.
    """
    return checked(_resolve(composed), base)


def freeze_tool(composed: DictConfig) -> Config:
    """Resolve and check a config that describes one object, of a verb that trains nothing.

    Raises:
        ConfigError: as `freeze`.
    """
    config = _resolve(composed)
    found = [*problems(config, "", {})]
    if found:
        raise ConfigError("\n".join(found))
    return dict(absolute_paths(config, Path.cwd()))


def checked(config: Config, base: Path | None = None) -> Config:
    """Check a plain config, fill in root keys that it lacks, make relative paths absolute.

    Args:
        config: resolved.
        base: where relative paths start; the folder we are in by default.

    Raises:
        ConfigError: one line per problem.
    """
    whole = asdict(Root()) | config  # a run of an earlier version lacks what was added since
    for key in PLACE_KEYS:
        whole.pop(key, None)
    found = [*_root_problems(whole), *problems(whole, "", GIVEN)]
    if found:
        raise ConfigError("\n".join(found))
    return {key: absolute_paths(value, base or Path.cwd()) for key, value in whole.items()}


def _resolve(composed: DictConfig) -> Config:
    try:
        plain = OmegaConf.to_container(composed, resolve=True)
        missing = sorted(map(str, OmegaConf.missing_keys(composed))) if _lacks(plain) else []
    except InterpolationResolutionError as error:
        raise ConfigError(leads_nowhere(error, composed)) from error
    if missing:
        raise ConfigError("\n".join(f"{key}: a value is needed; add {key}=..." for key in missing))
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _lacks(node: Any) -> bool:
    """Whether a value is missing somewhere; asking OmegaConf takes ten times as long."""
    if isinstance(node, dict):
        return any(_lacks(value) for value in node.values())
    return any(_lacks(item) for item in node) if isinstance(node, list) else node == "???"


def leads_nowhere(error: InterpolationResolutionError, config: DictConfig | None = None) -> str:
    """Say which key holds an interpolation that cannot be resolved, and what may be meant."""
    place = f"{error.full_key}: " if error.full_key else ""
    text = str(error).splitlines()[0]
    missing = _INTERPOLATED.search(text)
    if missing is None:
        return f"{place}{text}"
    keys = [key for key, _ in flatten(OmegaConf.to_container(config))] if config else []
    return f"{place}${{{missing[1]}}} leads nowhere{_meant(nearest(missing[1], keys))}{_of(error)}"


def _of(error: InterpolationResolutionError) -> str:
    """An option that looks for a key of another group is often of another study than that one."""
    reader, _, _ = str(error.full_key or "").partition(".")
    missing = _INTERPOLATED.search(str(error).splitlines()[0])
    group = missing[1].partition(".")[0] if missing else ""
    if group not in ROOT_KEYS or reader not in ROOT_KEYS or group == reader:
        return ""
    return f"; are this {reader} and this {group} of different studies?"


# -- the root -------------------------------------------------------------------------------------


def _root_problems(config: Config) -> Iterator[str]:
    """What the signatures cannot tell: keys that nothing reads, and parts that are not there."""
    for key in config.keys() - set(ROOT_KEYS):
        yield f"{key}: no such key{_meant(nearest(key, ROOT_KEYS))}"
    for key in NEEDED:
        if not is_node(config[key]):
            yield f"{key}: an option is needed; choose one with {key}=OPTION"
    for key in COLLECTIONS:
        yield from _roles_without_object(key, config[key])
    if is_node(config["trainer"]):
        yield from trainer_problems(config["trainer"])
    yield from confidential(config["logger"])
    yield from passwords({key: value for key, value in config.items() if key != "logger"})
    for key, value in flatten(config):
        if key in CHOICES and value not in CHOICES[key]:
            yield f"{key}: got {value!r}, expected {' or '.join(CHOICES[key])}"
        if key in LEAST and isinstance(value, int) and value < LEAST[key]:
            yield f"{key}: got {value}, expected {LEAST[key]} or more"


def _roles_without_object(group: str, nodes: Config) -> Iterator[str]:
    """A misspelt role (`callbacks.checkpoint`) is an entry of its own that builds nothing."""
    roles = [role for role, node in nodes.items() if is_node(node)]
    for role, node in nodes.items():
        if node and role not in roles:
            near = nearest(role, roles)
            meant = f"{group}.{near}" if near else None
            yield f"{group}.{role}: nothing to build, it has no `_target_`{_meant(meant)}"


def _meant(near: str | None) -> str:
    return f"; did you mean `{near}`?" if near else ""


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
