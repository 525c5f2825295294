"""Hydra's and OmegaConf's complaints about a configuration, in one line with the nearest key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import yaml
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    ValidationError,
)

from vitruvian.core.check import nearest
from vitruvian.core.config import GIVEN, config_directory, leads_nowhere
from vitruvian.core.errors import ConfigError
from vitruvian.core.signatures import signature_of

# chosen like the other groups, but no keys themselves
_GLOBAL_GROUPS = ("experiment", "sweep", "cluster", "debug", "local")
_IN_FILE = re.compile(r"^In '([^']+)'", re.MULTILINE)
_OVERRIDDEN = re.compile(r"Could not override '([^']+)'")
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def explain(error: Exception, overrides: Sequence[str], config_name: str) -> ConfigError:
    """Turn an exception of composition into one line that names the key and the nearest one.

    Args:
        error: what Hydra or OmegaConf has raised.
        overrides: the command line.
        config_name: the root file, for the keys that would have been valid.
    """
    return ConfigError(_line(_Complaint(error, overrides, config_name)))


def no_option(path: str, valid: Sequence[str]) -> str:
    """Say that a group has no such option; `path` is `group/option`."""
    group, _, option = path.rpartition("/")
    near = nearest(option, valid)
    hint = f"; did you mean `{group}={near}`?" if near else f"; there are: {', '.join(valid)}"
    return f"{group}={option}: no such option{hint if valid else ''}"


@dataclass(frozen=True)
class _Complaint:
    error: Exception
    overrides: Sequence[str]
    config_name: str

    def causes(self) -> Iterator[BaseException]:
        """The exception and what it came from."""
        one: BaseException | None = self.error
        while one is not None:
            yield one
            one = one.__cause__ or one.__context__

    @property
    def text(self) -> str:
        """All messages below each other."""
        return "\n".join(str(one) for one in self.causes()) + "\n"

    @property
    def file(self) -> str:
        """The file that is at fault, as far as Hydra says so."""
        found = _IN_FILE.search(self.text)
        return f"{found[1]}.yaml: " if found else ""

    def config_without(self, dotted: str) -> DictConfig:
        """The config as it would be without the override that failed, or without any."""
        if dotted.startswith("hydra."):  # its keys depend on hydra/launcher=... and the like only
            chosen = [o for o in self.overrides if o.startswith(("hydra/", "hydra.searchpath="))]
            return _compose(self.config_name, chosen, with_hydra=True) or DictConfig({})
        begins = (f"{dotted}=", f"{dotted}@")
        kept = [o for o in self.overrides if not o.lstrip("+~").startswith(begins)]
        return _compose(self.config_name, kept) or _compose(self.config_name, []) or DictConfig({})


def _compose(
    config_name: str, overrides: Sequence[str], with_hydra: bool = False
) -> DictConfig | None:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    ours = [o for o in overrides if "=" in o and (with_hydra or not _is_hydras(o))]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            return compose(config_name, ours, return_hydra_config=with_hydra)
    except Exception:  # a second mistake: say what we know about the first
        return None


def _is_hydras(override: str) -> bool:
    """Whether an override is about Hydra itself; where the files are matters to the keys, too."""
    ours = ("hydra.searchpath=",)
    return override.startswith(("hydra.", "hydra/")) and not override.startswith(ours)


def _line(complaint: _Complaint) -> str:
    for error in complaint.causes():
        match error:
            case OverrideParseException():
                return _unreadable(error.override)
            case MissingConfigException(missing_cfg_file=str(path)):
                return no_option(path, error.options or [])
            case yaml.YAMLError():
                return _bad_yaml(error)
            case ConfigKeyError() | ConfigAttributeError():
                return complaint.file + _unknown_key(_culprit(error, complaint.text), complaint)
            case ValidationError(full_key=str()):
                return complaint.file + _mistyped(error)
            case InterpolationResolutionError():
                return complaint.file + leads_nowhere(error)
    for pattern, say in _SAYINGS.items():
        if match := re.search(pattern, complaint.text):
            return complaint.file + say(match, complaint)
    lines = [line for line in complaint.text.splitlines() if line and not line.startswith("In '")]
    return complaint.file + next(iter(lines), type(complaint.error).__name__)


# -- mistakes that have an exception of their own -------------------------------------------------


def _unreadable(override: str) -> str:
    if "=" not in override:
        return f"{override}: expected key=value"
    return f"{override}: cannot be read as key=value; put quotes around an unusual value"


def _bad_yaml(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"{mark.name}, line {mark.line + 1}" if mark else "a configuration file"
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{where}: not valid YAML: {what}"


def _mistyped(error: ValidationError) -> str:
    """A value of the typed root, such as `seed`, that is of another type."""
    hints = get_type_hints(error.object_type) if error.object_type else {}
    hint = hints.get(str(error.key))
    kind = get_args(hint)[0] if get_origin(hint) is UnionType else hint  # str | None
    expected = _WORDS.get(kind, f"keys below it ({error.full_key}.KEY=...)") if kind else ""
    if not expected:
        return f"{error.full_key}: {str(error).splitlines()[0]}"
    value = "null" if error.value is None else repr(error.value)
    return f"{error.full_key}: got {value}, expected {expected}"


def _culprit(error: ConfigKeyError | ConfigAttributeError, text: str) -> str:
    """The whole key that was asked for; OmegaConf names it up to its first wrong part."""
    asked = _OVERRIDDEN.search(text)
    named = str(error.full_key)
    return asked[1] if asked and asked[1].startswith(named) else named


def _unknown_key(dotted: str, complaint: _Complaint) -> str:
    config = complaint.config_without(dotted)
    keys = dotted.split(".")
    for depth, key in enumerate(keys):
        valid = _valid_keys(config, keys[:depth])
        if key in valid:
            continue
        taken = _taken(config, keys[:depth])
        if key in taken:
            return f"{dotted}: no file sets this key; add it with a plus sign: +{dotted}=..."
        return f"{dotted}: no such key{_hint(config, keys, depth, [*valid, *taken])}"
    if complaint.file.startswith(f"{dotted}/"):
        return f"{dotted}: no such key; put `# @package _global_` on the first line of the file"
    return f"{dotted}: this key cannot be set; a group's option is chosen with group=option"


def _valid_keys(config: DictConfig, parents: Sequence[str]) -> list[str]:
    node: Any = OmegaConf.select(config, ".".join(parents)) if parents else config
    keys = [str(key) for key in node] if isinstance(node, DictConfig) else []
    return keys if parents else [*keys, *_GLOBAL_GROUPS]


def _taken(config: DictConfig, parents: Sequence[str]) -> list[str]:
    """What the object below a key takes, beyond what its file says."""
    path = ".".join(parents)
    target = OmegaConf.select(config, f"{path}._target_") if parents else None
    if not isinstance(target, str):
        return []
    with suppress(ConfigError):
        return [n for n in signature_of(target).parameters if n not in GIVEN.get(path, ())]
    return []


def _hint(config: DictConfig, keys: Sequence[str], depth: int, valid: Sequence[str]) -> str:
    """The nearest key; the whole of it where the rest is right."""
    if not valid:
        return f"; {'.'.join(keys[:depth])} is a value and has no keys"
    near = nearest(keys[depth], valid)
    if near is None:
        listed = sorted({key for key in valid if not key.startswith("_")})
        return f"; valid here: {', '.join(listed)}"
    mended, rest = [*keys[:depth], near], keys[depth + 1 :]
    whole = ".".join([*mended, *rest])
    exists = OmegaConf.select(config, whole, throw_on_missing=False) is not None
    return f"; did you mean `{whole if exists else '.'.join(mended)}`?"


# -- mistakes that only a message tells -----------------------------------------------------------


def _unknown_group(match: re.Match[str], complaint: _Complaint) -> str:
    return _unknown_key(match[1], complaint)


def _not_chosen(match: re.Match[str], _: _Complaint) -> str:
    group = match[1].partition("=")[0]
    return f"~{match[1]}: {group} is another option; ~{group} leaves it out"


def _there_already(match: re.Match[str], _: _Complaint) -> str:
    return f"+{match[1]}: the key is there already; write {match[1]}=... without the plus sign"


def _chosen_twice(match: re.Match[str], complaint: _Complaint) -> str:
    if any(o.startswith(f"+{match[1]}=") for o in complaint.overrides):
        return f"+{match[1]}: an option is chosen already; write {match[1]}=... without the plus"
    return f"{match[1]}: an option is chosen already; write `- override /{match[1]}: OPTION`"


def _ambiguous(match: re.Match[str], _: _Complaint) -> str:
    key, values = match[1].split("=", 1)
    return f"{match[1]}: several values; add --multirun to try each, or write {key}=[{values}]"


def _no_name(match: re.Match[str], complaint: _Complaint) -> str:
    """An option must be a word; Hydra does not say which override is none."""
    groups = _valid_keys(complaint.config_without(""), [])
    for override in complaint.overrides:
        key, _, value = override.lstrip("+").partition("=")
        if not key:
            return f"{override}: expected key=value"
        if key in groups and (value == "null" or not re.match(r"[A-Za-z_]", value)):
            return f"{override}: expected the name of an option; ~{key} leaves the group out"
    return match[0]


def _no_folder(match: re.Match[str], _: _Complaint) -> str:
    return f"hydra.searchpath: {match[1]} does not exist; name a folder, as in file:///home/me/conf"


def _missing_value(match: re.Match[str], _: _Complaint) -> str:
    return f"{match[1]}: a value is needed; add {match[1]}=..."


_SAYINGS = {
    r"Could not override '([^']+)'\. No match": _unknown_group,
    r"Could not delete from config\. '([^']+)'": _unknown_group,
    r"Could not delete '([^']+)'": _not_chosen,
    r"An item is already at '([^']+)'": _there_already,
    r"Multiple values for (\S+)\.": _chosen_twice,
    r"Ambiguous value for argument '(.+)'": _ambiguous,
    r"Config group override must be .*": _no_name,
    r"Missing mandatory value: (\S+)": _missing_value,
    r"provider=hydra\.searchpath.*, path=(\S+) is not available": _no_folder,
}
