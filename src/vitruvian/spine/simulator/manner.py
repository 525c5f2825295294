"""How someone moves: habits, signs of a bad back, and when the signs show.

How a bad back shows is a design decision of the simulator, not a finding about people. It follows
what paper 003 (section IV) names: a lean to one side, shoulders of different height, reduced axial
rotation, restricted bending, unstable movement. Two properties make the problem one of sequences:
the signs come in `Spells`, with a trace of them in between, so that a clip of 17 s must be kept in
mind to its end; and hesitation, a rest in the middle of a movement, is nothing in a single frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitruvian.spine.simulator.body import Array, Body, Pose
from vitruvian.spine.simulator.curves import drift, smooth

FULL_BEND = 2.2  # rad that the upper trunk inclines to touch the toes
LEAN = np.radians(12.0)  # of the trunk to one side, at the worst
SIDES = np.array([1.0, -1.0])  # what is up on the left is down on the right
_SHRUG = 0.15  # rad of each clavicle, opposite ways: shoulders differ by 6 cm, at the worst
_STOOP = 0.22  # rad of the spine to the front, at the worst
_GUARDED = 0.7  # rad that the elbows are held bent, at the worst


@dataclass(frozen=True)
class Manner:
    """How someone moves: signs of a bad back, and what differs between healthy people.

    Attributes:
        side: 1 where lean and low shoulder are to the left, -1 to the right.
        lean: asymmetric lean, 0 to 1, as are the next five.
        shoulder: difference of the heights of the shoulders.
        rotation: how far the rotation of the trunk and the swing of the arms are reduced.
        bend: how far bending forward is restricted, and standing is stooped.
        guard: slow, hesitant movement, arms held bent.
        sway: unsteadiness.
        reach_rad: inclination of the trunk at full forward bend.
        pace: tempo, about 1.
        spring_m: height of a jump.
        style: amplitude of rotation and arm swing in walking, about 1.
        tilted_rad: habitual lean of a healthy back, to the left.
        elbow_rad: habitual bend of the elbows.
        shrugged_rad: habitual difference of the shoulders, left one up.
    """

    side: float = 1.0
    lean: float = 0.0
    shoulder: float = 0.0
    rotation: float = 0.0
    bend: float = 0.0
    guard: float = 0.0
    sway: float = 0.0
    reach_rad: float = FULL_BEND
    pace: float = 1.0
    spring_m: float = 0.35
    style: float = 1.0
    tilted_rad: float = 0.0
    elbow_rad: float = 0.2
    shrugged_rad: float = 0.0

    def slowness(self, gain: float) -> float:
        """Factor on the time that a movement takes."""
        return (1.0 + 0.45 * self.guard * gain) / self.pace

    def held(self, share: float) -> Array:
        """(2,) by how much the left and the right arm are held back: the one on the bad side."""
        return np.array([self.side > 0, self.side < 0]) * share * self.lean


@dataclass(frozen=True)
class Spells:
    """When the signs show: for a few seconds at a time, and a trace in between.

    Attributes:
        onsets_s: when a spell begins, within 0.5 s.
        ends_s: when it is over, within 0.5 s.
        trace: strength in between, relative to within.
    """

    onsets_s: tuple[float, ...] = (-1.0,)
    ends_s: tuple[float, ...] = (1e3,)
    trace: float = 0.35

    @classmethod
    def drawn(cls, rng: np.random.Generator, seconds: float) -> Spells:
        """A first spell of 3 to 4 s from the start on, then shorter ones, 2 to 4.5 s apart."""
        onsets, ends = [-0.6], [float(rng.uniform(3.0, 4.0))]
        while ends[-1] < seconds:
            onsets.append(ends[-1] + float(rng.uniform(2.0, 4.5)))
            ends.append(onsets[-1] + float(rng.uniform(2.0, 3.0)))
        return cls(tuple(onsets), tuple(ends))

    def gain(self, times: Array | float) -> Array:
        """Strength of the signs at `times` (seconds)."""
        now = np.asarray(times)[..., None]
        begun, over = (smooth((now - np.array(x)) / 0.5) for x in (self.onsets_s, self.ends_s))
        return self.trace + (1.0 - self.trace) * (begun - over).sum(-1)


def standing(
    body: Body, manner: Manner, spells: Spells, times: Array, rng: np.random.Generator
) -> dict[str, Array]:
    """Joints of someone who stands upright at the origin, with habits, signs and sway.

    Returns:
        All attributes of a `Pose`, for an exercise to add its movements.
    """
    frames, gain = len(times), spells.gain(times)
    still = {name: np.zeros(frames) for name in Pose.__dataclass_fields__}
    one, pair = np.ones((frames, 1)), np.zeros((frames, 2))
    wobble = drift(rng, frames, 5, 12.0) * (0.25 + 1.6 * manner.sway * gain)[:, None]
    raised = manner.shrugged_rad - manner.side * _SHRUG * manner.shoulder * (0.45 + 0.55 * gain)
    ankles = np.stack([1.25 * body.hip * SIDES, [body.ankle] * 2, [0.0] * 2], -1)
    return still | {
        "pelvis": one * np.array([0.0, body.hip_height, 0.0]) + 0.008 * wobble[:, :3] * (1, 0, 1),
        "flexion": _STOOP * manner.bend * gain,
        "lean": manner.tilted_rad + 0.012 * wobble[:, 3],
        "twist": 0.02 * wobble[:, 4],
        "shrug": raised[:, None] * SIDES - 0.08,
        "lift": pair + 0.05,
        "spread": pair + 0.13,
        "elbow": pair + (manner.elbow_rad + _GUARDED * manner.guard * gain)[:, None],
        "feet": np.repeat(ankles[None], frames, 0),
        "toes": pair + 0.12 * SIDES,
        "heel": pair.copy(),
    }
