"""Sampling is a function of numbers alone: neither a resume nor loader workers change anything."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from vitruvian.core.sampling import (
    EpochOrder,
    Keys,
    TrainBatches,
    generator,
    integers,
    item_seeds,
    shard_cases,
    spawn,
    uniform,
)


class Echo:
    """A data set whose batch is its keys and the randomness they give."""

    def __len__(self) -> int:
        return 10

    def __getitems__(self, keys: Keys) -> dict[str, torch.Tensor]:
        noise = uniform(item_seeds(5, keys), 0)
        return {"keys": torch.from_numpy(keys), "noise": torch.from_numpy(noise)}


def epoch_of(order: EpochOrder, epoch: int, start: int = 0) -> list[list[list[int]]]:
    return [keys.tolist() for keys in order.batches(epoch, start)]


def indices(order: EpochOrder, epoch: int = 0) -> list[int]:
    return [index for batch in epoch_of(order, epoch) for _, _, index in batch]


# -- random numbers -------------------------------------------------------------------------------


def test_generators_differ_by_every_number() -> None:
    numbers = [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 0)]
    drawn = {generator(*n).random() for n in numbers}
    assert len(drawn) == len(numbers)
    assert generator(1, 2).random() == generator(1, 2).random()


def test_numpy_and_torch_draw_the_same() -> None:
    seeds = generator(0).integers(-(2**63), 2**63 - 1, 1000)
    tensor = torch.from_numpy(seeds)
    for draw in (0, 3, 1000):
        assert np.array_equal(spawn(seeds, draw), spawn(tensor, draw).numpy())
        assert np.array_equal(integers(seeds, draw, 7), integers(tensor, draw, 7).numpy())
        assert np.array_equal(uniform(seeds, draw), uniform(tensor, draw).double().numpy())


def test_draws_are_even_and_independent() -> None:
    keys = np.stack([np.zeros(20_000), np.arange(20_000), np.zeros(20_000)], 1).astype(np.int64)
    seeds = item_seeds(0, keys)
    draws = np.stack([uniform(seeds, 0), uniform(seeds, 1), uniform(spawn(seeds, 0), 0)])
    assert np.abs(draws.mean(1) - 0.5).max() < 0.01
    assert np.abs(draws.var(1) - 1 / 12).max() < 0.002
    assert np.abs(np.corrcoef(draws) - np.eye(3)).max() < 0.03
    assert np.abs(np.corrcoef(draws[0, 1:], draws[0, :-1])[0, 1]) < 0.03
    assert np.bincount(integers(seeds, 2, 4)).min() > 4_800


def test_integers_take_a_bound_for_each_item() -> None:
    seeds, bounds = np.arange(1000), np.arange(1, 1001)
    drawn = integers(seeds, 0, bounds)
    assert (drawn >= 0).all()
    assert (drawn < bounds).all()


def test_item_seeds_depend_on_seed_epoch_and_position() -> None:
    rows = np.array(list(itertools.product(range(5), range(5), [7])))
    seeds = {int(s) for run in range(4) for s in item_seeds(run, rows)}
    assert len(seeds) == 100
    other_item = rows + np.array([0, 0, 1])
    assert np.array_equal(item_seeds(0, rows), item_seeds(0, other_item))


# -- order ----------------------------------------------------------------------------------------

ORDERS = [
    {"items": 10, "batch_size": 4},
    {"items": 10, "batch_size": 4, "seed": 3},
    {"items": 1, "batch_size": 4},
    {"items": 3, "batch_size": 8},
    {"items": 10, "batch_size": 5, "shuffle": False},
    {"items": 10, "batch_size": 4, "samples_per_epoch": 6},
    {"items": 10, "batch_size": 4, "samples_per_epoch": 33},
    {"items": 4, "batch_size": 2, "weights": (1.0, 0.0, 2.0, 1.0)},
]


@pytest.mark.parametrize("arguments", ORDERS, ids=str)
def test_batches_are_full_and_repeatable(arguments: dict[str, Any]) -> None:
    order = EpochOrder(**arguments)
    batches = epoch_of(order, 2)
    assert batches == epoch_of(order, 2)
    assert len(batches) == order.batches_per_epoch
    assert {len(batch) for batch in batches} == {order.batch_size}
    rows = np.concatenate(batches)
    assert (rows[:, 0] == 2).all()
    assert np.array_equal(rows[:, 1], np.arange(len(rows)))
    assert ((rows[:, 2] >= 0) & (rows[:, 2] < order.items)).all()


@pytest.mark.parametrize("arguments", ORDERS, ids=str)
@pytest.mark.parametrize("epoch", [0, 3])
def test_a_start_in_the_middle_gives_the_tail(arguments: dict[str, Any], epoch: int) -> None:
    order = EpochOrder(**arguments)
    whole = epoch_of(order, epoch)
    for start in range(len(whole) + 2):
        assert epoch_of(order, epoch, start) == whole[start:]


@pytest.mark.parametrize("arguments", ORDERS, ids=str)
@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_the_order_of_one_process(arguments: dict[str, Any], world: int) -> None:
    ranks = [epoch_of(EpochOrder(**arguments, rank=r, world=world), 1) for r in range(world)]
    assert len({len(batches) for batches in ranks}) == 1
    together = [batch for step in zip(*ranks, strict=True) for batch in step]
    alone = epoch_of(EpochOrder(**arguments), 1)
    assert together[: len(alone)] == alone
    assert len(together) - len(alone) < world


@pytest.mark.parametrize(("items", "batch_size"), [(10, 5), (10, 4), (12, 1)])
def test_each_item_comes_once_before_any_comes_again(items: int, batch_size: int) -> None:
    order = indices(EpochOrder(items, batch_size))
    assert sorted(order[:items]) == list(range(items))
    assert len(set(order[items:])) == len(order) - items


def test_order_changes_with_seed_and_epoch() -> None:
    orders = {tuple(indices(EpochOrder(20, 4, seed=s), e)) for s in range(3) for e in range(3)}
    assert len(orders) == 9


def test_order_without_shuffle_wraps_around() -> None:
    assert indices(EpochOrder(5, 3, shuffle=False)) == [0, 1, 2, 3, 4, 0]


def test_weights_set_the_frequency() -> None:
    order = EpochOrder(3, 10, weights=(1.0, 0.0, 3.0), samples_per_epoch=4000)
    counts = np.bincount(indices(order), minlength=3)
    assert counts[1] == 0
    assert counts[2] / counts[0] == pytest.approx(3, rel=0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"items": 0, "batch_size": 4}, "items must be at least 1, not 0"),
        ({"items": 4, "batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"items": 4, "batch_size": 1, "world": 0}, "world must be at least 1, not 0"),
        ({"items": 4, "batch_size": 1, "rank": 2, "world": 2}, "rank must be from 0 to 1, not 2"),
        ({"items": 4, "batch_size": 1, "samples_per_epoch": 0}, "samples_per_epoch must be at"),
        ({"items": 2, "batch_size": 1, "weights": (1.0,)}, "weights must hold 2 numbers"),
        ({"items": 2, "batch_size": 1, "weights": (1.0, -1.0)}, "weights must be finite"),
        ({"items": 2, "batch_size": 1, "weights": (0.0, 0.0)}, "not all zero"),
    ],
)
def test_order_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EpochOrder(**arguments)


# -- loader ---------------------------------------------------------------------------------------


def drawn(batches: TrainBatches) -> list[tuple[list[list[int]], list[float]]]:
    return [(batch["keys"].tolist(), batch["noise"].tolist()) for batch in batches]


def test_workers_change_nothing() -> None:
    order = EpochOrder(10, 4)
    answers = []
    for workers in (0, 2):
        batches = TrainBatches(Echo(), order, num_workers=workers)
        epochs = []
        for epoch, start in ((0, 0), (1, 0), (1, 2)):
            batches.seek(epoch, start)
            epochs.append(drawn(batches))
        answers.append(epochs)
    assert answers[0] == answers[1]
    assert [keys for keys, _ in answers[0][2]] == epoch_of(order, 1, 2)


def test_position_is_read_when_an_iteration_begins() -> None:
    order, position = EpochOrder(10, 4), [0, 0]
    batches = TrainBatches(Echo(), order, lambda: (position[0], position[1]))
    iteration = iter(batches)
    position[:] = 4, 1
    assert [batch["keys"].tolist() for batch in iteration] == epoch_of(order, 4, 1)


def test_an_epoch_that_is_done_yields_nothing() -> None:
    order = EpochOrder(10, 4)
    assert list(TrainBatches(Echo(), order, lambda: (0, order.batches_per_epoch))) == []


def test_loading_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    drawn(TrainBatches(Echo(), EpochOrder(10, 4)))
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_an_abandoned_epoch_can_be_started_again() -> None:
    batches = TrainBatches(Echo(), EpochOrder(10, 2))
    first = next(iter(batches))["keys"].tolist()
    assert drawn(batches)[0][0] == first


def test_an_error_in_the_data_set_arrives() -> None:
    class Broken(Echo):
        def __getitems__(self, keys: Keys) -> dict[str, torch.Tensor]:
            raise RuntimeError("broken item")

    with pytest.raises(RuntimeError, match="broken item"):
        list(TrainBatches(Broken(), EpochOrder(10, 4)))


class Recorder(pl.LightningModule):
    """Notes the keys of the batches it is trained with."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[list[list[int]]] = []

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        self.seen.append(batch["keys"].tolist())
        return self.weight**2

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_lightning_trains_every_epoch_to_its_end() -> None:
    order, model = EpochOrder(10, 4), Recorder()
    trainer = pl.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, TrainBatches(Echo(), order, lambda: (trainer.current_epoch, 0)))
    assert model.seen == [batch for epoch in range(3) for batch in epoch_of(order, epoch)]


# -- evaluation -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cases", "world", "shards"),
    [
        (5, 1, [[0, 1, 2, 3, 4]]),
        (5, 2, [[0, 2, 4], [1, 3, 0]]),
        (4, 2, [[0, 2], [1, 3]]),
        (1, 3, [[0], [0], [0]]),
        (0, 2, [[], []]),
    ],
)
def test_cases_are_shared_out(cases: int, world: int, shards: list[list[int]]) -> None:
    assert [shard_cases(cases, rank, world) for rank in range(world)] == shards
