"""Which subjects train, validate and test; no subject is on two sides.

A split object is given the subjects, and perhaps the stratum of each, and answers with `Splits`.
The answer depends on the set of subjects, not on their order. The random order is a hash of
(seed, name), so that it is the same on every machine and with every version of every library.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.files import write_json

SIDES = ("train", "val", "test")
RESUBSTITUTION = "resubstitution"

Groups = Sequence[Sequence[str]]
Strata = Mapping[str, str]  # from a subject to the class that should be as frequent on every side


@dataclass(frozen=True)
class Splits:
    """The subjects of each side, in natural order.

    Attributes:
        train: subjects to fit on, and to take every statistic from.
        val: subjects to choose a checkpoint by.
        test: subjects to report on.
        kind: how they were divided, such as "5-fold, fold 0"; show it beside every number.
            "resubstitution" alone may have a subject on more than one side.

    Raises:
        DataError: a subject is on two sides or named twice, or nobody is left to train on.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    kind: str

    def __post_init__(self) -> None:
        if not self.train:
            raise DataError("no subject is left to train on: add subjects or change the split")
        sides = [(side, getattr(self, side)) for side in SIDES]
        for side, subjects in sides:
            _refuse_repeated(subjects, f"named twice under {side}")
        if self.kind != RESUBSTITUTION:
            everyone = [subject for _, subjects in sides for subject in subjects]
            _refuse_repeated(everyone, "on more than one side of the split")

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` takes back."""
        return {**{side: list(getattr(self, side)) for side in SIDES}, "kind": self.kind}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Splits:
        """The split that `to_dict` described, checked again."""
        return cls(**{side: tuple(content[side]) for side in SIDES}, kind=content["kind"])

    def write(self, path: Path) -> None:
        """Write the split to `path` as JSON, atomically."""
        write_json(path, self.to_dict())

    @classmethod
    def read(cls, path: Path) -> Splits:
        """Read what `write` wrote, and check it again.

        Raises:
            DataError: the file is missing or ill-formed, or a subject is on two sides.
        """
        content = _read(path)
        kind = content.get("kind")
        if not isinstance(kind, str):
            raise DataError(f'{path} has no "kind": give the file that the run wrote')
        try:
            return cls.from_dict(content)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error


@dataclass(frozen=True)
class KFold:
    """Fold `fold` tests, the next one validates and the rest trains.

    Attributes:
        folds: how many parts of equal size, at least 3.
        fold: which part tests, from 0.
        seed: of the division into folds; keep it to have each subject tested exactly once.
        together: groups of subjects that must not be parted; names that are absent are ignored.
        stratify: divide each stratum of the data evenly, where the data have strata.
    """

    folds: int = 5
    fold: int = 0
    seed: int = 0
    together: Groups | None = None
    stratify: bool = True

    def __post_init__(self) -> None:
        if self.folds < 3:
            raise ConfigError(f"folds={self.folds}: need at least 3, to train, validate and test")
        if not 0 <= self.fold < self.folds:
            raise ConfigError(f"fold={self.fold}: choose a number from 0 to {self.folds - 1}")

    def count(self, subjects: Sequence[str]) -> int:
        """Number of folds, whoever the subjects are."""
        return self.folds

    def assign(self, subjects: Sequence[str], strata: Strata | None = None) -> Splits:
        """Divide `subjects`.

        Raises:
            DataError: there are fewer subjects, or groups of them, than folds.
        """
        units = _units(subjects, self.together, self.seed)
        if len(units) < self.folds:
            raise DataError(_too_few(subjects, units, f"{self.folds} folds"))
        strata = strata if self.stratify else None
        parts = _deal(units, [len(set(subjects)) / self.folds] * self.folds, strata)
        test, val = self.fold, (self.fold + 1) % self.folds
        train = [s for i, part in enumerate(parts) if i not in (test, val) for s in part]
        kind = f"{self.folds}-fold, fold {self.fold}{', stratified' if strata else ''}"
        if self.together and not set(subjects) & {s for group in self.together for s in group}:
            kind += ", none of those kept together is there"
        return _splits((train, parts[val], parts[test]), kind)


@dataclass(frozen=True)
class LeaveOneOut:
    """One subject tests, the next ones validate and all others train.

    Subjects stand in a circle in natural order, so that each is tested in one fold and validates in
    `inner` of them. Nothing is random: the same subjects always give the same folds.

    Attributes:
        fold: which subject tests, from 0.
        inner: how many subjects validate, at least 1.
    """

    fold: int = 0
    inner: int = 1

    def __post_init__(self) -> None:
        if self.fold < 0:
            raise ConfigError(f"fold={self.fold}: choose a number from 0 on")
        if self.inner < 1:
            raise ConfigError(f"inner={self.inner}: at least 1 subject must validate")

    def count(self, subjects: Sequence[str]) -> int:
        """Number of folds: that of the subjects."""
        return len(set(subjects))

    def assign(self, subjects: Sequence[str], strata: Strata | None = None) -> Splits:
        """Divide `subjects`; strata do not matter where one subject tests.

        Raises:
            ConfigError: there is no subject for this fold.
            DataError: nobody is left to train on.
        """
        circle = sorted(set(subjects), key=_natural)
        count = len(circle)
        if count < self.inner + 2:
            what = f"folds that leave one out and validate on {self.inner}"
            raise DataError(_too_few(circle, circle, what))
        if self.fold >= count:
            raise ConfigError(f"fold={self.fold}: choose a number from 0 to {count - 1}")
        test, *others = circle[self.fold :] + circle[: self.fold]
        sides = others[self.inner :], others[: self.inner], [test]
        return _splits(sides, f"leave one out, fold {self.fold} of {count}")


@dataclass(frozen=True)
class Ratio:
    """Shares of the subjects, such as 0.8 to train on and 0.2 to validate on.

    Attributes:
        train: share to train on, above 0.
        val: share to validate on.
        test: share to test on. The three add up to 1.
        seed: of the division.
        together: groups of subjects that must not be parted; names that are absent are ignored.
        stratify: divide each stratum of the data evenly, where the data have strata.
    """

    train: float = 0.8
    val: float = 0.2
    test: float = 0.0
    seed: int = 0
    together: Groups | None = None
    stratify: bool = True

    def __post_init__(self) -> None:
        shares = self._shares
        if any(not 0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-6:
            raise ConfigError(f"{self._text}: the shares must be from 0 to 1 and add up to 1")
        if self.train == 0:
            raise ConfigError("train=0: give a share to train on")

    def assign(self, subjects: Sequence[str], strata: Strata | None = None) -> Splits:
        """Divide `subjects`; every share above 0 gets at least one of them.

        Raises:
            DataError: there are fewer subjects, or groups of them, than sides.
        """
        units = _units(subjects, self.together, self.seed)
        if len(units) < sum(share > 0 for share in self._shares):
            raise DataError(_too_few(subjects, units, self._text))
        wanted = _counts(len(set(subjects)), self._shares)
        strata = strata if self.stratify else None
        parts = _deal(units, [float(count) for count in wanted], strata)
        kind = f"ratio {self.train:g}:{self.val:g}:{self.test:g}{', stratified' if strata else ''}"
        return _splits(parts, kind)

    @property
    def _shares(self) -> tuple[float, float, float]:
        return self.train, self.val, self.test

    @property
    def _text(self) -> str:
        return f"train={self.train:g} val={self.val:g} test={self.test:g}"


@dataclass(frozen=True)
class FixedSplit:
    """Read from a file: `{"train": [...], "val": [...], "test": [...]}`.

    A `splits.json` of another run will do as well.

    Attributes:
        file: path of the JSON file; a config gives it as text.
    """

    file: Path

    def assign(self, subjects: Sequence[str], strata: Strata | None = None) -> Splits:
        """Take the sides from the file and check them against `subjects`.

        Raises:
            DataError: the file is ill-formed, a subject is on two sides, in the file but not in
                the data, or in the data but not in the file.
        """
        content = _read(Path(self.file))
        named = {subject for side in SIDES for subject in content[side]}
        _refuse_difference(named - set(subjects), f"{self.file} names", "not in the data")
        _refuse_difference(set(subjects) - named, "the data hold", f"not in {self.file}")
        try:
            return _splits((content[side] for side in SIDES), f"file {Path(self.file).name}")
        except DataError as error:
            raise DataError(f"{self.file}: {error}") from error


@dataclass(frozen=True)
class Resubstitution:
    """All subjects train, validate and test: to see whether a model can overfit, nothing more."""

    def assign(self, subjects: Sequence[str], strata: Strata | None = None) -> Splits:
        """Put `subjects` on every side."""
        return _splits([set(subjects)] * len(SIDES), RESUBSTITUTION)


def _splits(sides: Iterable[Iterable[str]], kind: str) -> Splits:
    train, val, test = (tuple(sorted(side, key=_natural)) for side in sides)
    return Splits(train, val, test, kind)


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sort `case2` before `case10`."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts], name


def _units(subjects: Sequence[str], together: Groups | None, seed: int) -> list[list[str]]:
    """Groups that must not be parted, and every other subject by itself, in random order."""
    present = set(subjects)
    groups = [sorted(present & set(group)) for group in together or ()]
    grouped = [subject for group in groups for subject in group]
    repeated = sorted(name for name, count in Counter(grouped).items() if count > 1)
    if repeated:
        raise ConfigError(f"together: {_listed(repeated)} in more than one group")
    alone = [[subject] for subject in present.difference(grouped)]
    return sorted([*filter(None, groups), *alone], key=lambda unit: _shuffled(seed, unit[0]))


def _shuffled(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def _deal(
    units: Sequence[Sequence[str]], wanted: Sequence[float], strata: Strata | None = None
) -> list[list[str]]:
    """Deal units, the largest first, each to the part that lacks most of what it wants.

    With strata a part wants its share of each of them, so they are dealt one after the other; a
    unit belongs to the stratum of its first subject. A part that wants something and has nothing
    comes first once there are just enough units left.
    """
    stratum = {unit[0]: (strata or {}).get(unit[0], "") for unit in units}
    sizes = Counter(name for unit in units for name in [stratum[unit[0]]] * len(unit))
    parts: list[list[str]] = [[] for _ in wanted]
    dealt: Counter[tuple[int, str]] = Counter()
    largest_first = sorted(units, key=len, reverse=True)  # stable: keeps the random order
    in_turn = sorted(largest_first, key=lambda unit: stratum[unit[0]])
    for left, unit in zip(range(len(units), 0, -1), in_turn, strict=True):
        name = stratum[unit[0]]
        empty = [i for i, part in enumerate(parts) if wanted[i] and not part]
        among = empty if left <= len(empty) else range(len(parts))

        def lacks(i: int, name: str = name) -> tuple[float, float]:
            share = wanted[i] * sizes[name] / sum(wanted)
            return round(share - dealt[i, name], 9), wanted[i] - len(parts[i])

        chosen = max(among, key=lacks)
        parts[chosen].extend(unit)
        dealt[chosen, name] += len(unit)
    return parts


def _counts(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers nearest to the shares that add up to `total`; a share above 0 gets one."""
    exact = [share * total for share in shares]
    counts = [max(int(share + 1e-9), int(share > 0)) for share in exact]
    while sum(counts) < total:
        counts[max(range(len(counts)), key=lambda i: exact[i] - counts[i])] += 1
    while sum(counts) > total:
        counts[max(range(len(counts)), key=lambda i: (counts[i] > 1, counts[i] - exact[i]))] -= 1
    return counts


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read the split {path}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"the split {path} is not valid JSON: {error}") from error
    if not isinstance(content, dict) or set(content) - {"kind"} != set(SIDES):
        raise DataError(f'{path} must hold {{"train": [...], "val": [...], "test": [...]}}')
    for side in SIDES:
        names = content[side]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{path}: {side} must be a list of names in quotes")
        content[side] = tuple(names)
    return content


def _refuse_repeated(subjects: Iterable[str], what: str) -> None:
    repeated = [name for name, count in Counter(subjects).items() if count > 1]
    if repeated:
        raise DataError(f"{_listed(repeated)} {what}")


def _refuse_difference(names: set[str], who: str, where: str) -> None:
    if names:
        raise DataError(f"{who} {_listed(names)}, {where}: make the two agree")


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names, key=_natural)
    more = f" and {len(ordered) - 5} more" if len(ordered) > 5 else ""
    return ", ".join(ordered[:5]) + more


def _too_few(subjects: Sequence[str], units: Sequence[Sequence[str]], what: str) -> str:
    count = len(set(subjects))
    who = f"{count} subject{'s' * (count != 1)}"
    groups = f" in {len(units)} group{'s' * (len(units) != 1)}" if len(units) != count else ""
    return f"{who}{groups} cannot make {what}: add subjects or use split=resubstitution"
