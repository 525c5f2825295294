"""From a checked config to live objects: every `_target_` is imported and called, nothing else."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

from vitruvian.core.allowed import permit_home, permit_name
from vitruvian.core.errors import ConfigError

_SCALARS = (str, int, float, bool, type(None))


def build(node: Any, path: str = "", /, **given: Any) -> Any:
    """Build what a frozen config describes.

    A dict with `_target_` becomes what its class returns for the other keys, which are built first;
    with `_partial_: true` it becomes a `functools.partial` that waits for the rest. Other dicts,
    lists and scalars stay what they are, with built values.

    Args:
        node: plain dicts, lists and scalars.
        path: the key of `node` in the config, for messages.
        given: arguments that no config can hold, for the outermost `_target_`.

    Raises:
        ConfigError: a target is refused or missing, or its constructor refuses a value.
        TypeError: the config is not plain (a DictConfig), or nothing takes `given`.
    """
    if type(node) is dict and "_target_" in node:
        return _call(node, path, given)
    if given:
        raise TypeError(f"{path or 'the config'} has no _target_ to take {', '.join(given)}")
    if type(node) is dict:
        return {key: build(value, _join(path, key)) for key, value in node.items()}
    if type(node) is list:
        return [build(value, f"{path}[{index}]") for index, value in enumerate(node)]
    if isinstance(node, _SCALARS):
        return node
    raise TypeError(f"{path or 'the config'}: {type(node).__name__} is not plain; freeze it first")


def _call(node: dict[str, Any], path: str, given: dict[str, Any]) -> Any:
    target = node["_target_"]
    own = {key: value for key, value in node.items() if key not in ("_target_", "_partial_")}
    arguments = {key: build(value, _join(path, key)) for key, value in own.items()} | given
    try:
        maker = locate(target)
    except ConfigError as error:
        raise ConfigError(f"{_join(path, '_target_')}: {error}") from error
    if node.get("_partial_", False):
        return functools.partial(maker, **arguments)
    try:
        return maker(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path} ({target}): {error}".lstrip()) from error


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def locate(target: str) -> Callable[..., Any]:
    """Import what `target` names, and hold what was really found against the allow-list.

    Raises:
        ConfigError: it is not in the allow-list, does not exist, cannot be imported, or is neither
            a class, nor a class method, nor a permitted function.
    """
    permit_name(target)
    *parents, name = target.split(".")
    owner: Any = _import(parents[0])
    for part in parents[1:]:
        owner = _step(owner, part, target)
    if not hasattr(owner, name):
        raise ConfigError(f"{target} does not exist")
    return _admit(owner, getattr(owner, name), target)


def _step(owner: Any, part: str, target: str) -> Any:
    """Go one segment down: into a submodule or a class, never into a module's imports."""
    if isinstance(owner, ModuleType):
        with suppress(ModuleNotFoundError):
            return _import(f"{owner.__name__}.{part}")
    inner = getattr(owner, part, None)
    if not inspect.isclass(inner):
        raise ConfigError(f"{target} does not exist")
    permit_home(_home(inner))
    return inner


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if "." in name and error.name == name:  # no such submodule: perhaps a class, see _step
            raise
        raise ConfigError(f"{name} cannot be imported: {error}") from error


def _admit(owner: Any, found: Any, target: str) -> Callable[..., Any]:
    """Let through a class, a class method or a permitted function, by where it is defined."""
    if inspect.isclass(found):
        permit_home(_home(found))
    elif inspect.ismethod(found) and inspect.isclass(found.__self__):
        permit_home(_home(found.__func__))
    elif inspect.isfunction(found) and isinstance(owner, ModuleType):
        permit_home(_home(found), function=True)
    else:
        raise ConfigError(f"{target} is neither a class nor a function of a module")
    allowed: Callable[..., Any] = found
    return allowed


def _home(found: Any) -> str:
    return f"{found.__module__}.{found.__qualname__}"
