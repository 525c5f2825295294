"""Landmarks of a clip, as every part of the room hands them on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vitruvian.spine.skeletons import Skeleton, skeleton_named

Floats = npt.NDArray[np.float32]
Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Landmarks:
    """The joints of one person over time; a frame without a pose is NaN throughout.

    Attributes:
        times_s: (T,) float64, strictly rising, seconds since the first frame of the clip.
        points: (T, J, D) float32. BlazePose: x and y as shares of the frame's width and height
            (they may leave [0, 1]), z in the scale of x, smaller is nearer. Other sets: their own
            units.
        visibility: (T, J) float32 from 0 to 1; NaN without a pose; 1 in sets that have none.
        world: (T, J, 3) float32, metres around the middle of the hips; None where there are none.
        size: width and height of the frames that the pose net saw, pixels; None without video.
        skeleton: name of the joints' skeleton.
    """

    times_s: Times
    points: Floats
    visibility: Floats
    world: Floats | None = None
    size: tuple[int, int] | None = None
    skeleton: str = "blazepose33"

    def __post_init__(self) -> None:
        frames, joints = len(self.times_s), len(self.joints)
        expected = {
            "points": (frames, joints, self.joints.dims),
            "visibility": (frames, joints),
            "world": (frames, joints, 3),
        }
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise ValueError(f"{name} must have the shape {shape}, not {array.shape}")
        if (np.diff(self.times_s) <= 0).any():
            raise ValueError("times_s must rise strictly")

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.times_s)

    @property
    def joints(self) -> Skeleton:
        """The skeleton."""
        return skeleton_named(self.skeleton)

    @property
    def fps(self) -> float:
        """Mean frame rate; NaN for fewer than two frames."""
        if len(self) < 2:
            return float("nan")
        return float((len(self) - 1) / (self.times_s[-1] - self.times_s[0]))


@dataclass(frozen=True)
class Clip:
    """A recording of one exercise by one person, as landmarks, with its rating.

    Attributes:
        name: unique among the clips of a data set.
        participant: who; people are what splits divide.
        exercise: such as "walk".
        landmarks: of every frame.
        rating: of the back, 0 (worst) to 100 (best); NaN where there is none.
        simulated: whether a simulator made it.
    """

    name: str
    participant: str
    exercise: str
    landmarks: Landmarks
    rating: float = float("nan")
    simulated: bool = False

    @property
    def index(self) -> float:
        """Spinal health index, 0 (best) to 1 (worst): 1 - rating/100 (paper 003, section III.B)."""
        return 1 - self.rating / 100
