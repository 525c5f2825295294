"""The Ray launcher: what it asks of Ray, and a real cluster where Ray is installed."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import vitruvian
from tests.sweeps.made import frozen, pretended, same_results, sweep_of, train_alone
from vitruvian.core.check import check_node
from vitruvian.core.errors import ConfigError
from vitruvian.core.rundir import INTERRUPTED
from vitruvian.sweeps.jobs import RUN, Job
from vitruvian.sweeps.ray import Ray, _gpus

ROOT = Path(__file__).resolve().parents[2]
NODE = {"_target_": "vitruvian.sweeps.ray.Ray"}
INSTALLED = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not INSTALLED, reason="Ray is not installed: vitruvian[ray]")


def built(keys: dict[str, Any]) -> Ray:
    check_node(NODE | keys, "hydra.launcher")
    return Ray(**keys)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"jobs": 0}, r"hydra.launcher.jobs: got 0, expected 1 or more"),
        ({"gpus_per_job": "half"}, r"gpus_per_job: got 'half', expected float or `auto`"),
        ({"cpus_per_job": -1}, r"cpus_per_job: got -1, expected 0 or more"),
        ({"adress": "x"}, r"adress: no such key; did you mean `address`?"),
    ],
)
def test_mistakes(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        built(keys)


@pytest.mark.skipif(INSTALLED, reason="Ray is installed here")
def test_without_ray_it_says_how_to_get_it(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, [[]])
    with pytest.raises(ConfigError, match=r"Ray is not installed; pip install 'vitruvian\[ray\]'"):
        Ray().start(sweep, pretended(sweep, "pretend", ["0000"]))


class Cluster:
    """What is asked of Ray about its machines."""

    def __init__(self, gpus: float) -> None:
        self._gpus = gpus

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 8.0} | ({"GPU": self._gpus} if self._gpus else {})


@pytest.mark.parametrize(
    ("accelerator", "devices", "there", "gpus"),
    [
        ("auto", 1, 0, 0),
        ("auto", 2, 4, 2),
        ("cpu", 2, 4, 0),
        ("gpu", [0, 1, 2], 0, 3),  # Ray waits for machines that have them
        ("gpu", -1, 4, 1),
        ("gpu", "auto", 4, 1),
    ],
)
def test_gpus_of_a_job(accelerator: str, devices: Any, there: int, gpus: int) -> None:
    config = {"trainer": {"accelerator": accelerator, "devices": devices}}
    assert _gpus(Cluster(there), Job("0000", RUN, Path(), config)) == gpus


@needs_ray
@pytest.mark.slow
def test_no_cluster_is_a_clear_mistake(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, [[]])
    with pytest.raises(ConfigError, match=r"no Ray cluster .* or use address=local"):
        Ray().start(sweep, pretended(sweep, "pretend", ["0000"]))


COORDINATOR = """
import sys
from pathlib import Path
from tests.sweeps.made import jobs_of
from vitruvian.core.signals import Interrupted
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.ray import Ray

sweep = SweepDirectory(Path(sys.argv[1]))
try:
    failed = Ray(address="local").start(sweep, jobs_of(sweep))
except Interrupted as stop:
    sys.exit(stop.exit_code)
sys.exit(len(failed))
"""


@needs_ray
@pytest.mark.slow
def test_a_sweep_is_stopped_and_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(vitruvian.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (source, ROOT))))
    monkeypatch.chdir(tmp_path)
    points = (["trainer.max_epochs=30"], ["optimizer.lr=1e30"])
    alone, _ = frozen(tmp_path / "alone", points[:1])
    train_alone(alone.run(0))
    sweep, _ = frozen(tmp_path / "sweep", points)
    first = sweep.run(0)
    command = [sys.executable, "-c", COORDINATOR, str(sweep.path)]
    with subprocess.Popen(command) as coordinator:
        while not first.last.is_file() and coordinator.poll() is None:
            time.sleep(0.02)
        assert Ray().alive(sweep)["0000"] == "running"
        coordinator.send_signal(signal.SIGINT)
        assert coordinator.wait(300) == 128 + signal.SIGINT
    assert first.status == INTERRUPTED
    assert subprocess.run(command, check=False, timeout=300).returncode == 1, "one diverges"
    assert same_results(first, alone.run(0))
