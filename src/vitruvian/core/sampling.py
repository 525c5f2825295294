"""Sampling that is addressed by number, so that a run can stop anywhere and go on bit for bit.

Nothing here holds a state that moves. The order of an epoch is a function of (seed, epoch), a batch
of its number in that order, and the randomness of an item of (seed, epoch, position). Neither the
number of loader workers, nor prefetching, nor a resume, nor the global random state can change what
is drawn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from vitruvian.core.signals import leave_to_parent

if TYPE_CHECKING:
    import torch

Keys = npt.NDArray[np.int64]
Integers = TypeVar("Integers", npt.NDArray[np.int64], "torch.Tensor")
Position = tuple[int, int]

# SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), its
# constants as signed numbers: NumPy and torch both wrap int64 around.
_GAMMA = 0x9E3779B97F4A7C15 - (1 << 64)
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)
_POSITIVE = (1 << 63) - 1


def generator(seed: int, *numbers: int) -> np.random.Generator:
    """A generator of its own for (seed, numbers): the same arguments give the same stream.

    Args:
        seed: of the run, not negative.
        *numbers: which stream, such as an epoch; not negative. `generator(1)` and
            `generator(1, 0)` differ.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=numbers)
    return np.random.Generator(np.random.Philox(sequence))


def item_seeds(seed: int, keys: Keys) -> npt.NDArray[np.int64]:
    """One 64-bit seed for each row of a batch.

    Args:
        seed: of the run.
        keys: (n, 3) rows of (epoch, position, index), as an `EpochOrder` yields them. The index is
            left out: an item that comes twice in an epoch is drawn differently.
    """
    mixed = _mix(np.full(len(keys), seed, np.int64))
    for column in (keys[:, 0], keys[:, 1]):
        mixed = _mix(mixed + _GAMMA + column)
    return mixed


def spawn(seeds: Integers, stream: int) -> Integers:
    """Seeds for another use of the same items, independent of the draws from `seeds`.

    Args:
        seeds: (n,) int64, NumPy or torch.
        stream: which use, from 0.
    """
    return _draw(seeds, -1 - stream)


def integers(seeds: Integers, draw: int, bound: Integers | int) -> Integers:
    """Whole numbers from 0 to `bound` - 1, one for each seed, the same on every device.

    Args:
        seeds: (n,) int64, NumPy or torch.
        draw: which draw of the item, from 0; different draws are independent.
        bound: above 0; a number, or one for each seed.
    """
    return (_draw(seeds, draw) & _POSITIVE) % bound


def uniform(seeds: Integers, draw: int) -> Any:
    """Numbers in [0, 1) with 24 random bits, one for each seed, the same on every device.

    Args:
        seeds: (n,) int64, NumPy (gives float64) or torch (gives float32).
        draw: which draw of the item, from 0; different draws are independent.
    """
    return ((_draw(seeds, draw) >> 40) & 0xFFFFFF) / (1 << 24)


def _draw(seeds: Integers, draw: int) -> Integers:
    step = (_GAMMA * (draw + 1)) & ((1 << 64) - 1)
    return _mix(seeds + (step - (1 << 64) if step >> 63 else step))


def _mix(x: Integers) -> Integers:
    x = (x ^ ((x >> 30) & ((1 << 34) - 1))) * _MIX_1  # the mask makes the shift a logical one
    x = (x ^ ((x >> 27) & ((1 << 37) - 1))) * _MIX_2
    return x ^ ((x >> 31) & ((1 << 33) - 1))


@dataclass(frozen=True)
class EpochOrder:
    """The batches of every epoch, of one process among `world`.

    The order is endless: all items in a random order, then all of them in another one, and so on.
    It is cut into batches; of these, process `rank` takes every `world`-th. So two processes see
    the batches of one process with gradient accumulation over two, every process has the same
    number of batches, and every batch is full (the last ones begin the next round).

    Attributes:
        items: how many there are to draw from.
        batch_size: items in a batch of one process.
        seed: of the order.
        rank: of this process.
        world: number of processes.
        shuffle: False keeps the order 0, 1, 2, ...
        samples_per_epoch: how many an epoch draws at least; None: each item once.
        weights: one per item, to draw with replacement in proportion to it; None: without.

    Raises:
        ValueError: an argument is out of range.
    """

    items: int
    batch_size: int
    seed: int = 0
    rank: int = 0
    world: int = 1
    shuffle: bool = True
    samples_per_epoch: int | None = None
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        for name in ("items", "batch_size", "world"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.rank < self.world:
            raise ValueError(f"rank must be from 0 to {self.world - 1}, not {self.rank}")
        if self.samples_per_epoch is not None and self.samples_per_epoch < 1:
            raise ValueError(f"samples_per_epoch must be at least 1, not {self.samples_per_epoch}")
        if self.weights is not None:
            _check_weights(np.asarray(self.weights, np.float64), self.items)

    @property
    def batches_per_epoch(self) -> int:
        """Batches of one process in an epoch, the same for every rank."""
        samples = self.items if self.samples_per_epoch is None else self.samples_per_epoch
        return -(-samples // (self.batch_size * self.world))

    def batches(self, epoch: int, start: int = 0) -> Iterator[Keys]:
        """Yield the batches of `epoch` from number `start` on.

        Yields:
            (batch_size, 3) rows of (epoch, position in the order of all processes, index).
        """
        order = self._order(epoch)
        for batch in range(start, self.batches_per_epoch):
            first = (batch * self.world + self.rank) * self.batch_size
            positions = np.arange(first, first + self.batch_size)
            yield np.stack([np.full_like(positions, epoch), positions, order[positions]], axis=1)

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        """Index of the item at each position of an epoch of all processes."""
        count = self.batches_per_epoch * self.batch_size * self.world
        if self.weights is not None:
            return _weighted(np.asarray(self.weights, np.float64), count, self.seed, epoch)
        rounds = range(-(-count // self.items))
        return np.concatenate([self._round(epoch, number) for number in rounds])

    def _round(self, epoch: int, number: int) -> npt.NDArray[np.int64]:
        order = np.arange(self.items)
        return generator(self.seed, epoch, number).permutation(order) if self.shuffle else order


def _check_weights(weights: npt.NDArray[np.float64], items: int) -> None:
    if weights.shape != (items,):
        raise ValueError(f"weights must hold {items} numbers, one per item, not {weights.size}")
    if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() == 0:
        raise ValueError("weights must be finite, not negative and not all zero")


def _weighted(
    weights: npt.NDArray[np.float64], count: int, seed: int, epoch: int
) -> npt.NDArray[np.int64]:
    edges = np.cumsum(weights)
    draws = generator(seed, epoch).random(count) * edges[-1]
    drawn = np.searchsorted(edges, draws, side="right")
    return np.minimum(drawn, np.flatnonzero(weights)[-1])  # a product rounded up to the last edge


class BatchDataset(Protocol):
    """A data set that makes a whole batch at once, from the rows of an `EpochOrder`."""

    def __len__(self) -> int:
        """Number of items."""

    def __getitems__(self, keys: Keys) -> Any:
        """Return the batch of `keys`, (batch_size, 3), collated."""


class TrainBatches:
    """The training batches of the epoch that `position` names, from the batch that it names.

    An iterable for Lightning. It has no `__len__` on purpose: Lightning then ends an epoch where
    the batches end, also after a resume in its middle; `batches_per_epoch` tells the number.

    Args:
        dataset: makes the batches, in this process or in the workers.
        order: of the batches.
        position: returns (epoch, batches already done in it); read each time an iteration begins.
            Without it, `seek` says where to begin.
        num_workers: loader processes. 0: a thread of this process loads ahead, which is the fastest
            where the data set spends its time in reads and NumPy, and sends nothing from process
            to process. The number changes no batch.
        pin_memory: copy batches to page-locked memory, for faster transfers to a GPU.
        prefetch: batches that the thread, or each worker, keeps ready.
    """

    def __init__(
        self,
        dataset: BatchDataset,
        order: EpochOrder,
        position: Callable[[], Position] | None = None,
        *,
        num_workers: int = 0,
        pin_memory: bool = False,
        prefetch: int = 2,
    ) -> None:
        import torch
        from torch.utils.data import DataLoader

        self._order = order
        self._position = position
        self._remaining = _Remaining(order)
        self._ahead = 0 if num_workers else prefetch
        self._loader: DataLoader[Any] = DataLoader(
            dataset,  # type: ignore[arg-type]  # torch's type does not know __getitems__
            batch_sampler=self._remaining,
            collate_fn=_collated,
            num_workers=num_workers,
            worker_init_fn=leave_to_parent,
            persistent_workers=num_workers > 0,
            prefetch_factor=prefetch if num_workers else None,
            pin_memory=pin_memory,
            generator=torch.Generator().manual_seed(order.seed),  # spares the global random state
        )

    @property
    def batches_per_epoch(self) -> int:
        """Batches of this process in a whole epoch."""
        return self._order.batches_per_epoch

    def seek(self, epoch: int, start: int = 0) -> None:
        """Begin the next iteration at batch `start` of `epoch`."""
        self._remaining.epoch, self._remaining.start = epoch, start

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches that remain; starts workers only when the first one is asked for."""
        if self._position is not None:
            self.seek(*self._position())
        batches = iter(self._loader)
        yield from _in_thread(batches, self._ahead) if self._ahead else batches


class _Remaining:
    """The batch sampler that the loader reads anew at the start of each iteration."""

    def __init__(self, order: EpochOrder) -> None:
        self.order = order
        self.epoch, self.start = 0, 0

    def __iter__(self) -> Iterator[Any]:
        return self.order.batches(self.epoch, self.start)

    def __len__(self) -> int:
        return max(self.order.batches_per_epoch - self.start, 0)


def _in_thread(batches: Iterator[Any], ahead: int) -> Iterator[Any]:
    """Yield `batches`, of which a thread makes up to `ahead` while the consumer works."""
    with ThreadPoolExecutor(1, "batches") as pool:
        ready = deque(pool.submit(next, batches, _END) for _ in range(ahead))
        while (batch := ready.popleft().result()) is not _END:
            ready.append(pool.submit(next, batches, _END))
            yield batch


_END = object()


def _collated(batch: Any) -> Any:
    return batch


def shard_cases(cases: int, rank: int, world: int) -> list[int]:
    """Cases that process `rank` evaluates: every `world`-th, the same number for each process.

    Where the cases do not divide evenly, some come twice; who gathers the results removes the
    duplicates by the name of the case.
    """
    return [(rank + step * world) % cases for step in range(-(-cases // world))]
