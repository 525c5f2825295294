"""A sweep of many runs, simulated and finished: how long its states and tables take.

Ours is the whole command in a process of its own, start-up and output included, over all runs; its
peak memory stands in the row. Against it a loop as one writes it, which reads every run's files
whole (PyYAML, json, csv), keeps what it shows and writes nothing, over a share of the runs.
"""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.benchmarks.harness import Row, Scale, Work, side_by_side
from vitruvian.core.rundir import COMPLETE, RunDirectory, dump_yaml
from vitruvian.sweeps.directory import Manifest, SweepDirectory

METRIC = "val/liver_dice"
EPOCHS, LOGGED = 40, 10  # validations of a run, and rows of training between two
REPETITIONS = 3
THEIR_SHARE = 20  # one run in so many
BASELINES = ("baseline: HU threshold", "baseline: empty mask")
FIGURES = ("dice", "jaccard", "voe", "voe_paper", "rvd", "precision", "recall", "assd_mm", "hd_mm")
FIGURES += ("hd95_mm", "empty_prediction", "tp", "fp", "fn", "dice_small", "dice_medium")
FIGURES += ("dice_large", "dice_inferior", "dice_central", "dice_superior")
LAUNCHER = {"_target_": "vitruvian.sweeps.local.Local"}


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """Status and collect of one sweep."""
    sweep = simulated_sweep(folder / f"sweep-{scale.runs}", scale.runs)
    for name, theirs in {"status": _plain_status, "collect": _plain_collect}.items():
        ours = _Command(sweep, name)
        ours()
        peak = f"{scale.runs} runs, peak {ours.peak_mb:.0f} MB"
        repetitions = min(scale.repetitions, REPETITIONS)
        ratio = side_by_side(ours, _loop(sweep, theirs), repetitions)
        yield Row(f"sweep_scale: {name} per run ({peak}), plain loop", ratio, "ms")


class _Command:
    """`vitruvian-sweep NAME DIR`, in a process whose peak memory is kept."""

    def __init__(self, sweep: SweepDirectory, name: str) -> None:
        self._sweep, self._name = sweep, name
        self.peak_mb = 0.0

    def __call__(self) -> int:
        command = [sys.executable, "-m", "vitruvian.sweep", self._name, str(self._sweep.path)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, code, usage = os.wait4(process.pid, 0)
        assert code == 0
        self.peak_mb = max(self.peak_mb, usage.ru_maxrss / 1024)
        return sum(1 for _ in self._sweep.points_file.open(encoding="utf-8"))


# -- simulated runs -------------------------------------------------------------------------------


def simulated_sweep(path: Path, count: int) -> SweepDirectory:
    """A sweep of learning rates, nets and folds whose runs are finished; written once."""
    sweep = SweepDirectory(path)
    if sweep.exists:
        return sweep
    draws = random.Random(0)
    points = []
    for index in range(count):
        run = sweep.run(index)
        (run.path / "evaluation").mkdir(parents=True, exist_ok=True)
        _write(run, _config(), draws)
        points.append((f"optimizer.lr={1e-6 * (index // 5 + 1):.6f}", f"split.fold={index % 5}"))
    sweep.write_points(points)
    axes = ("optimizer.lr", "split.fold")
    sweep.write_manifest(Manifest("simulated", (), axes, {METRIC: "max"}, LAUNCHER))
    return sweep


def _config() -> dict[str, Any]:
    """As long as a real one."""
    groups = ("datamodule", "split", "model", "loss", "optimizer", "scheduler", "trainer")
    keys = {f"key_{number}": number / 7 for number in range(12)}
    nodes = {group: {"_target_": f"vitruvian.core.{group}.Simulated", **keys} for group in groups}
    return {"name": "simulated", "seed": 0, "monitor": {"metric": METRIC, "mode": "max"}, **nodes}


def _write(run: RunDirectory, config: dict[str, Any], draws: random.Random) -> None:
    begin = datetime(2026, 11, 20, tzinfo=UTC)
    end = begin + timedelta(seconds=draws.randint(100, 1000))
    status = {"state": COMPLETE, "updated": end.isoformat(), "pid": 1, "host": "simulated"}
    packages = {f"package-{number}": "1.2.3" for number in range(150)}
    start = {"started": begin.isoformat(), "packages": packages}
    run.config_file.write_text(_yaml(json.dumps(config)), encoding="utf-8")
    run.status_file.write_text(json.dumps(status), encoding="utf-8")
    run.environment_file.write_text(json.dumps({"starts": [start]}, indent=2), encoding="utf-8")
    run.metrics_file.write_text(_history(draws), encoding="utf-8")
    evaluation = run.evaluation / "test_simulated.json"
    evaluation.write_text(json.dumps(_evaluation(draws), indent=2), encoding="utf-8")


_TEXTS: dict[str, str] = {}


def _yaml(config: str) -> str:
    if config not in _TEXTS:
        _TEXTS[config] = dump_yaml(json.loads(config))
    return _TEXTS[config]


def _history(draws: random.Random) -> str:
    lines = [f"epoch,step,train/loss,train/lr,{METRIC},val/liver_global_dice,train/epoch_loss"]
    for epoch in range(EPOCHS):
        steps = range(epoch * LOGGED, (epoch + 1) * LOGGED)
        lines += [f"{epoch},{step},{draws.random()!r},{draws.random()!r},,," for step in steps]
        lines.append(f"{epoch},{steps[-1]},,,{draws.random()!r},{draws.random()!r},")
        lines.append(f"{epoch},{steps[-1]},,,,,{draws.random()!r}")
    return "\r\n".join(lines) + "\r\n"


def _evaluation(draws: random.Random) -> dict[str, Any]:
    groups = [
        {"predictor": who, "metrics": {name: _statistic(draws.random()) for name in FIGURES}}
        for who in (*BASELINES, "model")
    ]
    pooled = {who: {"global_dice": draws.random()} for who in (*BASELINES, "model")}
    split = {"data": "simulated", "split": "5-fold", "pooled": pooled, "changed": []}
    return {**split, "keys": ["case", "predictor"], "cases": 26, "by": ["predictor"]} | {
        "groups": groups
    }


def _statistic(mean: float) -> dict[str, float]:
    ends = {"ci_low": mean - 0.1, "ci_high": mean + 0.1}
    return {"n": 26, "n_nan": 0, "mean": mean, "sd": 0.1, "median": mean, **ends}


# -- theirs ---------------------------------------------------------------------------------------


def _loop(sweep: SweepDirectory, read: Callable[[Path], Any]) -> Work:
    def work() -> int:
        folders = sorted(file.parent for file in sweep.path.glob("*/config.yaml"))[::THEIR_SHARE]
        found = [read(folder) for folder in folders]
        assert all(found)
        return len(found)

    return work


def _plain_status(folder: Path) -> tuple[str, float]:
    status = json.loads((folder / "status.json").read_text())
    with (folder / "metrics.csv").open(newline="") as stream:
        best = max(float(row[METRIC]) for row in csv.DictReader(stream) if row[METRIC])
    return status["state"], best


def _plain_collect(folder: Path) -> tuple[Any, ...]:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    evaluation = json.loads((folder / "evaluation" / "test_simulated.json").read_text())
    return (*_plain_status(folder), config["optimizer"], evaluation["groups"])
