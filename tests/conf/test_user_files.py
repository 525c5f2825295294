"""A user's own folder of YAML files, and who has the last word."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.shell import Shell

FILES = {
    "experiment/mine.yaml": """
        # @package _global_
        defaults: [liver_demo, override /optimizer: lion, override /scheduler: poly]
        name: mine
        trainer: {max_epochs: 7}
        """,
    "optimizer/lion.yaml": """
        # An optimizer of the user's.
        _target_: mylab.Lion
        _partial_: true
        lr: 0.5
        """,
    "local/default.yaml": """
        # @package _global_
        trainer: {max_epochs: 5}
        datamodule: {workers: 3}
        """,
    "local/office.yaml": """
        # @package _global_
        datamodule: {workers: 11}
        """,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        lines = [line[8:] for line in text.strip("\n").splitlines()]
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def composed(shell: Shell, *overrides: str) -> dict[str, object]:
    """What `--cfg job` prints."""
    search = f"hydra.searchpath=[file://{Path.cwd()}]"
    outcome = shell("train", "--cfg", "job", "--resolve", search, *overrides)
    assert outcome.code == 0, outcome.err
    config = yaml.safe_load(outcome.out)
    assert isinstance(config, dict)
    return config


def test_own_files_are_found(shell: Shell) -> None:
    config = composed(shell, "experiment=mine", "local=none")
    assert config["optimizer"] == {"_target_": "mylab.Lion", "_partial_": True, "lr": 0.5}
    assert (config["name"], config["trainer"]["max_epochs"]) == ("mine", 7)
    assert config["model"]["net"]["width"] == 8, "of the experiment that it is built on"


def test_order_of_precedence(shell: Shell) -> None:
    """Groups, experiment, local, debug, command line: the later wins."""
    config = composed(shell, "experiment=mine")
    assert config["trainer"]["max_epochs"] == 5
    config = composed(shell, "experiment=mine", "debug=step")
    assert config["trainer"]["max_epochs"] == 1
    config = composed(shell, "experiment=mine", "debug=step", "trainer.max_epochs=9")
    assert config["trainer"]["max_epochs"] == 9
    config = composed(shell, "experiment=mine", "optimizer=sgd")
    assert config["optimizer"]["_target_"] == "torch.optim.SGD"


@pytest.mark.parametrize(("local", "workers"), [("default", 3), ("office", 11)])
def test_settings_of_a_machine(local: str, workers: int, shell: Shell) -> None:
    assert composed(shell, f"local={local}")["datamodule"]["workers"] == workers


def test_own_files_are_checked_like_ours(shell: Shell, folder: Path) -> None:
    search = f"hydra.searchpath=[file://{folder}]"
    outcome = shell("train", search, "experiment=mine")
    assert outcome.code == 2
    assert outcome.err.startswith("error: optimizer._target_: mylab.Lion may not be built")
    outcome = shell("train", search, "optimizer=lino", "experiment=liver_demo")
    assert outcome.err == "error: optimizer=lino: no such option; did you mean `optimizer=lion`?\n"


def test_own_code_is_allowed_by_the_environment_alone(
    shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "mylab.py").write_text("class Lion:\n    def __init__(self, params, lr=1): ...\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("VITRUVIAN_ALLOW_TARGETS", "mylab")
    search = f"hydra.searchpath=[file://{folder}]"
    outcome = shell("train", search, "experiment=mine", "optimizer.lr=fast")
    assert outcome.code == 2
    assert "optimizer.lr: got 'fast', expected float" in outcome.err
