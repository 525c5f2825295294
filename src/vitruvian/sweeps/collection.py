"""All runs of a sweep as one table: what differs between them, and what each has found.

    collected.csv, collected.parquet   one line for each run, also for those without figures
    aggregated.csv                     one line for each group of runs and metric (see groups.py)
    leaderboard.csv                    the groups in order (see leaderboard.py)

The names end as those of the evaluations do (`_leaky`, `_simulated`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vitruvian.core.errors import RunError
from vitruvian.core.files import atomic
from vitruvian.sweeps.directory import Manifest, SweepDirectory
from vitruvian.sweeps.figures import RunFigures, figures_of
from vitruvian.sweeps.states import RunState, State, counts_line, read_all

BASELINE = " (best baseline)"  # ends the columns of the strongest trivial baseline
_NO_FIGURES = RunFigures()


@dataclass(frozen=True, slots=True)
class Collected:
    """One run of the table.

    Attributes:
        index: its number.
        directory: its path below the sweep.
        state: what became of it.
        axes: values of what is swept, as typed.
        figures: what it found; none unless it is complete.
        reason: why it failed or was stopped.
    """

    index: int
    directory: str
    state: State
    axes: Mapping[str, str]
    figures: RunFigures
    reason: str = ""


@dataclass(frozen=True)
class Collection:
    """The runs of a sweep with what they have found.

    Attributes:
        runs: all of them, in the order of their numbers.
        axes: keys that differ from run to run.
    """

    runs: Sequence[Collected]
    axes: tuple[str, ...]

    @cached_property
    def complete(self) -> list[Collected]:
        """The runs that are complete."""
        return [run for run in self.runs if run.state is State.COMPLETED]

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics, in order of appearance."""
        return tuple(dict.fromkeys(name for run in self.runs for name in run.figures.values))

    @property
    def suffix(self) -> str:
        """What the names of files end in; as soon as one run rests on simulated data."""
        return max((run.figures.suffix for run in self.runs), key=len, default="")

    @cached_property
    def simulated(self) -> bool:
        """Whether any of it rests on simulated data."""
        return any(run.figures.data == "simulated" for run in self.runs)


def collect(sweep: SweepDirectory, states: Sequence[RunState]) -> Collection:
    """Read what the complete runs have found.

    Raises:
        RunError: none is complete.
    """
    manifest = sweep.manifest()
    if all(one.state is not State.COMPLETED for one in states):
        raise RunError(
            f"{sweep.path}: no run is complete, nothing to collect: {counts_line(states)}"
        )
    found = read_all(lambda state: _collected(manifest, state), states)
    return Collection(found, manifest.axes)


def _collected(manifest: Manifest, one: RunState) -> Collected:
    done = one.state is State.COMPLETED
    return Collected(
        index=one.entry.index,
        directory=one.entry.name,
        state=one.state,
        axes=axis_values(one.entry.overrides, manifest.axes),
        figures=figures_of(one.entry.run, manifest.objectives) if done else _NO_FIGURES,
        reason="" if done else one.reason,
    )


def axis_values(overrides: Iterable[str], axes: Sequence[str]) -> dict[str, str]:
    """The values that overrides give to what is swept, as typed; quotes around them taken off."""
    given = {}
    for override in overrides:
        key, _, value = override.partition("=")
        given[key.lstrip("+~")] = value.strip("'\"")
    return {key: given[key] for key in axes if key in given}


# -- the table ------------------------------------------------------------------------------------


def write(sweep: SweepDirectory, collection: Collection) -> tuple[Path, Path]:
    """Write `collected.csv` and `collected.parquet`; floats with all their digits.

    Returns:
        The two paths.

    Raises:
        RunError: the directory cannot be written.
    """
    columns = _columns(collection)
    table, parquet = (
        sweep.path / f"collected{collection.suffix}.{ending}" for ending in ("csv", "parquet")
    )
    write_table(table, list(columns), zip(*columns.values(), strict=True))
    _write_parquet(parquet, columns)
    return table, parquet


def write_table(path: Path, header: Sequence[str], lines: Iterable[Iterable[Any]]) -> None:
    """Write a CSV file, whole or not at all; what is not known is an empty cell."""
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(["" if cell is None else cell for cell in line] for line in lines)


def _columns(collection: Collection) -> dict[str, list[Any]]:
    """The table by columns, of one type each; None where a run has no value."""
    runs = collection.runs
    columns: dict[str, list[Any]] = {
        "run": [run.index for run in runs],
        "directory": [run.directory for run in runs],
        "state": [str(run.state) for run in runs],
    }
    for key in collection.axes:
        columns[key] = typed([run.axes.get(key) for run in runs])
    columns |= {
        "data": [run.figures.data or None for run in runs],
        "split": [run.figures.split or None for run in runs],
        "monitor": [run.figures.monitor or None for run in runs],
        "cases": [run.figures.cases for run in runs],
        "seconds": [run.figures.seconds for run in runs],
    }
    for name in collection.metrics:
        columns[name] = [run.figures.values.get(name) for run in runs]
        rivals = [run.figures.baselines.get(name) for run in runs]
        if any(rival is not None for rival in rivals):
            columns[f"{name}{BASELINE}"] = rivals
    return columns | {"reason": [run.reason or None for run in runs]}


# `03` and `2017_1` are names, whatever Python reads in them.
_WHOLE = re.compile(r"-?(0|[1-9]\d*)")
_NUMBER = re.compile(r"-?(0|[1-9]\d*|(?=\.\d))(\.\d*)?([eE][+-]?\d+)?|-?inf|nan")


def typed(texts: Sequence[str | None]) -> list[Any]:
    """Values of one axis as whole numbers, else as numbers, else as the text they are."""
    given = [text for text in texts if text is not None]
    for kind, pattern in ((int, _WHOLE), (float, _NUMBER)):
        if all(pattern.fullmatch(text) for text in given):
            return [None if text is None else kind(text) for text in texts]
    return list(texts)


def _write_parquet(path: Path, columns: Mapping[str, list[Any]]) -> None:
    import pyarrow
    from pyarrow import parquet

    with atomic(path) as temporary:
        parquet.write_table(pyarrow.table(dict(columns)), temporary)
