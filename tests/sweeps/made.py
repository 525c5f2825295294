"""Small sweeps for the tests of launchers, without the command line: frozen runs and their jobs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vitruvian.core.config import config_directory, freeze
from vitruvian.core.rundir import RunDirectory
from vitruvian.sweeps.directory import Manifest, SweepDirectory
from vitruvian.sweeps.jobs import RUN, Job

PLAIN: dict[str, Any] = {"trainer": {"accelerator": "cpu", "devices": 1}}
LOCAL = {"_target_": "vitruvian.sweeps.local.Local"}


def sweep_of(path: Path, points: Sequence[Sequence[str]]) -> SweepDirectory:
    """A sweep without runs: its manifest and its list of points."""
    sweep = SweepDirectory(path)
    sweep.write_manifest(Manifest("x", (), ("optimizer.lr",), {"val/loss": "min"}, LOCAL))
    sweep.write_points(points)
    return sweep


def pretended(sweep: SweepDirectory, module: str, names: Sequence[str]) -> list[Job]:
    """Jobs of another module in place of trainings."""
    jobs = []
    for name in names:
        (sweep.path / name).mkdir(exist_ok=True)
        jobs.append(Job(name, module, sweep.path / name, PLAIN))
    return jobs


def frozen(path: Path, points: Sequence[Sequence[str]]) -> tuple[SweepDirectory, list[Job]]:
    """Small liver runs, one for each list of overrides, on one thread."""
    from hydra import compose, initialize_config_dir

    from tests.integration.runs import SMALL  # imports torch, which a launcher's process does not
    from vitruvian.core.compose import register_schema

    register_schema()
    sweep = sweep_of(path, points)
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        for index, point in enumerate(points):
            config = freeze(compose("train", [*SMALL, "threads=1", *point]))
            sweep.run(index).claim(config, list(point))
    return sweep, jobs_of(sweep)


def jobs_of(sweep: SweepDirectory) -> list[Job]:
    """The jobs of a sweep that lies there frozen."""
    return [Job(one.name, RUN, one.run.path, one.run.config) for one in sweep.runs()]


def train_alone(run: RunDirectory) -> None:
    """Train in a fresh process, as a user would by hand."""
    command = [sys.executable, "-m", RUN, str(run.path)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)


def same_results(ours: RunDirectory, theirs: RunDirectory) -> bool:
    """Whether two runs have the same weights, history and evaluation, to the last bit."""
    from tests.integration.runs import same, state

    files = [run.metrics_file.read_bytes() for run in (ours, theirs)]
    tables = [
        {file.name: file.read_bytes() for file in run.evaluation.iterdir()}
        for run in (ours, theirs)
    ]
    weights = [state(run.last)["state_dict"] for run in (ours, theirs)]
    return files[0] == files[1] and tables[0] == tables[1] and same(*weights)
