"""Reads back what trackers have recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from vitruvian.core.history import read_history

Curves = dict[str, list[tuple[int, float]]]


def of_csv(run: Path) -> Curves:
    """Every value of `metrics.csv` by its name; an epoch is told once for each step."""
    curves: Curves = {}
    for row in read_history(run / "metrics.csv"):
        for key, value in row.items():
            point = (int(row["step"]), value)
            if key != "step" and point not in curves.setdefault(key, []):
                curves[key].append(point)
    return curves


def of_tensorboard(folder: Path) -> Any:
    """TensorBoard's own reader of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    read.Reload()
    return read


def tensorboard_curves(folder: Path) -> Curves:
    read = of_tensorboard(folder)
    return {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def mlflow_run(uri: str, identity: str) -> tuple[Any, Curves]:
    """A run of MLflow and its curves."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    run = client.get_run(identity)
    histories = {name: client.get_metric_history(identity, name) for name in run.data.metrics}
    curves = {name: [(one.step, one.value) for one in found] for name, found in histories.items()}
    return run, curves


def wandb_records(run: Path) -> list[dict[str, Any]]:
    """The records of the one offline run in a run directory, by wandb's own reader."""
    (file,) = (run / "wandb").glob("offline-run-*/run-*.wandb")
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def entry(run: Path, role: str) -> dict[str, str]:
    """What `tracker.json` says of one tracker."""
    found: dict[str, str] = json.loads((run / "tracker.json").read_text(encoding="utf-8"))[role]
    return found
