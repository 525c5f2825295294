"""From Hydra's grammar to a search space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from hydra.errors import HydraException

from vitruvian.core.check import nearest
from vitruvian.core.errors import ConfigError
from vitruvian.sweeps.axes import written
from vitruvian.sweeps.space import Parameter

Swept = dict[str, Override]
Fixed = dict[str, str]


def read_space(
    params: Mapping[str, Any],
    overrides: Sequence[str],
    when: Mapping[str, Mapping[str, Any]],
    loader: Any,
) -> tuple[Parameter, ...]:
    """The parameters of a space; see `Space.of`."""
    lines = [f"{key}={written(value, as_typed=True)}" for key, value in params.items()]
    swept, fixed = _divided(_parsed([*lines, *overrides], loader))
    free = [_parameter(key, one) for key, one in swept.items()]
    bound: list[Parameter] = []
    for condition, entries in when.items():
        owner = _owner(condition, free, fixed)
        if owner is None:  # the command line has settled that it never holds
            continue
        lines = [f"{key}={written(value, as_typed=True)}" for key, value in entries.items()]
        given = {one.get_key_element(): one for one in _parsed(lines, loader)}
        always = (owner[1],) == _choices_of(owner[0], free)
        bound += [
            _parameter(key, one, None if always or owner[0] in fixed else owner)
            for key, one in given.items()
            if key not in swept and key not in fixed
        ]
    if not free and not bound:
        raise ConfigError(
            "hydra.sweeper.params: nothing to choose; give a space, such as "
            "'optimizer.lr=tag(log,interval(1e-4,1e-1))'"
        )
    return tuple(sorted([*free, *bound], key=lambda one: one.when is not None))


def _parsed(lines: Sequence[str], loader: Any) -> list[Override]:
    try:
        found = OverridesParser.create(config_loader=loader).parse_overrides(list(lines))
    except HydraException as error:
        told = " ".join(str(error).split()).partition(" See https://")[0]
        raise ConfigError(f"hydra.sweeper: {told}") from error
    return [one for one in found if not one.is_hydra_override()]


def _divided(overrides: Sequence[Override]) -> tuple[Swept, Fixed]:
    """What is swept and what has one value, by key; the last word on a key counts."""
    last = {one.get_key_element(): one for one in overrides}
    swept = {key: one for key, one in last.items() if one.is_sweep_override()}
    fixed = {
        key: "" if one.is_delete() else one.get_value_string()
        for key, one in last.items()
        if key not in swept
    }
    return swept, fixed


def _owner(
    condition: str, free: Sequence[Parameter], fixed: Mapping[str, str]
) -> tuple[str, str] | None:
    """The key and the choice that a condition names; None where another value is fixed.

    Raises:
        ConfigError: the condition can never hold.
    """
    place = f"hydra.sweeper.when.{condition}"
    key, equals, value = condition.partition("=")
    if not equals:
        raise ConfigError(f"{place}: expected key=value, such as optimizer=sgd")
    if key in fixed:
        return (key, value) if fixed[key] == value else None
    owner = next((one for one in free if one.key == key), None)
    if owner is None:
        near = nearest(key, [one.key for one in free])
        meant = f"; did you mean `{near}={value}`?" if near else ""
        raise ConfigError(f"{place}: {key} is neither swept nor given{meant}")
    if owner.kind != "choice":
        raise ConfigError(f"{place}: {key} is a range of numbers; a condition needs a choice")
    if value not in owner.choices:
        near = nearest(value, owner.choices)
        told = f"did you mean `{key}={near}`?" if near else f"it is {' or '.join(owner.choices)}"
        raise ConfigError(f"{place}: {key} is never {value}; {told}")
    return key, value


def _choices_of(key: str, free: Sequence[Parameter]) -> tuple[str, ...]:
    return next((one.choices for one in free if one.key == key), ())


def _parameter(key: str, override: Override, when: tuple[str, str] | None = None) -> Parameter:
    value = override.value()
    if isinstance(value, IntervalSweep):
        return _interval(key, value, when)
    if getattr(value, "tags", None):
        raise ConfigError(f"{override.input_line}: only an interval has a tag, `log`")
    if isinstance(value, RangeSweep):
        return _range(key, value, when)
    if not override.is_sweep_override():
        return Parameter(key, "choice", (override.get_value_string(),), when=when)
    choices = tuple(dict.fromkeys(_texts(override)))
    if not choices:
        raise ConfigError(f"{override.input_line}: no value, there is nothing to choose from")
    return Parameter(key, "choice", choices, when=when)


def _texts(override: Override) -> Iterator[str]:
    for value in override.sweep_iterator():
        yield str(value).lower() if isinstance(value, bool) else Transformer.str(value)


def _interval(key: str, sweep: IntervalSweep, when: tuple[str, str] | None) -> Parameter:
    low, high = sweep.start, sweep.end
    assert low is not None
    assert high is not None
    if sweep.tags - {"log"}:
        raise ConfigError(f"{key}: {', '.join(sorted(sweep.tags))}: an interval knows the tag log")
    log = "log" in sweep.tags
    if not low <= high:
        raise ConfigError(f"{key}: the interval from {low} to {high} is empty")
    if log and low <= 0:
        raise ConfigError(f"{key}: a logarithmic interval begins above 0, this one at {low}")
    whole = isinstance(low, int) and isinstance(high, int)
    return Parameter(key, "int" if whole else "float", low=low, high=high, log=log, when=when)


def _range(key: str, sweep: RangeSweep, when: tuple[str, str] | None) -> Parameter:
    """Hydra's range stops before its end; ours include both ends."""
    values = sorted(sweep.range())
    if not values:
        raise ConfigError(f"{key}: the range is empty, there is nothing to choose from")
    whole = all(isinstance(value, int) for value in values)
    step = abs(sweep.step) if len(values) > 1 else None
    return Parameter(
        key, "int" if whole else "float", low=values[0], high=values[-1], step=step, when=when
    )
