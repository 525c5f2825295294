"""The exercises look as they should, are repeated, and show each sign the more the worse it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitruvian.spine.simulator.body import Array, Body
from vitruvian.spine.simulator.curves import Keys, drift, smooth
from vitruvian.spine.simulator.exercises import EXERCISES, GRAVITY
from vitruvian.spine.simulator.gait import DISTANCE_M
from vitruvian.spine.simulator.manner import Manner, Spells
from vitruvian.spine.skeletons import BLAZEPOSE

BODY = Body.of(1.7)
HEALTHY = Manner()
FPS = 30.0


def film(
    exercise: str,
    manner: Manner = HEALTHY,
    seconds: float = 6.0,
    spells: Spells | None = None,
    seed: int = 0,
) -> Array:
    """(T, 33, 3) landmarks without errors."""
    times = np.arange(round(seconds * FPS)) / FPS
    random = np.random.default_rng(seed)
    return BODY.landmarks(EXERCISES[exercise](BODY, manner, spells or Spells(), times, random))


def joint(points: Array, name: str) -> Array:
    return points[:, BLAZEPOSE.index(name)]


def middle(points: Array, name: str) -> Array:
    return 0.5 * (joint(points, f"left {name}") + joint(points, f"right {name}"))


# -- every exercise -------------------------------------------------------------------------------


@pytest.mark.parametrize("exercise", EXERCISES)
def test_bones_keep_their_lengths(exercise: str) -> None:
    points = film(exercise, Manner(lean=0.9, bend=0.5, guard=0.9, sway=0.9))
    for side in ("left", "right"):
        for ends in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")):
            start, end = (joint(points, f"{side} {name}") for name in ends)
            assert np.ptp(np.linalg.norm(end - start, axis=-1)) < 1e-6


@pytest.mark.parametrize("exercise", EXERCISES)
def test_nobody_sinks_into_the_floor_or_leaves_it_but_to_jump(exercise: str) -> None:
    points = film(exercise, seconds=20)
    lowest = points[..., 1].min(axis=1)
    assert lowest.min() > -0.02
    assert (lowest.max() > 0.2) == (exercise == "jump")
    assert points[..., 1].max() < 3.0


@pytest.mark.parametrize("exercise", EXERCISES)
def test_movements_are_smooth(exercise: str) -> None:
    points = film(exercise, Manner(lean=0.9, bend=0.5, guard=0.9, sway=0.9), seconds=20)
    speed = np.linalg.norm(np.diff(points, axis=0), axis=-1) * FPS
    assert speed.max() < 14  # the hands of someone who jumps
    assert speed[:, 11:13].max() < 5


@pytest.mark.parametrize("exercise", ["touch toes", "jump"])
def test_someone_healthy_and_symmetric_moves_both_sides_alike(exercise: str) -> None:
    points = film(exercise)
    mirrored = points[:, list(BLAZEPOSE.mirror)] * (-1, 1, 1)
    apart = np.linalg.norm(points - mirrored, axis=-1)
    assert apart.max() < 0.05  # the sway of everyone
    lopsided = film(exercise, Manner(lean=1.0))
    mirrored = lopsided[:, list(BLAZEPOSE.mirror)] * (-1, 1, 1)
    assert np.linalg.norm(lopsided - mirrored, axis=-1).max() > 0.15


@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize("seconds", [0.2, 3.34, 16.7])
def test_clips_of_any_length(exercise: str, seconds: float) -> None:
    assert np.isfinite(film(exercise, seconds=seconds)).all()


# -- one by one -----------------------------------------------------------------------------------


def test_toes_are_touched_again_and_again() -> None:
    points = film("touch toes", seconds=16.7)
    wrists, ankles = middle(points, "index")[:, 1], middle(points, "ankle")[:, 1]
    assert wrists.min() < ankles.min() + 0.25
    assert 4 <= crossings(wrists, 0.5) <= 8
    assert np.abs(middle(points, "ankle") - middle(points, "ankle")[0]).max() < 0.02
    assert wrists[0] > 0.7


def crossings(values: Array, level: float) -> int:
    """How often they fall below a level."""
    return int(((values[1:] < level) & (values[:-1] >= level)).sum())


def test_walkers_go_two_metres_there_and_back_facing_where_they_go() -> None:
    points = film("walk", seconds=16.7)
    place = middle(points, "hip")[:, 2]
    assert np.ptp(place) == pytest.approx(DISTANCE_M, abs=0.1)
    assert 2 <= crossings(place, 1.0) <= 4
    speed = np.gradient(place) * FPS
    ahead = (joint(points, "nose") - middle(points, "ear"))[:, 2]
    quick = np.abs(speed) > 0.5
    assert (np.sign(speed[quick]) == np.sign(ahead[quick])).mean() > 0.98
    assert 0.9 < np.percentile(np.abs(speed), 90) < 1.5


def test_standing_feet_of_walkers_stay_put() -> None:
    points = film("walk", seconds=8)
    places = np.stack([joint(points, f"{side} ankle") for side in ("left", "right")])
    speeds = np.linalg.norm(np.diff(places, axis=1), axis=-1).min(axis=0) * FPS
    assert np.median(speeds) < 0.1
    assert points[..., 1].min(axis=1).max() < 0.06


def test_arms_swing_against_the_legs_and_shoulders_against_the_hips() -> None:
    points = film("walk", seconds=2.4)[20:60]
    step = (joint(points, "left ankle") - joint(points, "right ankle"))[:, 2]
    swing = (joint(points, "left wrist") - joint(points, "right wrist"))[:, 2]
    turn = [
        (joint(points, f"left {name}") - joint(points, f"right {name}"))[:, 2]
        for name in ("shoulder", "hip")
    ]
    assert np.corrcoef(step, swing)[0, 1] < -0.7
    assert np.corrcoef(*turn)[0, 1] < -0.7


def test_jumpers_fly_as_gravity_lets_them() -> None:
    points = film("jump", seconds=10)
    hips = middle(points, "hip")[:, 1]
    assert hips.max() - hips[0] == pytest.approx(0.35 + 0.07, abs=0.06)
    flying = points[..., 1].min(axis=1) > 0.05
    inner = flying[1:-1] & flying[:-2] & flying[2:]
    fall = np.diff(hips, 2)[inner] * FPS**2
    assert np.median(fall) == pytest.approx(-GRAVITY, rel=0.05)
    assert crossings(hips, hips[0] - 0.15) >= 2
    assert middle(points, "wrist")[:, 1].max() > hips.max() + 0.6


# -- signs ----------------------------------------------------------------------------------------


def lean(points: Array) -> float:
    trunk = middle(points, "shoulder") - middle(points, "hip")
    return float(np.mean(trunk[:, 0]))


def low_left_shoulder(points: Array) -> float:
    return float(np.mean((joint(points, "right shoulder") - joint(points, "left shoulder"))[:, 1]))


def turning(points: Array) -> float:
    """Range of the shoulders' turn against the hips."""
    turns = []
    for name in ("shoulder", "hip"):
        across = joint(points, f"left {name}") - joint(points, f"right {name}")
        turns.append(np.unwrap(np.arctan2(across[:, 2], across[:, 0])))
    return float(np.std(turns[0] - turns[1]))


def depth(points: Array) -> float:
    return float((middle(points, "shoulder") - middle(points, "hip"))[:, 1].min())


def highest(points: Array) -> float:
    return float(middle(points, "hip")[:, 1].max())


def wandering(points: Array) -> float:
    return float(middle(points, "hip")[:, 0].std())


def distance(points: Array) -> float:
    return float(np.abs(np.diff(middle(points, "hip")[:, 2])).sum())


def folded(points: Array) -> float:
    """How near the hands are to the shoulders."""
    return -float(
        np.linalg.norm(middle(points, "wrist") - middle(points, "shoulder"), axis=-1).mean()
    )


SIGNS = [
    # exercise, sign, what grows (1) or shrinks (-1) with it
    ("touch toes", "lean", lean, 1),
    ("walk", "lean", lean, 1),
    ("jump", "lean", lean, 1),
    ("touch toes", "shoulder", low_left_shoulder, 1),
    ("walk", "shoulder", low_left_shoulder, 1),
    ("jump", "shoulder", low_left_shoulder, 1),
    ("walk", "rotation", turning, -1),
    ("touch toes", "bend", depth, 1),
    ("jump", "bend", highest, -1),
    ("jump", "guard", highest, -1),
    ("touch toes", "sway", wandering, 1),
    ("walk", "guard", distance, -1),
    ("walk", "guard", folded, 1),
]


@pytest.mark.parametrize(("exercise", "sign", "measure", "way"), SIGNS)
def test_signs_show(
    exercise: str, sign: str, measure: Callable[[Array], float], way: float
) -> None:
    seconds = 2.2 if exercise == "walk" and sign != "guard" else 6.0  # before the first turn
    values = [
        way * measure(film(exercise, replace(HEALTHY, **{sign: strength}), seconds))
        for strength in (0.0, 0.4, 0.8)
    ]
    assert values == sorted(values)
    assert values[2] - values[0] > 2e-3


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_side_of_the_lean_is_the_side_of_the_person(exercise: str) -> None:
    sides = [lean(film(exercise, Manner(side=side, lean=0.8), 2.2)) for side in (1.0, -1.0)]
    assert sides[0] > 0.02
    assert sides[1] < -0.02


def test_guarded_people_rest_on_their_way_up() -> None:
    heights = [
        middle(film("touch toes", Manner(guard=guard), 4.0), "shoulder")[:, 1]
        for guard in (0.0, 0.9)
    ]
    resting = [
        ((np.abs(np.diff(y)) * FPS < 0.05) & (y[1:] > 0.95) & (y[1:] < 1.35)).sum() for y in heights
    ]
    assert resting[0] < 4
    assert resting[1] > 8


# -- spells ---------------------------------------------------------------------------------------


def test_the_first_spell_begins_with_the_clip() -> None:
    for number in range(20):
        spells = Spells.drawn(np.random.default_rng(number), 17.0)
        assert spells.gain(np.linspace(0.0, 2.9, 30)).min() == pytest.approx(1.0)
        assert len(spells.onsets_s) == len(spells.ends_s) >= 3
        assert spells.ends_s[-1] >= 17.0


def test_between_spells_a_trace_is_left() -> None:
    gain = Spells.drawn(np.random.default_rng(0), 60.0).gain(np.arange(0.0, 60.0, 0.01))
    assert gain.min() == pytest.approx(0.35)
    assert gain.max() == pytest.approx(1.0)
    assert 0.3 < (gain > 0.99).mean() < 0.6
    assert np.abs(np.diff(gain)).max() < 0.05


def test_signs_keep_to_their_spells() -> None:
    spells = Spells((-1.0,), (3.0,), trace=0.0)
    sick, well = (film("walk", manner, 8.0, spells) for manner in (Manner(shoulder=1.0), HEALTHY))
    apart = np.abs(sick - well).max(axis=(1, 2))
    assert apart[:85].min() > 0.01
    assert low_left_shoulder(sick[:60]) > 2 * low_left_shoulder(sick[-60:-20] * (-1, 1, 1)) > 0


# -- curves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "value"), [(-1.0, 0.0), (0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (7.0, 1.0)]
)
def test_smooth(share: float, value: float) -> None:
    assert smooth(share) == pytest.approx(value)


@given(st.floats(0.01, 0.99))
def test_smooth_rises(share: float) -> None:
    assert 0 <= smooth(share) < smooth(share + 0.01) <= 1
    assert smooth(share) + smooth(1 - share) == pytest.approx(1.0)


def test_keys_are_reached_in_time_and_held() -> None:
    keys = Keys(2.0, 1.0).to(5.0, 2.0).hold(1.0).to(0.0, 1.0)
    assert keys.now == 5.0
    times = np.array([0.0, 0.9, 1.0, 2.0, 3.0, 3.9, 5.0, 60.0])
    np.testing.assert_allclose(keys.at(times), [2.0, 2.0, 2.0, 3.5, 5.0, 5.0, 0.0, 0.0])


def test_drift_is_smooth_noise_of_unit_variance() -> None:
    noise = drift(np.random.default_rng(0), 4000, 20, 9.0)
    assert noise.std() == pytest.approx(1.0, abs=0.05)
    assert abs(noise.mean()) < 0.1
    assert np.abs(np.diff(noise, axis=0)).std() < 0.1
