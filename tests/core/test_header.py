"""The header of a training: what, on which data, how many subjects, on which device."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vitruvian.core.header import header, show_header
from vitruvian.core.splits import Splits
from vitruvian.core.verbosity import QUIET, VARIABLE

CONFIG: Any = {
    "name": "liver_demo",
    "seed": 3,
    "model": {"_target_": "a.Segmenter", "net": {"_target_": "a.nets.EASUNet"}},
    "loss": {"_target_": "a.DeepSupervised", "loss": {"_target_": "a.CEDice"}},
    "optimizer": {"_target_": "torch.optim.SGD"},
    "datamodule": {"_target_": "a.LiverCT", "root": None},
    "trainer": {"max_epochs": 2, "max_steps": -1},
}
SPLITS = Splits(("a", "b", "c"), ("d",), ("e",), "5-fold, fold 0")


def datamodule(**changes: Any) -> Any:
    return SimpleNamespace(**{"simulated": True, "leaky": None, "splits": SPLITS} | changes)


def trainer(world_size: int = 1) -> Any:
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    return SimpleNamespace(strategy=strategy, world_size=world_size, precision="32-true")


def test_the_lines() -> None:
    what, data, split, device = header(CONFIG, datamodule(), trainer())
    assert what == "what    liver_demo: EASUNet, CEDice, SGD, 2 epochs, seed 3"
    assert data == "data    SIMULATED, LiverCT"
    assert split == "split   5-fold, fold 0: subjects 3 to train on, 1 to validate, 1 to test"
    assert device.startswith("device  cpu, ")
    assert device.endswith("precision 32-true")


def test_real_leaky_data_and_several_processes() -> None:
    config = CONFIG | {"datamodule": {"_target_": "a.LiverCT", "root": "/data/my cases"}}
    known = datamodule(simulated=False, leaky="clips of one person on both sides")
    _, data, _, device = header(config, known, trainer(world_size=2))
    assert data == (
        "data    real in /data/my cases, LiverCT, LEAKY: clips of one person on both sides"
    )
    assert ", 2 processes" in device


def test_sides_that_are_empty_or_the_same() -> None:
    two = datamodule(splits=Splits(("a",), ("b",), (), "ratio"))
    assert header(CONFIG, two, trainer())[2] == (
        "split   ratio: subjects 1 to train on, 1 to validate"
    )
    same = datamodule(splits=Splits(("a",), ("a",), ("a",), "resubstitution"))
    assert "resubstitution: the same 1 subject on every side" in header(CONFIG, same, trainer())[2]


@pytest.mark.parametrize(("chosen", "lines"), [("", 4), (QUIET, 0)])
def test_it_can_be_silenced(
    chosen: str, lines: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, chosen)
    show_header(CONFIG, datamodule(), trainer())
    assert len(capsys.readouterr().out.splitlines()) == lines


def test_further_ranks_are_silent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    show_header(CONFIG, datamodule(), trainer(world_size=2))
    assert capsys.readouterr().out == ""
