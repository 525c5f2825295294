"""Frames of ultrasound to train on, a whole batch at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vitruvian.core.errors import DataError
from vitruvian.core.sampling import Keys, item_seeds, spawn
from vitruvian.muscle.data.cases import MuscleCase
from vitruvian.muscle.data.inputs import KINDS, FrameInput, Target, frames_needed

Floats = npt.NDArray[np.float64]


class FrameSamples:
    """Frames in a row with what was measured at the last one (a `core.sampling.BatchDataset`).

    Args:
        cases: of the training people.
        inputs: how many frames an answer needs.
        target: what is asked.
        seed: of the augmentation.

    Attributes:
        targets: (items, outputs) what is asked of every item, in native units.

    Raises:
        DataError: there is no item: no case, or none has enough frames in a row.
    """

    def __init__(
        self, cases: Sequence[MuscleCase], inputs: FrameInput, target: Target, seed: int = 0
    ) -> None:
        self._context, self._seed = inputs.context, seed
        needed = frames_needed(inputs, target)
        last = [np.flatnonzero(case.run_length >= needed) for case in cases]
        self._case = np.repeat(np.arange(len(cases)), [len(frames) for frames in last])
        if not self._case.size:
            raise DataError(f"no training trial has {needed} frames in a row")
        numbered = [case.frames[frames] for case, frames in zip(cases, last, strict=True)]
        self._last = np.concatenate(numbered)
        asked = [targets_of(c, target)[frames] for c, frames in zip(cases, last, strict=True)]
        self.targets: Floats = np.concatenate(asked)
        # Mapped, not read: what is touched stays in the system's cache, shared by all runs.
        self._images = [case.crops.open("images") for case in cases]
        self._bounds = [case.crops.open("bounds") for case in cases]

    def __len__(self) -> int:
        """Number of items."""
        return len(self._case)

    def __getitems__(self, keys: Keys) -> dict[str, Tensor]:
        """Make a batch of the rows (epoch, position, index) of an `EpochOrder`.

        Returns:
            images (n, context, H, W) uint8, bounds (n, 2, W) int16 of the last frame, target
            (n, outputs) float32 in native units, seed (n,) int64 for the augmentation.
        """
        items = keys[:, 2]
        cases, ends = self._case[items].tolist(), (self._last[items] + 1).tolist()
        height, width = self._images[0].shape[1:]
        images = np.empty((len(items), self._context, height, width), np.uint8)
        bounds = np.empty((len(items), 2, width), np.int16)
        for row, (case, end) in enumerate(zip(cases, ends, strict=True)):
            images[row] = self._images[case][end - self._context : end]
            bounds[row] = self._bounds[case][end - 1]
        return {
            "images": torch.from_numpy(images),
            "bounds": torch.from_numpy(bounds),
            "target": torch.from_numpy(self.targets[items].astype(np.float32)),
            "seed": torch.from_numpy(spawn(item_seeds(self._seed, keys), 0)),
        }


def targets_of(case: MuscleCase, target: Target) -> Floats:
    """What is asked of every frame of a trial, (T, outputs); NaN where a change is not known."""
    trial = case.trial()
    columns = [trial.truth(name, kind) for kind in KINDS[target] for name in case.quantities]
    return np.stack(columns, axis=1)
