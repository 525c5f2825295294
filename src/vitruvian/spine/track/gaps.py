"""Filling the gaps of joints that were not seen, of a whole clip or frame by frame.

A gap of a joint is a run of frames in which it was not seen. With `max_gap` frames as the limit:

- a short gap between two sightings is a straight line in time (paper 003 leaves it open);
- a short gap at the start takes the first sighting;
- a longer one, and one at the end, holds the last sighting;
- a joint that was not seen yet when its gap became long rests at the middle of the joints that the
  first frame shows. It stays there until it is seen: no motion is made up.

All of this looks ahead `max_gap` frames at most, so that a stream can give the very same frames.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vitruvian.spine.landmarks import Floats, Times
from vitruvian.spine.track.resampling import blend

Seen = npt.NDArray[np.bool_]


class TrackFrame(NamedTuple):
    """One cleaned frame.

    Attributes:
        time_s: seconds, on the clock of the source.
        points: (J, D) float32 without NaN.
        visibility: (J,) float32 from 0 to 1.
    """

    time_s: float
    points: Floats
    visibility: Floats


def fill_gaps(times: Times, points: Floats, seen: Seen, max_gap: int) -> Floats:
    """Points with every gap filled.

    Args:
        times: (T,) seconds, strictly rising.
        points: (T, J, D) finite; what stands in gaps does not matter.
        seen: (T, J); at least one joint in the first frame.
        max_gap: frames of the longest short gap, from 0.
    """
    frames, numbers = len(times), np.arange(len(times))[:, None]
    last = np.maximum.accumulate(np.where(seen, numbers, -1), axis=0)
    later = np.minimum.accumulate(np.where(seen, numbers, frames)[::-1], axis=0)[::-1]
    frame, joint = np.nonzero(~seen)
    before, after = last[frame, joint], later[frame, joint]
    known = before >= 0
    short = (after < frames) & (after - before - 1 <= max_gap)
    after = np.minimum(after, frames - 1)

    held = np.where(known[:, None], points[before, joint], _middle(points[0], seen[0]))
    end = points[after, joint]
    start = np.where(known[:, None], held, end)
    start_s = np.where(known, times[before], times[0] - 1)
    span = np.where(short, times[after] - start_s, 1)
    weight = ((times[frame] - start_s) / span).astype(np.float32)[:, None]
    filled = points.copy()
    filled[frame, joint] = np.where(short[:, None], blend(start, end, weight), held)
    return filled


def _middle(points: Floats, seen: Seen) -> Floats:
    return points[seen].mean(axis=0)


class StreamingFill:
    """`fill_gaps` frame by frame; a frame waits for at most `max_gap` others.

    Args:
        first: (J, D) points of the first frame.
        seen: (J,) its joints that were seen, at least one.
        max_gap: as in `fill_gaps`.
    """

    def __init__(self, first: Floats, seen: Seen, max_gap: int) -> None:
        joints, dims = first.shape
        waiting = max_gap + 1
        self.max_gap = max_gap
        self._times = np.zeros(waiting)
        self._points = np.zeros((waiting, joints, dims), np.float32)
        self._visibility = np.zeros((waiting, joints), np.float32)
        self._open = np.zeros((waiting, joints), np.bool_)
        self._held = np.broadcast_to(_middle(first, seen), first.shape).copy()
        self._held_s = np.zeros(joints)
        self._known = np.zeros(joints, np.bool_)
        self._gap = np.zeros(joints, np.int64)
        self._pushed = self._left = 0

    def push(self, frame: TrackFrame, seen: Seen) -> list[TrackFrame]:
        """Return the frames that are settled now."""
        slot = self._pushed % len(self._times)
        self._times[slot], self._points[slot], self._visibility[slot] = frame
        self._connect(frame, seen)
        self._gap = np.where(seen, 0, self._gap + 1)
        self._open[slot] = ~seen
        self._hold(self._gap > self.max_gap)
        self._held[seen] = frame.points[seen]
        self._held_s[seen] = frame.time_s
        self._known |= seen
        self._pushed += 1
        return self._settled()

    def finish(self) -> list[TrackFrame]:
        """Return the frames that were still waiting: their gaps have no end."""
        self._hold(np.ones_like(self._known))
        return self._settled()

    def _connect(self, frame: TrackFrame, seen: Seen) -> None:
        """End the short gaps of the joints that this frame shows again."""
        slot, joint = np.nonzero(self._open & seen)
        if not slot.size:
            return
        end, known = frame.points[joint], self._known[joint]
        start = np.where(known[:, None], self._held[joint], end)
        start_s = np.where(known, self._held_s[joint], frame.time_s - 1)
        weight = (self._times[slot] - start_s) / (frame.time_s - start_s)
        self._points[slot, joint] = blend(start, end, weight.astype(np.float32)[:, None])
        self._open[slot, joint] = False

    def _hold(self, joints: Seen) -> None:
        slot, joint = np.nonzero(self._open & joints)
        if slot.size:
            self._points[slot, joint] = self._held[joint]
            self._open[slot, joint] = False

    def _settled(self) -> list[TrackFrame]:
        ready = []
        while self._left < self._pushed:
            slot = self._left % len(self._times)
            if self._open[slot].any():
                break
            points, visibility = self._points[slot].copy(), self._visibility[slot].copy()
            ready.append(TrackFrame(float(self._times[slot]), points, visibility))
            self._left += 1
        return ready
