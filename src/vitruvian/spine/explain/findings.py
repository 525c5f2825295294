"""What can be seen in a person's movement beside the index: four findings, each from 0 to 1.

They are measured from shoulders and hips, not learnt, and name the frames in which they show
(paper 003, section IV and Fig. 4, which does not say how its lean and rotation indices are made).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vitruvian.spine.explain.trunk import TRUNK, Floats, Trunk
from vitruvian.spine.landmarks import Times
from vitruvian.spine.skeletons import Skeleton
from vitruvian.spine.track.cleaning import Track

__all__ = ["REFERENCES", "WORDING", "Finding", "Reference", "findings", "why_none"]

WORDING = "a screening index trained on self-report, not a diagnosis"


@dataclass(frozen=True)
class Reference:
    """Range in which a measurement becomes a finding.

    Attributes:
        label: of the finding, in words.
        normal: measurement that counts 0, in degrees.
        extreme: measurement that counts 1; below `normal` where too little is the finding.
        usual: what healthy people do, in words.
        source: of these numbers.
    """

    label: str
    normal: float
    extreme: float
    usual: str
    source: str

    def value(self, measured: float) -> float:
        """Place a measurement between normal (0) and extreme (1); NaN stays."""
        share = (measured - self.normal) / (self.extreme - self.normal)
        return float(np.clip(share, 0, 1))


_CHUNG = "Chung et al., J NeuroEng Rehabil 2010, 7:9, table 2: trunks of 20 healthy walkers"
REFERENCES = {
    "asymmetric_lean": Reference(
        "asymmetric lean",
        normal=2.6,  # two standard deviations of the mean obliquity, 0.0 +- 1.3
        extreme=6.0,
        usual="up to 2.6° is usual",
        source=f"{_CHUNG}; extreme: our choice",
    ),
    "shoulder_height_difference": Reference(
        "shoulder height difference",
        normal=3.0,  # below it shoulders are called balanced
        extreme=10.7,  # the largest of 113 people before an operation of their scoliosis
        usual="up to 3° is usual",
        source="Matamalas et al., Eur Spine J 2016, 25:3482; Ono et al., Spine 2010, e-poster 211",
    ),
    "reduced_axial_rotation": Reference(
        "reduced axial rotation",
        normal=13.7,  # the mean of the range relative to the pelvis, 13.7 +- 4.9
        extreme=3.9,  # two standard deviations below it
        usual="13.7° is the mean of healthy people",
        source=_CHUNG,
    ),
    "restricted_forward_bend": Reference(
        "restricted forward bend",
        normal=80.0,  # the mean of 41 people was 111, measured at the loins, which bend further
        extreme=30.0,
        usual="80° or more is usual",
        source="Esola et al., Spine 1996, 21:71-78; the distance from it and extreme: our choice",
    ),
}

# Our choices.
_FEWEST = 15  # frames, half a second
_LEVEL = 0.25  # share of the frames that must show the person upright, from the front or behind
_LEVEL_FLAT = 0.5  # the same for the rotation, where depth is a guess
_FRAMES, _APART_S = 3, 0.4  # frames that show a finding, and seconds between them
_WALKING, _BENDING = ("walk", "gait"), ("toe", "bend", "flex")


@dataclass(frozen=True)
class Finding:
    """One thing that the movement shows.

    Attributes:
        name: one of `REFERENCES`.
        value: 0 (usual) to 1 (extreme); NaN if it could not be assessed.
        frames: indices of the track's frames that show it best, in the order of time; none if it
            could not be assessed.
        times_s: their times, seconds.
        text: in words, with the reason if it could not be assessed.
        measured: what `value` was made of; NaN if it could not be assessed.
        unit: of `measured`.
    """

    name: str
    value: float
    frames: list[int]
    times_s: list[float]
    text: str
    measured: float
    unit: str = "degrees"

    @property
    def label(self) -> str:
        """The name in words."""
        return REFERENCES[self.name].label

    @property
    def assessed(self) -> bool:
        """Whether there is a value."""
        return not math.isnan(self.value)


def why_none(skeleton: Skeleton) -> str:
    """Why this skeleton has no findings; empty if it has."""
    if skeleton.has(*TRUNK):
        return ""
    if skeleton.relative:
        return f"no findings: the joints of {skeleton.name} are no points in one space"
    return f"no findings: the skeleton {skeleton.name} has no shoulders and hips"


def findings(
    track: Track, skeleton: Skeleton, exercise: str = "", aspect: float = 1.0, depth: bool = False
) -> list[Finding]:
    """Measure what the movement shows.

    Args:
        track: cleaned landmarks, y downwards.
        skeleton: of its joints.
        exercise: in the words of the data set, such as "walk" or "touch toes"; with none, what the
            person does is told from the movement.
        aspect: width over height of the frames that x and y are shares of; 1 for lengths.
        depth: whether z is a length like the others, as in world landmarks.

    Returns:
        One finding of each name in `REFERENCES`; no findings if the skeleton has no shoulders and
        hips (`why_none` says so).

    Raises:
        ValueError: the aspect is not positive.
    """
    if not aspect > 0:
        raise ValueError(f"aspect must be above 0, not {aspect}")
    if why_none(skeleton):
        return []
    trunk, told = Trunk.of(track, skeleton, aspect, depth), exercise.lower()
    if np.count_nonzero(trunk.seen) < _FEWEST:
        return [_unassessed(name, "shoulders and hips are seen too briefly") for name in REFERENCES]
    measured = (_lean(trunk), _shoulders(trunk), _rotation(trunk, told), _bend(trunk, told))
    return [
        _unassessed(name, found) if isinstance(found, str) else _found(name, trunk.times_s, found)
        for name, found in zip(REFERENCES, measured, strict=True)
    ]


# -- the four: a measurement, or why there is none -----------------------------------------------


class _Measured(NamedTuple):
    """Degrees, what they say, and how much each frame (T,) speaks for them."""

    degrees: float
    text: str
    drive: Floats


_NOT_LEVEL = "the person is not seen upright from the front or from behind"


def _lean(trunk: Trunk) -> _Measured | str:
    """How far the middle between the largest leans to the left and to the right is off upright."""
    level, lean = trunk.level, trunk.lean
    if not _often(trunk, _LEVEL):
        return _NOT_LEVEL
    right, left = np.percentile(lean[level], (5, 95))
    middle = float(left + right) / 2
    text = (
        f"the middle of the trunk's sway, {left - right:.0f}° wide, lies {abs(middle):.1f}° to the "
        f"{_side(middle)} of upright"
    )
    return _Measured(abs(middle), text, _plainly(trunk, lean * np.sign(middle)))


def _shoulders(trunk: Trunk) -> _Measured | str:
    """How far the line of the shoulders is tilted against that of the hips most of the time."""
    level, tilt = trunk.level, trunk.tilt
    if not _often(trunk, _LEVEL):
        return _NOT_LEVEL
    middle = float(np.median(tilt[level]))
    text = f"the {_side(middle)} shoulder is {abs(middle):.1f}° higher, measured against the hips"
    return _Measured(abs(middle), text, _plainly(trunk, tilt * np.sign(middle)))


def _rotation(trunk: Trunk, exercise: str) -> _Measured | str:
    """How far shoulders and hips turn against each other in time with the steps."""
    if not trunk.has_depth:
        return "the landmarks have no depth"
    told = _is(exercise, _WALKING)
    if not (trunk.walks if trunk.step.any() and (told or not exercise) else told):
        return "the person does not walk"
    if not (trunk.depth or _often(trunk, _LEVEL_FLAT)):
        return _NOT_LEVEL
    turn = trunk.turn_of_steps
    low, middle, high = np.percentile(turn[trunk.seen], (5, 50, 95)).tolist()
    text = f"shoulders and hips turn {high - low:.0f}° against each other in walking"
    drive = np.where(trunk.seen, np.abs(turn - middle), -np.inf)
    return _Measured(high - low, text, drive)


def _bend(trunk: Trunk, exercise: str) -> _Measured | str:
    """How far the trunk bends from its most upright position."""
    if not (_is(exercise, _BENDING) if exercise else trunk.bends):
        return "the person does not bend forward"
    low, high = np.percentile(trunk.bend[trunk.seen], (5, 95)).tolist()
    text = f"the trunk bends forward by {high - low:.0f}°"
    return _Measured(high - low, text, np.where(trunk.seen, trunk.bend, -np.inf))


def _often(trunk: Trunk, share: float) -> bool:
    """Whether sideways can be told from forwards in so many of the frames."""
    level = np.count_nonzero(trunk.level)
    return bool(level >= max(_FEWEST, share * np.count_nonzero(trunk.seen)))


def _plainly(trunk: Trunk, towards: Floats) -> Floats:
    """How far (T,) a frame speaks for a finding: first of all those that show it to the eye."""
    shown = np.where(trunk.plain, towards, towards - 360)
    return np.where(trunk.level, shown, -np.inf)


def _is(exercise: str, words: tuple[str, ...]) -> bool:
    return any(word in exercise for word in words)


def _side(angle: float) -> str:
    return "left" if angle >= 0 else "right"


def _found(name: str, times_s: Times, measured: _Measured) -> Finding:
    """The finding, and the frames that speak for it most."""
    reference, degrees = REFERENCES[name], measured.degrees
    text = f"{measured.text} ({reference.usual})"
    frames = _largest(measured.drive, times_s)
    times = [float(times_s[frame]) for frame in frames]
    return Finding(name, reference.value(degrees), frames, times, text, degrees)


def _unassessed(name: str, reason: str) -> Finding:
    return Finding(name, math.nan, [], [], f"not assessed: {reason}", math.nan)


def _largest(drive: Floats, times_s: Times) -> list[int]:
    """A few frames of the largest drive, some time apart, in the order of time."""
    chosen: list[int] = []
    for frame in np.argsort(-drive, kind="stable").tolist():
        if all(abs(times_s[frame] - times_s[other]) >= _APART_S for other in chosen):
            chosen.append(frame)
        if len(chosen) == _FRAMES or drive[frame] == -np.inf:
            break
    return sorted(frame for frame in chosen if drive[frame] > -np.inf)
