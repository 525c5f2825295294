"""`vitruvian-folds` as a user starts it: its mistakes, and small real trainings in processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import vitruvian
from tests.integration.runs import SMALL_SPINE
from tests.shell import Shell
from tests.test_startup import PROBE
from vitruvian.core.evaluation import read
from vitruvian.core.folds import FoldPlan
from vitruvian.core.rundir import INTERRUPTED, RunDirectory

MISTAKES = {
    "fold": ("split.fold=2", "split.fold: vitruvian-folds trains all folds; leave it out"),
    "fold with two": ("++split.fold=2", "split.fold: vitruvian-folds trains all folds"),
    "folds": ("folds=some", "folds: got 'some', expected all, or numbers such as 0,2,5"),
    "jobs": ("jobs=0", "jobs: got '0', expected a whole number, 1 or more"),
    "many jobs": ("jobs=many", "jobs: got 'many'"),
    "split": ("split=ratio", "split: Ratio has no folds; add split=leave_one_out or split=kfold"),
    "sweep": ("-m seed=1,2", "--multirun: vitruvian-folds is a sweep of its own"),
    "key": ("optimizer.lrr=1", "did you mean `optimizer.lr`?"),
    "nothing to continue": ("run=nowhere", "run=", "no folds to continue here"),
    "own key misspelt": ("fold=2", "fold: no such key"),
}
SMALL = (*SMALL_SPINE, "datamodule.simulator.people=4", "split=leave_one_out")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each user works in a folder of their own; processes find the package."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(vitruvian.__file__).parents[1]))
    return tmp_path


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_in_one_line(mistake: str, shell: Shell, folder: Path) -> None:
    arguments, *parts = MISTAKES[mistake]
    outcome = shell("folds", *arguments.split())
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1].startswith("error: ")
    assert all(part in outcome.err for part in parts), outcome.err
    assert list(folder.iterdir()) == [], "nothing has begun"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--help"], 0, "vitruvian-folds experiment=NAME"),
        (["folds=1,2", "--cfg", "job"], 0, "vitruvian.core.splits.KFold"),
        (["split=ratio"], 2, "Ratio has no folds"),
    ],
)
def test_it_answers_without_importing_anything_heavy(
    arguments: list[str], code: int, said: str, folder: Path
) -> None:
    command = [sys.executable, "-c", PROBE.format(verb="folds"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert done.stderr.splitlines()[-1] == "", "imported"


def test_a_run_of_train_is_not_taken_for_folds(shell: Shell, folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine/config.yaml").write_text("seed: 0\n")
    outcome = shell("folds", *SMALL, "run=mine")
    assert outcome.code == 2
    assert "this is a run of vitruvian-train" in outcome.err


def test_too_few_subjects_are_told_once(shell: Shell, folder: Path) -> None:
    outcome = shell("folds", *SMALL, "split=kfold", "run=mine")
    assert outcome.code == 2
    assert outcome.err == (
        "error: 4 subjects cannot make 5 folds: add subjects or use split=resubstitution\n"
    )
    outcome = shell("folds", *SMALL, "folds=1,4", "run=mine")
    assert outcome.err == "error: folds: there is no fold 4; choose from 0 to 3\n"
    assert not list(folder.glob("mine/fold-*"))


# -- real processes -------------------------------------------------------------------------------


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vitruvian.folds", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env=dict(os.environ), **pipes)


def folds(*arguments: str) -> tuple[int, str, str]:
    process = start(*arguments)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.mark.slow
def test_folds_are_trained_once_and_joined(folder: Path) -> None:
    small = (*SMALL, "trainer.max_epochs=1", "run=mine")
    code, out, err = folds(*small, "folds=0,2", "jobs=2")
    assert code == 0, err
    assert "folds_simulated (leave one out, 2 of 4 folds; a participant counts" in out
    plan = FoldPlan.read(folder / "mine")
    assert plan.complete == [0, 2]
    assert "training in" in (folder / "mine/fold-00.log").read_text()
    first = plan.run(0).status_file.read_bytes()

    code, out, err = folds("run=mine", "folds=all")
    assert code == 0, err
    assert "4 of 4 folds" in out
    assert plan.complete == [0, 1, 2, 3]
    assert plan.run(0).status_file.read_bytes() == first, "a complete fold is left alone"
    found = read(folder / "mine/evaluation", "folds_simulated")
    assert found.summary.cases == 4
    assert {row["fold"] for row in found.rows} == set("0123")
    assert found.summary.groups.keys() > {("model",)}
    assert " best participant " in out
    people = read(folder / "mine/evaluation", "folds_simulated_per_person")
    assert sorted(r["participant"] for r in people.rows if r["predictor"] == "model") == [
        f"simulated-00{i}" for i in range(4)
    ]
    shutil.rmtree(folder / "outputs")
    code, again, err = folds("run=mine")
    assert code == 0, err
    assert again.split("folds_simulated")[1:] == out.split("folds_simulated")[1:], "no data needed"
    assert folds(*small, "seed=1")[0] == 2, "another configuration in the same place"


@pytest.mark.slow
def test_a_failed_fold_is_named_and_tried_again(folder: Path) -> None:
    plan = FoldPlan(folder / "mine", {}, ())
    blocked = folder / "mine/fold-01/evaluation"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where the folder should be")
    small = (*SMALL, "trainer.max_epochs=1", "run=mine", "folds=0,1")
    code, out, err = folds(*small)
    assert code == 1
    assert "error: fold 1 failed: RunError: cannot write " in err
    assert "leave one out, 1 of 4 folds" in out, "the others are joined all the same"
    assert f"once more with: vitruvian-folds run={plan.path}" in out
    blocked.unlink()
    code, out, err = folds("run=mine")
    assert code == 0, err
    assert "leave one out, 2 of 4 folds" in out
    assert not list((folder / "mine").glob("fold-02*")), "those asked for before, no others"


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_fold_that_runs(folder: Path, signum: int) -> None:
    process = start(*SMALL, "trainer.max_epochs=2000", "run=mine")
    first = RunDirectory(folder / "mine/fold-00")
    while process.poll() is None and not first.last.is_file():
        time.sleep(0.05)
    process.send_signal(signum)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signum, err
    assert first.status == INTERRUPTED
    assert f"continue with: vitruvian-folds run={folder / 'mine'}" in out
    assert not (folder / "mine/fold-01/status.json").exists()
