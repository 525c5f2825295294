"""The trunk over time: shoulders against hips, and both against the vertical, in degrees.

Landmarks of the image are taken as a flat picture, because their depth is a guess: on a real walk
seen from the side it made shoulders 1.8 trunks wide. Only the turn of the shoulders against the
hips reads it, for want of anything better. World landmarks (metres) are points in space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.signal import hilbert

from vitruvian.spine.landmarks import Times
from vitruvian.spine.skeletons import Skeleton
from vitruvian.spine.track.cleaning import Track

TRUNK = ("left shoulder", "right shoulder", "left hip", "right hip")
ANKLES = ("left ankle", "right ankle")

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Our choices, all of them.
_SEEN = 0.5  # visibility of shoulders and hips below which a frame is left out
_SMOOTH_S = 0.1  # a running mean; walking turns the trunk once a second
_UPRIGHT = 20.0  # degrees: bent further, what is forwards seems sideways to a camera not in front
_FACING = 0.5, 1.0  # apparent width of the shoulders in trunks: not turned away, not bent
_PLAIN = 0.7  # apparent width of the shoulders over their true one
_BENDS = 45.0  # degrees: who bends as far does so on purpose
_STEP = 0.3  # trunks from ankle to ankle, each in front once: who does so walks
_TINY = 1e-9


@dataclass(frozen=True)
class Trunk:
    """Shoulders and hips over time; x to the right of the image, y upwards, z away from it.

    Attributes:
        times_s: (T,) seconds.
        seen: (T,) whether shoulders and hips are.
        shoulders: (T, 3) from the right to the left one.
        hips: (T, 3) likewise.
        spine: (T, 3) from the middle of the hips to that of the shoulders.
        step: (T, 3) from the right to the left ankle; zero where the skeleton has none.
        legs: (T, 3) from the middle of the ankles to that of the hips; zero likewise.
        has_depth: whether z is there at all.
        depth: whether z can be trusted.
    """

    times_s: Times
    seen: Flags
    shoulders: Floats
    hips: Floats
    spine: Floats
    step: Floats
    legs: Floats
    has_depth: bool
    depth: bool

    @classmethod
    def of(cls, track: Track, skeleton: Skeleton, aspect: float, depth: bool) -> Trunk:
        """The trunk of a track whose skeleton has shoulders and hips.

        Args:
            track: cleaned landmarks, y downwards.
            skeleton: of its joints.
            aspect: width over height of the frames that x and y are shares of; 1 for lengths.
            depth: whether z is a length like the others, as in world landmarks.
        """
        points = _steady(track, aspect)

        def pair(names: tuple[str, str]) -> tuple[Floats, Floats]:
            left, right = (points[:, skeleton.index(name)] for name in names)
            return left - right, (left + right) / 2

        (shoulders, top), (hips, middle) = pair(TRUNK[:2]), pair(TRUNK[2:])
        step, feet = pair(ANKLES) if skeleton.has(*ANKLES) else (0 * hips, middle)
        joints = [skeleton.index(name) for name in TRUNK]
        seen = track.visibility[:, joints].min(axis=1) >= _SEEN
        has_depth = skeleton.dims >= 3
        spine, legs = top - middle, middle - feet
        return cls(
            track.times_s, seen, shoulders, hips, spine, step, legs, has_depth, depth and has_depth
        )

    def _trusted(self, vectors: Floats) -> Floats:
        """Vectors as far as they can be trusted: in space, or in the picture."""
        return vectors if self.depth else vectors * (1, 1, 0)

    @property
    def level(self) -> Flags:
        """(T,) frames in which sideways can be told from forwards."""
        upright = self.seen & (self.bend < _UPRIGHT)
        if self.depth:
            return upright
        width = np.abs(self.shoulders[:, 0])
        shown = width / np.maximum(np.linalg.norm(self.spine[:, :2], axis=1), _TINY)
        facing = self.seen & (shown >= _FACING[0]) & (shown <= _FACING[1])
        # Who walks away becomes smaller, which looks like bending in a flat picture.
        return facing & (self.spine[:, 1] > 0) if self.walks else facing & upright

    @property
    def plain(self) -> Flags:
        """(T,) those of them that show it to the eye, from the front or from behind."""
        if not self.depth:
            return self.level
        width = np.abs(self.shoulders[:, 0])
        return self.level & (width >= _PLAIN * np.linalg.norm(self.shoulders, axis=1))

    @property
    def lean(self) -> Floats:
        """(T,) of the spine to the person's left of the upright legs.

        Not of the vertical of the frames, which no camera knows that looks down or is rolled.
        """
        flat = np.sign(self.shoulders) * (1, 0, 0)
        level = (_unit(line * (1, 0, 1)) for line in (self.hips, self.shoulders))
        left = _unit(np.add(*level)) if self.depth else flat
        spine, legs = (
            _degrees(np.arcsin, _dot(_unit(self._trusted(line)), left))
            for line in (self.spine, self.legs)
        )
        return spine - np.median(legs[self.level]) if self.level.any() else spine

    @property
    def tilt(self) -> Floats:
        """(T,) of the line of the shoulders against that of the hips, the left end up."""
        spine = _unit(self._trusted(self.spine))
        lines = (_unit(self._trusted(line)) for line in (self.shoulders, self.hips))
        above, below = (_degrees(np.arcsin, _dot(line, spine)) for line in lines)
        return above - below

    @property
    def bend(self) -> Floats:
        """(T,) from upright; seen flat, a trunk shorter than it once was is bent, too."""
        spine = self._trusted(self.spine)
        length = np.linalg.norm(spine, axis=1)
        if not self.depth:
            length = np.maximum(length, np.percentile(length, 95))
        return _degrees(np.arccos, spine[:, 1] / np.maximum(length, _TINY))

    @property
    def turn(self) -> Floats:
        """(T,) of the shoulders against the hips about the spine."""
        axis = _unit(self.spine)
        hips, shoulders = (v - _dot(v, axis)[:, None] * axis for v in (self.hips, self.shoulders))
        sine = _dot(np.asarray(np.cross(hips, shoulders), np.float64), axis)
        return np.degrees(np.arctan2(sine, _dot(hips, shoulders)))

    @property
    def turn_of_steps(self) -> Floats:
        """(T,) the part of `turn` that keeps time with the steps: jitter and looking round do not.

        The stride, the stride a quarter of a cycle later (its Hilbert transform) and a steady drift
        are fitted to it, and the drift is left out. Without ankles it is all of `turn`.
        """
        if not self.step.any():
            return self.turn
        stride = self._stride - self._stride.mean()
        drift = np.ones_like(stride), self.times_s - self.times_s[0]
        waves = np.stack([stride, np.imag(hilbert(stride)), *drift], axis=1)
        weights, *_ = np.linalg.lstsq(waves[self.seen], self.turn[self.seen], rcond=None)
        return waves[:, :2] @ weights[:2]

    @property
    def _stride(self) -> Floats:
        """(T,) how far the left ankle is in front of the right one, in trunks."""
        front = np.asarray(np.cross(_unit(self.hips * (1, 0, 1)), (0, 1, 0)), np.float64)
        return _dot(self.step, front) / np.linalg.norm(self.spine, axis=1).max()

    @property
    def bends(self) -> bool:
        """Whether the person bends far; coming nearer makes the legs longer, too, and is none."""
        low, high = np.percentile(self.bend[self.seen], (5, 95))
        share = self.spine[:, 1] / np.maximum(self.legs[:, 1], _TINY)
        least, most = np.percentile(share[self.seen], (5, 95))
        folds = not self.legs.any() or least < most * np.cos(np.radians(_BENDS))
        return bool(high - low >= _BENDS and folds)

    @property
    def walks(self) -> bool:
        """Whether each foot is well in front of the other at some time; it takes depth."""
        low, high = np.percentile(self._stride[self.seen], (5, 95))
        return self.has_depth and bool(low < -_STEP and high > _STEP)


def _steady(track: Track, aspect: float) -> Floats:
    """(T, J, 3) points in true proportions, y upwards, without the jitter of the pose net."""
    points = np.zeros((*track.points.shape[:2], 3))
    points[..., : track.points.shape[2]] = track.points
    points *= (aspect, -1, aspect)
    pace = float(np.median(np.diff(track.times_s))) if len(track) > 1 else 1.0
    calm = median_filter(points, size=(5, 1, 1), mode="mirror")  # a wild first frame counts once
    return uniform_filter1d(calm, max(1, round(_SMOOTH_S / pace)), axis=0, mode="nearest")


def _dot(first: Floats, second: Floats) -> Floats:
    return np.einsum("ti,ti->t", first, second)


def _unit(vectors: Floats) -> Floats:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), _TINY)


def _degrees(inverse: Any, ratio: Floats) -> Floats:
    return np.degrees(inverse(np.clip(ratio, -1, 1)))
