"""`hydra/sweeper=optuna`: the space is frozen at its corners before a worker starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.shell import Outcome, Shell
from tests.sweeps.composed import only_sweep
from tests.sweeps.recorder import Recorder
from vitruvian.core.config import config_directory
from vitruvian.sweeps.bases import Bases
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.jobs import WORKER
from vitruvian.sweeps.space import Space

CONF = config_directory()
SPACES = sorted(file.stem for file in (CONF / "sweep").glob("*.yaml") if file.stem != "none")
RATE = "optimizer.lr=tag(log,interval(1e-4,1e-1))"


def study(shell: Shell, *arguments: str) -> Outcome:
    return shell("train", "-m", "experiment=spine_demo", "hydra/sweeper=optuna", *arguments)


def test_a_study_hands_its_workers_in(shell: Shell, launcher: Recorder, tmp_path: Path) -> None:
    outcome = study(shell, RATE, "model=spine_gru,spine_lstm", "hydra.sweeper.n_trials=7")
    assert outcome.code == 0, outcome.err
    sweep = SweepDirectory(only_sweep(tmp_path))
    jobs = [(job.name, job.module, job.path) for job in launcher.started]
    assert jobs == [(f"worker-{n}", WORKER, sweep.path) for n in (0, 1)]
    manifest = sweep.manifest()
    assert manifest.axes == ("optimizer.lr", "model")
    assert manifest.study is not None
    assert manifest.study["n_trials"] == 7
    assert manifest.objectives == {"val/index_mae": "min"}
    assert sweep.journal.is_file(), "made once, by us"
    assert not sweep.runs(), "a trial is frozen when it is asked for"
    config = Bases.read(sweep.bases).freeze({"model": "spine_lstm", "optimizer.lr": 0.02})
    assert config["optimizer"]["lr"] == 0.02
    assert "LSTM" in config["model"]["net"]["_target_"]


def test_a_single_value_of_the_space_holds_for_all_trials(
    shell: Shell, launcher: Recorder, tmp_path: Path
) -> None:
    conf = tmp_path / "conf" / "sweep"
    conf.mkdir(parents=True)
    (conf / "mine.yaml").write_text(
        "# @package _global_\nhydra:\n  sweeper:\n    params:\n      model: spine_gru\n"
        "      seed: 3\n      threads: null\n      optimizer.lr: interval(0.1,0.2)\n"
    )
    outcome = study(shell, f"hydra.searchpath=[file://{conf.parent}]", "sweep=mine", "seed=4")
    assert outcome.code == 0, outcome.err
    sweep = SweepDirectory(only_sweep(tmp_path))
    assert sweep.manifest().axes == ("optimizer.lr",)
    assert {"model=spine_gru", "seed=4", "threads=null"} <= set(sweep.manifest().overrides)
    config = Bases.read(sweep.bases).freeze({"optimizer.lr": 0.15})
    assert "GRU" in config["model"]["net"]["_target_"]
    assert (config["seed"], config["threads"]) == (4, None)


@pytest.mark.parametrize("space", SPACES)
def test_every_search_space_can_be_searched(
    space: str, shell: Shell, launcher: Recorder, tmp_path: Path
) -> None:
    outcome = shell("train", "-m", f"sweep={space}")
    assert outcome.code == 0, outcome.err
    assert launcher.started
    sweep = SweepDirectory(only_sweep(tmp_path))
    plain = (sweep.manifest().study or {})["space"]
    bases = Bases.read(sweep.bases)
    for corner in Space.from_plain(plain).corners():
        assert bases.freeze(corner)["name"] == sweep.manifest().name


def test_the_same_command_continues_the_study(
    shell: Shell, launcher: Recorder, tmp_path: Path
) -> None:
    place = f"hydra.sweep.dir={tmp_path}/mine"
    assert study(shell, place, RATE).code == 0
    before = SweepDirectory(tmp_path / "mine").manifest()
    assert study(shell, place, RATE, "hydra.sweeper.n_trials=50").code == 0
    after = SweepDirectory(tmp_path / "mine").manifest()
    assert before.study is not None
    assert after.study == before.study | {"n_trials": 50}


@pytest.mark.parametrize(
    "changed", [["optimizer.lr=interval(0.1,0.2)"], [RATE, "hydra/sweeper/sampler=random"]]
)
def test_another_study_is_refused(
    changed: Sequence[str], shell: Shell, launcher: Recorder, tmp_path: Path
) -> None:
    place = f"hydra.sweep.dir={tmp_path}/mine"
    assert study(shell, place, RATE).code == 0
    launcher.started.clear()
    outcome = study(shell, place, *changed)
    assert outcome.code == 2
    assert "holds another study" in outcome.err
    assert not launcher.started


MISTAKES = {
    "a misspelt key": (
        ["optimizer.lrr=interval(0,1)"],
        "optimizer.lrr: no such key; did you mean `optimizer.lr`?",
    ),
    "an end that does not fit": (
        ["model.net.hidden=interval(0.5,1.5)"],
        "model.net.hidden: got 0.5, expected int",
    ),
    "an option": (
        [RATE, "model=spine_gru,spine_lsmt"],
        "model=spine_lsmt: no such option; did you mean `model=spine_lstm`?",
    ),
    "a net of another study": ([RATE, "model=spine_gru,liver_unet2d"], "model"),
    "nothing to search": (["seed=1"], "hydra.sweeper"),
    "a sampler's key": (
        [RATE, "+hydra.sweeper.sampler.n_startup=3"],
        "hydra.sweeper.sampler.n_startup: no such key; did you mean `",
    ),
    "a test figure": (
        [RATE, "hydra.sweeper.objectives={test/mae: min}"],
        "hydra.sweeper.objectives",
    ),
    "a password": (
        [RATE, "'hydra.sweeper.storage=postgresql://me:secret@host/db'"],
        "hydra.sweeper.storage",
    ),
    "an interval on a grid": (
        [RATE, "hydra/sweeper/sampler=grid"],
        "optimizer.lr: the grid sampler needs values",
    ),
}


@pytest.mark.parametrize(("arguments", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_stops_the_study_before_its_first_trial(
    arguments: list[str], told: str, shell: Shell, launcher: Recorder, tmp_path: Path
) -> None:
    outcome = study(shell, *(text.strip("'") for text in arguments))
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: {told}"), outcome.err
    assert "Traceback" not in outcome.err
    assert "secret" not in outcome.err
    assert not launcher.started
    assert not list(tmp_path.iterdir()), "nothing is written"


@pytest.mark.parametrize("cluster", sorted(file.stem for file in (CONF / "cluster").glob("*.yaml")))
def test_every_cluster_composes(cluster: str, shell: Shell) -> None:
    outcome = shell("train", f"cluster={cluster}", "--cfg", "hydra")
    assert outcome.code == 0, outcome.err
    launcher = "local.Local" if cluster == "none" else "slurm.Slurm"
    assert f"_target_: vitruvian.sweeps.{launcher}" in outcome.out
