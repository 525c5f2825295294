"""Where the dotted name of a `_target_` leads in the source; which are allowed: core/allowed.py.

Importing torch and its kin costs seconds, parsing the files that define a config's targets costs
milliseconds. So nothing here runs what it reads: names are followed with `ast` alone.
"""

from __future__ import annotations

import ast
import gc
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.machinery import ModuleSpec, PathFinder
from itertools import chain
from pathlib import Path
from typing import Final, TypeAlias

_ROOTS: Final = {"object", "ABC", "Generic", "Protocol", "NamedTuple"}
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class MissingError(LookupError):
    """The source says for certain that there is no such name."""


class UnreadableError(LookupError):
    """The source does not tell; only importing would."""


@dataclass(frozen=True)
class Import:
    """A name that a module brings in: `name` of `module`, or the module itself."""

    module: str
    name: str | None = None


@dataclass(frozen=True)
class Expression:
    """A name that a module assigns, such as a type alias."""

    module: Module
    node: ast.expr


@dataclass(frozen=True)
class Definition:
    """A class or function, where it is defined."""

    module: Module
    qualname: str
    node: ast.ClassDef | Function

    @property
    def home(self) -> str:
        """`module.qualname`, the name that the allow-list looks at."""
        return f"{self.module.name}.{self.qualname}"

    @property
    def body(self) -> list[ast.stmt]:
        """The statements of a class, those under a plain `if` or `try` included."""
        nested = ([s for branch in branches(s) for s in branch] or [s] for s in self.node.body)
        return list(chain.from_iterable(nested))


def lineage(found: Definition) -> Iterator[Definition]:
    """Yield a class and its ancestors, depth first; bases are looked up only when reached.

    Raises:
        UnreadableError: a base cannot be followed.
    """
    yield found
    assert isinstance(found.node, ast.ClassDef)
    for base in found.node.bases:
        if tail(base) in _ROOTS:
            continue
        try:
            ancestor = resolve(base, found.module)
        except MissingError as error:  # a builtin such as dict
            raise UnreadableError(ast.unparse(base)) from error
        if not isinstance(ancestor, Definition) or not isinstance(ancestor.node, ast.ClassDef):
            raise UnreadableError(ast.unparse(base))
        yield from lineage(ancestor)


def tail(node: ast.expr) -> str:
    """Return the last segment of a name: `Optional` of `typing.Optional[int]`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value) | ast.Call(func=value):
            return tail(value)
    return ""


# --- modules and the names in them -------------------------------------------------------------


@dataclass(frozen=True)
class Module:
    """A module that was found but not run: its source file and, for a package, its folders."""

    name: str
    file: str | None
    folders: tuple[str, ...]

    @cached_property
    def bindings(self) -> dict[str, Binding]:
        """Every name that the top level binds; a `*` import is kept as `*module`."""
        return _bindings(_parse(Path(self.file)).body, self) if self.file else {}

    @property
    def starred(self) -> list[Module]:
        """The modules whose names arrive through `*`, at any remove."""
        reached = [self]
        for module in reached:  # grows as it goes
            sources = (module_at(name[1:]) for name in module.bindings if name.startswith("*"))
            reached += [found for found in sources if found and found not in reached]
        return reached[1:]

    @property
    def own(self) -> list[str]:
        """The names that a `*` import may take: what has no underscore, and `__all__`."""
        listed = self.bindings.get("__all__")
        items = listed.elts if isinstance(listed, ast.List | ast.Tuple) else []
        names = [name for name in self.bindings if name[0] not in "_*"]
        return names + [str(item.value) for item in items if isinstance(item, ast.Constant)]

    @property
    def is_silent(self) -> bool:
        """Whether it may hold names that no source shows: compiled, or made at run time."""
        modules = [self, *self.starred]
        compiled = any(module.file is None and not module.folders for module in modules)
        return compiled or any("__getattr__" in module.bindings for module in modules)


Found: TypeAlias = Module | Definition | Expression
Binding: TypeAlias = ast.ClassDef | Function | ast.expr | Import
Seen: TypeAlias = frozenset[tuple[str, str]]
_module = cache(Module)  # one object a file, so that each is parsed once
_found: dict[tuple[str, ...], Module] = {}  # by name and search path: a sweep asks a thousand times


def module_at(name: str) -> Module | None:
    """Find a module by its dotted name without importing it or its parents."""
    key = (name, *sys.path)
    found = _found.get(key) or _search(name)
    if found is not None:  # one that is not there may still be written
        _found[key] = found
    return found


def _search(name: str) -> Module | None:
    parent, _, last = name.rpartition(".")
    if not parent:
        spec = _top_level(last)
    else:
        package = module_at(parent)
        folders = package.folders if package else ()
        spec = PathFinder.find_spec(last, folders) if folders else None
    if spec is None:
        return None
    source = spec.origin if spec.has_location and str(spec.origin).endswith(".py") else None
    return _module(name, source, tuple(spec.submodule_search_locations or ()))


def _top_level(name: str) -> ModuleSpec | None:
    """Look on the path, then ask the other finders: editable installs add their own."""
    spec = PathFinder.find_spec(name)
    others = (finder.find_spec(name, None) for finder in sys.meta_path)
    return spec or next((found for found in others if found), None)


def _parse(file: Path) -> ast.Module:
    """Parse a file, keeping the garbage collector from walking the growing tree: half the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(file.read_bytes())
    finally:
        if collecting:
            gc.enable()


def _bindings(body: list[ast.stmt], module: Module) -> dict[str, Binding]:
    """Collect what statements bind; of `if` and `try` the first branch that binds a name counts."""
    found: dict[str, Binding] = {}
    for statement in body:
        for branch in branches(statement):
            found = _bindings(branch, module) | found
        for name, bound in _bound(statement, module):
            remade = isinstance(bound, ast.expr) and isinstance(found.get(name), ast.stmt)
            if not remade:  # `f = decorate(f)`: the definition says more
                found[name] = bound
    return found


def branches(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Yield the blocks of an `if`, `with` or `try`, which bind names in the block around them."""
    match statement:
        case ast.If(body=body, orelse=orelse):
            yield from (body, orelse)
        case ast.With(body=body):
            yield body
        case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
            yield from (body, orelse, *(handler.body for handler in handlers), final)


def _bound(statement: ast.stmt, module: Module) -> Iterator[tuple[str, Binding]]:
    match statement:
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            _lighten(statement)
            yield statement.name, statement
        case ast.Assign(targets=targets, value=value):
            yield from ((name.id, value) for name in targets if isinstance(name, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.Import(names=names):
            for alias in names:
                top = alias.name.split(".")[0]
                yield alias.asname or top, Import(alias.name if alias.asname else top)
        case ast.ImportFrom(names=names):
            source = _source(statement, module)
            for alias in names:
                name = f"*{source}" if alias.name == "*" else alias.asname or alias.name
                yield name, Import(source, alias.name)


def _lighten(statement: ast.ClassDef | Function) -> None:
    """Drop the bodies of functions that hand no keywords on: most of a tree, and never read."""
    for inner in statement.body if isinstance(statement, ast.ClassDef) else [statement]:
        if isinstance(inner, Function) and inner.args.kwarg is None:
            inner.body = []


def _source(statement: ast.ImportFrom, module: Module) -> str:
    """Return the absolute name of the module that a `from` import reads."""
    if not statement.level:
        return statement.module or ""
    up = statement.level - bool(module.folders)  # a package is its own first level
    base = module.name.split(".")[: -up or None]
    return ".".join([*base, statement.module] if statement.module else base)


def _member(module: Module, name: str, seen: Seen) -> Found:
    """Follow `module.name` to where it is defined."""
    if (module.name, name) not in seen:  # `from torch import nn as nn` inside torch: a submodule
        seen |= {(module.name, name)}
        bound = module.bindings.get(name)
        if bound is not None:
            return _follow(bound, name, module, seen)
        for source in module.starred:
            if name in source.own:
                return _member(source, name, seen)
    if module.folders and (submodule := module_at(f"{module.name}.{name}")):
        return submodule
    raise (UnreadableError if module.is_silent else MissingError)(name)


def _follow(bound: Binding, name: str, module: Module, seen: Seen) -> Found:
    if isinstance(bound, Import):
        source = _required(bound.module)
        return _member(source, bound.name, seen) if bound.name else source
    if isinstance(bound, ast.Name | ast.Attribute):
        return resolve(bound, module, seen)
    if isinstance(bound, ast.expr):
        return Expression(module, bound)
    return Definition(module, name, bound)


def _required(name: str) -> Module:
    if (module := module_at(name)) is None:
        raise UnreadableError(name)
    return module


def resolve(node: ast.expr, module: Module, seen: Seen = frozenset()) -> Found:
    """Follow a name or a dotted name, as written in `module`, to where it is defined.

    Raises:
        LookupError: the source does not tell.
    """
    match node:
        case ast.Name(id=name):
            return _member(module, name, seen)
        case ast.Attribute(value=value, attr=name):
            return attribute(resolve(value, module, seen), name, seen)
        case ast.Subscript(value=value):
            return resolve(value, module, seen)
    raise UnreadableError(ast.unparse(node))


def attribute(owner: Found, name: str, seen: Seen = frozenset()) -> Found:
    """Follow a name in a module, or in a class and its ancestors; see `resolve`."""
    if isinstance(owner, Module):
        return _member(owner, name, seen)
    if not isinstance(owner, Definition) or not isinstance(owner.node, ast.ClassDef):
        raise MissingError(name)
    for ancestor in lineage(owner):
        for statement in ancestor.body:
            if isinstance(statement, ast.ClassDef | Function) and statement.name == name:
                return Definition(ancestor.module, f"{ancestor.qualname}.{name}", statement)
    raise MissingError(name)
