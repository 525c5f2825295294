"""A trial in the store, as the task evaluates it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from vitruvian.core.store import Record
from vitruvian.muscle.trial import Trial


@dataclass(frozen=True)
class MuscleCase:
    """A converted recording.

    Attributes:
        case: its name.
        participant: who.
        task: what was done.
        quantities: names of the columns of `values`.
        signals: arrays `values` (T, V) in native units, `times_s` (T,), and `frames` (T,), the
            numbers of the frames that have signals.
        crops: of every frame, n of them: arrays `images` (n, H, W) uint8, `bounds` (n, 2, W) int16,
            `flow` and `intensity` (n, ...).
        meta: what the records hold beside their arrays; see `vitruvian.muscle.data.conversion`.
    """

    case: str
    participant: str
    task: str
    quantities: tuple[str, ...]
    signals: Record
    crops: Record
    meta: dict[str, Any] = field(repr=False)

    def __len__(self) -> int:
        """Number of frames that have signals."""
        return self.signals.shape("frames")[0]

    @property
    def frames(self) -> npt.NDArray[np.int64]:
        """Numbers of the frames that have signals, (T,), ascending."""
        return self.signals.read("frames")

    def images(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]:
        """Crops (T, H, W) and bounds (T, 2, W) of the frames that have signals."""
        frames = self.frames
        return self.crops.open("images")[frames], self.crops.open("bounds")[frames]

    @property
    def simulated(self) -> bool:
        """Whether a simulator made it."""
        return bool(self.meta["simulated"])

    @property
    def run_length(self) -> npt.NDArray[np.int64]:
        """How many frames in a row, without a gap, end with each frame, (T,); the first has 1."""
        frames = self.frames
        start = np.flatnonzero(np.diff(frames, prepend=frames[:1] - 2) != 1)
        lengths = np.diff(np.append(start, len(frames)))
        return np.concatenate([np.arange(1, n + 1) for n in lengths])

    def trial(self) -> Trial:
        """The trial as numbers, without its images."""
        values, frames, follows = self.signals.read("values"), self.frames, self.run_length > 1
        flow, intensity = (self.crops.read(name)[frames] for name in ("flow", "intensity"))
        return Trial(
            name=self.case,
            participant=self.participant,
            task=self.task,
            times_s=self.signals.read("times_s"),
            values={name: values[:, i] for i, name in enumerate(self.quantities)},
            follows=follows,
            flow=np.where(follows[:, None], flow, 0),
            intensity=intensity,
            rate_hz=self.meta["clock"]["rate_hz"],
            emg_mvc_v=self.meta["emg_mvc_v"],
        )
