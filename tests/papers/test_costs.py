"""What a net costs: counted where it stands, measured once."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.papers.small import write_paper
from vitruvian.core.errors import DataError
from vitruvian.papers import costs
from vitruvian.papers.reading import read_paper
from vitruvian.papers.results import Cost

FRAMES, CHANNELS, HIDDEN = 4, 3, 5


class Recurrent(nn.Module):
    """An LSTM; its fused kernel would count as nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(CHANNELS, HIDDEN, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0]


class Around(nn.Module):
    """A task that multiplies matrices before and after its net."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Recurrent()

    def training_loss(self, batch: dict[str, Tensor]) -> Tensor:
        turned = batch["x"] @ torch.eye(CHANNELS)
        output = self.net(turned)
        return (output @ torch.ones(HIDDEN, 7)).sum()


def test_only_the_net_is_counted_and_for_one_input() -> None:
    task: Any = Around()
    batch = {"x": torch.zeros(6, FRAMES, CHANNELS)}
    assert costs._macs(task, batch) == FRAMES * 4 * HIDDEN * (CHANNELS + HIDDEN)
    assert "forward" not in task.net.__dict__, "the net is as it was"


def test_what_is_asked_for(tmp_path: Path) -> None:
    paper = read_paper(str(write_paper(tmp_path)))
    assert costs.asked_for(paper) == ("plain", "eas")


CONFIG: dict[str, Any] = {
    "model": {"net": {"width": 2}},
    "loss": {},
    "optimizer": {},
    "augment": {},
    "threads": 1,
    "matmul_precision": "highest",
    "datamodule": {"batch_size": 2},
    "trainer": {"accelerator": "cpu"},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The widths that were measured, in order; each takes as many parameters."""
    widths: list[int] = []

    def cost_of(config: dict[str, Any]) -> Cost:
        widths.append(config["model"]["net"]["width"])
        return Cost(widths[-1], 3, 0.1 + 0.2)

    monkeypatch.setattr(costs, "cost_of", cost_of)
    return widths


def test_a_net_is_measured_once(asked: list[int], tmp_path: Path) -> None:
    first = costs.measured({"plain": CONFIG}, tmp_path)
    assert costs.measured({"plain": CONFIG}, tmp_path) == first == {"plain": Cost(2, 3, 0.1 + 0.2)}
    assert asked == [2]


def test_another_net_is_measured_anew(asked: list[int], tmp_path: Path) -> None:
    wider = copy.deepcopy(CONFIG)
    wider["model"]["net"]["width"] = 4
    costs.measured({"plain": CONFIG, "eas": CONFIG}, tmp_path)
    assert costs.measured({"plain": wider, "eas": CONFIG}, tmp_path)["plain"].parameters == 4
    assert asked == [2, 2, 4]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"plain": 3}', '{"plain": {"macs": 1}}'])
def test_a_damaged_note_is_measured_anew(text: str, asked: list[int], tmp_path: Path) -> None:
    (tmp_path / "costs.json").write_text(text)
    costs.measured({"plain": CONFIG}, tmp_path)
    assert asked == [2]
    assert json.loads((tmp_path / "costs.json").read_text())["plain"]["macs"] == 3


def test_what_cannot_be_measured_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def cost_of(_: object) -> Cost:
        raise DataError("no cases")

    monkeypatch.setattr(costs, "cost_of", cost_of)
    assert costs.measured({"plain": CONFIG}, tmp_path) == {}
    assert "the cost of plain is not known: no cases" in capsys.readouterr().out
