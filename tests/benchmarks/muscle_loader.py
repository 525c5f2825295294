"""Training pairs of 128x256, as they arrive in the training loop, with bounds and targets.

Against a `Dataset` that makes one item at a time and PyTorch's `DataLoader`, reading the arrays of
our own store: conversion and files are the same on both sides, and lie in the page cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from tests.benchmarks.harness import Row, Scale, Work, side_by_side
from tests.benchmarks.muscle_data import configuration, stored_cases
from vitruvian.core.cost import one_thread
from vitruvian.core.sampling import EpochOrder, TrainBatches
from vitruvian.muscle.data.cases import MuscleCase
from vitruvian.muscle.data.inputs import FrameInput
from vitruvian.muscle.data.samples import FrameSamples

SHAPE = (2, 128, 256)
BATCH = 32
BATCHES = 8  # for each batch that the scale names: a pair is quickly read


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """One torch thread on both sides; 0 workers is our thread that loads ahead."""
    cases = stored_cases(scale, folder, configuration("muscle_cnn"))
    batches = BATCHES * scale.batches
    with one_thread():
        ours = _epoch(_ours(cases, batches, 0))
        for kind in (ReopenedPairs, OpenedPairs):
            for workers in (0, 2):
                theirs = _epoch(_loader(kind(cases), batches, workers))
                what = f"Dataset and DataLoader, {kind.way}{', 2 workers' if workers else ''}"
                yield _row(what, ours, theirs, scale)
        others = _epoch(_ours(cases, batches, 2))
        yield _row("ours with 2 workers instead of a thread", ours, others, scale)


def _row(what: str, ours: Work, theirs: Work, scale: Scale) -> Row:
    ratio = side_by_side(ours, theirs, scale.repetitions)
    return Row(f"muscle_loader: {what}", ratio, "pairs/s")


def _epoch(batches: Iterable[dict[str, Tensor]]) -> Work:
    def work() -> int:
        seen = 0
        for batch in batches:
            assert batch["images"].shape[1:] == SHAPE
            assert batch["target"].isfinite().all()
            seen += len(batch["images"])
        return seen

    return work


def _ours(cases: Sequence[MuscleCase], batches: int, workers: int) -> TrainBatches:
    """As `MuscleRecordings.train_batches` makes them."""
    samples = FrameSamples(cases, FrameInput("pair"), "change")
    order = EpochOrder(len(samples), BATCH, samples_per_epoch=batches * BATCH)
    return TrainBatches(samples, order, num_workers=workers)


def _loader(dataset: Dataset[Any], batches: int, workers: int) -> DataLoader[Any]:
    draws = RandomSampler(dataset, replacement=True, num_samples=batches * BATCH)
    return DataLoader(
        dataset, BATCH, sampler=draws, num_workers=workers, persistent_workers=workers > 0
    )


class ReopenedPairs(Dataset[dict[str, Any]]):
    """A pair at a time; the files are opened for each, so that workers share no open file."""

    way = "np.load for each pair"

    def __init__(self, cases: Sequence[MuscleCase]) -> None:
        self._cases, self._items = cases, []
        for number, case in enumerate(cases):
            values, frames = case.signals.read("values"), case.frames
            for place in np.flatnonzero(np.diff(frames) == 1) + 1:
                target = (values[place] - values[place - 1]).astype(np.float32)
                self._items.append((number, int(frames[place]), target))

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, item: int) -> dict[str, Any]:
        number, frame, target = self._items[item]
        images, bounds = self._arrays(number)
        return {
            "images": torch.from_numpy(images[frame - 1 : frame + 1].copy()),
            "bounds": torch.from_numpy(bounds[frame].copy()),
            "target": torch.from_numpy(target),
        }

    def _arrays(self, number: int) -> tuple[Any, Any]:
        crops = self._cases[number].crops
        return tuple(np.load(crops.path(name), mmap_mode="r") for name in ("images", "bounds"))


class OpenedPairs(ReopenedPairs):
    """The same with every file opened once: who has measured it writes it so."""

    way = "files opened once"

    @cached_property
    def _opened(self) -> list[tuple[Any, Any]]:
        return [super(OpenedPairs, self)._arrays(n) for n in range(len(self._cases))]

    def _arrays(self, number: int) -> tuple[Any, Any]:
        return self._opened[number]
