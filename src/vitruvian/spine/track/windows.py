"""Windows of a fixed length: where they lie in a clip, and random ones to train on.

Paper 003 names 5 s at 30 frames per second as the input, and clips of up to 60 s: a clip is cut
into windows, and its index is the mean over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vitruvian.core.errors import DataError
from vitruvian.core.sampling import Keys, integers, item_seeds, spawn
from vitruvian.spine.track.cleaning import Track

Batch = dict[str, Tensor]
Indices = npt.NDArray[np.int64]


class WindowBatch(NamedTuple):
    """The windows of a clip.

    Attributes:
        points: (w, L, J, D); zeros where padded.
        visibility: (w, L, J); zeros where padded.
        mask: (w, L) bool, True for real frames, which come first.
        starts: (w,) first frame of each window in the clip.
    """

    points: Tensor
    visibility: Tensor
    mask: Tensor
    starts: Tensor


@dataclass(frozen=True)
class Windows:
    """Where the windows of a clip lie.

    They start at 0, stride, 2 stride, ... as long as they fit. A clip that is shorter than one
    window gives one, padded at its end.

    Attributes:
        length: frames of a window.
        stride: frames from one to the next, from 1 to `length`.
        tail: one more window that ends where the clip ends, if at least half a stride of frames
            would be left over. A stream, which does not know where it ends, has no such window.
        stretch: one window, the whole clip brought to `length` frames: for single repetitions of a
            movement, whose phases then meet (as public benchmarks do). A stream cannot.

    Raises:
        ValueError: a value is out of range.
    """

    length: int = 150
    stride: int = 75
    tail: bool = True
    stretch: bool = False

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError(f"length must be at least 1, not {self.length}")
        if not 1 <= self.stride <= self.length:
            raise ValueError(f"stride must be from 1 to length={self.length}, not {self.stride}")

    def starts(self, frames: int) -> list[int]:
        """First frames of the windows of a clip of `frames` frames, at least one.

        Raises:
            ValueError: there is no frame.
        """
        if frames < 1:
            raise ValueError(f"a clip must have at least 1 frame, not {frames}")
        starts = list(range(0, max(frames - self.length, 0) + 1, self.stride))
        left_over = frames - self.length - starts[-1]
        if self.tail and left_over > 0 and 2 * left_over >= self.stride:
            starts.append(frames - self.length)
        return starts

    def fitted(self, track: Track) -> Track:
        """The track that is cut: stretched to one window where that is asked for."""
        if not self.stretch or len(track) == self.length:
            return track
        place = np.linspace(0, len(track) - 1, self.length)
        below = np.minimum(place.astype(np.int64), max(len(track) - 2, 0))
        above, share = np.minimum(below + 1, len(track) - 1), place - below
        points, visibility, times_s = (
            _between(values, below, above, share)
            for values in (track.points, track.visibility, track.times_s)
        )
        return replace(track, points=points, visibility=visibility, times_s=times_s)

    def cut(self, track: Track) -> WindowBatch:
        """All windows of a clip."""
        track = self.fitted(track)
        starts = np.array(self.starts(len(track)))
        frames = _Frames([track])
        cut = frames.cut(np.zeros_like(starts), starts, self.length)
        return WindowBatch(*cut, torch.from_numpy(starts))


class _Frames:
    """The frames of all clips, one after the other."""

    def __init__(self, tracks: Sequence[Track]) -> None:
        self.frames = np.array([len(track) for track in tracks])
        self.begin = np.cumsum(self.frames) - self.frames
        self.points = torch.from_numpy(np.concatenate([track.points for track in tracks]))
        self.visibility = torch.from_numpy(np.concatenate([t.visibility for t in tracks]))

    def cut(self, clip: Indices, start: Indices, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Points, visibility and mask of one window for each `clip` and `start`, (n,)."""
        place = start[:, None] + np.arange(length)
        inside = place < self.frames[clip, None]
        rows = torch.from_numpy(self.begin[clip, None] + np.where(inside, place, 0))
        mask = torch.from_numpy(inside)
        points, visibility = self.points[rows], self.visibility[rows]
        if not inside.all():
            points.masked_fill_(~mask[..., None, None], 0)
            visibility.masked_fill_(~mask[..., None], 0)
        return points, visibility, mask


class WindowSamples:
    """Windows to train on, a whole batch at a time (a `core.sampling.BatchDataset`).

    An item is a window of `windows.starts`; a longer clip has more of them.

    Args:
        tracks: of the training clips.
        targets: (clips,) what to predict.
        windows: length and stride.
        seed: of the jitter and the augmentation.
        jitter: move each window by up to half a stride to either side, within its clip, each time
            it is drawn.

    Attributes:
        clip: (items,) number of each item's clip, for weights.
        start: (items,) its first frame, before jitter.

    Raises:
        DataError: there is no clip, or a target is not finite.
        ValueError: not one target per clip.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        targets: npt.ArrayLike,
        windows: Windows,
        seed: int = 0,
        jitter: bool = True,
    ) -> None:
        self.windows, self.seed, self.jitter = windows, seed, jitter
        self._targets = torch.from_numpy(_checked(targets, len(tracks)))
        tracks = [windows.fitted(track) for track in tracks]
        self._frames = _Frames(tracks)
        starts = [windows.starts(len(track)) for track in tracks]
        self.clip: Indices = np.repeat(np.arange(len(tracks)), [len(s) for s in starts])
        self.start: Indices = np.concatenate(starts)

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.clip)

    def __getitems__(self, keys: Keys) -> Batch:
        """Make a batch of the rows (epoch, position, index) of an `EpochOrder`.

        Returns:
            points (n, L, J, D), visibility (n, L, J), mask (n, L) bool, target (n,) float32, and
            seed (n,) int64 for the augmentation.
        """
        seeds = item_seeds(self.seed, keys)
        clip, start = self.clip[keys[:, 2]], self.start[keys[:, 2]]
        if self.jitter:
            start = self._moved(clip, start, seeds)
        points, visibility, mask = self._frames.cut(clip, start, self.windows.length)
        return {
            "points": points,
            "visibility": visibility,
            "mask": mask,
            "target": self._targets[torch.from_numpy(clip)],
            "seed": torch.from_numpy(spawn(seeds, 0)),
        }

    def _moved(self, clip: Indices, start: Indices, seeds: Indices) -> Indices:
        reach = self.windows.stride // 2
        last = np.maximum(self._frames.frames[clip] - self.windows.length, 0)
        return np.clip(start + integers(seeds, 0, 2 * reach + 1) - reach, 0, last)


def _between(values: Any, below: Indices, above: Indices, share: Any) -> Any:
    """Values at places between frames, of the type they had."""
    share = share.reshape(-1, *(1,) * (values.ndim - 1))
    return (values[below] * (1 - share) + values[above] * share).astype(values.dtype)


def _checked(targets: npt.ArrayLike, clips: int) -> npt.NDArray[np.float32]:
    if not clips:
        raise DataError("there is no training clip: check the data and the split")
    checked = np.array(targets, np.float32)
    if checked.shape != (clips,):
        raise ValueError(f"targets must be ({clips},), one per clip, not {checked.shape}")
    if not np.isfinite(checked).all():
        unrated = np.flatnonzero(~np.isfinite(checked)).tolist()
        raise DataError(f"training clips without a rating: numbers {unrated[:10]}")
    return checked
