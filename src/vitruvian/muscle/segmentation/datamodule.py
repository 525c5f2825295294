"""Recordings with masks of the muscle, reduced once, split by participant."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vitruvian.core.datamodule import Batching, DataModule
from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.examination import Examined
from vitruvian.core.node_copy import node_folder
from vitruvian.core.sampling import TrainBatches
from vitruvian.core.store import Converter, Store
from vitruvian.muscle.adapters.dltrack import is_dltrack, read_dltrack
from vitruvian.muscle.recording import Recording
from vitruvian.muscle.recordings.finding import named_recordings
from vitruvian.muscle.recordings.opening import open_recording
from vitruvian.muscle.segmentation.examining import Opener, examine_masks
from vitruvian.muscle.segmentation.samples import VERSION, MaskCase, MaskSamples, convert
from vitruvian.muscle.simulator.cohort import SimulatedCohort

log = logging.getLogger(__name__)


class MuscleMasks(DataModule):
    """Frames with the mask of their muscle, of recordings, of DL_Track, or of the simulator.

    Recordings without masks are passed over, so that a data root of which a few were outlined by
    hand can be given as it is.

    Args:
        simulator: the cohort that is used without a root.
        cache_dir: where reduced (and simulated) recordings are kept; shared by all runs.
        node_dir: folder on the node's own disk to which records are copied; variables such as
            `$TMPDIR` are the node's. None: they are read from `cache_dir`.
        fold: who is held out, for a split that follows it.
        root: folder of recordings, or of DL_Track's images and masks; None: simulated.
        every: of a recording's frames each n-th is taken; neighbours hardly differ.
        size: (height, width) to which frames are brought; that of the model.
        batch_size: frames in a batch of one process.
        samples_per_epoch: frames of an epoch; None: every frame once.
        workers: loader processes.
        pin_memory: copy batches to page-locked memory.
        seed: of the order and the augmentation.
    """

    def __init__(
        self,
        simulator: SimulatedCohort,
        cache_dir: Path,
        root: Path | None = None,
        node_dir: str | None = None,
        fold: int = 0,
        every: int = 10,
        size: Sequence[int] = (128, 160),
        batch_size: int = 16,
        samples_per_epoch: int | None = None,
        workers: int = 0,
        pin_memory: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._store = Store(Path(cache_dir) / "store", node_folder(node_dir))
        if every < 1:
            raise ConfigError(f"datamodule.every: at least 1, not {every}")
        if len(size) != 2 or min(size) < 1:
            raise ConfigError(f"datamodule.size: (height, width), not {list(size)}")
        self.fold = fold
        self.root = Path(root) if root is not None else None
        self.size = (size[0], size[1])
        self._simulator, self._cache, self._every = simulator, Path(cache_dir), every
        self._batching = Batching(batch_size, samples_per_epoch, workers, pin_memory, seed)
        self._cases: dict[str, list[MaskCase]] = {}

    # -- preparing ----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Simulate if there is no root; reduce what has masks.

        Raises:
            DataError: a recording is broken, or none has masks.
        """
        self._cases = defaultdict(list)
        without = 0
        for _, opener in self._openers():
            recording = opener()
            if recording.masks is None:
                without += 1
            else:
                self._cases[recording.participant].append(self._converted(recording))
        if without:
            log.info("note: recordings without masks, passed over: %d", without)
        if not self._cases:
            raise DataError(f"{self.root}: no recording has masks; `masks:` of recording.yaml")

    def _openers(self) -> list[tuple[str, Opener]]:
        """What opens each recording: one at a time, as its masks may fill much memory."""
        if self.root is not None and is_dltrack(self.root):
            return [(found.name, partial(_itself, found)) for found in read_dltrack(self.root)]
        root = self.root or self._simulator.write(self._cache / "simulated")
        found = named_recordings(root)
        return [(name, partial(open_recording, folder, name)) for name, folder in found.items()]

    def _converted(self, recording: Recording) -> MaskCase:
        parameters = {"every": self._every, "size": list(self.size)}
        record = self._store.add(
            recording.sources,
            Converter("muscle_masks", VERSION, parameters),
            lambda: convert(recording, self._every, self.size),
        )
        return MaskCase(
            recording.name,
            recording.participant,
            record,
            _scale(recording.mm_per_pixel, record.meta["shape"], self.size),
            recording.simulated,
        )

    def examine(self, figures: Path | None = None) -> Iterator[Examined]:
        """Say of each recording whether it has masks and how thick the muscle is in them."""
        for name, opener in self._openers():
            yield examine_masks(name, opener, figures)

    # -- who is there -------------------------------------------------------------------------

    @property
    def subjects(self) -> list[str]:
        """Every participant with masks."""
        return list(self._cases)

    @property
    def simulated(self) -> bool:
        """Whether any recording comes from the simulator."""
        return any(case.simulated for cases in self._cases.values() for case in cases)

    def mean_mask(self) -> npt.NDArray[np.float32]:
        """Mean mask of the training people, (height, width): each recording counts alike."""
        means = [np.mean(case.truths(), axis=0) for case in self.cases(self.part("train"))]
        return np.mean(means, axis=0).astype(np.float32)

    # -- delivering ---------------------------------------------------------------------------

    def train_batches(self) -> TrainBatches:
        """Frames of the training people in random order."""
        records = [case.record for case in self.cases(self.part("train"))]
        dataset = MaskSamples(records, self._batching.seed)
        return self.ordered(dataset, self._batching)

    def cases(self, subjects: Sequence[str]) -> list[Any]:
        """The recordings of these people."""
        return [case for subject in subjects for case in self._cases[subject]]


def _itself(recording: Recording) -> Recording:
    return recording


def _scale(
    mm_per_pixel: tuple[float, float] | None, shape: Sequence[int], size: Sequence[int]
) -> tuple[float, float] | None:
    """Millimetres per pixel after frames of `shape` were brought to `size`."""
    if mm_per_pixel is None:
        return None
    along_y, along_x = (
        mm * before / after for mm, before, after in zip(mm_per_pixel, shape, size, strict=True)
    )
    return along_y, along_x
