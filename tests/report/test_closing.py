"""The commands that a verb offers at its end can be copied into the shell."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from vitruvian.core.cli import parse_overrides
from vitruvian.core.rundir import RunDirectory
from vitruvian.core.verbosity import QUIET, VARIABLE
from vitruvian.report.closing import after_evaluation, after_folds, after_training, show_next


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """A run in a folder that a shell would split, started with overrides that it would, too."""
    monkeypatch.chdir(tmp_path)
    place = RunDirectory(tmp_path / "my runs" / "first (1)")
    place.path.mkdir(parents=True)
    place.overrides_file.write_text(
        "experiment=liver_demo\nrun=my runs/first (1)\n+seed=4\ndatamodule.root=/data/my cases\n"
        "datamodule.patch=[64,64]\n"
    )
    return place


def test_after_training(run: RunDirectory) -> None:
    predict, evaluate, repeat = [shlex.split(command) for _, command in after_training(run)]
    assert predict[0] == "vitruvian-predict"
    assert parse_overrides(predict[1:])["run"] == "my runs/first (1)"
    assert evaluate == ["vitruvian-evaluate", "run=my runs/first (1)", "split=val"]
    assert repeat == [
        "vitruvian-train",
        "-m",
        "experiment=liver_demo",
        "datamodule.root=/data/my cases",
        "datamodule.patch=[64,64]",
        "seed=1,2,3",
    ]


def test_after_evaluation_and_folds(run: RunDirectory) -> None:
    shown = [shlex.split(command) for _, command in after_evaluation(run, "val")]
    assert shown[1][-1] == "split=test"
    assert shown[2] == ["vitruvian-report", "my runs/first (1)"]
    folds = [shlex.split(command) for _, command in after_folds(run.path, run.path / "fold-0")]
    assert folds[1][1] == "run=my runs/first (1)/fold-0"


def test_a_run_elsewhere_is_named_in_full(
    run: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert f"run={run.path}" in shlex.split(after_training(run)[0][1])
    monkeypatch.chdir(run.path)
    assert f"run={run.path}" in shlex.split(after_training(run)[0][1])


def test_what_is_shown(
    run: RunDirectory, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "")
    show_next(after_training(run))
    first, *commands = capsys.readouterr().out.splitlines()
    assert first == "next:"
    assert len({line.index("vitruvian-") for line in commands}) == 1, "one below the other"
    show_next(())
    monkeypatch.setenv(VARIABLE, QUIET)
    show_next(after_training(run))
    assert capsys.readouterr().out == ""
