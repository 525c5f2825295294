"""Trials of a study that have no run: their configs did not fit, or are just being made.

Nothing here imports Optuna before a study is there to be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vitruvian.core.errors import UserError
from vitruvian.core.rundir import COMPLETE, FAILED, PRUNED
from vitruvian.sweeps.directory import Manifest, SweepDirectory, SweepRun

QUICK_BYTES = 10_000_000  # a journal that is read in about a second

_STATES = {"COMPLETE": COMPLETE, "PRUNED": PRUNED, "FAIL": FAILED}

Told = tuple[SweepRun, Mapping[str, Any]]  # a trial, and what its `status.json` would say


def unfrozen(sweep: SweepDirectory, manifest: Manifest, runs: Iterable[SweepRun]) -> list[Told]:
    """The trials that a study has begun and that are not among its runs.

    The study itself tells, if its journal is read quickly; else the directories.
    """
    known = {run.index for run in runs}
    told = _of_study(sweep, manifest)
    if told is None:
        told = _of_directories(sweep)
    return [one for one in told if one[0].index not in known]


def _of_directories(sweep: SweepDirectory) -> list[Told]:
    """A worker makes the directory of a trial as soon as it has asked for it."""
    numbers = sorted(int(path.name) for path in sweep.path.iterdir() if path.name.isdecimal())
    return [(SweepRun(number, (), sweep.run(number)), {}) for number in numbers]


def _of_study(sweep: SweepDirectory, manifest: Manifest) -> list[Told] | None:
    """None if it cannot be asked, or not quickly."""
    if (manifest.study or {}).get("storage") is not None or not _is_quick(sweep):
        return None
    from vitruvian.sweeps.study import open_study

    try:
        trials = open_study(sweep, manifest).get_trials(deepcopy=False)
    except (UserError, ImportError):  # damaged, or Optuna is on the cluster only
        return None
    return [_told(sweep, one) for one in trials]


def _is_quick(sweep: SweepDirectory) -> bool:
    try:
        return sweep.journal.stat().st_size <= QUICK_BYTES
    except OSError:
        return False


def _told(sweep: SweepDirectory, one: Any) -> Told:
    from vitruvian.sweeps.trials import REASON

    point = tuple(f"{name.partition(' if ')[0]}={value}" for name, value in one.params.items())
    state = _STATES.get(one.state.name)
    status = {"state": state, "reason": one.user_attrs.get(REASON, "")} if state else {}
    return SweepRun(one.number, point, sweep.run(one.number)), status
