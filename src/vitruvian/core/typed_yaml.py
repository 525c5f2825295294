"""YAML as dataclasses: every value by the type of its field, every mistake by its key.

All scalars are read as text first and then as what the field says. YAML itself would take 012 for
10, no for false, and 4e-4 for text.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from vitruvian.core.check import nearest
from vitruvian.core.errors import DataError

T = TypeVar("T")

_NOTHING = ("", "~", "null")
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def read_typed(path: Path, kind: type[T]) -> T:
    """Read a YAML file as the dataclass `kind`.

    A field's type may be str, int, float, bool, a Literal, a dataclass, tuples, mappings with text
    as keys, unions of these, and Any: what YAML itself would read. A dataclass with a class
    variable `short` may also be written as the value of the field of that name alone; a tuple of
    any length as its only item alone.

    Raises:
        DataError: the file cannot be read; a key is missing, unknown or there twice; a value is of
            another type. Names the file and the key, and the nearest right key.
    """
    node = read_texts(path)
    try:
        return typed(node, kind)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def read_texts(path: Path) -> Any:
    """Read a YAML file with every scalar as text, for `typed`.

    Raises:
        DataError: the file cannot be read, or a key is there twice; names the file.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.YAMLError as error:
        raise DataError(f"{path}{_complaint(error)}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


class _Loader(yaml.SafeLoader):
    """Reads every scalar as text and refuses keys that are there twice."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                mark = node.value[number][0].start_mark
                raise yaml.MarkedYAMLError(problem=f"{key} is there twice", problem_mark=mark)
        return super().construct_mapping(node, deep)


def _complaint(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f", line {mark.line + 1}" if mark else ""
    return f"{where}: {getattr(error, 'problem', None) or 'is no YAML'}"


# --- types ---------------------------------------------------------------------------------------


def typed(node: Any, kind: Any, key: str = "") -> Any:
    """Read what YAML holds below `key` as the type `kind`; see `read_typed`."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return _plain(node)
    if origin is UnionType:
        return _union(node, inner, key)
    if is_dataclass(kind):
        return _dataclass(node, kind, key)
    if origin is Literal:
        return _choice(node, inner, key)
    if origin is tuple:
        return _tuple(node, inner, key)
    if origin is Mapping:
        return {name: typed(v, inner[1], _below(key, name)) for name, v in _mapping(node, key)}
    return _scalar(node, kind, key)


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _plain(value) for name, value in node.items()}
    return [_plain(item) for item in node] if isinstance(node, list) else yaml.safe_load(node)


def _union(node: Any, kinds: tuple[Any, ...], key: str) -> Any:
    """The first alternative that fits; where none does, the complaint is that of the last."""
    if node in _NOTHING and NoneType in kinds:
        return None
    *others, last = [kind for kind in kinds if kind is not NoneType]
    for kind in others:
        try:
            return typed(node, kind, key)
        except DataError:
            continue
    return typed(node, last, key)


def _dataclass(node: Any, kind: Any, key: str) -> Any:
    short = getattr(kind, "short", None)
    given = {short: node} if short and isinstance(node, str) else dict(_mapping(node, key))
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}
    for name in given:
        if name not in known:
            raise DataError(f"{_below(key, name)}: no such key; {_hint(name, known)}")
    for name, field in known.items():
        if name not in given and field.default is MISSING and field.default_factory is MISSING:
            raise DataError(f"{_below(key, name)}: missing")
    values = {name: typed(value, hints[name], _below(key, name)) for name, value in given.items()}
    try:
        return kind(**values)
    except DataError as error:
        raise DataError(_below(key, str(error))) from error


def _mapping(node: Any, key: str) -> Any:
    if not isinstance(node, dict):
        raise DataError(f"{key or 'the file'}: expected keys with values, got {_shown(node)}")
    return node.items()


def _choice(node: Any, choices: tuple[str, ...], key: str) -> str:
    if node not in choices:
        raise DataError(f"{key}: {_shown(node)} is no choice; {_hint(str(node), choices)}")
    return str(node)


def _tuple(node: Any, inner: tuple[Any, ...], key: str) -> tuple[Any, ...]:
    if inner[-1] is Ellipsis:
        nodes = node if isinstance(node, list) else [node]
        inner = (inner[0],) * len(nodes)
    elif isinstance(node, list) and len(node) == len(inner):
        nodes = node
    else:
        raise DataError(f"{key}: expected a list of {len(inner)} numbers, got {_shown(node)}")
    below = [f"{key}[{number}]" for number in range(len(nodes))] if len(nodes) != 1 else [key]
    return tuple(typed(*each) for each in zip(nodes, inner, below, strict=True))


def _scalar(node: Any, kind: type, key: str) -> Any:
    words = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
    try:
        if not isinstance(node, str) or node in _NOTHING:
            raise ValueError
        value = _TRUTH[node.lower()] if kind is bool else kind(node)
        if kind is float and not math.isfinite(value):
            raise ValueError
    except (ValueError, KeyError):
        raise DataError(f"{key}: expected {words[kind]}, got {_shown(node)}") from None
    return value


def _below(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _hint(name: str, valid: Any) -> str:
    near = nearest(name, valid)
    return f"did you mean {near}?" if near else f"there are {', '.join(valid)}"


def _shown(node: Any) -> str:
    if node in ("", None):
        return "nothing"
    return f"keys ({', '.join(node)})" if isinstance(node, dict) else str(node).replace("'", "")
