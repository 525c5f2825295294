"""`vitruvian-train -m`: every point is composed, checked and frozen before anything is started."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.shell import Outcome, Shell
from tests.sweeps.composed import frozen_alone, only_sweep
from tests.sweeps.recorder import Recorder
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.jobs import RUN


def sweep(shell: Shell, *arguments: str) -> Outcome:
    return shell("train", "-m", "experiment=liver_demo", *arguments)


def test_a_grid_is_frozen_before_anything_starts(
    shell: Shell, launcher: Recorder, tmp_path: Path
) -> None:
    outcome = sweep(shell, "optimizer.lr=0.003,0.01", "split.fold=range(2)", "threads=1")
    assert outcome.code == 0, outcome.err
    found = SweepDirectory(only_sweep(tmp_path))
    assert found.path.parent == tmp_path / "outputs" / "sweeps" / "liver_demo"
    expected = [(lr, fold) for lr in ("0.003", "0.01") for fold in ("0", "1")]
    shared = ["experiment=liver_demo", "threads=1"]
    for number, (one, (lr, fold)) in enumerate(zip(found.runs(), expected, strict=True)):
        point = [f"optimizer.lr={lr}", f"split.fold={fold}"]
        assert (one.index, one.name, list(one.overrides)) == (number, f"{number:04d}", point)
        assert one.run.config == frozen_alone([*shared, *point])
        assert one.run.overrides_file.read_text().splitlines() == [*shared, *point]
    jobs = [(job.name, job.module, job.path) for job in launcher.started]
    assert jobs == [(one.name, RUN, one.run.path) for one in found.runs()]
    assert str(found.path) in outcome.out


def test_the_manifest_says_what_was_asked_for(
    shell: Shell, launcher: Recorder, tmp_path: Path
) -> None:
    assert sweep(shell, "seed=1,2", "optimizer=adam,sgd", "hydra.launcher.jobs=3").code == 0
    manifest = SweepDirectory(only_sweep(tmp_path)).manifest()
    assert manifest.name == "liver_demo"
    assert manifest.overrides == ("experiment=liver_demo",)
    assert manifest.axes == ("seed", "optimizer")
    assert manifest.objectives == {"val/liver_dice": "max"}
    assert manifest.launcher["_target_"] == "vitruvian.sweeps.local.Local"
    assert manifest.launcher["jobs"] == 3
    assert manifest.study is None
    assert "seed=1,2" in manifest.origin["command"]


def test_a_new_key_is_an_axis_by_its_name(shell: Shell, launcher: Recorder, tmp_path: Path) -> None:
    assert sweep(shell, "+optimizer.eps=1e-8,1e-6", "++seed=1,2").code == 0
    found = SweepDirectory(only_sweep(tmp_path))
    assert found.manifest().axes == ("optimizer.eps", "seed")
    assert [one.run.config["optimizer"]["eps"] for one in found.runs()] == [1e-8, 1e-8, 1e-6, 1e-6]


def test_a_run_has_two_files_until_it_begins(
    shell: Shell, launcher: Recorder, tmp_path: Path
) -> None:
    assert sweep(shell, "seed=1,2").code == 0
    path = only_sweep(tmp_path)
    files = sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())
    runs = [f"000{n}/{name}" for n in (0, 1) for name in ("config.yaml", "overrides.txt")]
    assert files == [*runs, "points.jsonl", "sweep.yaml"]


def test_a_list_of_points(shell: Shell, launcher: Recorder, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("- {optimizer.lr: 0.5, optimizer: sgd}\n- {optimizer.lr: 0.25}\n")
    arguments = ("hydra/sweeper=list", f"hydra.sweeper.points={file}", "seed=1,2")
    assert sweep(shell, *arguments).code == 0
    configs = [one.run.config for one in SweepDirectory(only_sweep(tmp_path)).runs()]
    assert [(c["optimizer"]["lr"], c["seed"]) for c in configs] == [
        (0.5, 1), (0.5, 2), (0.25, 1), (0.25, 2),
    ]  # fmt: skip
    assert configs[0]["optimizer"]["_target_"] != configs[2]["optimizer"]["_target_"]


def test_every_fold_of_the_split(shell: Shell, launcher: Recorder, tmp_path: Path) -> None:
    assert sweep(shell, "hydra/sweeper=folds", "split.folds=3", "optimizer=adam,sgd").code == 0
    configs = [one.run.config for one in SweepDirectory(only_sweep(tmp_path)).runs()]
    assert [config["split"]["fold"] for config in configs] == [0, 1, 2, 0, 1, 2]


def test_a_glob_of_experiments(shell: Shell, launcher: Recorder, tmp_path: Path) -> None:
    outcome = shell("train", "-m", "experiment=glob(liver_ablation_*)", "trainer=cpu")
    assert outcome.code == 0, outcome.err
    names = [one.run.config["name"] for one in SweepDirectory(only_sweep(tmp_path)).runs()]
    assert names == ["liver_ablation_eas", "liver_ablation_separable"]


def test_a_search_space_of_a_yaml_file(shell: Shell, launcher: Recorder, tmp_path: Path) -> None:
    folder = tmp_path / "conf" / "sweep"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /hydra/sweeper: grid\n"
        "hydra:\n  sweeper:\n    params:\n      optimizer.lr: 0.1,0.2\n"
    )
    assert sweep(shell, f"hydra.searchpath=[file://{tmp_path}/conf]", "sweep=mine").code == 0
    configs = [one.run.config for one in SweepDirectory(only_sweep(tmp_path)).runs()]
    assert [config["optimizer"]["lr"] for config in configs] == [0.1, 0.2]


def test_later_edits_do_not_leak_in(shell: Shell, launcher: Recorder, tmp_path: Path) -> None:
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    mine = folder / "mine.yaml"
    text = "# @package _global_\ndefaults: [liver_demo]\nname: mine\noptimizer: {lr: 0.125}\n"
    mine.write_text(text)
    arguments = (f"hydra.searchpath=[file://{tmp_path}/conf]", "experiment=mine", "seed=1,2")
    assert shell("train", "-m", *arguments).code == 0
    mine.write_text(text.replace("0.125", "0.5"))
    rates = [job.config["optimizer"]["lr"] for job in launcher.started]
    assert rates == [0.125, 0.125]
    read = [one.run.config for one in SweepDirectory(only_sweep(tmp_path)).runs()]
    assert [config["optimizer"]["lr"] for config in read] == rates


MISTAKES = {
    "a value in one point": (
        ["optimizer.lr=0.1,high"],
        "optimizer.lr: got 'high', expected float or a `_target_` (Tensor) (torch.optim.AdamW) "
        "(in optimizer.lr=high)",
    ),
    "a value in several points": (
        ["optimizer.lr=0.1,high", "seed=1,2"],
        "optimizer.lr: got 'high', expected float or a `_target_` (Tensor) (torch.optim.AdamW) "
        "(in optimizer.lr=high seed=1 and 1 more)",
    ),
    "a value in all points": (
        ["trainer.max_epochs=1.5", "seed=1,2"],
        "trainer.max_epochs: got 1.5, expected",
    ),
    "a key": (
        ["optimizer.lrr=0.1,0.2"],
        "optimizer.lrr: no such key; did you mean `optimizer.lr`?",
    ),
    "an option": (
        ["optimizer=adam,adm"],
        "optimizer=adm: no such option; did you mean `optimizer=adam`?",
    ),
    "a key of the sweeper": (
        ["hydra.sweeper.pints=x", "seed=1,2"],
        "hydra.sweeper.pints: no such key; did you mean `hydra.sweeper.points`?",
    ),
    "a key of the launcher": (
        ["hydra.launcher.jbos=2", "seed=1,2"],
        "hydra.launcher.jbos: no such key; did you mean `hydra.launcher.jobs`?",
    ),
    "a value of the launcher": (
        ["hydra.launcher.jobs=many", "seed=1,2"],
        "hydra.launcher.jobs: got 'many'",
    ),
    "a launcher of Hydra's": (
        ["hydra/launcher=basic", "seed=1,2"],
        "hydra/sweeper, hydra/launcher: Hydra's own compose each job when its turn comes",
    ),
    "a sweeper of Hydra's": (
        ["hydra/sweeper=basic", "seed=1,2"],
        "hydra/sweeper, hydra/launcher: Hydra's own compose each job when its turn comes",
    ),
    "no points": (
        ["hydra/sweeper=list"],
        "hydra.sweeper.points: a value is needed; add hydra.sweeper.points=...",
    ),
    "no folds": (
        ["hydra/sweeper=folds", "split=ratio"],
        "split: Ratio has no folds; add split=leave_one_out or split=kfold",
    ),
    "a fold that is not there": (
        ["hydra/sweeper=folds", "hydra.sweeper.folds=[7]"],
        "hydra.sweeper.folds: there is no fold 7; 0 to 4",
    ),
    "a fold twice": (["hydra/sweeper=folds", "split.fold=0,1"], "split.fold: "),
    "an objective": (
        ["hydra.sweeper.objectives={val/loss: least}", "seed=1,2"],
        "hydra.sweeper.objectives.val/loss: got 'least', not min or max",
    ),
    "an objective nobody logs": (
        ["hydra.sweeper.objectives={val/liver_dise: max}", "seed=1,2"],
        "hydra.sweeper.objectives: val/liver_dise is not logged; did you mean `val/liver_dice`?",
    ),
    "a monitor nobody logs": (
        ["monitor.metric=val/dise", "seed=1,2"],
        "monitor.metric: val/dise is not logged",
    ),
    "a place for all": (["run=here", "seed=1,2"], "run: each job of a sweep has its own directory"),
    "an interval": (
        ["optimizer.lr=interval(0,1)"],
        "optimizer.lr=interval(0,1): an interval needs a sampler; add hydra/sweeper=optuna",
    ),
}


@pytest.mark.parametrize(("arguments", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_stops_the_sweep_before_job_1(
    arguments: list[str], told: str, shell: Shell, launcher: Recorder, tmp_path: Path
) -> None:
    outcome = sweep(shell, *arguments)
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: {told}")
    assert outcome.err.count("\n") == 1, "one line, no traceback"
    assert not launcher.started
    assert not list(tmp_path.iterdir()), "nothing is written"


# -- the same sweep again -------------------------------------------------------------------------


def test_the_same_command_continues_the_sweep(
    shell: Shell, launcher: Recorder, tmp_path: Path
) -> None:
    place = f"hydra.sweep.dir={tmp_path}/mine"
    assert sweep(shell, place, "seed=1,2,3").code == 0
    SweepDirectory(tmp_path / "mine").run(1).write_status("complete")
    launcher.started.clear()
    assert sweep(shell, place, "seed=1,2,3").code == 0
    assert [job.name for job in launcher.started] == ["0000", "0002"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["seed=1,2"], "holds another sweep"),
        (["seed=1,2,3", "trainer.max_epochs=9"], "of another configuration (trainer.max_epochs is"),
    ],
)
def test_another_sweep_is_refused(
    arguments: list[str], told: str, shell: Shell, launcher: Recorder, tmp_path: Path
) -> None:
    place = f"hydra.sweep.dir={tmp_path}/mine"
    assert sweep(shell, place, "seed=1,2,3").code == 0
    launcher.started.clear()
    outcome = sweep(shell, place, *arguments)
    assert outcome.code == 2
    assert told in outcome.err
    assert not launcher.started


def test_a_file_in_its_place(shell: Shell, launcher: Recorder, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    outcome = sweep(shell, "hydra.sweep.dir=mine", "seed=1,2")
    assert outcome.code == 2
    assert f"{tmp_path / 'mine'} is not empty: give another hydra.sweep.dir=..." in outcome.err


def test_a_folder_of_something_else_is_left_alone(
    shell: Shell, launcher: Recorder, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    outcome = sweep(shell, f"hydra.sweep.dir={tmp_path}", "seed=1,2")
    assert outcome.code == 2
    assert "is not empty: give another hydra.sweep.dir=..." in outcome.err
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_sweeps_of_one_second_do_not_meet(
    shell: Shell, launcher: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1.7e9)
    for _ in range(2):
        assert sweep(shell, "seed=1").code == 0
    assert len(list(tmp_path.glob("outputs/sweeps/liver_demo/*"))) == 2


def test_a_full_disk_leaves_no_half_sweep(
    shell: Shell, launcher: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(SweepDirectory, "write_points", full)
    outcome = sweep(shell, "seed=1,2")
    assert outcome.code == 2
    assert "the disk is full" in outcome.err
    assert not list(tmp_path.glob("outputs/sweeps/*/*"))


# -- the directory --------------------------------------------------------------------------------


def test_a_half_written_line_is_left_out(tmp_path: Path) -> None:
    found = SweepDirectory(tmp_path)
    found.write_points([["a=1"], ["a=2"]])
    text = found.points_file.read_text()
    found.points_file.write_text(text + '{"index": 2, "over')
    assert [one.overrides for one in found.runs()] == [("a=1",), ("a=2",)]
    assert json.loads(text.splitlines()[1]) == {"index": 1, "overrides": ["a=2"]}
