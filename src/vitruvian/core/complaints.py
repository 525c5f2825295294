"""Hydra's and OmegaConf's complaints about a configuration, in one line with the nearest key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vitruvian.core.check import nearest
from vitruvian.core.errors import ConfigError

_UNKNOWN_KEY = re.compile(r"Could not override '([^']+)'")
_UNKNOWN_GROUP = re.compile(r"Could not (?:find|load) '([^']+)'")
_OPTIONS = re.compile(r"Available options in '[^']*':\s*(.*?)\n(?:\S|$)", re.DOTALL)
_BAD_VALUE = re.compile(r"Error merging override (\S+)")
_IN_FILE = re.compile(r"In '([^']+)'")


def explain(error: Exception, overrides: Sequence[str], config_name: str) -> ConfigError:
    """Turn an exception of composition into one line that names the key and the nearest one."""
    text = _whole_text(error)
    if match := _UNKNOWN_KEY.search(text):
        return ConfigError(_unknown_key(match[1], overrides, config_name))
    if match := _UNKNOWN_GROUP.search(text):
        return ConfigError(_unknown_option(match[1], text))
    if match := _BAD_VALUE.search(text):
        return ConfigError(_bad_value(match[1], text))
    return ConfigError(_in_file(error, text))


def _whole_text(error: BaseException | None) -> str:
    parts: list[str] = []
    while error is not None:
        parts.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(parts) + "\n"


def _unknown_key(dotted: str, overrides: Sequence[str], config_name: str) -> str:
    config = _compose_without(dotted, overrides, config_name)
    keys = dotted.split(".")
    for depth, key in enumerate(keys):
        valid = _valid_keys(config, keys[:depth])
        if key not in valid:
            near = nearest(key, valid)
            if near:
                hint = f"; did you mean `{'.'.join([*keys[:depth], near])}`?"
            else:
                hint = f"; valid here: {', '.join(sorted(valid))}"
            return f"{dotted}: no such key{hint}"
    return f"{dotted}: this key cannot be set; a group's option is chosen with group=option"


def _valid_keys(config: DictConfig | None, parents: list[str]) -> list[str]:
    node: Any = config
    if parents:
        node = OmegaConf.select(config, ".".join(parents)) if config is not None else None
    keys = [str(key) for key in node] if isinstance(node, DictConfig) else []
    return keys if parents else [*keys, "experiment", "debug", "local"]


def _compose_without(dotted: str, overrides: Sequence[str], config_name: str) -> DictConfig | None:
    """The config as it would be without the override that failed."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from vitruvian.core.config import config_directory

    kept = [o for o in overrides if not o.lstrip("+~").startswith((f"{dotted}=", f"{dotted}@"))]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            return compose(config_name, [o for o in kept if not o.startswith("hydra")])
    except Exception:  # a second mistake: say what we know about the first
        return None


def _unknown_option(path: str, text: str) -> str:
    group, _, option = path.rpartition("/")
    options = _OPTIONS.search(text)
    valid = options[1].split() if options else []
    near = nearest(option, valid)
    hint = f"; did you mean `{group}={near}`?" if near else f"; there are: {', '.join(valid)}"
    return f"{group}={option}: no such option{hint if valid else ''}"


def _bad_value(assignment: str, text: str) -> str:
    key, _, value = assignment.partition("=")
    for line in text.splitlines():
        if line.startswith(("Value '", "Cannot convert", "Invalid value")):
            return f"{key.lstrip('+~')}={value}: {_first_lower(line)}"
    return f"{assignment}: cannot be merged into the configuration"


def _in_file(error: Exception, text: str) -> str:
    """A mistake inside a YAML file: unknown root key, bad YAML, bad value."""
    where = _IN_FILE.search(text)
    place = f"conf/{where[1]}.yaml: " if where else ""
    key = re.search(r"full_key: (\S+)", text)
    unknown = re.search(r"Key '([^']+)' (?:is )?not in '?(\w+)'?", text)
    if unknown:
        return f"{place}{unknown[1]}: no such key{_hint(unknown[1])}"
    first = next((line for line in text.splitlines() if line and not line.startswith("In '")), "")
    named = f"{key[1]}: " if key and isinstance(error, OmegaConfBaseException) else ""
    return f"{place}{named}{first}"


def _hint(key: str, valid: Iterable[str] | None = None) -> str:
    from vitruvian.core.config import ROOT_KEYS

    near = nearest(key, valid or ROOT_KEYS)
    return f"; did you mean `{near}`?" if near else ""


def _first_lower(line: str) -> str:
    return line[:1].lower() + line[1:]
