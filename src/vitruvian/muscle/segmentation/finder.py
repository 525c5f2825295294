"""The learned finder of the muscle: a trained segmenter as one of the four ways to a region."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.rundir import RunDirectory, chosen_checkpoint
from vitruvian.muscle.recording import Mask
from vitruvian.muscle.roi.finders import Follower

if TYPE_CHECKING:
    from vitruvian.muscle.segmentation.task import MuscleSegmenter

SEGMENTER = "vitruvian.muscle.segmentation.task.MuscleSegmenter"
HOW = "train one with `vitruvian-train experiment=muscle_roi` and give its run directory"


class UNetSegmenter:
    """Finds the muscle with trained weights; satisfies `RegionFinder`.

    Each frame is segmented by itself, so it is causal and cannot drift. The weights are read from
    plain data when they are first needed. Two finders are equal where their weights are; their
    hash is the `identity` that takes part in the key of what is stored.

    Args:
        checkpoint: a checkpoint of the experiment `muscle_roi`, or its run directory (then its
            best weights).

    Raises:
        ConfigError: no checkpoint is given, or it is not there.
    """

    def __init__(self, checkpoint: Path | None = None) -> None:
        if checkpoint is None:
            raise ConfigError(f"checkpoint: the segmenter needs trained weights: {HOW}")
        self.checkpoint = _file(Path(checkpoint).expanduser())
        self._segmenter: MuscleSegmenter | None = None
        self._sha256 = ""

    def follow(self, mm_per_pixel: tuple[float, float], given: Mask | None) -> Follower:
        """As `RegionFinder`; neither the scale nor masks that are given are needed.

        Raises:
            ConfigError: the checkpoint is of another model, or damaged.
        """
        if self._segmenter is None:
            self._segmenter = _loaded(self.checkpoint)
        return self._segmenter.find

    def __eq__(self, other: object) -> bool:
        """Whether the other one has the same weights."""
        return isinstance(other, UNetSegmenter) and self.identity() == other.identity()

    def __hash__(self) -> int:
        """A hash of the weights."""
        return hash(self.identity()["sha256"])

    def identity(self) -> dict[str, str]:
        """Plain data that tell these weights from others."""
        if not self._sha256:
            with self.checkpoint.open("rb") as stream:
                self._sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return {"class": type(self).__name__, "sha256": self._sha256}


def _file(given: Path) -> Path:
    try:
        found = chosen_checkpoint(RunDirectory(given), "best") if given.is_dir() else given
    except RunError as error:
        raise ConfigError(f"checkpoint: {error}; {HOW}") from error
    if not found.is_file():
        raise ConfigError(f"checkpoint: {found} does not exist; {HOW}")
    return found


def _loaded(checkpoint: Path) -> MuscleSegmenter:
    """Build the task that the checkpoint's own config describes, and fill in the weights."""
    from vitruvian.core.checkpoint import load_checkpoint
    from vitruvian.core.engine import build_task
    from vitruvian.core.task import CONFIG_KEY
    from vitruvian.muscle.segmentation.task import MuscleSegmenter

    try:
        content = load_checkpoint(checkpoint)
    except RunError as error:
        raise ConfigError(f"checkpoint: {error}") from error
    config = content.get(CONFIG_KEY) or {"model": {}}
    if config["model"].get("_target_") != SEGMENTER:
        raise ConfigError(f"checkpoint: {checkpoint} holds no segmenter of the muscle; {HOW}")
    task = build_task(config)
    assert isinstance(task, MuscleSegmenter)
    task.load_state_dict(content["state_dict"])
    return task.eval()
