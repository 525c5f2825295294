"""Sweeps whose runs were never trained: their files are written as a run would leave them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from vitruvian.core.evaluation import summarise, write
from vitruvian.core.rundir import RunDirectory, dump_yaml
from vitruvian.sweeps.directory import Manifest, SweepDirectory
from vitruvian.sweeps.jobs import Alive, Job, Launcher

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
METRIC = "val/liver_dice"
TARGET = "tests.sweeps.finished.FileLauncher"


class FileLauncher(Launcher):
    """Believes the sweep's `alive.json`, and notes in `asked.json` what it was asked to start."""

    outlived = True

    def __init__(self, jobs: int = 1, queue: str | None = None) -> None:
        self.jobs, self.queue = jobs, queue

    def start(self, sweep: SweepDirectory, jobs: Sequence[Job]) -> dict[str, str]:
        asked = [[job.name, job.module, str(job.path), job.config.get("seed")] for job in jobs]
        (sweep.path / "asked.json").write_text(json.dumps({"queue": self.queue, "jobs": asked}))
        return dict(_read(sweep, "failures.json"))

    def alive(self, sweep: SweepDirectory) -> Mapping[str, Alive]:
        return _read(sweep, "alive.json")

    def cancel(self, sweep: SweepDirectory) -> int:
        count = len(self.alive(sweep))
        (sweep.path / "alive.json").unlink(missing_ok=True)
        return count

    def workers(self) -> int:
        return self.jobs


class OtherLauncher(FileLauncher):
    """Another kind of it."""


def _read(sweep: SweepDirectory, name: str) -> Any:
    file = sweep.path / name
    return json.loads(file.read_text()) if file.is_file() else {}


def asked(sweep: SweepDirectory) -> list[str]:
    """Names of the jobs that the launcher was last asked to start."""
    return [job[0] for job in _read(sweep, "asked.json").get("jobs", [])]


@dataclass(frozen=True)
class Run:
    """What is written for one run.

    Attributes:
        point: its overrides.
        state: in `status.json`; None: nothing was ever written.
        age: seconds since.
        status: further entries.
        validations: values of METRIC, one for each epoch.
        dice: of the evaluated cases under the model; empty: no evaluation.
        baselines: the same of baselines.
        simulated: whether the data are.
    """

    point: tuple[str, ...]
    state: str | None = "complete"
    age: float = 10.0
    status: Mapping[str, Any] = field(default_factory=dict)
    validations: tuple[float, ...] = ()
    dice: tuple[float, ...] = ()
    baselines: Mapping[str, float] = field(default_factory=lambda: {"baseline: empty mask": 0.0})
    simulated: bool = True


def sweep_of(
    path: Path,
    runs: Sequence[Run],
    axes: Sequence[str] = ("optimizer.lr",),
    objectives: Mapping[str, str] | None = None,
    **manifest: Any,
) -> SweepDirectory:
    """A sweep with these runs."""
    sweep = SweepDirectory(path)
    for index, run in enumerate(runs):
        write_run(sweep.run(index), run)
    sweep.write_points([run.point for run in runs])
    wanted = {METRIC: "max"} if objectives is None else dict(objectives)
    node = {"_target_": TARGET, "jobs": 2}
    sweep.write_manifest(Manifest("liver", (), tuple(axes), wanted, node, **manifest))
    return sweep


def write_run(place: RunDirectory, run: Run) -> None:
    """Leave the files of one run."""
    place.path.mkdir(parents=True)
    monitor = {"metric": METRIC, "mode": "max"}
    place.config_file.write_text(dump_yaml({"seed": 7, "monitor": monitor, "model": {"a": 1}}))
    if run.state is not None:
        updated = (NOW - timedelta(seconds=run.age)).isoformat()
        content = {"state": run.state, "updated": updated, "pid": 1, **run.status}
        place.status_file.write_text(json.dumps(content))
    started = (NOW - timedelta(seconds=run.age + 100)).isoformat()
    place.environment_file.write_text(json.dumps({"starts": [{"started": started}]}, indent=2))
    if run.validations:
        place.metrics_file.write_text(history(run.validations))
    if run.dice:
        _evaluate(place, run)


def history(validations: Sequence[float]) -> str:
    """`metrics.csv` with a row of training before each validation."""
    lines = [f"epoch,step,train/loss,{METRIC},val/liver_volume_ml"]
    for epoch, value in enumerate(validations):
        lines += [f"{epoch},{epoch},0.5,,", f"{epoch},{epoch},,{value!r},{float(epoch)!r}"]
    return "\r\n".join(lines) + "\r\n"


def _evaluate(place: RunDirectory, run: Run) -> None:
    values = {"model": run.dice, **{who: (v,) * len(run.dice) for who, v in run.baselines.items()}}
    rows = [
        {"case": str(case), "predictor": who, "dice": value, "tp": 3.0}
        for who, own in values.items()
        for case, value in enumerate(own)
    ]
    notes = {"split": "5-fold", "pooled": {"model": {"auc": 0.75, "auc_low": 0.5}}}
    name = "test_simulated" if run.simulated else "test"
    write(rows, summarise(rows, resamples=2), place.evaluation, name, run.simulated, notes)
