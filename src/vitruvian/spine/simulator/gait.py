"""Walking 2 m, turning round, walking back: the simulator's second exercise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitruvian.spine.simulator.body import LEFT, RIGHT, Array, Body, Pose
from vitruvian.spine.simulator.curves import smooth
from vitruvian.spine.simulator.manner import LEAN, SIDES, Manner, Spells, standing

DISTANCE_M = 2.0  # paper 003, section III.B

_SPEED = 1.15  # m/s between speeding up and slowing down
_RAMP_S = 0.4
_TURN_S = 1.0
_WALK_S = DISTANCE_M / _SPEED + _RAMP_S
_STANCE = 0.6  # of a gait cycle; the rest is swing
_PITCH_PHASE = (0.0, 0.08, 0.4, 0.6, 0.78, 0.92, 1.0)  # of a gait cycle, from the contact on
_PITCH = tuple(np.radians((-14.0, 0.0, 3.0, 38.0, 10.0, -14.0, -14.0)))  # heel up


@dataclass(frozen=True)
class _Way:
    """Where on the way a walker is; (T,) each.

    Attributes:
        covered: metres in all.
        along: metres of this lap.
        place: on the line, from 0 to 2 m.
        facing: direction of this lap, radians.
        heading: of the body, which turns at the end of each lap.
        turned: share of that turn, even in time.
        sense: of the turns; 1 to the left.
    """

    covered: Array
    along: Array
    place: Array
    facing: Array
    heading: Array
    turned: Array
    sense: float

    @property
    def going(self) -> Array:
        """1 while walking, 0 at both ends of a lap."""
        return smooth(np.minimum(self.along, DISTANCE_M - self.along) / 0.3)

    @property
    def forward(self) -> Array:
        """(T, 3) direction of this lap."""
        return np.stack([np.sin(self.facing), 0.0 * self.facing, np.cos(self.facing)], -1)

    @property
    def ground(self) -> Array:
        """(T, 3) the point under the walker."""
        return self.place[:, None] * np.array([0.0, 0.0, 1.0])


def walk(
    body: Body, manner: Manner, spells: Spells, times: Array, rng: np.random.Generator
) -> Pose:
    """Walk 2 m, turn round, walk back, and so on.

    A bad back turns less above the pelvis, swings its arms less, most on one side, lurches to
    that side, steps shorter and slower, and hesitates.
    """
    gain = spells.gain(times)
    hitch = _hitches(manner, spells, times, rng)
    way = _way(manner, gain, hitch, times, rng)
    joints = standing(body, manner, spells, times, rng)
    stride = 0.76 * body.stature * (1.0 - 0.2 * manner.guard * gain)
    cycle = 2 * np.pi * way.covered / stride  # a whole turn from one contact of the left foot on
    _move_pelvis(joints, manner, way, cycle, hitch)
    _move_trunk(joints, manner, way, cycle, gain, hitch)
    joints |= _steps(body, way, stride, cycle)
    return Pose(**joints)


def _hitches(manner: Manner, spells: Spells, times: Array, rng: np.random.Generator) -> Array:
    """(T,) hesitations, each half a second; their number and depth grow with guarding."""
    starts, ends = np.maximum(spells.onsets_s, 0.4), np.array(spells.ends_s)
    ends = np.minimum(ends, starts + 4.0)
    moments = starts + (ends - starts) * rng.uniform(size=(3, len(starts)))
    depths = np.clip(2.2 * manner.guard - np.array([0.5, 1.0, 1.5]), 0.0, 1.0)
    depths = np.repeat(depths, len(starts))
    bumps = np.exp(-0.5 * ((times[:, None] - moments.ravel()) / 0.18) ** 2)
    return np.asarray((bumps * depths).max(-1))


def _way(manner: Manner, gain: Array, hitch: Array, times: Array, rng: np.random.Generator) -> _Way:
    """Laps of walk and turn, at a pace that signs and hesitations slow down."""
    rate = manner.pace * (1.0 - 0.3 * manner.guard * gain) * (1.0 - 0.92 * hitch)
    elapsed = np.cumsum(rate) * (times[1] - times[0]) - rng.uniform(0.1, 0.4)
    lap = np.maximum(np.floor(elapsed / (_WALK_S + _TURN_S)), 0.0)
    since = elapsed - lap * (_WALK_S + _TURN_S)
    grid = np.linspace(0.0, _WALK_S, 200)
    pace = np.minimum(np.minimum(grid, _WALK_S - grid) / _RAMP_S, 1.0).cumsum()
    along = np.interp(since, grid, DISTANCE_M * pace / pace[-1])
    sense = float(rng.choice((-1.0, 1.0)))
    turned = (since - _WALK_S) / _TURN_S
    return _Way(
        covered=DISTANCE_M * lap + along,
        along=along,
        place=np.where(lap % 2 == 0, along, DISTANCE_M - along),
        facing=sense * np.pi * lap,
        heading=sense * np.pi * (lap + smooth(turned)),
        turned=np.clip(turned, 0.0, 1.0),
        sense=sense,
    )


def _move_pelvis(
    joints: dict[str, Array], manner: Manner, way: _Way, cycle: Array, hitch: Array
) -> None:
    """Carry the pelvis along, over the standing foot, lowest when both feet stand."""
    going, forward = way.going, way.forward
    joints["heading"] = way.heading - 0.08 * going * np.cos(cycle)
    joints["obliquity"] = 0.05 * going * np.sin(cycle - 0.3)
    left = np.stack([forward[:, 2], 0 * going, -forward[:, 0]], -1)
    sideways = 0.018 * going * np.sin(cycle - 0.3) - 0.03 * manner.side * hitch
    drop = 0.012 + 0.022 * going * (1.0 + np.cos(2 * cycle - 0.6))
    joints["pelvis"] += way.ground + sideways[:, None] * left
    joints["pelvis"][:, 1] -= drop


def _move_trunk(
    joints: dict[str, Array], manner: Manner, way: _Way, cycle: Array, gain: Array, hitch: Array
) -> None:
    """Turn the shoulders against the pelvis, swing the arms against the legs, lurch."""
    going = way.going
    swing = going * manner.style * (1.0 - 0.75 * manner.rotation * gain)
    joints["twist"] += (0.08 + 0.12 * swing) * going * np.cos(cycle)
    lurch = 0.5 + 0.5 * manner.side * np.sin(cycle - 0.3)
    joints["lean"] += manner.side * LEAN * gain * manner.lean * (0.35 + 0.65 * going * lurch)
    joints["lean"] += manner.side * LEAN * 0.8 * hitch
    joints["flexion"] += 0.04
    amplitude = 0.42 * swing[:, None] * (1.0 - gain[:, None] * manner.held(0.5))
    joints["lift"] += amplitude * (-SIDES * np.cos(cycle)[:, None] + 0.15)
    joints["elbow"] += 0.05 + np.maximum(joints["lift"], 0.0) * 0.8


def _steps(body: Body, way: _Way, stride: Array, cycle: Array) -> dict[str, Array]:
    """Ankles, headings and pitch of both feet."""
    sides = [_foot(body, way, stride, cycle, side) for side in (LEFT, RIGHT)]
    names = ("feet", "toes", "heel")
    return {name: np.stack(pair, 1) for name, *pair in zip(names, *sides, strict=True)}


def _foot(body: Body, way: _Way, stride: Array, cycle: Array, side: int) -> tuple[Array, ...]:
    """Ankle (T, 3), heading (T,) and pitch (T,) of a foot that stands for 60 % of its cycle.

    While it stands, the walker leaves it behind; then it swings ahead by a stride. In a turn both
    feet make three small steps each.
    """
    going, outward = way.going, float(SIDES[side])
    phase = (cycle / (2 * np.pi) + 0.5 * side) % 1.0
    swung = (phase - _STANCE) / (1.0 - _STANCE)
    ahead = 0.5 * _STANCE - phase + smooth(swung)
    step = np.clip(6.0 * way.turned - np.arange(3)[:, None] * 2 - side, 0.0, 1.0)
    yaw = way.facing + way.sense * np.pi * smooth(step).mean(0)
    lifted = np.sin(np.pi * np.clip(swung, 0.0, 1.0)) * 0.05 * going
    lifted = lifted + 0.05 * np.sin(np.pi * step).sum(0)
    beside = 0.9 * body.hip * outward
    offset = np.stack([beside * np.cos(yaw), body.ankle + lifted, -beside * np.sin(yaw)], -1)
    ankle = way.ground + offset + (stride * going * ahead)[:, None] * way.forward
    return ankle, yaw + 0.1 * outward, going * np.interp(phase, _PITCH_PHASE, _PITCH)
