"""What a run says of its origin."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import vitruvian
from vitruvian.core import provenance
from vitruvian.core.rundir import RunDirectory


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository that holds a copy of the module's file, as a checkout of ours does."""
    folder = tmp_path / "checkout" / "core"
    folder.mkdir(parents=True)
    (folder / "provenance.py").write_text("first = 1\n")
    (folder.parent / "other.py").write_text("other = 1\n")
    git(folder.parent, "init", "-q")
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "-q", "-m", "first")
    return folder


def test_commit_of_a_clean_checkout(checkout: Path) -> None:
    state = provenance.git_state(checkout)
    assert state == {"commit": git(checkout, "rev-parse", "HEAD").strip(), "diff": ""}


def test_uncommitted_changes_anywhere_in_the_checkout(checkout: Path) -> None:
    (checkout.parent / "other.py").write_text("other = 2\n")
    state = provenance.git_state(checkout)
    assert state is not None
    assert "-other = 1\n+other = 2\n" in state["diff"]


def test_no_repository(tmp_path: Path) -> None:
    assert provenance.git_state(tmp_path) is None


def test_repository_of_somebody_else(checkout: Path) -> None:
    """A package installed below a user's project is not under that project's version control."""
    installed = checkout.parent / "venv" / "vitruvian" / "core"
    installed.mkdir(parents=True)
    (installed / "provenance.py").write_text("")
    assert provenance.git_state(installed) is None


def test_no_git_at_all(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert provenance.git_state(checkout) is None


def test_environment_is_plain_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["vitruvian-train", "seed=1"])
    found = provenance.environment()
    assert json.loads(json.dumps(found)) == found
    assert found["vitruvian"] == vitruvian.__version__
    assert found["command"] == ["vitruvian-train", "seed=1"]
    assert found["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["python"] == sys.version.split()[0]
    assert len(found["gpus"]) == torch.cuda.device_count()
    names = [name.lower() for name in found["packages"]]
    assert names == sorted(names)


def test_each_start_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "environment.json"
    for number in range(3):
        monkeypatch.setattr(provenance, "environment", lambda number=number: {"number": number})
        provenance.record_start(file)
    assert json.loads(file.read_text()) == {"starts": [{"number": n} for n in range(3)]}


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"other": 1}', '{"starts": 3}'])
def test_broken_record_is_begun_anew(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "environment.json"
    file.write_text(broken)
    monkeypatch.setattr(provenance, "environment", dict)
    provenance.record_start(file)
    assert json.loads(file.read_text()) == {"starts": [{}]}


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"weights")
    assert provenance.sha256(tmp_path / "file") == hashlib.sha256(b"weights").hexdigest()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    run = RunDirectory(tmp_path / "run")
    run.claim({"model": {"net": {"width": 2}}}, [])
    run.checkpoints.mkdir()
    torch.save({"state_dict": {}, "trained_on_simulated": True}, run.best)
    return run.best


def test_prediction_names_its_run_and_weights(checkpoint: Path) -> None:
    config: dict[str, Any] = {"model": {"net": {"width": 2}}}
    found = provenance.of_prediction(config, checkpoint)
    assert found["run"] == str(checkpoint.parents[1])
    assert found["checkpoint"] == str(checkpoint)
    assert found["checkpoint_sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert found["trained_on_simulated"] is True
    assert found["model"] == config["model"]
    assert found["versions"]["vitruvian"] == vitruvian.__version__
    assert json.loads(json.dumps(found)) == found


def test_prediction_of_a_checkpoint_that_stands_alone(checkpoint: Path, tmp_path: Path) -> None:
    alone = tmp_path / "elsewhere" / "mine.ckpt"
    alone.parent.mkdir()
    checkpoint.rename(alone)
    assert provenance.of_prediction({"model": {}}, alone)["run"] is None
