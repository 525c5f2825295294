"""From raw landmarks to a track: a number for every joint in every frame of an even time grid.

Paper 003 keeps the landmarks "of confidence >= 60 %". Here a joint below that is masked in that
frame, the frames are put on an even grid, and gaps are filled: short ones by a line, longer ones by
the last good value. A clip of which too much is masked is refused. Frames before the first one that
shows a joint are left out: nobody is there yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.spine.landmarks import Floats, Landmarks, Times
from vitruvian.spine.track.gaps import Seen, StreamingFill, TrackFrame, fill_gaps
from vitruvian.spine.track.resampling import TOLERANCE_S, StreamingResampler, resample

__all__ = ["Cleaning", "StreamingCleaner", "Track", "TrackFrame"]


@dataclass(frozen=True)
class Track:
    """A cleaned clip.

    Attributes:
        points: (T, J, D) float32 without NaN, in the units of the landmarks.
        visibility: (T, J) float32 from 0 to 1, as the pose net gave it: low where a point is a
            guess, 0 where there was no pose.
        times_s: (T,) float64, on the clock of the clip; the first is that of the first pose.
        masked: share of the landmarks that were masked before the gaps were filled, 0 to 1.
        fps: frames per second.
    """

    points: Floats
    visibility: Floats
    times_s: Times
    masked: float = 0.0
    fps: float = 30.0

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.times_s)


@dataclass(frozen=True)
class Cleaning:
    """The confidence filter, the time grid and the filling of gaps.

    `masked`, the share that `max_masked` limits, is taken on the time grid before gaps are filled;
    missing frames and the time before the first pose count in full.

    Attributes:
        min_confidence: joints of lower visibility are masked in that frame, 0 to 1.
        max_gap: frames up to which a gap is bridged by a line. Source frames further apart than
            max_gap + 1 frames of the grid (but at least 2) are not connected either.
        max_masked: largest share of masked landmarks before a clip is refused, 0 to 1.
        fps: frames per second of the grid; None: every frame of the clip as it is.
        coordinates: "image" as seen in the frame, or "world", in metres.

    Raises:
        ValueError: a value is out of range.
    """

    min_confidence: float = 0.6
    max_gap: int = 10
    max_masked: float = 0.4
    fps: float | None = 30.0
    coordinates: Literal["image", "world"] = "image"

    def __post_init__(self) -> None:
        for name in ("min_confidence", "max_masked"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, not {getattr(self, name)}")
        if self.max_gap < 0:
            raise ValueError(f"max_gap must not be negative, as {self.max_gap} is")
        if self.fps is not None and not 0 < self.fps < float("inf"):
            raise ValueError(f"fps must be above 0, or null, not {self.fps}")
        if self.coordinates not in ("image", "world"):
            raise ValueError(f'coordinates must be "image" or "world", not {self.coordinates!r}')

    @property
    def reach_s(self) -> float:
        """Longest time between two source frames that are connected, seconds."""
        return (max(self.max_gap, 1) + 1) / (self.fps or 1) + TOLERANCE_S

    def clean(self, landmarks: Landmarks) -> Track:
        """Clean a whole clip.

        Raises:
            DataError: too much is masked, no joint is ever seen, or the clip has no world
                coordinates. The message does not know the name of the clip.
        """
        points = landmarks.points if self.coordinates == "image" else landmarks.world
        if points is None:
            raise DataError("there are no world landmarks: set coordinates=image, or extract again")
        values = self._values(points, landmarks.visibility)
        shown = (values[..., -1] > 0).any(axis=1)
        if not shown.any():
            raise DataError(
                f"no landmark reaches min_confidence={self.min_confidence:g} in any frame: is a "
                "person in the picture?"
            )
        first = int(shown.argmax())
        times, values = landmarks.times_s[first:], values[first:]
        if self.fps is not None:
            times, values = resample(times, values, self.fps, self.reach_s)
        missed = self._missed(first, float(landmarks.times_s[first] - landmarks.times_s[0]))
        masked = 1 - float(values[..., -1].mean(dtype=float)) * len(times) / (len(times) + missed)
        if masked > self.max_masked:
            raise DataError(self._refusal(masked, landmarks.fps))
        points, visibility, seen = _parts(values)
        filled = fill_gaps(times, points, seen, self.max_gap)
        visibility = np.ascontiguousarray(visibility)  # a view would keep all of `values` alive
        return Track(filled, visibility, times, masked, self.fps or landmarks.fps)

    def stream(self) -> StreamingCleaner:
        """A cleaner that takes frames one by one and gives the frames of `clean`."""
        return StreamingCleaner(self)

    def _values(self, points: Floats, visibility: Floats) -> Floats:
        """Points, visibility and whether the joint counts, side by side: (..., J, D + 2)."""
        finite = np.isfinite(points).all(axis=-1) & np.isfinite(visibility)
        values = np.empty((*points.shape[:-1], points.shape[-1] + 2), np.float32)
        values[..., :-2] = np.where(finite[..., None], points, 0)
        values[..., -2] = np.where(finite, np.clip(visibility, 0, 1), 0)
        values[..., -1] = finite & (visibility >= self.min_confidence)
        return values

    def _missed(self, frames: int, seconds: float) -> int:
        """Frames before the first pose, on the grid."""
        return frames if self.fps is None else round(seconds * self.fps)

    def _refusal(self, masked: float, fps: float) -> str:
        text = (
            f"{masked:.0%} of the landmarks are below min_confidence={self.min_confidence:g} or "
            f"missing, more than max_masked={self.max_masked:g}"
        )
        if self.fps is not None and fps * self.reach_s < 1:
            slow = f"{fps:.3g} frames per second are too few for fps={self.fps:g}"
            return f"{text}: {slow} with max_gap={self.max_gap}; raise max_gap or lower fps"
        return f"{text}: film one whole person in good light, or change these keys"


def _parts(values: Floats) -> tuple[Floats, Floats, Seen]:
    """Points, visibility, and seen: a grid point between two frames needs both."""
    return values[..., :-2], values[..., -2], values[..., -1] == 1


class StreamingCleaner:
    """`Cleaning` frame by frame: bounded memory, and the same frames as for the whole clip.

    A frame leaves when it is settled: at the latest `max_gap` grid frames later, at once where all
    joints are seen. Nothing leaves before a first joint is seen. Nothing is refused either:
    `masked` tells how much is masked so far.

    Args:
        cleaning: what to do.
    """

    def __init__(self, cleaning: Cleaning) -> None:
        self.cleaning = cleaning
        fps, reach_s = cleaning.fps, cleaning.reach_s
        self._resampler = None if fps is None else StreamingResampler(fps, reach_s)
        self._fill: StreamingFill | None = None
        self._begin_s = self._last_s = float("nan")
        self._missed = self._frames = 0
        self._seen = 0.0

    @property
    def masked(self) -> float:
        """Share of the landmarks masked so far, 0 to 1; 1 before the first pose."""
        frames = self._frames + self._missed
        return 1 - self._seen / frames if frames else 1.0

    def push(self, time_s: float, points: Floats, visibility: Floats) -> list[TrackFrame]:
        """Take a frame and return those that are settled now.

        Args:
            time_s: seconds, above that of the frame before.
            points: (J, D) in the coordinates that the cleaning names; NaN without a pose.
            visibility: (J,); NaN without a pose.

        Raises:
            ValueError: `time_s` does not rise.
        """
        if time_s <= self._last_s:
            raise ValueError(f"time_s must rise: {time_s} comes after {self._last_s}")
        if np.isnan(self._begin_s):
            self._begin_s = time_s
        self._last_s = time_s
        values = self.cleaning._values(points, visibility)
        if self._fill is None and not values[:, -1].any():
            self._missed += 1
            return []
        if self._fill is None:
            start, _, seen = _parts(values)
            self._fill = StreamingFill(start, seen, self.cleaning.max_gap)
            self._missed = self.cleaning._missed(self._missed, time_s - self._begin_s)
        grid = self._resampler.push(time_s, values) if self._resampler else [(time_s, values)]
        return [frame for point, at in grid for frame in self._settled(self._fill, point, at)]

    def _settled(self, fill: StreamingFill, time_s: float, values: Floats) -> list[TrackFrame]:
        points, visibility, seen = _parts(values)
        self._frames += 1
        self._seen += float(values[:, -1].mean(dtype=float))
        return fill.push(TrackFrame(time_s, points, visibility), seen)

    def finish(self) -> list[TrackFrame]:
        """Return the frames that were still waiting when the stream ended."""
        return self._fill.finish() if self._fill else []
