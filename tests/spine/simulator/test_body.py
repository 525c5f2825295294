"""The body is rigid between its joints, symmetric, stands on its feet, and turns as it is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vitruvian.spine.simulator.body import Array, Body, Pose, rotation
from vitruvian.spine.skeletons import BLAZEPOSE

FRAMES = 40
SEGMENTS = [  # rigid parts, on both sides
    *(("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")),
    *(("wrist", "pinky"), ("wrist", "index"), ("pinky", "thumb")),
    *(("ankle", "heel"), ("heel", "foot index"), ("ankle", "foot index"), ("ear", "eye")),
]


def upright(body: Body, frames: int = FRAMES) -> Pose:
    """Someone who stands straight, arms hanging."""
    alone = {name: np.zeros(frames) for name in Pose.__dataclass_fields__}
    both = {name: np.zeros((frames, 2)) for name in ("shrug", "lift", "spread", "elbow", "heel")}
    feet = np.zeros((frames, 2, 3))
    feet[:, 0], feet[:, 1] = (body.hip, body.ankle, 0), (-body.hip, body.ankle, 0)
    pelvis = np.tile((0.0, body.hip_height, 0.0), (frames, 1))
    return Pose(**alone | both | {"toes": np.zeros((frames, 2)), "feet": feet, "pelvis": pelvis})


def waving(body: Body) -> Pose:
    """Someone who moves every joint at random."""
    rng, still = np.random.default_rng(0), upright(body)
    moved = {
        name: getattr(still, name) + 0.3 * rng.standard_normal(getattr(still, name).shape)
        for name in Pose.__dataclass_fields__
        if name not in ("pelvis", "feet")
    }
    return replace(still, **moved, feet=still.feet + 0.1 * rng.standard_normal((FRAMES, 2, 3)))


def joint(points: Array, name: str) -> Array:
    return points[:, BLAZEPOSE.index(name)]


@pytest.mark.parametrize("ends", SEGMENTS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_segments_keep_their_lengths_whatever_the_joints_do(
    side: str, ends: tuple[str, str]
) -> None:
    points = Body.of(1.7).landmarks(waving(Body.of(1.7)))
    start, end = (joint(points, f"{side} {name}") for name in ends)
    lengths = np.linalg.norm(end - start, axis=-1)
    assert np.ptp(lengths) < 1e-9
    assert lengths[0] > 0.02


@pytest.mark.parametrize("female", [True, False])
def test_lengths_are_those_of_the_body(female: bool) -> None:
    body = Body.of(1.6, female)
    points = body.landmarks(waving(body))
    for ends, length in {
        ("left shoulder", "left elbow"): body.upper_arm,
        ("right elbow", "right wrist"): body.forearm,
        ("left hip", "left knee"): body.thigh,
        ("right knee", "right ankle"): body.shank,
        ("left hip", "right hip"): 2 * body.hip,
    }.items():
        gap = joint(points, ends[0]) - joint(points, ends[1])
        np.testing.assert_allclose(np.linalg.norm(gap, axis=-1), length)


def test_someone_upright_has_the_heights_of_an_adult() -> None:
    points = Body.of(1.8).landmarks(upright(Body.of(1.8), 1))
    heights = {
        "left eye": 1.68,
        "left shoulder": 1.47,
        "left wrist": 0.89,
        "left hip": 0.95,
        "left knee": 0.51,
        "left ankle": 0.08,
        "left heel": 0.02,
    }
    for name, height in heights.items():
        assert joint(points, name)[0, 1] == pytest.approx(height, abs=0.03), name
    assert points[..., 1].min() >= 0


def test_left_and_right_are_mirror_images() -> None:
    points = Body.of(1.7).landmarks(upright(Body.of(1.7)))
    mirrored = points[:, list(BLAZEPOSE.mirror)] * (-1, 1, 1)
    np.testing.assert_allclose(points, mirrored, atol=1e-12)


def test_left_is_left_of_someone_who_looks_ahead() -> None:
    points = Body.of(1.7).landmarks(upright(Body.of(1.7), 1))
    assert all(
        points[0, i, 0] > 0 for i, name in enumerate(BLAZEPOSE.joints) if "left" in name.split()
    )
    assert joint(points, "nose")[0, 2] > 0.05
    assert joint(points, "left foot index")[0, 2] > joint(points, "left heel")[0, 2] + 0.1


MOVES = [
    # what is done, by how much; which joint then moves along which axis (0 left, 1 up, 2 ahead)
    ("flexion", 0.5, "nose", 2, 0.2),
    ("flexion", 0.5, "nose", 1, -0.02),
    ("tilt", 0.5, "left shoulder", 2, 0.2),
    ("lean", 0.3, "nose", 0, 0.1),
    ("lean", 0.3, "left shoulder", 1, -0.02),
    ("twist", 0.4, "left shoulder", 2, -0.05),
    ("obliquity", 0.2, "left hip", 1, -0.01),
    ("nod", 0.5, "nose", 1, -0.03),
    ("turn", 0.5, "nose", 0, 0.04),
    ("shrug", [0.2, 0.0], "left shoulder", 1, 0.02),
    ("lift", [1.5, 0.0], "left wrist", 2, 0.4),
    ("spread", [0.0, 1.5], "right wrist", 0, -0.4),
    ("elbow", [1.5, 0.0], "left wrist", 2, 0.2),
    ("heel", [0.6, 0.0], "left heel", 1, 0.05),
    ("heel", [-0.3, 0.0], "left foot index", 1, 0.03),
    ("toes", [0.5, 0.0], "left foot index", 0, 0.04),
]


@pytest.mark.parametrize(("name", "angle", "moved", "axis", "least"), MOVES)
def test_joints_turn_the_way_they_are_said_to(
    name: str, angle: float | list[float], moved: str, axis: int, least: float
) -> None:
    body = Body.of(1.7)
    still = upright(body, 1)
    done = replace(still, **{name: getattr(still, name) + np.array(angle)})
    change = (joint(body.landmarks(done), moved) - joint(body.landmarks(still), moved))[0, axis]
    assert change * np.sign(least) > abs(least)


def test_raised_heels_and_toes_stay_where_they_touch_the_floor() -> None:
    body = Body.of(1.7)
    still = upright(body)
    pitch = np.linspace(-0.4, 0.8, FRAMES)[:, None] * np.ones(2)
    low = replace(still, heel=pitch, pelvis=still.pelvis - (0, 0.2, 0))
    points, flat = body.landmarks(low), body.landmarks(still)
    for name, on_it in (("left foot index", pitch[:, 0] > 0), ("left heel", pitch[:, 0] < 0)):
        np.testing.assert_allclose(joint(points, name)[on_it], joint(flat, name)[on_it], atol=1e-9)


def test_feet_stay_while_the_pelvis_moves_and_knees_bend_to_the_front() -> None:
    body = Body.of(1.7)
    still = upright(body)
    path = np.stack([0.05 * np.sin(np.arange(FRAMES)), np.linspace(0, -0.4, FRAMES)], -1)
    points = body.landmarks(replace(still, pelvis=still.pelvis + np.pad(path, ((0, 0), (0, 1)))))
    np.testing.assert_allclose(points[:, 27:33], body.landmarks(still)[:, 27:33], atol=2e-3)
    assert joint(points, "left knee")[-1, 2] > 0.25


def test_feet_out_of_reach_are_pulled_in() -> None:
    body = Body.of(1.7)
    still = upright(body, 1)
    points = body.landmarks(replace(still, feet=still.feet - (0, 0.5, 0)))
    leg = np.linalg.norm(joint(points, "left hip") - joint(points, "left ankle"))
    assert leg == pytest.approx(body.thigh + body.shank, rel=2e-3)


def test_the_whole_body_turns_with_its_heading() -> None:
    body = Body.of(1.7)
    still, angle = upright(body, 1), np.array([0.7])
    turned = replace(
        still,
        heading=angle,
        toes=still.toes + 0.7,
        feet=still.feet @ rotation(1, angle).swapaxes(1, 2),
    )
    expected = body.landmarks(still) @ rotation(1, angle).swapaxes(1, 2)
    np.testing.assert_allclose(body.landmarks(turned), expected, atol=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rotations_are_rotations(axis: int) -> None:
    angles = np.linspace(-4, 4, 9).reshape(3, 3)
    turns = rotation(axis, angles)
    np.testing.assert_allclose(
        turns @ turns.swapaxes(-1, -2), np.eye(3) * np.ones((3, 3, 1, 1)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(turns), 1.0)
    np.testing.assert_allclose(
        turns @ rotation(axis, -angles), np.eye(3) * np.ones((3, 3, 1, 1)), atol=1e-12
    )
    one, other = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
    np.testing.assert_allclose(rotation(axis, np.array(np.pi / 2)) @ one, other, atol=1e-12)


def test_women_have_narrower_shoulders_and_wider_hips() -> None:
    woman, man = Body.of(1.7, female=True), Body.of(1.7)
    assert woman.shoulder < man.shoulder
    assert woman.hip > man.hip


def test_longer_legs_leave_a_shorter_trunk() -> None:
    usual, long = Body.of(1.7), Body.of(1.7, legs=1.05)
    assert long.hip_height > usual.hip_height
    heights = [body.hip_height + body.trunk for body in (usual, long)]
    assert heights[0] == pytest.approx(heights[1], abs=0.005)
