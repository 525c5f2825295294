"""What a `_target_` takes, read from its source; imported only where the source cannot tell."""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from vitruvian.core.allowed import permit_home, permit_name
from vitruvian.core.build import locate
from vitruvian.core.errors import ConfigError
from vitruvian.core.targets import (
    Definition,
    Expression,
    Found,
    Function,
    Import,
    MissingError,
    Module,
    UnreadableError,
    attribute,
    lineage,
    module_at,
    resolve,
    tail,
)

Kind: TypeAlias = tuple[ast.expr, Module | None]  # an annotation and the module that it stands in
_WRITTEN_BY: Final = {"attrs", "define", "frozen", "mutable", "s"}  # decorators of attrs
_WRAPPERS: Final = {"Annotated", "Final", "InitVar"}


@dataclass(frozen=True)
class Parameter:
    """One keyword that a target takes; annotation and default are source, read in `module`."""

    name: str
    required: bool
    annotation: ast.expr | None = None
    default: ast.expr | None = None
    module: Module | None = None

    @property
    def kinds(self) -> Iterator[Kind]:
        """The alternatives of the annotation, unions and aliases resolved; empty without one."""
        return iter(()) if self.annotation is None else kinds(self.annotation, self.module)

    @property
    def is_path(self) -> bool:
        """Whether the annotation names `Path`."""
        return any(tail(leaf) == "Path" for kind, _ in self.kinds for leaf in _leaves(kind))


@dataclass(frozen=True)
class Signature:
    """What a target takes by keyword; an open one takes any further name (`**kwargs`)."""

    target: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    open: bool = False


def signature_of(target: str) -> Signature:
    """Return what `target` takes.

    Raises:
        ConfigError: the target is outside the allow-list, does not exist, or is no class, class
            method or permitted function.
    """
    try:
        found = find(target)
        if isinstance(found.node, ast.ClassDef):
            parameters, is_open = _constructor(lineage(found))
        else:
            parameters, is_open = _taken(found.node, found.module, bound="." in found.qualname)
    except UnreadableError:
        return _imported(target)
    return Signature(target, {p.name: p for p in parameters}, is_open)


def absolute_paths(node: Any, base: Path) -> Any:
    """Return a copy of a checked config in which relative paths start from `base`.

    A path is a text given for a parameter that is annotated with `Path`, alone or in a list.
    """
    if isinstance(node, list):
        return [absolute_paths(item, base) for item in node]
    if not isinstance(node, dict):
        return node
    taken = signature_of(node["_target_"]).parameters if "_target_" in node else {}
    return {
        key: _absolute(value, base)
        if key in taken and taken[key].is_path
        else absolute_paths(value, base)
        for key, value in node.items()
    }


def _absolute(value: Any, base: Path) -> Any:
    if isinstance(value, list):
        return [_absolute(item, base) for item in value]
    if isinstance(value, str) and "://" not in value:  # an address in a bucket stays as it is
        return str(base / Path(value).expanduser())
    return absolute_paths(value, base)


# --- from a target to its definition -----------------------------------------------------------


def find(target: str) -> Definition:
    """Find the class, class method or function that `target` leads to, and refuse any other.

    Raises:
        ConfigError: it is outside the allow-list, does not exist, or cannot be built.
        UnreadableError: the source does not tell.
    """
    permit_name(target)
    *parents, name = target.split(".")
    owner: Found | None = module_at(parents[0])
    if owner is None:
        raise ConfigError(f"{target} does not exist: {parents[0]} is not installed")
    try:
        for part in parents[1:]:
            owner = _inner(owner, part)
        found = attribute(owner, name)
    except MissingError as error:
        raise ConfigError(f"{target} does not exist") from error
    if isinstance(found, Module):
        raise ConfigError(f"{target} is a module; name a class in it")
    if isinstance(found, Expression):
        raise UnreadableError(target)
    _permit(found, owner)
    return found


def _inner(owner: Found, part: str) -> Found:
    """Go one segment down: into a submodule or a class, never into a module's imports."""
    if isinstance(owner, Module) and (submodule := module_at(f"{owner.name}.{part}")):
        return submodule
    found = attribute(owner, part)
    if not isinstance(found, Definition):
        raise MissingError(part)
    permit_home(found.home)
    return found


def _permit(found: Definition, owner: Found) -> None:
    """Hold what was found against the allow-list, as `build.locate` does with the real object."""
    marks = {tail(decorator) for decorator in found.node.decorator_list}
    if isinstance(found.node, ast.ClassDef) or "classmethod" in marks:
        permit_home(found.home)
    elif isinstance(owner, Module):
        permit_home(found.home, function=True)
    else:
        raise ConfigError(f"{found.home} is a method; a config builds classes and class methods")


# --- from a definition to its parameters -------------------------------------------------------

Taken: TypeAlias = tuple[list[Parameter], bool]


def _constructor(ancestors: Iterator[Definition]) -> Taken:
    """Read the first constructor on the way up; on past it, where it hands its keywords on."""
    for ancestor in ancestors:
        own = {s.name: s for s in ancestor.body if isinstance(s, Function)}
        function = own.get("__init__") or own.get("__new__")
        if function is not None:
            taken = _taken(function, ancestor.module, bound=True)
            call = _handed_on(function)
            return _merged(taken[0], call, ancestors) if call else taken
        writer = _writer(ancestor)
        if writer == "attrs":
            raise UnreadableError(ancestor.home)
        if writer:
            return _fields(ancestor, ancestors if writer == "dataclass" else iter(())), False
    return [], False


def _taken(function: Function, module: Module, *, bound: bool) -> Taken:
    """List what a function takes by keyword, and whether it takes any other name."""
    arguments = function.args
    positional = arguments.posonlyargs + arguments.args
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    pairs = list(zip(positional, [*defaults, *arguments.defaults], strict=True))
    pairs = pairs[max(len(arguments.posonlyargs), int(bound)) :]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    taken = [Parameter(a.arg, d is None, a.annotation, d, module) for a, d in pairs]
    return taken, arguments.kwarg is not None


def _handed_on(function: Function) -> ast.Call | None:
    """Return the `super().__init__(..., **kwargs)` that is the only use of `**kwargs`."""
    name = function.args.kwarg.arg if function.args.kwarg else None
    nodes = list(ast.walk(function)) if name else []
    uses = [node for node in nodes if isinstance(node, ast.Name) and node.id == name]
    for node in nodes:
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__"),
                keywords=[*_, ast.keyword(arg=None, value=value)],
            ) if uses == [value]:
                return node
    return None


def _merged(own: list[Parameter], call: ast.Call, ancestors: Iterator[Definition]) -> Taken:
    """Add what the base takes, less what the call already fills in."""
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return own, True
    try:
        inherited, is_open = _constructor(ancestors)
    except UnreadableError:
        return own, True
    filled = {p.name for p in own} | {k.arg for k in call.keywords}
    return own + [p for p in inherited[len(call.args) :] if p.name not in filled], is_open


def _writer(found: Definition) -> str | None:
    """Say what writes the constructor of a class that has none: dataclass, NamedTuple, attrs."""
    assert isinstance(found.node, ast.ClassDef)
    decorators = {tail(decorator) for decorator in found.node.decorator_list}
    if "dataclass" in decorators:
        return "dataclass"
    if decorators & _WRITTEN_BY:
        return "attrs"
    return "NamedTuple" if "NamedTuple" in map(tail, found.node.bases) else None


def _fields(found: Definition, ancestors: Iterator[Definition]) -> list[Parameter]:
    """List the fields of a dataclass, its bases' first, or those of a NamedTuple."""
    fields: dict[str, Parameter] = {}
    bases = [ancestor for ancestor in ancestors if _writer(ancestor) == "dataclass"]
    for definition in [*reversed(bases), found]:
        for statement in definition.body:
            match statement:
                case ast.AnnAssign(target=ast.Name(id=name), annotation=kind, value=value):
                    if tail(kind) not in {"ClassVar", "KW_ONLY"} and _settable(value):
                        required = _without_default(value)
                        module = definition.module
                        fields[name] = Parameter(name, required, kind, value, module)
    return list(fields.values())


def _settable(value: ast.expr | None) -> bool:
    """Tell whether a field is an argument of the constructor: not `field(init=False)`."""
    keywords = value.keywords if isinstance(value, ast.Call) else []
    return not any(k.arg == "init" and ast.unparse(k.value) == "False" for k in keywords)


def _without_default(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call) and tail(value.func) == "field":
        return not {"default", "default_factory"} & {k.arg for k in value.keywords}
    return value is None


def _imported(target: str) -> Signature:
    """Ask the object itself: slow, for what no source describes."""
    try:
        taken = inspect.signature(locate(target)).parameters.values()
    except ValueError as error:
        raise ConfigError(f"{target} does not tell what it takes") from error
    named = [p for p in taken if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    parameters = {p.name: Parameter(p.name, p.default is p.empty) for p in named}
    return Signature(target, parameters, any(p.kind is p.VAR_KEYWORD for p in taken))


# --- annotations -------------------------------------------------------------------------------


def kinds(annotation: ast.expr, module: Module | None, depth: int = 0) -> Iterator[Kind]:
    """Yield the alternatives of an annotation: unions taken apart, aliases followed."""
    match annotation:
        case ast.Constant(value=str(text)):
            inner = [ast.parse(text, mode="eval").body]
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            inner = [left, right]
        case ast.Subscript(slice=ast.Tuple(elts=parts)) if tail(annotation) == "Union":
            inner = parts
        case ast.Subscript(slice=ast.Tuple(elts=[part, *_]) | part) if (
            tail(annotation) in _WRAPPERS
        ):
            inner = [part]
        case ast.Subscript(slice=part) if tail(annotation) == "Optional":
            inner = [part, ast.Constant(None)]
        case _:
            alias = _alias(annotation, module)
            inner, module = ([alias.node], alias.module) if alias else ([], module)
    if not inner or depth > 20:  # an alias may lead to itself
        yield annotation, module
    for part in inner:
        yield from kinds(part, module, depth + 1)


def _alias(annotation: ast.expr, module: Module | None) -> Expression | None:
    """Follow the name of a type alias, such as `_PATH = Union[str, Path]`."""
    if module is None or not isinstance(annotation, ast.Name | ast.Attribute):
        return None
    root = ast.unparse(annotation).partition(".")[0]
    bound = module.bindings.get(root)
    source = bound.module.partition(".")[0] if isinstance(bound, Import) else ""
    if source in sys.stdlib_module_names or (bound is None and hasattr(builtins, root)):
        return None  # `Sequence`, `int`: nothing to follow
    try:
        found = resolve(annotation, module)
    except LookupError:
        return None
    return found if isinstance(found, Expression) else None


def _leaves(kind: ast.expr) -> Iterator[ast.expr]:
    return (node for node in ast.walk(kind) if isinstance(node, ast.Name | ast.Attribute))
