"""A mistake in a config, told before anything is imported: which key, and the nearest right one."""

from __future__ import annotations

import ast
import difflib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any, Final

from vitruvian.core.allowed import ALLOWED, added, within
from vitruvian.core.errors import ConfigError
from vitruvian.core.signatures import Kind, Parameter, Signature, find, kinds, signature_of
from vitruvian.core.targets import Definition, module_at, resolve, tail

SPECIAL: Final = ("_target_", "_partial_")
_TRIES: Final = 3  # spellings tried for each segment of a misspelt target
_SHOWN: Final = 8  # names listed after an error; more would bury the message
_LIKENESS: Final = 0.6  # of difflib: one letter in three may be wrong
_NOTHING_GIVEN: Final[AbstractSet[str]] = frozenset()

_PLAIN: Final[dict[str, Callable[[Any], bool]]] = {
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "str": lambda value: isinstance(value, str),
    "Path": lambda value: isinstance(value, str),
    "PathLike": lambda value: isinstance(value, str),
}
_LISTS: Final = {"list", "List", "Sequence", "Iterable", "Collection", "set", "Set", "frozenset"}
_TUPLES: Final = {"tuple", "Tuple"}
_MAPPINGS: Final = {"dict", "Dict", "Mapping", "MutableMapping", "OrderedDict"}
_ASSUMED: Final = {
    bool: "bool | None",
    int: "float | None",
    float: "float | None",
    str: "str | None",
}


def check(config: Mapping[str, Any], given: Mapping[str, AbstractSet[str]] | None = None) -> None:
    """Check every `_target_` node of a frozen config against what its target takes.

    Args:
        config: plain dicts, lists and scalars.
        given: which arguments the program passes itself, by the path of the node that takes them,
            as in `{"model": {"loss", "optimizer"}}`.

    Raises:
        ConfigError: one line per problem, each with the key and, where there is one, the nearest
            valid key, value or target.
    """
    check_node(config, "", given)


def check_node(node: Any, path: str, given: Mapping[str, AbstractSet[str]] | None = None) -> None:
    """Check one part of a config, which stands at `path`; see `check`."""
    found = list(problems(node, path, given or {}))
    if found:
        raise ConfigError("\n".join(found))


def nearest(name: str, candidates: Iterable[Any]) -> str | None:
    """Return the candidate that `name` most likely misspells; upper and lower case are alike."""
    return next(iter(_nearest(name, candidates)), None)


def _nearest(name: str, candidates: Iterable[Any]) -> list[str]:
    """List what `name` may misspell, the likeliest first."""

    def likeness(other: str) -> tuple[float, float]:
        whatever_case = difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio()
        return whatever_case, difflib.SequenceMatcher(None, name, other).ratio()

    scored = [(likeness(other), other) for other in map(str, candidates)]
    likely = sorted((pair for pair in scored if pair[0][0] >= _LIKENESS), key=lambda pair: pair[0])
    return [other for _, other in reversed(likely)]


def problems(node: Any, path: str, given: Mapping[str, AbstractSet[str]]) -> Iterator[str]:
    """Yield what is wrong at and below `path`, one line each."""
    if isinstance(node, Mapping):
        yield from _special_keys(node, path)
        if isinstance(node.get("_target_"), str):
            yield from _call(node, path, given.get(path, _NOTHING_GIVEN))
        for key, value in node.items():
            yield from problems(value, _join(path, key), given)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from problems(value, f"{path}[{index}]", given)
    elif node == "???":
        yield f"{path}: a value is needed"


def _special_keys(node: Mapping[str, Any], path: str) -> Iterator[str]:
    """Look at the keys with an underscore in front; a misspelt `_target_` is one of them."""
    for key, value in node.items():
        if not str(key).startswith("_"):
            continue
        if key not in SPECIAL:
            hint = f"did you mean `{nearest(key, SPECIAL) or '_target_'}`?"
            yield f"{_join(path, key)}: no such key; {hint}"
        elif key == "_target_" and not isinstance(value, str):
            yield f"{_join(path, key)}: got {value!r}, expected a dotted name"
        elif key == "_partial_" and not isinstance(value, bool):
            yield f"{_join(path, key)}: got {value!r}, expected bool"
        elif key == "_partial_" and "_target_" not in node:
            yield f"{path}: `_partial_` without `_target_`"


# --- one call ----------------------------------------------------------------------------------


def _call(node: Mapping[str, Any], path: str, given: AbstractSet[str]) -> Iterator[str]:
    """Hold the keys of a `_target_` node against what the target takes."""
    target = node["_target_"]
    try:
        signature = signature_of(target)
    except ConfigError as error:
        right = correction(target)
        meant = f"; did you mean `{right}`?" if right else ""
        yield f"{_join(path, '_target_')}: {error}{meant}"
        return
    arguments = {str(key): value for key, value in node.items() if key not in SPECIAL}
    intended: set[str | None] = set()
    for name, value in arguments.items():
        parameter = signature.parameters.get(name)
        if name in given:
            yield f"{_join(path, name)}: the program sets this itself; remove the key"
        elif parameter is not None:
            yield from _mistyped(value, parameter, _join(path, name), target)
        elif not signature.open and not name.startswith("_"):
            near = nearest(name, _offered(signature, given))
            intended.add(near)
            yield f"{_join(path, name)}: no such key{_hint(near, signature, given)}"
    yield from _missing(signature, arguments.keys() | given | intended, node, path)
    yield from _not_taken(signature, given, path)


def _missing(
    signature: Signature, named: AbstractSet[Any], node: Mapping[str, Any], path: str
) -> Iterator[str]:
    for parameter in signature.parameters.values():
        if parameter.required and parameter.name not in named and not node.get("_partial_"):
            key = _join(path, parameter.name)
            yield f"{key}: a value is needed by {signature.target}; add {key}=..."


def _not_taken(signature: Signature, given: AbstractSet[str], path: str) -> Iterator[str]:
    """A class of the user's own that does not take what the program passes to its kind."""
    for name in sorted(given - signature.parameters.keys()):
        if not signature.open:
            yield f"{_join(path, '_target_')}: {signature.target} must take `{name}`"


def _offered(signature: Signature, given: AbstractSet[str]) -> list[str]:
    return [name for name in signature.parameters if name not in given]


def _hint(near: str | None, signature: Signature, given: AbstractSet[str]) -> str:
    meant = f"; did you mean `{near}`?" if near else ""
    return f"{meant} ({signature.target} takes {_listed(_offered(signature, given), ', ')})"


def _listed(names: Iterable[str], separator: str) -> str:
    distinct = list(dict.fromkeys(names)) or ["nothing"]
    return separator.join([*distinct[:_SHOWN], "..."] if len(distinct) > _SHOWN else distinct)


def _mistyped(value: Any, parameter: Parameter, path: str, target: str) -> Iterator[str]:
    if value == "???" or _accepts(parameter, value):
        return
    expected = _listed((w for kind in _kinds(parameter) for w in _words(kind)), " or ")
    yield f"{path}: got {value!r}, expected {expected}{_remedy(value, parameter)} ({target})"


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


# --- targets -----------------------------------------------------------------------------------


def correction(target: str) -> str | None:
    """Return the target that is meant, mending each segment by the names that may stand there."""
    return _corrected("", target.split("."))


def _corrected(right: str, parts: list[str]) -> str | None:
    if not parts:
        with suppress(ConfigError, LookupError):
            return right if find(right) else None
        return None
    tries = _nearest(parts[0], members(right))[:_TRIES]
    mended = (_corrected(_join(right, name), parts[1:]) for name in tries)
    return next((found for found in mended if found), None)


def members(dotted: str) -> list[str]:
    """List the names that may follow `dotted` in a target; with "" the packages to start from."""
    start = f"{dotted}." if dotted else ""
    prefixes = ALLOWED + added()
    names = [p[len(start) :].split(".")[0] for p in prefixes if p.startswith(start)]
    module = module_at(dotted) if within(dotted, prefixes) else None
    if module is not None:
        names += [name for source in [module, *module.starred] for name in source.own]
        names += [submodule.name for submodule in pkgutil.iter_modules(module.folders)]
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]


# --- values ------------------------------------------------------------------------------------


def _accepts(parameter: Parameter, value: Any) -> bool:
    """Tell whether a plain value can be right; in doubt it can."""
    default = _literal(parameter.default)
    if value is None and default is None and parameter.default is not None:
        return True
    if parameter.annotation is None and isinstance(value, list | Mapping):
        return True
    return any(fits(value, kind) for kind in _kinds(parameter)) or _is_vague(parameter, default)


def _is_vague(parameter: Parameter, default: Any) -> bool:
    """Tell whether nothing is known: no annotation, or one that its own default contradicts."""
    alternatives = list(_kinds(parameter))
    contradicted = default is not None and not any(fits(default, kind) for kind in alternatives)
    return not alternatives or contradicted


def _kinds(parameter: Parameter) -> Iterator[Kind]:
    """Yield what the annotation allows; without one, what the default suggests."""
    assumed = _ASSUMED.get(type(_literal(parameter.default)))
    if parameter.annotation is None and assumed:
        return kinds(ast.parse(assumed, mode="eval").body, None)
    return parameter.kinds


def _literal(node: ast.expr | None) -> Any:
    """Evaluate a written default; None when it is no plain value."""
    try:
        return _as_yaml(ast.literal_eval(node)) if node is not None else None
    except ValueError:
        return None


def _as_yaml(value: Any) -> Any:
    """A default as a YAML file would give it: tuples are lists there."""
    return [_as_yaml(item) for item in value] if isinstance(value, list | tuple) else value


def is_node(value: Any) -> bool:
    """Tell whether a value stands for an object that is yet to be built."""
    return isinstance(value, Mapping) and "_target_" in value


def fits(value: Any, kind: Kind) -> bool:
    """Tell whether a plain value can be what one alternative of an annotation means."""
    node = kind[0]
    match node:
        case ast.Constant(value=None):
            return value is None
        case ast.Subscript(slice=ast.Tuple(elts=parts)):
            return _fits_generic(value, node, parts, kind)
        case ast.Subscript(slice=part):
            return _fits_generic(value, node, [part], kind)
        case ast.Name() | ast.Attribute():
            return _fits_name(value, kind)
    return True


def _fits_generic(value: Any, node: ast.Subscript, parts: list[ast.expr], kind: Kind) -> bool:
    name, module = tail(node), kind[1]

    def each(values: Iterable[Any], part: ast.expr) -> bool:
        return all(any(fits(v, k) for k in kinds(part, module)) for v in values)

    if name == "Literal":
        return any(type(value) is type(choice) and value == choice for choice in _choices(kind))
    if name in _LISTS | _TUPLES | _MAPPINGS and is_node(value):
        return True
    if name in _TUPLES and ast.unparse(parts[-1]) != "...":
        pairs = zip(value, parts, strict=False) if isinstance(value, list) else ()
        same_length = isinstance(value, list) and len(value) == len(parts)
        return same_length and all(each([item], part) for item, part in pairs)
    if name in _LISTS | _TUPLES:
        return isinstance(value, list) and each(value, parts[0])
    if name in _MAPPINGS:
        return isinstance(value, Mapping) and each(value.values(), parts[-1])
    return _fits_name(value, (node.value, module))


def _fits_name(value: Any, kind: Kind) -> bool:
    name = tail(kind[0])
    if name in _PLAIN:
        return _PLAIN[name](value)
    if name in _LISTS | _TUPLES:
        return isinstance(value, list) or is_node(value)
    if name in _MAPPINGS:
        return isinstance(value, Mapping)
    return is_node(value) or not _is_class(kind)


def _is_class(kind: Kind) -> bool:
    """Tell whether only an object will do; enumerations and the like take plain values too."""
    node, module = kind
    try:
        found = resolve(node, module) if module is not None else None
    except LookupError:
        return False
    if not isinstance(found, Definition) or not isinstance(found.node, ast.ClassDef):
        return False
    bases = {tail(base) for base in found.node.bases}
    return not bases & {"Protocol", "TypedDict", "NamedTuple", "str", "int", "float", "dict"} and (
        not any(base.endswith("Enum") for base in bases)
    )


def _choices(kind: Kind) -> list[Any]:
    """List the values of a `Literal`."""
    node = kind[0]
    if not isinstance(node, ast.Subscript) or tail(node) != "Literal":
        return []
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    return [_literal(part) for part in parts]


# --- words -------------------------------------------------------------------------------------


def _words(kind: Kind) -> list[str]:
    """Say in words what one alternative of an annotation takes."""
    node = kind[0]
    name = tail(node)
    if choices := _choices(kind):
        return [f"`{choice}`" for choice in choices]
    if isinstance(node, ast.Constant):
        return ["null"]
    if name in _PLAIN:
        return ["a path" if name.startswith("Path") else name]
    if name in _LISTS | _TUPLES | _MAPPINGS:
        return [ast.unparse(node).replace("None", "null")]
    return [f"a `_target_` ({name})"]


def _remedy(value: Any, parameter: Parameter) -> str:
    """Say how to write what is probably meant."""
    alternatives = list(_kinds(parameter))
    for other, text in _rewritten(value):
        if any(fits(other, kind) for kind in alternatives):
            return f"; write {text}"
    if isinstance(value, bool | int | float) and [tail(k[0]) for k in alternatives][:1] == ["str"]:
        return f'; write "{str(value).lower()}" in quotes'
    near = nearest(str(value), (choice for kind in alternatives for choice in _choices(kind)))
    return f"; did you mean `{near}`?" if near else ""


def _rewritten(value: Any) -> Iterator[tuple[Any, str]]:
    """Yield other readings of a value, with the spelling that YAML reads so."""
    if isinstance(value, str):
        words = {"true": True, "yes": True, "false": False, "no": False, "null": None, "none": None}
        if value.lower() in words:
            other = words[value.lower()]
            yield other, "null" if other is None else f"{str(other).lower()} without quotes"
        with suppress(ValueError):
            number = float(value)
            yield int(number) if number.is_integer() else number, f"{_yaml(value)} without quotes"
            yield number, f"{_yaml(value)} without quotes"
    elif isinstance(value, float) and value.is_integer():
        yield int(value), f"{int(value)}"


def _yaml(number: str) -> str:
    """Give `1e-3` the dot without which YAML 1.1 takes it for text."""
    mantissa, exponent, power = number.lower().partition("e")
    return f"{mantissa}.0e{power}" if exponent and "." not in mantissa else number
