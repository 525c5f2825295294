"""Averaged weights: the arithmetic, and who sees which weights when."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from vitruvian.core.ema import WeightEMA, averaged


class Task(pl.LightningModule):
    """One weight, a normalisation with buffers, and a constant buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
        self.register_buffer("limits", torch.tensor([-200.0, 250.0]))

    def put(self, value: float) -> None:
        with torch.no_grad():
            self.net[0].weight.fill_(value)

    @property
    def value(self) -> float:
        return self.net[0].weight.item()


def trainer(step: int, function: str = "fit") -> Any:
    return SimpleNamespace(global_step=step, state=SimpleNamespace(fn=function))


def train(ema: WeightEMA, task: Task, values: list[float], start: int = 1) -> Iterator[float]:
    """Set the weight step by step; yield the average after each."""
    for step, value in enumerate(values, start):
        task.put(value)
        ema.on_train_batch_end(trainer(step), task)
        yield ema.state_dict()["average"]["net.0.weight"].item()


@pytest.mark.parametrize(
    ("arguments", "averages"),
    [
        ({"decay": 0.5, "warmup": False}, [8.0, 4.0, 4.0]),
        ({"decay": 0.0, "warmup": False}, [8.0, 0.0, 4.0]),
        # with warm-up, 3/12 of the old is kept at the second step, 4/13 at the third
        ({"decay": 0.999}, [8.0, 2.0, 2 * 4 / 13 + 4 * 9 / 13]),
        ({"decay": 0.1}, [8.0, 0.8, 0.08 + 3.6]),
    ],
)
def test_the_average(arguments: dict[str, Any], averages: list[float]) -> None:
    found = list(train(WeightEMA(**arguments), Task(), [8.0, 0.0, 4.0]))
    assert found == pytest.approx(averages)


def test_an_accumulated_gradient_is_one_step() -> None:
    ema, task = WeightEMA(decay=0.5, warmup=False), Task()
    list(train(ema, task, [8.0]))
    ema.on_train_batch_end(trainer(1), task)
    task.put(0.0)
    ema.on_train_batch_end(trainer(1), task)
    assert ema.state_dict()["average"]["net.0.weight"].item() == 8.0


def test_validation_sees_the_average_and_training_goes_on_without_it() -> None:
    ema, task = WeightEMA(decay=0.5, warmup=False), Task()
    list(train(ema, task, [8.0, 0.0]))
    before = copy.deepcopy(task.state_dict())
    ema.on_validation_start(trainer(2), task)
    assert task.value == 4.0
    ema.on_validation_end(trainer(2), task)
    assert task.value == 0.0
    torch.testing.assert_close(task.state_dict(), before, rtol=0, atol=0)


def test_an_evaluation_sees_the_weights_it_was_given() -> None:
    ema, task = WeightEMA(decay=0.5, warmup=False), Task()
    list(train(ema, task, [8.0, 0.0]))
    ema.on_validation_start(trainer(2, "validate"), task)
    assert task.value == 0.0
    ema.on_validation_end(trainer(2, "validate"), task)
    assert task.value == 0.0


def test_buffers_are_averaged_and_constants_stay() -> None:
    ema, task = WeightEMA(decay=0.5, warmup=False), Task()
    for step, mean in enumerate((1.0, 3.0), 1):
        task.net[1].running_mean.fill_(mean)
        task.net[1].num_batches_tracked.fill_(step)
        ema.on_train_batch_end(trainer(step), task)
    ema.on_validation_start(trainer(2), task)
    assert task.net[1].running_mean.item() == 2.0
    assert task.net[1].num_batches_tracked.item() == 2
    assert task.limits.tolist() == [-200.0, 250.0]


def test_a_continued_run_continues_the_average() -> None:
    values = [8.0, 0.0, 4.0, -1.0]
    whole = list(train(WeightEMA(), Task(), values))
    first, second = WeightEMA(), WeightEMA()
    begun = list(train(first, Task(), values[:2]))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert begun + list(train(second, Task(), values[2:], start=3)) == whole


def test_the_average_is_no_view_of_the_weights() -> None:
    ema, task = WeightEMA(), Task()
    list(train(ema, task, [8.0]))
    task.put(-5.0)
    assert ema.state_dict()["average"]["net.0.weight"].item() == 8.0
    assert averaged(task)["net.0.weight"].item() == -5.0


@pytest.mark.parametrize("decay", [-0.1, 1.0, 2.0])
def test_errors(decay: float) -> None:
    with pytest.raises(ValueError, match="decay must be in"):
        WeightEMA(decay=decay)
