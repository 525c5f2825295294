"""A search space: which keys a sampler sets, to what, and under which condition; plain data.

It is written as axes are, in Hydra's grammar: `a,b` or `choice(a,b)`, `range(0,10,2)` (without its
end), `interval(0.1,0.9)`, `int(interval(1,5))` for whole numbers, `tag(log,interval(1e-4,1e-1))`,
`glob(spine_*)`. Reading a space needs Hydra's parser; using one needs nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from vitruvian.core.errors import ConfigError

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

Value = str | int | float
Kind = Literal["choice", "int", "float"]


@dataclass(frozen=True)
class Parameter:
    """One key and what it may be.

    Attributes:
        key: of the config, or a config group.
        kind: what its values are.
        choices: of kind `choice`: the values as one would type them.
        low: smallest value of a number.
        high: largest value of a number, which may be taken.
        step: distance between values; None: any value between (of whole numbers: 1).
        log: whether its logarithm is what is spread evenly.
        when: another parameter and the choice of it under which this one is there.
    """

    key: str
    kind: Kind
    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    when: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """How the study calls it: one key may have several spaces, each under its condition."""
        return self.key if self.when is None else f"{self.key} if {self.when[0]}={self.when[1]}"

    @property
    def ends(self) -> tuple[Value, ...]:
        """Every choice, or the two ends."""
        if self.kind == "choice":
            return self.choices
        return (self.low, self.high) if self.low < self.high else (self.low,)

    def suggest(self, trial: BaseTrial) -> Value:
        """Let a trial choose the value."""
        if self.kind == "choice":
            return str(trial.suggest_categorical(self.name, self.choices))
        if self.kind == "int":
            low, high, step = int(self.low), int(self.high), int(self.step or 1)
            return trial.suggest_int(self.name, low, high, step=step, log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)

    def listed(self) -> list[Value]:
        """All values.

        Raises:
            ConfigError: there is no end of them.
        """
        if self.kind == "choice":
            return list(self.choices)
        if self.kind == "int":
            return list(range(int(self.low), int(self.high) + 1, int(self.step or 1)))
        if self.step is None:
            raise ConfigError(
                f"{self.key}: the grid sampler needs values; write a,b,c or range(start,stop,step) "
                "in place of an interval, or choose hydra/sweeper/sampler=random"
            )
        low, step = Decimal(repr(self.low)), Decimal(repr(self.step))
        count = int((Decimal(repr(self.high)) - low) / step) + 1
        return [float(low + step * number) for number in range(count)]


@dataclass(frozen=True)
class Space:
    """The parameters of a study; those with a condition come last."""

    parameters: tuple[Parameter, ...]

    @classmethod
    def of(
        cls,
        params: Mapping[str, Any],
        overrides: Sequence[str] = (),
        when: Mapping[str, Mapping[str, Any]] | None = None,
        loader: Any = None,
    ) -> Space:
        """Read a space from a config and a command line, which wins.

        Args:
            params: keys and what they may be; a single value is none of the space's business.
            overrides: `key=...` of the command line; a single value takes the key from the space.
            when: `group=option` to keys and what they may be under that condition.
            loader: Hydra's config loader, which knows the options that a `glob` means.

        Raises:
            ConfigError: a line cannot be read, a condition can never hold, nothing is swept.
        """
        from vitruvian.sweeps.space_grammar import read_space

        return cls(read_space(params, overrides, when or {}, loader))

    @classmethod
    def from_plain(cls, plain: Sequence[Mapping[str, Any]]) -> Space:
        """The space of what `plain` gave."""
        return cls(tuple(map(_from_plain, plain)))

    def plain(self) -> list[dict[str, Any]]:
        """Lists, dicts and scalars that hold everything."""
        unset = asdict(Parameter("", "choice"))
        return [
            {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in asdict(one).items()
                if key in ("key", "kind") or value != unset[key]
            }
            for one in self.parameters
        ]

    def suggest(self, trial: BaseTrial) -> dict[str, Value]:
        """Let a trial choose a point: a value for every key whose condition holds."""
        values: dict[str, Value] = {}
        for one in self.parameters:
            if one.when is None or values.get(one.when[0]) == one.when[1]:
                values[one.key] = one.suggest(trial)
        return values

    def corners(self) -> Iterator[dict[str, Value]]:
        """Few points that touch every choice and both ends of every interval."""
        free = [one for one in self.parameters if one.when is None]
        for number in range(max(len(one.ends) for one in free)):
            yield self._corner(free, number)
        for when in dict.fromkeys(one.when for one in self.parameters if one.when):
            bound = [one for one in self.parameters if one.when == when]
            for number in range(max(len(one.ends) for one in bound)):
                point = self._corner(free, number) | dict([when])
                yield point | self._corner(bound, number)

    def _corner(self, parameters: Sequence[Parameter], number: int) -> dict[str, Value]:
        return {one.key: one.ends[number % len(one.ends)] for one in parameters}

    def grid(self) -> dict[str, list[Value]]:
        """All values of every parameter, by its name.

        Raises:
            ConfigError: a parameter has no end of values, or a condition.
        """
        for one in self.parameters:
            if one.when is not None:
                raise ConfigError(
                    f"hydra.sweeper.when: the grid sampler knows no conditions ({one.name}); "
                    "choose hydra/sweeper/sampler=random or tpe"
                )
        return {one.name: one.listed() for one in self.parameters}

    def size(self) -> int:
        """How many points the grid has; raises as `grid` does."""
        return len(list(itertools.product(*self.grid().values())))


def _from_plain(plain: Mapping[str, Any]) -> Parameter:
    keys: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()
    }
    return Parameter(**keys)
