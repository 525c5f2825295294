"""Per-case results of an evaluation: merged, summarised with confidence intervals, kept on disk.

A row is a flat dict of one case under one predictor. Its strings say what was measured (`case`,
`predictor`, perhaps `fold`), its numbers are metrics. No number stands alone: the trivial
baselines are predictors like the model, in the same rows, the same files and the same table.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import DataError
from vitruvian.core.files import atomic, write_json

Row = dict[str, Any]
Floats = npt.NDArray[np.float64]

_DATA = "data"  # the column and the JSON key that tell simulated data from real ones
_ORIGIN = {True: "simulated", False: "real"}
_BLOCK = 2**22  # draws held in memory at once


@dataclass(frozen=True)
class Statistic:
    """One metric of one group over its cases.

    Attributes:
        n: cases with a value.
        n_nan: cases without one (NaN or missing), left out of everything below.
        mean: mean over the cases; NaN when n is 0.
        sd: sample standard deviation (n - 1); NaN when n is below 2.
        median: median over the cases.
        ci_low: lower end of the bootstrap 95 % confidence interval of the mean; NaN for n below 2.
        ci_high: upper end of it.
    """

    n: int
    n_nan: int
    mean: float
    sd: float
    median: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class Summary:
    """Statistics of every metric in every group.

    Attributes:
        by: names of the keys that make a group.
        groups: from the values of those keys to {metric: statistic}, in the order of the rows.
        cases: number of different cases in all.
        seed: seed of the bootstrap.
        resamples: number of its resamples.
    """

    by: tuple[str, ...]
    groups: dict[tuple[str, ...], dict[str, Statistic]]
    cases: int
    seed: int
    resamples: int

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics, in order of appearance."""
        return tuple(dict.fromkeys(name for group in self.groups.values() for name in group))


@dataclass(frozen=True)
class Evaluation:
    """An evaluation: its rows, their summary, and whether the data are simulated."""

    rows: list[Row]
    summary: Summary
    simulated: bool


def merge(parts: Iterable[Sequence[Mapping[str, Any]]]) -> list[Row]:
    """Join the rows of all ranks, each case once, sorted (`volume-2` before `volume-10`).

    A distributed sampler pads the last batch with cases that were done already; rows whose strings
    are all equal are one measurement, and the first rank's is kept.

    Raises:
        ValueError: a row lacks `case` or `predictor`, or holds something not a string or number.
    """
    unique: dict[tuple[tuple[str, str], ...], Row] = {}
    for row in (checked(row) for part in parts for row in part):
        unique.setdefault(_identity(row), row)
    return sorted(unique.values(), key=_order)


def by_predictor(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows of each predictor, in the order of their first one."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(str(row["predictor"]), []).append(row)
    return groups


def checked(row: Mapping[str, Any]) -> Row:
    """Return the row with plain strings and floats.

    Raises:
        ValueError: a row lacks `case` or `predictor`, or holds something not a string or number.
    """
    for key in ("case", "predictor"):
        if not isinstance(row.get(key), str):
            raise ValueError(f"every row needs the string {key!r}, got {row.get(key)!r} in {row}")
    if _DATA in row:
        raise ValueError(f"the key {_DATA!r} is kept for the origin of the data: {row}")
    return {key: _plain(key, value) for key, value in row.items()}


def _plain(key: str, value: Any) -> str | float:
    if isinstance(value, str):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key!r} must be a string or a number, got {value!r}") from error
    if math.isinf(number):
        raise ValueError(f"{key!r} is infinite; a metric that is not defined is NaN")
    return number


def _identity(row: Row) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, value) for key, value in row.items() if isinstance(value, str)))


def _order(row: Row) -> list[Any]:
    strings = dict(_identity(row))
    first = [strings.pop("case"), strings.pop("predictor")]
    return [_natural(text) for text in [*first, *strings.values()]]


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Key that puts numbers within a text in numeric order."""
    parts = re.split(r"([0-9]+)", text)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def summarise(
    rows: Sequence[Mapping[str, Any]],
    by: Sequence[str] = ("predictor",),
    seed: int = 0,
    resamples: int = 2000,
) -> Summary:
    """Summarise every metric over cases, in every group.

    The case is the unit: several rows of one case in a group (folds, seeds) are averaged first.
    The confidence interval is the percentile bootstrap of the mean, cases drawn with replacement;
    groups of the same size are drawn alike, so that their intervals can be compared.

    Args:
        rows: as `merge` returns them.
        by: keys that make a group.
        seed: seed of the bootstrap; the same rows and seed give the same summary.
        resamples: number of resamples.

    Raises:
        ValueError: no rows, a malformed row, a row without one of the keys `by`, or no resamples.
    """
    if not rows or resamples < 1:
        raise ValueError(f"need rows and resamples, got {len(rows)} rows, {resamples} resamples")
    plain = [checked(row) for row in rows]
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in plain:
        groups.setdefault(_group_of(row, by), []).append(row)
    return Summary(
        by=tuple(by),
        groups={key: _statistics(group, seed, resamples) for key, group in groups.items()},
        cases=len({row["case"] for row in plain}),
        seed=seed,
        resamples=resamples,
    )


def _group_of(row: Row, by: Sequence[str]) -> tuple[str, ...]:
    missing = [key for key in by if not isinstance(row.get(key), str)]
    if missing:
        raise ValueError(f"cannot group by {missing[0]!r}: not a string key of the row {row}")
    return tuple(row[key] for key in by)


def _statistics(rows: Sequence[Row], seed: int, resamples: int) -> dict[str, Statistic]:
    metrics = _columns(rows, float)
    values = _per_case(rows, metrics)
    lows, highs = _intervals(values, np.random.default_rng(seed), resamples)
    return {
        name: _statistic(column, float(low), float(high))
        for name, column, low, high in zip(metrics, values.T, lows, highs, strict=True)
    }


def _columns(rows: Iterable[Row], kind: type) -> list[str]:
    """Names of the string keys or of the metrics, in order of appearance."""
    return list(dict.fromkeys(key for row in rows for key, v in row.items() if isinstance(v, kind)))


def _per_case(rows: Sequence[Row], metrics: Sequence[str]) -> Floats:
    """Mean of each metric in each case, (cases, metrics); NaN where there is none."""
    cases = {case: index for index, case in enumerate(dict.fromkeys(row["case"] for row in rows))}
    total, count = np.zeros((2, len(cases), len(metrics)))
    owner = np.array([cases[row["case"]] for row in rows])
    values = np.array([[row.get(name, math.nan) for name in metrics] for row in rows], np.float64)
    np.add.at(total, owner, np.nan_to_num(values))
    np.add.at(count, owner, np.isfinite(values))
    return _ratio(total, count)


def _ratio(total: Floats, count: Floats) -> Floats:
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _intervals(values: Floats, rng: np.random.Generator, resamples: int) -> tuple[Floats, Floats]:
    """Percentile bootstrap of the means of (cases, metrics): lower and upper ends, (metrics,)."""
    finite, filled = np.isfinite(values).astype(np.float64), np.nan_to_num(values)
    cases = len(values)
    block = max(1, _BLOCK // cases)
    means = []
    for start in range(0, resamples, block):
        draws = rng.multinomial(cases, np.full(cases, 1 / cases), min(block, resamples - start))
        weights = draws.astype(np.float64)  # how often each case was drawn, (resamples, cases)
        means.append(_ratio(weights @ filled, weights @ finite))
    low, high = (_percentile(np.concatenate(means), q) for q in (2.5, 97.5))
    return low, high


def _percentile(means: Floats, q: float) -> Floats:
    """Percentile down the columns; resamples that drew no value at all are passed over."""
    known = (column[np.isfinite(column)] for column in means.T)
    return np.array([np.percentile(column, q) if column.size else np.nan for column in known])


def _statistic(column: Floats, low: float, high: float) -> Statistic:
    values = column[np.isfinite(column)]
    n, several = len(values), len(values) > 1
    return Statistic(
        n=n,
        n_nan=len(column) - n,
        mean=float(values.mean()) if n else math.nan,
        sd=float(values.std(ddof=1)) if several else math.nan,
        median=float(np.median(values)) if n else math.nan,
        ci_low=low if several else math.nan,
        ci_high=high if several else math.nan,
    )


def write(
    rows: Sequence[Mapping[str, Any]],
    summary: Summary,
    directory: Path,
    name: str,
    simulated: bool,
    notes: Mapping[str, Any] | None = None,
) -> tuple[Path, Path]:
    """Write `<name>.csv` (one line per row) and `<name>.json` (the summary) into `directory`.

    Floats are written with as many digits as bring them back exactly. Both files say where the data
    come from: the column and the key `data` hold `simulated` or `real`. NaN is `nan` in the table
    and null in the JSON, which also holds `notes`, plain data such as the kind of split.

    Returns:
        The two paths.

    Raises:
        ValueError: a malformed row.
        RunError: the directory cannot be written.
    """
    plain = [checked(row) for row in rows]
    keys, metrics = _columns(plain, str), _columns(plain, float)
    table, outline = directory / f"{name}.csv", directory / f"{name}.json"
    with atomic(table) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*keys, _DATA, *metrics])
        for row in plain:
            strings = [row.get(key, "") for key in keys]
            numbers = [repr(row[key]) if key in row else "" for key in metrics]
            writer.writerow([*strings, _ORIGIN[simulated], *numbers])
    origin = {_DATA: _ORIGIN[simulated], **(notes or {}), "keys": keys}
    write_json(outline, origin | _as_json(summary))
    return table, outline


def _as_json(summary: Summary) -> dict[str, Any]:
    groups = [
        dict(zip(summary.by, key, strict=True))
        | {"metrics": {name: _nulled(statistic) for name, statistic in group.items()}}
        for key, group in summary.groups.items()
    ]
    return {
        "cases": summary.cases,
        "bootstrap": {"seed": summary.seed, "resamples": summary.resamples},
        "by": list(summary.by),
        "groups": groups,
    }


def _nulled(statistic: Statistic) -> dict[str, Any]:
    return nulled({field.name: getattr(statistic, field.name) for field in fields(Statistic)})


def nulled(figures: Mapping[str, float]) -> dict[str, float | None]:
    """Figures for JSON, which knows no NaN."""
    return {name: None if math.isnan(value) else value for name, value in figures.items()}


def read(directory: Path, name: str) -> Evaluation:
    """Read back what `write` wrote.

    Raises:
        DataError: a file is missing or does not hold what `write` writes; the message names it.
    """
    table, outline = directory / f"{name}.csv", directory / f"{name}.json"
    try:
        content = json.loads(outline.read_text(encoding="utf-8"))
        summary, keys = _summary_of(content), set(content["keys"])
        origin = content[_DATA]
    except FileNotFoundError as error:
        raise DataError(f"{outline} is missing: run the evaluation first") from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{outline} is not a summary of an evaluation: {error!r}") from error
    return Evaluation(_read_rows(table, keys), summary, origin == _ORIGIN[True])


def _summary_of(content: Mapping[str, Any]) -> Summary:
    by = tuple(content["by"])
    groups = {
        tuple(group[key] for key in by): {
            name: _statistic_of(pairs) for name, pairs in group["metrics"].items()
        }
        for group in content["groups"]
    }
    bootstrap = content["bootstrap"]
    return Summary(by, groups, content["cases"], bootstrap["seed"], bootstrap["resamples"])


def _statistic_of(pairs: Mapping[str, Any]) -> Statistic:
    known: dict[str, Any] = {name: math.nan if v is None else v for name, v in pairs.items()}
    return Statistic(**known)


def _read_rows(table: Path, keys: set[str]) -> list[Row]:
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            lines = csv.DictReader(stream, restval="cut off")
            return [_row_of(line, keys) for line in lines]
    except FileNotFoundError as error:
        raise DataError(f"{table} is missing: run the evaluation first") from error
    except (TypeError, ValueError) as error:
        raise DataError(f"{table} holds something that is not a number: {error}") from error


def _row_of(line: Mapping[str, str], keys: set[str]) -> Row:
    filled = {key: text for key, text in line.items() if text != "" and key != _DATA}
    return {key: text if key in keys else float(text) for key, text in filled.items()}
