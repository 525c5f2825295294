"""`vitruvian-export`: its keys, and each mistake told in one line; what it writes is tested with

the studies (`tests/integration/test_spine.py`, `tests/spine/head/test_onnx.py`).
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from tests.integration.runs import SMALL, SMALL_SPINE
from tests.shell import Shell
from vitruvian.core import engine
from vitruvian.core.compose import register_schema
from vitruvian.core.config import config_directory, freeze
from vitruvian.core.rundir import RunDirectory
from vitruvian.export import HELP, KEYS

MISTAKES = {
    "nothing": ("", "run: a value is needed; vitruvian-export run=PATH"),
    "no run": ("run=nowhere", "run=nowhere: no run directory here"),
    "a folder": ("run=.", "run=.: no run directory here"),
    "key": ("run=x otput=a.onnx", "otput: no such key of vitruvian-export; did you mean `output`?"),
    "key of another verb": ("run=x device=cpu", "device: no such key of vitruvian-export"),
    "truth": ("run=x stream=yes", "stream: got 'yes', expected true or false"),
    "no equals sign": ("run=x stream", "stream: expected key=value"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each user works in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def untrained(folder: Path, small: tuple[str, ...]) -> Path:
    """A run directory with the weights that a task begins with."""
    register_schema()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = freeze(compose("train", [*small, "datamodule.root=/nowhere"]))
    run = RunDirectory(folder / "run")
    run.claim(config, list(small))
    run.checkpoints.mkdir()
    torch.save({"state_dict": engine.build_task(config).state_dict()}, run.best)
    return run.path


def test_help_names_every_key(shell: Shell) -> None:
    outcome = shell("export", "--help")
    assert (outcome.code, outcome.out) == (0, HELP)
    for key, default in KEYS.items():
        (line,) = (line for line in HELP.splitlines() if line.startswith(f"  {key} "))
        assert default is None or line.endswith(f"({default})")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake: str, shell: Shell, folder: Path) -> None:
    arguments, line = MISTAKES[mistake]
    outcome = shell("export", *arguments.split())
    assert outcome.code == 2, outcome.err
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert line in outcome.err
    assert list(folder.iterdir()) == [], "a mistake leaves nothing behind"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("checkpoint=bst", "checkpoint=bst: bst does not exist"),
        ("model.net.hiden=1", "model.net.hiden: no such key in the run's configuration; did you"),
        ("output=run", "run"),
        ("output=run/config.yaml/x.onnx", "config.yaml"),
    ],
)
def test_run_of_the_spine(shell: Shell, folder: Path, arguments: str, line: str) -> None:
    run = untrained(folder, SMALL_SPINE)
    outcome = shell("export", f"run={run}", *arguments.split())
    assert outcome.code == 2, outcome.err
    assert outcome.err.startswith("error: ")
    assert line in outcome.err
    assert not list(folder.rglob("*.onnx"))


def test_study_without_an_export(shell: Shell, folder: Path) -> None:
    run = untrained(folder, SMALL)
    outcome = shell("export", f"run={run}")
    assert outcome.code == 2
    assert outcome.err == "error: model: LiverSegmenter has no export\n"
