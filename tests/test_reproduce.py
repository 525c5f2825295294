"""`vitruvian-reproduce`: from the command line to the tables, also when it was killed between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import vitruvian
from tests.papers.small import write_paper
from tests.shell import Shell
from vitruvian.core.rundir import COMPLETE, RunDirectory
from vitruvian.papers import reading
from vitruvian.sweeps.directory import SweepDirectory

MISTAKES = {
    "nothing": ([], "paper: a value is needed, paper=small|all; see vitruvian-reproduce --help"),
    "a paper": (["paper=smal"], "paper: got 'smal'; did you mean small?"),
    "no key": (["paper=small", "quick"], "quick: expected key=value; see vitruvian-reproduce"),
    "a preset": (["paper=small", "preset=fast"], "preset: small has no preset 'fast'; there are:"),
    "no data": (
        ["paper=small", "preset=full"],
        "root: preset=full needs it: a folder of CT volumes; add root=...",
    ),
    "empty data": (
        ["paper=small", "preset=full", "root="],
        "root: preset=full needs it: a folder of CT volumes; add root=...",
    ),
    "no data of one paper": (
        ["paper=all", "preset=full"],
        "root: preset=full needs it: a folder of CT volumes; add root=...",
    ),
    "data that are not there": (
        ["paper=small", "preset=full", "root=/nowhere/my scäns, 1 & 2"],
        "root=/nowhere/my scäns, 1 & 2: no such folder; give the one that holds the data",
    ),
    "data that are not there, as an override": (
        ["paper=small", "preset=full", "datamodule.root=/nowhere"],
        "datamodule.root=/nowhere: no such folder; give the one that holds the data",
    ),
    "data of another paper": (
        ["paper=small", "root.large=/data"],
        "root.large: this paper is not asked for; there are: small",
    ),
    "an override": (
        ["paper=small", "optimizer.lrr=1"],
        "optimizer.lrr: no such key; did you mean `optimizer.lr`?",
    ),
    "a launcher": (
        ["paper=small", "hydra/launcher=slrm"],
        "hydra/launcher=slrm: no such option; did you mean `hydra/launcher=slurm`?",
    ),
    "a sweeper": (["paper=small", "hydra/sweeper=optuna"], "hydra/sweeper: the runs are a list"),
}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only paper there is."""
    folder = tmp_path / "papers"
    folder.mkdir()
    write_paper(folder)
    monkeypatch.setattr(reading, "paper_folder", lambda: folder)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("arguments", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_before_anything_is_written(
    arguments: list[str], told: str, shell: Shell
) -> None:
    outcome = shell("reproduce", *arguments)
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: {told}")
    assert outcome.err.count("\n") == 1, "one line, no traceback"
    assert not list(Path.cwd().iterdir())


@pytest.mark.usefixtures("small")
def test_a_root_is_of_one_paper(shell: Shell) -> None:
    write_paper(reading.paper_folder(), "other")
    outcome = shell("reproduce", "paper=all", "root=/data")
    assert (outcome.code, outcome.err) == (
        2,
        "error: root: of which paper? Write root.other=/data\n",
    )


@pytest.mark.usefixtures("small")
def test_a_missing_root_is_told_of_its_paper(shell: Shell, tmp_path: Path) -> None:
    write_paper(reading.paper_folder(), "other")
    arguments = ("paper=all", "preset=full", "hydra.launcher.jobs=1")
    outcome = shell("reproduce", *arguments, "root.other=/nowhere")
    told = "error: root.other=/nowhere: no such folder; give the one that holds the data\n"
    assert (outcome.code, outcome.err) == (2, told)
    outcome = shell("reproduce", *arguments, "root.small=/nowhere")
    assert outcome.err.startswith("error: root.other: preset=full needs it: a folder of CT")
    assert outcome.err.endswith("; add root.other=...\n")
    assert not list(Path.cwd().iterdir())


@pytest.mark.usefixtures("small")
def test_the_help_names_the_papers(shell: Shell) -> None:
    outcome = shell("reproduce", "--help")
    assert outcome.code == 0
    assert "small | all" in outcome.out


# -- real runs ------------------------------------------------------------------------------------


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    cache = f"datamodule.cache_dir={folder / 'cache'}"
    tests = Path(__file__).resolve().parents[1]
    return subprocess.Popen(
        [sys.executable, "-m", "vitruvian.reproduce", "paper=small.yaml", cache, *arguments],
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": f"{Path(vitruvian.__file__).parents[1]}{os.pathsep}{tests}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=500)
    return process.returncode, out, err


def runs(folder: Path) -> list[RunDirectory]:
    sweep = SweepDirectory(folder / "quick_simulated" / "small" / "runs")
    return [one.run for one in sweep.runs()] if sweep.exists else []


def figures(folder: Path) -> Any:
    """What does not depend on the clock."""
    content = json.loads((folder / "quick_simulated" / "small" / "results.json").read_text())
    for table in content["tables"]:
        for line in table["lines"]:
            line["cost"] = line["cost"] and line["cost"] | {"step_s": None}
    return content["tables"], content["claims"], content["runs"]


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_where_it_was(tmp_path: Path) -> None:
    """The same figures as of one that nobody has killed, and no run trained twice."""
    write_paper(tmp_path)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    code, out, err = finished(start(tmp_path, f"output={whole}", "threads=1"))
    assert code == 0, out + err
    one_at_a_time = (f"output={killed}", "threads=1", "hydra.launcher.jobs=1")
    process = start(tmp_path, *one_at_a_time)
    while process.poll() is None and not any(run.status == COMPLETE for run in runs(killed)):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    finished(process)
    done = [run for run in runs(killed) if run.status == COMPLETE]
    assert 0 < len(done) < 4
    before = [run.status_file.stat().st_mtime_ns for run in done]
    code, out, err = finished(start(tmp_path, *one_at_a_time))
    assert code == 0, out + err
    assert [run.status_file.stat().st_mtime_ns for run in done] == before
    assert [run.status for run in runs(killed)] == [COMPLETE] * 4
    assert figures(killed) == figures(whole)
    assert "SIMULATED data: nothing here reproduces the paper" in out
    pages = [line.removeprefix("page: ") for line in out.splitlines() if line.startswith("page: ")]
    assert Path(pages[-1]).is_file()


@pytest.mark.slow
def test_a_failed_run_is_told_and_does_not_hide(tmp_path: Path) -> None:
    diverging = {"label": "too fast", "overrides": ["experiment=liver_demo", "optimizer.lr=1e30"]}
    fine = {"label": "fine", "overrides": ["experiment=liver_demo"]}
    write_paper(
        tmp_path,
        experiments={"fast": diverging, "fine": fine},
        tables=[{"key": "one", "title": "T", "rows": ["fast", "fine"], "metrics": ["dice"]}],
        claims=[],
        audit=[],
    )
    process = start(tmp_path, "output=out", "seed=0", "trainer.max_epochs=1", "threads=1")
    code, out, err = finished(process)
    assert code == 1, out + err
    assert "no figures of too fast, seed 0 (0000): failed, " in out
    assert "0 of 1" in out
    assert "1 of 1" in out
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_signal_saves_the_state_and_says_how_to_go_on(tmp_path: Path) -> None:
    write_paper(tmp_path)
    process = start(tmp_path, "output=out", "trainer.max_epochs=60", "threads=1", "seed=0")
    found: list[RunDirectory] = []
    while process.poll() is None and not any(run.last.is_file() for run in found):
        found = runs(tmp_path / "out")
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    code, out, err = finished(process)
    assert code == 128 + signal.SIGTERM, out + err
    assert "give the same command again: vitruvian-reproduce paper=small.yaml" in out
    assert "Traceback" not in err
