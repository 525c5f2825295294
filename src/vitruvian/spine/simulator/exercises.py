"""The three exercises of paper 003 (section III.B) as motions of the simulated body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from vitruvian.spine.simulator.body import Array, Body, Pose
from vitruvian.spine.simulator.curves import Keys, smooth
from vitruvian.spine.simulator.gait import walk
from vitruvian.spine.simulator.manner import FULL_BEND, LEAN, Manner, Spells, standing

GRAVITY = 9.81  # m/s2
_TIPTOE = 0.07  # metres that the hips rise onto the toes

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
    joints = standing(body, manner, spells, times, rng)
    joints["flexion"] += inclination * (0.55 - 0.15 * manner.bend * gain)
    joints["tilt"] = inclination * (0.45 + 0.15 * manner.bend * gain)
    joints["nod"] = 0.25 * load
    rising = np.clip(-np.gradient(inclination, times) / 1.2, 0.0, 1.0)
    shift = manner.side * gain * (manner.lean * (0.3 + 0.9 * load) + 0.6 * manner.guard * rising)
    joints["lean"] += LEAN * shift
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


def jump(
    body: Body, manner: Manner, spells: Spells, times: Array, rng: np.random.Generator
) -> Pose:
    """Crouch, jump as high as possible, land, stand up, as often as the time allows.

    A bad back crouches and jumps less, throws its arms less, leans to one side, most on landing.
    """
    hops = _hops(body, manner, spells, times, rng)
    gain, crouch = spells.gain(times), hops["crouch"]
    joints = standing(body, manner, spells, times, rng)
    bent = crouch * (1.0 - 0.4 * manner.bend * gain)
    joints["flexion"] += 0.03 + 0.45 * bent
    joints["tilt"] = 0.45 * bent
    joints["nod"] = -0.3 * bent
    shift = manner.side * gain * manner.lean * (0.3 + 0.5 * crouch + 0.8 * hops["landing"])
    shift += manner.side * gain * manner.guard * 0.5 * hops["landing"]
    joints["lean"] += LEAN * shift
    joints["twist"] += 0.1 * shift
    thrown = hops["arms"] * (1.0 - 0.5 * manner.rotation * gain)
    joints["lift"] += thrown[:, None] * (1.0 - manner.held(0.35) * gain[:, None])
    joints["elbow"] += 0.35 * np.abs(joints["lift"])
    back = -0.11 * body.stature * crouch
    joints["pelvis"] += np.stack([-0.04 * shift, hops["height"], back], -1)
    joints["feet"][..., 1] += np.maximum(hops["height"] - hops["tiptoe"], 0.0)[:, None]
    joints["heel"] += (0.75 * hops["tiptoe"] / _TIPTOE)[:, None]
    return Pose(**joints)


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


EXERCISES: Mapping[str, Motion] = MappingProxyType(
    {"touch toes": touch_toes, "walk": walk, "jump": jump}
)
