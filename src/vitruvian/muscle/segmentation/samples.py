"""Frames with their masks in the store, and the batches that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vitruvian.core.errors import DataError
from vitruvian.core.sampling import Keys, item_seeds
from vitruvian.core.store import Converted, Record
from vitruvian.muscle.recording import Image, Mask, Recording
from vitruvian.muscle.roi.masks import bounds_to_mask, mask_to_bounds
from vitruvian.muscle.segmentation.masks import reduced, reduced_mask

VERSION = 1  # of the conversion


@dataclass(frozen=True)
class MaskCase:
    """The frames of a recording at the net's size, with the true masks.

    Attributes:
        case: name of the recording.
        participant: who.
        record: arrays `images` (T, h, w) uint8 and `bounds` (T, 2, w) int16.
        mm_per_pixel: (along y, along x) of `images`; None where unknown.
        simulated: whether a simulator made it.
    """

    case: str
    participant: str
    record: Record
    mm_per_pixel: tuple[float, float] | None
    simulated: bool

    def images(self) -> list[Image]:
        """The frames in their order."""
        return list(self.record.read("images"))

    def truths(self) -> list[Mask]:
        """Their masks, (h, w)."""
        return list(bounds_to_mask(self.record.read("bounds"), self.record.shape("images")[1]))


def convert(recording: Recording, every: int, size: Sequence[int]) -> Converted:
    """Every n-th frame of a recording, and where the muscle lies in it.

    Returns:
        `images` (T, h, w) uint8 and `bounds` (T, 2, w) int16, and the `shape` of a whole frame.

    Raises:
        DataError: the recording has no frames or no masks, or they do not fit each other.
    """
    frames, masks = recording.frames, recording.masks
    if frames is None or masks is None or not len(masks):
        raise DataError(f"{recording.name}: no {'masks' if frames else 'images'} to learn from")
    if len(masks) not in (1, frames.count):
        raise DataError(f"{recording.name}: {len(masks)} masks for {frames.count} frames")
    images, bounds = [], []
    shape: tuple[int, ...] = ()
    for number, frame in enumerate(frames):
        if frame.shape != masks.shape[1:]:
            sizes = f"masks are {masks.shape[1:]} (h, w), frame {number} {frame.shape}"
            raise DataError(f"{recording.name}: {sizes}")
        if number % every == 0:
            shape = frame.shape
            images.append(reduced(frame, size))
            mask = masks[number if len(masks) > 1 else 0]
            bounds.append(mask_to_bounds(reduced_mask(mask, size)))
    return {"images": np.stack(images), "bounds": np.stack(bounds)}, {"shape": list(shape)}


class MaskSamples:
    """Training frames of several recordings, fetched a batch at a time.

    Args:
        records: as `MaskCase` holds them.
        seed: of the augmentation.
    """

    def __init__(self, records: Sequence[Record], seed: int = 0) -> None:
        self.records, self.seed = list(records), seed
        lengths = [record.shape("images")[0] for record in self.records]
        self._record = np.repeat(np.arange(len(lengths)), lengths)
        self._frame = np.concatenate([np.arange(length) for length in lengths])

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._frame)

    def __getitems__(self, keys: Keys) -> dict[str, torch.Tensor]:
        """Make a batch of the rows (epoch, position, index) of an `EpochOrder`.

        Returns:
            image, uint8 (n, 1, h, w); bounds, int16 (n, 2, w); seed, int64 (n,).
        """
        items = keys[:, 2]
        chosen = list(zip(self._record[items].tolist(), self._frame[items].tolist(), strict=True))
        parts = {
            name: np.concatenate(
                [self.records[r].read(name, slice(frame, frame + 1)) for r, frame in chosen]
            )
            for name in ("images", "bounds")
        }
        return {
            "image": torch.from_numpy(parts["images"])[:, None],
            "bounds": torch.from_numpy(parts["bounds"]),
            "seed": torch.from_numpy(item_seeds(self.seed, keys)),
        }
