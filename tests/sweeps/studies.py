"""Small studies for tests, with trials that are functions or pretended trainings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vitruvian.core.processes import Process, Share
from vitruvian.sweeps import study
from vitruvian.sweeps.directory import Manifest, SweepDirectory
from vitruvian.sweeps.space import Space, Value
from vitruvian.sweeps.trials import End, Outcome, Trials

TPE = {"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 3}
CMAES = {
    "_target_": "optuna.samplers.CmaEsSampler",
    "n_startup_trials": 3,
    "warn_independent_sampling": False,
}
RANDOM = {"_target_": "optuna.samplers.RandomSampler"}
GRID = {"_target_": "optuna.samplers.GridSampler"}
MEDIAN = {"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 2, "n_warmup_steps": 2}

SPACE = Space.of({"x": "interval(0.0,1.0)", "y": "interval(0.0,1.0)", "kind": "a,b"})
LISTS = Space.of({"x": "range(4)", "kind": "a,b"})
DEFAULTS: dict[str, Any] = {
    "n_trials": 8,
    "storage": None,
    "study_name": None,
    "sampler": RANDOM,
    "pruner": {},
    "seed": 0,
    "max_failures": 5,
}


def make(
    path: Path,
    space: Space = SPACE,
    objectives: Mapping[str, str] | None = None,
    **keys: Any,
) -> SweepDirectory:
    """A sweep with a fresh study."""
    sweep = SweepDirectory(path)
    goals = dict(objectives or {"val/x": "min"})
    settled = study.settle(DEFAULTS | keys, goals, space, "test")
    axes = tuple(one.key for one in space.parameters)
    manifest = Manifest("test", ("seed=1",), axes, goals, {"_target_": "none"}, settled)
    sweep.path.mkdir(parents=True)
    sweep.logs.mkdir()
    sweep.write_manifest(manifest)
    study.create(sweep, manifest)
    return sweep


def bowl(point: Mapping[str, Value]) -> float:
    """A function with a minimum."""
    return (float(point["x"]) - 0.3) ** 2 + 0.1 * (point["kind"] == "b")


def drive(sweep: SweepDirectory, most: int = 100) -> list[dict[str, Value]]:
    """Take and tell trials, at most so many; the points that were begun."""
    trials, points = Trials(sweep), []
    while len(points) < most and (taken := trials.take()) is not None:
        points.append(trials.point(taken))
        trials.tell(taken, Outcome(End.COMPLETE, (bowl(points[-1]),)))
    return points


def states(sweep: SweepDirectory) -> list[str]:
    """How Optuna sees the trials, by number."""
    return [one.state.name for one in Trials(sweep).study.get_trials(deepcopy=False)]


def config_of(point: Mapping[str, Value], **more: Any) -> dict[str, Any]:
    """What tests/sweeps/pretend.py reads."""
    monitor = {"metric": "val/x", "mode": "min"}
    return {"monitor": monitor, "epochs": 3, "seconds": 0.0, **point, **more}


def pretend(
    module: str, path: Path, log: Path | None = None, share: Share | None = None
) -> Process:
    """Start a pretended training."""
    assert module == "vitruvian.run"
    assert log is not None
    with log.open("ab") as stream:
        command: Sequence[str] = [sys.executable, str(Path(__file__).with_name("pretend.py"))]
        return subprocess.Popen([*command, str(path)], stdout=stream, stderr=stream)


Freeze = Callable[[Mapping[str, Value]], dict[str, Any]]
