"""Features: each channel against its definition, padding, and steps equal whole windows."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from vitruvian.core.errors import ConfigError
from vitruvian.spine.head.features import Features
from vitruvian.spine.skeletons import BLAZEPOSE, skeleton_named

L_HIP, R_HIP = BLAZEPOSE.index("left hip"), BLAZEPOSE.index("right hip")
L_SHOULDER, R_SHOULDER = BLAZEPOSE.index("left shoulder"), BLAZEPOSE.index("right shoulder")


def batch(skeleton: str = "blazepose33", n: int = 3, frames: int = 12) -> tuple[Tensor, ...]:
    """A random batch; item i has i frames of padding, in which there is garbage."""
    joints, generator = skeleton_named(skeleton), torch.Generator().manual_seed(0)
    points = torch.rand(n, frames, len(joints), joints.dims, generator=generator)
    visibility = torch.rand(n, frames, len(joints), generator=generator)
    mask = torch.arange(frames) < frames - torch.arange(n)[:, None]
    return points, visibility, mask


def options(skeleton: str) -> list[dict[str, Any]]:
    """All options that a skeleton has, in every combination that is allowed."""
    joints = skeleton_named(skeleton)
    table: dict[str, list[Any]] = {
        "origin": ["none", "first", *(["hips"] if joints.has("left hip") else [])],
        "scale": ["none", *(["torso"] if joints.has("left hip") else [])],
        "visibility": [False, True],
        "angles": [False, True] if joints.angles else [False],
        "velocities": [False, True],
        "heatmap": [False, True],
    }
    found = [dict(zip(table, values, strict=True)) for values in itertools.product(*table.values())]
    return [o for o in found if o["angles"] or not (o["heatmap"] and o["velocities"])]


CASES = [
    (name, chosen)
    for name in ("blazepose33", "kinect22", "joints5x2", "joints4x1")
    for chosen in options(name)
]


@pytest.mark.parametrize(("skeleton", "chosen"), CASES)
def test_every_combination(skeleton: str, chosen: dict[str, Any]) -> None:
    """Shapes, names, zeros in the padding whatever stands there, and steps equal to windows."""
    features = Features(skeleton, **chosen)
    points, visibility, mask = batch(skeleton)
    channels = features(points, visibility, mask)
    assert channels.shape == (3, 12, features.channels)
    assert len(set(features.names)) == len(features.names) == features.channels
    assert features.channels >= features.joints * features.joint_channels
    assert not channels[~mask].any()

    other = points.masked_fill(~mask[..., None, None], 77.0)
    assert torch.equal(features(other, visibility, mask), channels)

    # An arc tangent differs by a bit or two with its place in memory, and is multiplied by fps.
    within = 1e-5 if chosen["angles"] and chosen["velocities"] else 1e-6
    state = features.initial_state(3)
    for frame in range(10):  # the frames that all items have
        step, state = features.step(points[:, frame], visibility[:, frame], state)
        torch.testing.assert_close(step, channels[:, frame], rtol=1e-6, atol=within)


def test_the_paper_flattens_33_times_3() -> None:
    features = Features()
    points, visibility, mask = batch()
    assert features.channels == 99
    assert list(features.parameters()) == []
    assert features.state_dict() == {}
    flat = points.flatten(2).masked_fill(~mask[..., None], 0)
    assert torch.equal(features(points, visibility, mask), flat)
    assert features.names[:4] == ["nose x", "nose y", "nose z", "left eye inner x"]


def test_joints_come_first_and_can_be_a_graph() -> None:
    features = Features(visibility=True, velocities=True, angles=True)
    points, visibility, mask = batch(n=1)
    channels = features(points, visibility, mask)
    joints = channels[..., : features.joints * features.joint_channels]
    joints = joints.reshape(1, 12, features.joints, features.joint_channels)
    assert torch.equal(joints[..., :3], points)
    assert torch.equal(joints[..., 3], visibility)
    torch.testing.assert_close(joints[:, 1:, :, 4:], points.diff(dim=1) * 30)
    assert not joints[:, 0, :, 4:].any()
    assert features.joint_channels == 7
    assert features.channels == 33 * 7 + 2 * 8
    start = L_HIP * 7
    assert features.names[start : start + 7] == [
        *("left hip x", "left hip y", "left hip z", "left hip visibility"),
        *("left hip x velocity", "left hip y velocity", "left hip z velocity"),
    ]
    assert features.names[33 * 7] == "left elbow angle"
    assert features.names[-1] == "right knee angular velocity"


# -- origin and scale -----------------------------------------------------------------------------


def test_hips_are_the_origin() -> None:
    points, visibility, mask = batch(n=1)
    channels = Features(origin="hips")(points, visibility, mask).view(1, 12, 33, 3)
    assert (channels[:, :, L_HIP] + channels[:, :, R_HIP]).abs().max() < 1e-6
    torch.testing.assert_close(
        channels[:, :, 0] - channels[:, :, 5], points[:, :, 0] - points[:, :, 5]
    )


def test_the_first_real_frame_is_the_origin() -> None:
    points, visibility, mask = batch("kinect22", n=1)
    mask[:, :2] = False
    channels = Features("kinect22", origin="first")(points, visibility, mask)
    expected = (points - points[:, 2:3]).flatten(2)[:, 2:]
    assert torch.equal(channels[:, 2:], expected)
    assert not channels[:, :3].any()


def test_the_first_real_frame_has_no_velocity() -> None:
    points, visibility, mask = batch(n=1)
    mask[:, :2] = False
    channels = Features(velocities=True)(points, visibility, mask).view(1, 12, 33, 6)[..., 3:]
    assert not channels[:, :3].any()
    assert channels[:, 3:].all()


def upright(lengths: list[float]) -> Tensor:
    """(1, T, 33, 3): a torso of these lengths, upwards from the hips at (0.5, 0.5)."""
    points = torch.full((1, len(lengths), 33, 3), 0.5)
    for frame, length in enumerate(lengths):
        points[0, frame, [L_SHOULDER, R_SHOULDER], 1] = 0.5 - length
        points[0, frame, [L_SHOULDER, R_SHOULDER], 2] = 9.0  # z does not count
    return points


@pytest.mark.parametrize(
    ("lengths", "units"),
    [
        ([0.2, 0.2], [0.2, 0.2]),
        ([0.2, 0.1, 0.4, 0.1], [0.2, 0.2, 0.4, 0.4]),  # bending down shortens it in the picture
        ([0.0, 0.01, 0.1], [0.05, 0.05, 0.1]),  # not shorter than a twentieth
    ],
)
def test_the_torso_is_the_unit(lengths: list[float], units: list[float]) -> None:
    points, frames = upright(lengths), len(lengths)
    features = Features(scale="torso", velocities=True)
    channels = features(points, torch.ones(1, frames, 33), torch.ones(1, frames).bool())
    channels = channels.view(frames, 33, 6)
    unit = torch.tensor(units)[:, None, None]
    torch.testing.assert_close(channels[..., :3], points[0] / unit)
    velocity = points[0].diff(dim=0, prepend=points[0, :1]) * 30 / unit
    torch.testing.assert_close(channels[..., 3:], velocity)


def test_people_of_any_size_anywhere_are_alike() -> None:
    points, visibility, mask = batch(n=2)
    features = Features(origin="hips", scale="torso", velocities=True, angles=True)
    moved = points * 3 + torch.tensor([5.0, -2.0, 1.0])
    torch.testing.assert_close(
        features(moved, visibility, mask), features(points, visibility, mask), rtol=1e-3, atol=1e-3
    )


# -- angles, speed, aspect ------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [0.0, 1e-3, 30.0, 90.0, 135.0, 179.9, 180.0])
@pytest.mark.parametrize("length", [1e-2, 1.0, 50.0])
def test_angles(degrees: float, length: float) -> None:
    points = torch.zeros(1, 1, 33, 3)
    hip, _, ankle = BLAZEPOSE.angles["left knee"]
    turn = math.radians(degrees)
    points[0, 0, hip] = torch.tensor([0.0, 1.0, 1.0]) * length
    points[0, 0, ankle] = length * (
        math.cos(turn) * torch.tensor([0.0, 1.0, 1.0]) + math.sin(turn) * torch.tensor([2.0, 0, 0])
    )
    points[0, 0, ankle, 0] /= math.sqrt(2)
    features = Features(angles=True)
    channels = features(points + 3.0, torch.ones(1, 1, 33), torch.ones(1, 1).bool())
    found = float(channels[0, 0, features.names.index("left knee angle")]) * 180
    assert found == pytest.approx(degrees, abs=0.02 if length < 1 else 1e-3)


def test_degenerate_angles_have_finite_gradients() -> None:
    points = torch.zeros(1, 3, 33, 3)
    points[:, 1] = torch.arange(33.0)[:, None]  # all in one line
    points.requires_grad_()
    features = Features(angles=True, velocities=True, scale="torso", origin="hips")
    channels = features(points, torch.ones(1, 3, 33), torch.ones(1, 3).bool())
    channels.sum().backward()
    assert channels.isfinite().all()
    assert points.grad is not None
    assert points.grad.isfinite().all()


def test_the_heat_map_is_the_speed_of_each_joint() -> None:
    points, visibility, mask = batch(n=1)
    features = Features(heatmap=True, visibility=True)
    channels = features(points, visibility, mask).view(1, 12, 33, 2)
    speed = points.diff(dim=1)[..., :2].norm(dim=-1) * 30
    torch.testing.assert_close(channels[:, 1:, :, 0], speed)
    assert torch.equal(channels[..., 1], visibility)
    assert features.names[:2] == ["nose speed", "nose visibility"]


def test_the_heat_map_of_relative_joints_takes_all_dimensions() -> None:
    points, visibility, mask = batch("kinect22", n=1)
    channels = Features("kinect22", heatmap=True)(points, visibility, mask)
    torch.testing.assert_close(channels[:, 1:], points.diff(dim=1).norm(dim=-1) * 30)


def test_velocities_are_per_second() -> None:
    points, visibility, mask = batch(n=1)
    slow, fast = (Features(velocities=True, fps=fps)(points, visibility, mask) for fps in (10, 20))
    torch.testing.assert_close(fast.view(-1, 6)[:, 3:], 2 * slow.view(-1, 6)[:, 3:])


def test_aspect_makes_lengths_true() -> None:
    points, visibility, mask = batch(n=1)
    pixels = points * torch.tensor([1280.0, 720.0, 1280.0])
    features = Features(aspect=720 / 1280, origin="hips", scale="torso", angles=True)
    true = Features(origin="hips", scale="torso", angles=True)
    torch.testing.assert_close(
        features(points, visibility, mask), true(pixels, visibility, mask), rtol=1e-3, atol=1e-4
    )


def test_channels_depend_on_the_past_only() -> None:
    features = Features(
        origin="first", scale="torso", visibility=True, angles=True, velocities=True
    )
    points, visibility, mask = batch(n=1)
    before = features(points, visibility, mask)
    points[:, 7:] += 1
    assert torch.equal(features(points, visibility, mask)[:, :7], before[:, :7])


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skeleton", "chosen", "message"),
    [
        ("kinect22", {"origin": "hips"}, "origin: the skeleton kinect22 has no hips; use first"),
        ("joints4x2", {"scale": "torso"}, "scale: the skeleton joints4x2 has no torso; use none"),
        ("kinect22", {"angles": True}, "angles: the skeleton kinect22 has no joint angles"),
        ("kinect22", {"aspect": 0.5}, "aspect: the skeleton kinect22 is not of an image"),
        ("blazepose33", {"origin": "head"}, "origin: 'head' is none of none, hips, first"),
        ("blazepose33", {"scale": "height"}, "scale: 'height' is none of none, torso"),
        ("blazepose33", {"heatmap": True, "velocities": True}, "velocities: the heat-map is made"),
        ("blazepose", {}, "skeleton: 'blazepose' is none of"),
    ],
)
def test_what_a_skeleton_cannot_give(skeleton: str, chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Features(skeleton, **chosen)


@pytest.mark.parametrize("name", ["fps", "aspect"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_bad_numbers(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be above 0"):
        Features(**{name: value})
