"""The three exercises of paper 003 (section III.B) as motions of the simulated body.

How a motion shows a bad back is a design decision of the simulator, not a finding about people. It
follows what the paper names: a lean to one side, shoulders of different height, reduced axial
rotation, restricted bending, sway. Two properties make the problem one of sequences. Most signs are
there only during a `Spells` of a few seconds: a clip of 5 s shows it almost throughout, one of 17 s
only somewhere, and what was seen then must be remembered to the end. And hesitations (a rest in the
middle of a movement) mean nothing in a single frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vitruvian.spine.simulator.body import LEFT, RIGHT, Array, Body, Pose

GRAVITY = 9.81  # m/s2
DISTANCE_M = 2.0  # of the walk
FULL_BEND = 2.2  # rad that the upper trunk inclines to touch the toes

_LEAN = np.radians(12.0)  # of the trunk to one side, at the worst
_SHRUG = 0.15  # rad of each clavicle, opposite ways: shoulders differ by about 4 cm
_SIDES = np.array([1.0, -1.0])  # what is up on the left is down on the right


@dataclass(frozen=True)
class Manner:
    """How someone moves: signs of a bad back, and what differs between healthy people.

    Attributes:
        side: 1 where lean and low shoulder are to the left, -1 to the right.
        lean: asymmetric lean, 0 to 1, as are the next five.
        shoulder: difference of the heights of the shoulders.
        rotation: how far the rotation of the trunk and the swing of the arms are reduced.
        bend: how far bending forward is restricted.
        guard: slow, hesitant movement.
        sway: unsteadiness.
        reach_rad: inclination of the trunk at full forward bend.
        pace: tempo, about 1.
        spring_m: height of a jump.
        style: amplitude of rotation and arm swing in walking, about 1.
        tilted_rad: habitual lean of a healthy back, to the left.
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


class Keys:
    """A value over time by key frames, with minimum-jerk movements between them."""

    def __init__(self, value: float, wait_s: float) -> None:
        """Stay at `value` for `wait_s`."""
        self.times, self.values = [0.0], [value]
        self.hold(wait_s)

    @property
    def now(self) -> float:
        """Time of the last key."""
        return self.times[-1]

    def to(self, value: float, seconds: float) -> Keys:
        """Move to `value`."""
        self.times.append(self.now + seconds)
        self.values.append(value)
        return self

    def hold(self, seconds: float) -> Keys:
        """Rest."""
        return self.to(self.values[-1], seconds)

    def at(self, times: Array) -> Array:
        """Values at `times`."""
        knots, values = np.array(self.times), np.array(self.values)
        right = np.clip(np.searchsorted(knots, times, side="right"), 1, len(knots) - 1)
        span = np.maximum(knots[right] - knots[right - 1], 1e-9)
        way = smooth((times - knots[right - 1]) / span)
        return values[right - 1] + (values[right] - values[right - 1]) * way


def smooth(share: Array | float) -> Array:
    """From 0 to 1 with minimum jerk (Flash and Hogan, 1985), constant outside."""
    x = np.clip(share, 0.0, 1.0)
    return np.asarray(x * x * x * (10.0 - 15.0 * x + 6.0 * x * x))


def drift(rng: np.random.Generator, frames: int, channels: int, width: float) -> Array:
    """(frames, channels) smooth noise of unit variance; `width` is its time scale in frames."""
    white = rng.standard_normal((frames, channels))
    return gaussian_filter1d(white, width, axis=0, mode="wrap") * np.sqrt(2 * width * np.pi**0.5)


Motion = Callable[[Body, Manner, Spells, Array, np.random.Generator], Pose]


def touch_toes(
    body: Body, manner: Manner, spells: Spells, times: Array, rng: np.random.Generator
) -> Pose:
    """Bend forward with hanging arms, come up again, as often as the time allows.

    A bad back bends less deep, takes more from the hips and knees, drifts to one side with depth
    and more so on the way up, and may rest half-way up.
    """
    inclination = _bends(manner, spells, times[-1], rng).at(times)
    gain, load = spells.gain(times), inclination / FULL_BEND
    joints = _standing(body, manner, spells, times, rng)
    joints["flexion"] += inclination * (0.55 - 0.15 * manner.bend * gain)
    joints["tilt"] = inclination * (0.45 + 0.15 * manner.bend * gain)
    joints["nod"] = 0.25 * load
    rising = np.clip(-np.gradient(inclination, times) / 1.2, 0.0, 1.0)
    shift = manner.side * gain * (manner.lean * (0.3 + 0.9 * load) + 0.6 * manner.guard * rising)
    joints["lean"] += _LEAN * shift
    joints["twist"] += 0.12 * shift * load
    back = 0.065 * body.stature * np.sin(np.minimum(inclination, 1.5))
    knees = (0.006 + 0.05 * manner.bend * gain) * load
    leg = body.hip_height - body.ankle
    joints["pelvis"] += np.stack(
        [-0.03 * shift, np.sqrt(leg**2 - back**2) - leg - knees, -back], -1
    )
    return _reach_down(body, Pose(**joints), inclination)


def _bends(manner: Manner, spells: Spells, end: float, rng: np.random.Generator) -> Keys:
    """Inclination of the trunk over time."""
    keys = Keys(0.0, rng.uniform(0.15, 0.45))
    while keys.now < end:
        gain = float(spells.gain(keys.now + 1.0))
        slow = manner.slowness(gain) * rng.normal(1.0, 0.04)
        deep = manner.reach_rad * (1.0 - 0.42 * manner.bend * gain) * rng.normal(1.0, 0.03)
        rest = manner.guard * gain * rng.uniform(0.2, 1.0)
        keys.to(deep, 1.0 * slow).hold(rng.uniform(0.05, 0.3))
        if rest > 0.15:
            keys.to(rng.uniform(0.35, 0.65) * deep, 0.5 * slow).hold(0.8 * rest)
        keys.to(0.0, 1.0 * slow).hold(rng.uniform(0.2, 0.5))
    return keys


def _reach_down(body: Body, pose: Pose, inclination: Array) -> Pose:
    """Let the arms hang; elbows bend where the hands would go through the floor."""
    height = body.shoulders(pose)[..., 1] - 0.03
    elbow = 2.0 * np.arccos(np.clip(height / body.arm, 0.35, 0.997))
    pose.elbow[:] = np.maximum(elbow, pose.elbow)
    pose.lift[:] += inclination[:, None] - 0.5 * np.where(elbow > 0.2, elbow, 0.0)
    return pose


def walk(
    body: Body, manner: Manner, spells: Spells, times: Array, rng: np.random.Generator
) -> Pose:
    """Walk 2 m, turn round, walk back, and so on.

    A bad back turns less above the pelvis, swings its arms less, most on one side, lurches to
    that side, steps shorter and slower, and hesitates.
    """
    gain = spells.gain(times)
    hitch = _hitches(manner, spells, times, rng)
    lap = _laps(manner, gain, hitch, times, rng)
    joints = _standing(body, manner, spells, times, rng)
    stride = 0.76 * body.stature * (1.0 - 0.2 * manner.guard * gain)
    cycle = 2 * np.pi * lap["covered"] / stride
    going = smooth(np.minimum(lap["along"], DISTANCE_M - lap["along"]) / 0.3)
    swing = going * manner.style * (1.0 - 0.75 * manner.rotation * gain)
    joints["heading"] = lap["heading"] - 0.08 * going * np.cos(cycle)
    joints["twist"] += (0.08 + 0.12 * swing) * going * np.cos(cycle)
    joints["obliquity"] = 0.05 * going * np.sin(cycle - 0.3)
    lurch = 0.5 + 0.5 * manner.side * np.sin(cycle - 0.3)
    joints["lean"] += manner.side * _LEAN * gain * manner.lean * (0.35 + 0.65 * going * lurch)
    joints["lean"] += manner.side * _LEAN * 0.8 * hitch
    joints["flexion"] += 0.04
    joints["lift"] += _arm_swing(manner, gain, swing, cycle)
    joints["elbow"] += 0.05 + np.maximum(joints["lift"], 0.0) * 0.8
    forward = np.stack([np.sin(lap["facing"]), np.zeros_like(gain), np.cos(lap["facing"])], -1)
    ground = lap["place"][:, None] * np.array([0.0, 0.0, 1.0])
    joints |= _steps(body, lap, stride, cycle, going, ground, forward)
    left = np.stack([forward[:, 2], 0 * gain, -forward[:, 0]], -1)
    sideways = 0.018 * going * np.sin(cycle - 0.3) - 0.03 * manner.side * hitch
    drop = 0.012 + 0.022 * going * (1.0 + np.cos(2 * cycle - 0.6))
    joints["pelvis"] += ground + sideways[:, None] * left
    joints["pelvis"][:, 1] -= drop
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


def _laps(
    manner: Manner, gain: Array, hitch: Array, times: Array, rng: np.random.Generator
) -> dict[str, Array]:
    """Where on the way the walker is: there, turn, back, turn.

    Returns:
        (T,) each: `covered` metres in all; `along` this lap; `place` on the line, from 0 to 2;
        `facing` of this lap, `heading` of the body and `turned` share of the turn at its end.
    """
    rate = manner.pace * (1.0 - 0.3 * manner.guard * gain) * (1.0 - 0.92 * hitch)
    elapsed = np.cumsum(rate) * (times[1] - times[0]) - rng.uniform(0.1, 0.4)
    ramp, speed, turn_s = 0.4, 1.15, 1.0
    walk_s = DISTANCE_M / speed + ramp
    lap = np.maximum(np.floor(elapsed / (walk_s + turn_s)), 0.0)
    since = elapsed - lap * (walk_s + turn_s)
    grid = np.linspace(0.0, walk_s, 200)
    pace = np.minimum(np.minimum(grid, walk_s - grid) / ramp, 1.0).cumsum()
    along = np.interp(since, grid, DISTANCE_M * pace / pace[-1])
    turned = smooth((since - walk_s) / turn_s)
    way = float(rng.choice((-1.0, 1.0)))
    return {
        "covered": DISTANCE_M * lap + along,
        "along": along,
        "place": np.where(lap % 2 == 0, along, DISTANCE_M - along),
        "facing": way * np.pi * lap,
        "heading": way * np.pi * (lap + turned),
        "turned": np.clip((since - walk_s) / turn_s, 0.0, 1.0),
        "way": np.full_like(along, way),
    }


def _arm_swing(manner: Manner, gain: Array, swing: Array, cycle: Array) -> Array:
    """(T, 2) to the front and back, against the legs; the bad side holds its arm."""
    held = np.array([manner.side > 0, manner.side < 0]) * 0.5 * manner.lean
    amplitude = 0.42 * swing[:, None] * (1.0 - gain[:, None] * held)
    return amplitude * (-_SIDES * np.cos(cycle)[:, None] + 0.15)


def _steps(
    body: Body,
    lap: dict[str, Array],
    stride: Array,
    cycle: Array,
    going: Array,
    ground: Array,
    forward: Array,
) -> dict[str, Array]:
    """Ankles, headings and pitch of the feet: each stands for 60 % of its cycle."""
    feet, toes, heel = [], [], []
    for side, outward in ((LEFT, 1.0), (RIGHT, -1.0)):
        phase = (cycle / (2 * np.pi) + 0.5 * side) % 1.0
        ahead = 0.3 - phase + smooth((phase - 0.6) / 0.4)  # standing, it is left behind
        lifted = np.sin(np.pi * np.clip((phase - 0.6) / 0.4, 0.0, 1.0)) * 0.05 * going
        step = np.clip(6.0 * lap["turned"] - np.arange(3)[:, None] * 2 - side, 0.0, 1.0)
        yaw = lap["facing"] + lap["way"] * np.pi * smooth(step).mean(0)
        lifted = lifted + 0.05 * np.sin(np.pi * step).sum(0)
        beside = 0.9 * body.hip * outward
        offset = np.stack([beside * np.cos(yaw), body.ankle + lifted, -beside * np.sin(yaw)], -1)
        feet.append(ground + offset + (stride * going * ahead)[:, None] * forward)
        toes.append(yaw + 0.1 * outward)
        heel.append(going * np.interp(phase, _PITCH_PHASE, _PITCH))
    return {
        "feet": np.stack(feet, 1),
        "toes": np.stack(toes, 1),
        "heel": np.stack(heel, 1),
    }


_PITCH_PHASE = (0.0, 0.08, 0.4, 0.6, 0.78, 0.92, 1.0)  # of a gait cycle, from the contact on
_PITCH = tuple(np.radians((-14.0, 0.0, 3.0, 38.0, 10.0, -14.0, -14.0)))


def jump(
    body: Body, manner: Manner, spells: Spells, times: Array, rng: np.random.Generator
) -> Pose:
    """Crouch, jump as high as possible, land, stand up, as often as the time allows.

    A bad back crouches and jumps less, throws its arms less, leans to one side, most on landing.
    """
    hops = _hops(body, manner, spells, times, rng)
    gain, crouch = spells.gain(times), hops["crouch"]
    joints = _standing(body, manner, spells, times, rng)
    bent = crouch * (1.0 - 0.4 * manner.bend * gain)
    joints["flexion"] += 0.03 + 0.45 * bent
    joints["tilt"] = 0.45 * bent
    joints["nod"] = -0.3 * bent
    shift = manner.side * gain * manner.lean * (0.3 + 0.5 * crouch + 0.8 * hops["landing"])
    shift += manner.side * gain * manner.guard * 0.5 * hops["landing"]
    joints["lean"] += _LEAN * shift
    joints["twist"] += 0.1 * shift
    held = np.array([manner.side > 0, manner.side < 0]) * 0.35 * manner.lean
    thrown = hops["arms"] * (1.0 - 0.5 * manner.rotation * gain)
    joints["lift"] += thrown[:, None] * (1.0 - held * gain[:, None])
    joints["elbow"] += 0.35 * np.abs(joints["lift"])
    back = -0.11 * body.stature * crouch
    joints["pelvis"] += np.stack([-0.04 * shift, hops["height"], back], -1)
    joints["feet"][..., 1] += np.maximum(hops["height"] - hops["tiptoe"], 0.0)[:, None]
    joints["heel"] += (0.75 * hops["tiptoe"] / _TIPTOE)[:, None]
    return Pose(**joints)


_TIPTOE = 0.07  # metres that the hips rise onto the toes


def _hops(
    body: Body, manner: Manner, spells: Spells, times: Array, rng: np.random.Generator
) -> dict[str, Array]:
    """(T,) each: `height` of the hips against standing, of which `tiptoe`; `crouch` and `landing`
    from 0 to 1; `arms`, radians to the front."""
    names = ("height", "tiptoe", "crouch", "landing", "arms")
    hops = {name: np.zeros_like(times) for name in names}
    start = rng.uniform(0.15, 0.45)
    while start < times[-1]:
        gain = float(spells.gain(start + 0.8))
        slow = manner.slowness(gain) * rng.normal(1.0, 0.04)
        worse = gain * (0.25 * manner.bend + 0.2 * manner.guard + 0.12 * manner.lean)
        spring = manner.spring_m * (1.0 - worse) ** 1.5 * rng.normal(1.0, 0.04)
        deep = 0.17 * body.stature * (1.0 - 0.4 * manner.bend * gain) * rng.normal(1.0, 0.05)
        start = _hop(hops, times - start, spring, deep, slow) + start
        start += rng.uniform(0.2, 0.5)
    return hops


def _hop(hops: dict[str, Array], t: Array, spring: float, deep: float, slow: float) -> float:
    """Write one jump that begins at t = 0; returns how long it takes.

    The hips fall by `deep` in the crouch, are pushed up evenly to take off on tiptoe, and fly.
    """
    speed = float(np.sqrt(2 * GRAVITY * spring))
    down, push = 0.45 * slow, 2 * (deep + _TIPTOE) / speed
    off, flight = down + push, 2 * speed / GRAVITY
    land, soft = off + flight, 1.3 * (_TIPTOE + 0.8 * deep) / speed + 0.08
    up = land + soft
    end = up + 0.5 * slow
    parts = (
        (0.0, down, lambda x: -deep * smooth(x)),
        (down, off, lambda x: -deep + (deep + _TIPTOE) * x * x),
        (off, land, lambda x: _TIPTOE + 4 * spring * x * (1 - x)),
        (land, up, lambda x: _TIPTOE - (_TIPTOE + 0.8 * deep) * (2 * x - x * x)),
        (up, end, lambda x: -0.8 * deep * (1 - smooth(x))),
    )
    for begin, finish, curve in parts:
        now = (t >= begin) & (t < finish)
        hops["height"][now] = curve((t[now] - begin) / (finish - begin))
    now = (t >= 0) & (t < end)
    hops["tiptoe"][now] = np.clip(hops["height"][now], 0.0, _TIPTOE)
    hops["crouch"][now] = np.clip(-hops["height"][now] / 0.30, 0.0, 1.0)
    hops["landing"][now] = (smooth((t - land) / 0.15) * (1 - smooth((t - up) / 0.5 / slow)))[now]
    arms = Keys(0.0, 0.05 * slow).to(-0.7, 0.35 * slow).to(2.5, push + 0.12).to(0.3, flight + 0.1)
    hops["arms"][now] = arms.to(0.0, 0.6 * slow).at(t[now])
    return end


def _standing(
    body: Body, manner: Manner, spells: Spells, times: Array, rng: np.random.Generator
) -> dict[str, Array]:
    """Standing upright at the origin, with habits, the lasting signs, and sway."""
    frames, gain = len(times), spells.gain(times)
    still = {name: np.zeros(frames) for name in Pose.__dataclass_fields__}
    one, pair = np.ones((frames, 1)), np.zeros((frames, 2))
    wobble = drift(rng, frames, 5, 12.0) * (0.25 + 1.6 * manner.sway * gain)[:, None]
    raised = manner.shrugged_rad - manner.side * _SHRUG * manner.shoulder * (0.45 + 0.55 * gain)
    ankles = np.stack([1.25 * body.hip * _SIDES, [body.ankle] * 2, [0.0] * 2], -1)
    return still | {
        "pelvis": one * np.array([0.0, body.hip_height, 0.0]) + 0.008 * wobble[:, :3] * (1, 0, 1),
        "lean": manner.tilted_rad + 0.012 * wobble[:, 3],
        "twist": 0.02 * wobble[:, 4],
        "shrug": raised[:, None] * _SIDES - 0.08,
        "lift": pair + 0.05,
        "spread": pair + 0.13,
        "elbow": pair + (manner.elbow_rad + 0.7 * manner.guard * gain)[:, None],
        "flexion": 0.22 * manner.bend * gain,
        "feet": np.repeat(ankles[None], frames, 0),
        "toes": pair + 0.12 * _SIDES,
        "heel": pair.copy(),
    }


EXERCISES: Mapping[str, Motion] = MappingProxyType(
    {"touch toes": touch_toes, "walk": walk, "jump": jump}
)
