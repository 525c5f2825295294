"""What a study has found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitruvian.sweeps.directory import Manifest, SweepDirectory
from vitruvian.sweeps.study import open_study, telling
from vitruvian.sweeps.trials import REASON, STOPPED

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def best_lines(sweep: SweepDirectory) -> list[str]:
    """How a study stands, and its best trial; of several objectives all that no other one beats.

    Raises:
        RunError: the study's storage cannot be used.
    """
    from optuna.trial import TrialState

    manifest = sweep.manifest()
    assert manifest.study is not None
    study = open_study(sweep, manifest)
    with telling(manifest.study):
        trials = study.get_trials(deepcopy=False)
        complete = any(one.state == TrialState.COMPLETE for one in trials)
        best = study.best_trials if complete else []
        stopped = study.user_attrs.get(STOPPED)
    lines = [f"{len(trials)} of {manifest.study['n_trials']} trials: {_counted(trials)}"]
    lines += [f"the study was stopped: {stopped}"] if stopped else _last_failure(trials)
    if not best:
        return [*lines, "no trial is complete, so there is no best one"]
    if len(manifest.objectives) > 1:
        lines.append(f"{len(best)} trials that no other beats in all objectives:")
    best = sorted(best, key=lambda one: one.values) if len(manifest.objectives) > 1 else best[:1]
    return [*lines, *(_line(sweep, manifest, one) for one in best)]


def _counted(trials: list[FrozenTrial]) -> str:
    names = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}
    counts = {name: sum(one.state.name == state for one in trials) for state, name in names.items()}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none"


def _last_failure(trials: list[FrozenTrial]) -> list[str]:
    failed = [one for one in trials if one.state.name == "FAIL"]
    if not failed:
        return []
    last = max(failed, key=lambda one: str(one.datetime_complete))
    return [f"the last one to fail was trial {last.number}: {last.user_attrs.get(REASON, '?')}"]


def _line(sweep: SweepDirectory, manifest: Manifest, one: FrozenTrial) -> str:
    run = sweep.run(one.number)
    data = "on SIMULATED data " if run.read_status().get("simulated") else ""
    pairs = zip(manifest.objectives, one.values, strict=True)
    figures = "  ".join(f"{metric} {value:.6g}" for metric, value in pairs)
    point = " ".join(f"{name.partition(' if ')[0]}={value}" for name, value in one.params.items())
    return f"best: {figures}  {data}in {run.path}  ({point})"
