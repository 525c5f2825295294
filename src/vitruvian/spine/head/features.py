"""What a net reads: channels from cleaned joints, the same for whole windows and frame by frame.

Paper 003 flattens 33 landmarks x 3 coordinates, which is what the defaults give. The options are
coordinates that do not depend on where a person stands and how large they are, visibility, joint
angles, velocities, and the map of motion over time and joints that the abstract calls a "dynamic
heat-map" (nothing in its method makes one).

Every channel is causal: it depends on this frame and on those before it in the window.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from vitruvian.core.errors import ConfigError
from vitruvian.spine.skeletons import skeleton_named

_HIPS = ("left hip", "right hip")
_SHOULDERS = ("left shoulder", "right shoulder")
# A torso is not taken for shorter than this, a twentieth of the picture's width or 5 cm: a person
# of whom only the head is seen would be blown up without bound.
_SHORTEST_TORSO = 0.05


class FeatureState(NamedTuple):
    """What a stream of features remembers, one row per item.

    Attributes:
        started: (n,) bool, whether there was a frame.
        first: (n, J, D) points of the first frame.
        torso: (n,) longest torso so far.
        previous: (n, J, D) placed points of the frame before.
        angles: (n, A) angles of the frame before.
    """

    started: Tensor
    first: Tensor
    torso: Tensor
    previous: Tensor
    angles: Tensor


class Features(nn.Module):
    """Channels of every frame. Holds no parameters.

    The order is joint by joint, so that a graph net can take the first `joints * joint_channels`
    channels as (joints, joint_channels), and the angles after them. A joint has its coordinates,
    then visibility, then velocities. Angles are in half turns (0 to 1), velocities per second.

    Args:
        skeleton: name of the joints' skeleton.
        origin: "hips": relative to the middle of the hips of that frame; "first": each joint
            relative to itself in the first frame; "none": as given.
        scale: "torso": in lengths of the torso, from the middle of the hips to the middle of the
            shoulders, in x and y (z is too noisy): the longest of the frames so far, as a person
            who bends towards the camera only seems to become shorter.
        visibility: add it as a channel of each joint.
        angles: add the joint angles of the skeleton, in all its dimensions.
        velocities: add those of the joints and of the angles: differences to the frame before;
            0 in the first one.
        heatmap: the dynamic heat-map: speed of each joint instead of its coordinates, in x and y
            where joints are points of one space, else in all dimensions. `velocities` then adds
            those of the angles alone.
        fps: frames per second of the tracks.
        aspect: height over width of the frames, for image landmarks: 0.5625 for 1280x720. y is
            multiplied by it, so that lengths and angles are true. 1 leaves everything as it is.

    Attributes:
        skeleton: its name.
        channels: of a frame.
        joint_channels: of a joint.
        joints: number of joints.
        names: of the channels, such as "left hip x".

    Raises:
        ConfigError: the skeleton cannot give this, or options exclude each other.
        ValueError: a value is out of range.
    """

    _corners: Tensor

    def __init__(
        self,
        skeleton: str = "blazepose33",
        origin: Literal["none", "hips", "first"] = "none",
        scale: Literal["none", "torso"] = "none",
        visibility: bool = False,
        angles: bool = False,
        velocities: bool = False,
        heatmap: bool = False,
        fps: float = 30.0,
        aspect: float = 1.0,
    ) -> None:
        super().__init__()
        self.skeleton, self._joints = skeleton, skeleton_named(skeleton)
        self.origin, self.scale = origin, scale
        self.visibility, self.angles = visibility, angles
        self.velocities, self.heatmap = velocities, heatmap
        self.fps, self.aspect = fps, aspect
        _check(self)
        self.joints = len(self._joints)
        per_joint = _joint_channels(self)
        self.joint_channels = len(per_joint)
        self.names = [f"{joint} {name}" for joint in self._joints.joints for name in per_joint]
        self.names += _angle_channels(self)
        self.channels = len(self.names)
        triples = list(self._joints.angles.values()) if angles else []
        self._remembers = origin == "first" or scale == "torso" or velocities or heatmap
        corners = torch.tensor(triples, dtype=torch.long).reshape(-1, 3)
        self.register_buffer("_corners", corners, persistent=False)

    def forward(self, points: Tensor, visibility: Tensor, mask: Tensor) -> Tensor:
        """Channels of whole windows.

        Args:
            points: (n, T, J, D) without NaN.
            visibility: (n, T, J), 0 to 1.
            mask: (n, T) bool, True for real frames; they stand side by side.

        Returns:
            (n, T, channels); zeros where a frame is padding.
        """
        points = self._true(points)
        first = _first(points, mask) if self.origin == "first" else points
        placed = self._placed(points, first)
        torso = _longest(torch.where(mask, self._torso(points), 0))
        angles = self._angles(points)
        moving = torch.cat([torch.zeros_like(mask[:, :1]), mask[:, 1:] & mask[:, :-1]], dim=1)
        motion = torch.where(moving[..., None, None], _difference(placed), 0)
        turning = torch.where(moving[..., None], _difference(angles), 0)
        channels = self._channels(placed, visibility, motion, torso, angles, turning)
        return torch.where(mask[..., None], channels, 0)

    def initial_state(self, n: int) -> FeatureState:
        """State before the first frame, for `n` streams side by side."""
        device, joints = self._corners.device, (n, self.joints, self._joints.dims)
        return FeatureState(
            torch.zeros(n, dtype=torch.bool, device=device),
            torch.zeros(joints, device=device),
            torch.zeros(n, device=device),
            torch.zeros(joints, device=device),
            torch.zeros(n, len(self._corners), device=device),
        )

    def step(
        self, points: Tensor, visibility: Tensor, state: FeatureState
    ) -> tuple[Tensor, FeatureState]:
        """Channels of the next frame, equal to those of `forward` to 1e-6 (angular speeds 1e-5).

        Args:
            points: (n, J, D) without NaN.
            visibility: (n, J), 0 to 1.
            state: from `initial_state` or the step before.

        Returns:
            (n, channels), and the state for the next frame.
        """
        points = self._true(points)
        angles = self._angles(points)
        if not self._remembers:
            placed = self._placed(points, points)
            return self._channels(placed, visibility, placed, state.torso, angles, angles), state
        started = state.started[:, None]
        first = torch.where(started[..., None], state.first, points)
        placed = self._placed(points, first)
        torso = torch.maximum(state.torso, self._torso(points))
        motion = torch.where(started[..., None], placed - state.previous, 0)
        turning = torch.where(started, angles - state.angles, 0)
        channels = self._channels(placed, visibility, motion, torso, angles, turning)
        after = FeatureState(torch.ones_like(state.started), first, torso, placed, angles)
        return channels, after

    def _true(self, points: Tensor) -> Tensor:
        """Points with y in the scale of x."""
        if self.aspect == 1:
            return points
        factors = [1.0, self.aspect, 1.0][: self._joints.dims]
        return points * points.new_tensor(factors)

    def _placed(self, points: Tensor, first: Tensor) -> Tensor:
        """Points relative to the origin."""
        if self.origin == "hips":
            return points - self._middle(points, _HIPS).unsqueeze(-2)
        return points - first if self.origin == "first" else points

    def _middle(self, points: Tensor, pair: tuple[str, str]) -> Tensor:
        one, other = (points[..., self._joints.index(joint), :] for joint in pair)
        return (one + other) / 2

    def _torso(self, points: Tensor) -> Tensor:
        """(...): length of the torso as it appears in x and y; 1 if it is not asked for."""
        if self.scale == "none":
            return points.new_ones(points.shape[:-2])
        torso = self._middle(points, _SHOULDERS) - self._middle(points, _HIPS)
        return torch.linalg.vector_norm(torso[..., :2], dim=-1)

    def _angles(self, points: Tensor) -> Tensor:
        """(..., A): at the middle one of three joints, in half turns; 0 where two coincide."""
        if not self.angles:
            return points.new_zeros(*points.shape[:-2], 0)
        a, b, c = (points[..., self._corners[:, i], :] for i in range(3))
        u, v = (nn.functional.pad(x, (0, 3 - x.shape[-1])) for x in (a - b, c - b))
        sine = torch.linalg.vector_norm(torch.linalg.cross(u, v), dim=-1)
        # Not the arc cosine, whose slope has no bound in a stretched limb.
        return torch.atan2(sine, (u * v).sum(dim=-1) + 1e-12) / math.pi

    def _channels(
        self,
        placed: Tensor,
        visibility: Tensor,
        motion: Tensor,
        torso: Tensor,
        angles: Tensor,
        turning: Tensor,
    ) -> Tensor:
        """Put the channels of one frame, or of many, side by side."""
        if self.scale == "torso":
            unit = torso.clamp(min=_SHORTEST_TORSO)[..., None, None]
            placed, motion = placed / unit, motion / unit
        velocity = motion * self.fps
        parts = [self._speed(velocity) if self.heatmap else placed]
        if self.visibility:
            parts.append(visibility.unsqueeze(-1))
        if self.velocities and not self.heatmap:
            parts.append(velocity)
        joined = [torch.cat(parts, dim=-1).flatten(-2)]
        if self.angles:
            joined.append(angles)
            joined += [turning * self.fps] if self.velocities else []
        return torch.cat(joined, dim=-1)

    def _speed(self, velocity: Tensor) -> Tensor:
        kept = velocity if self._joints.relative else velocity[..., :2]
        return torch.linalg.vector_norm(kept, dim=-1, keepdim=True)


def _first(points: Tensor, mask: Tensor) -> Tensor:
    """(n, 1, J, D): the first real frame of each window."""
    place = mask.int().argmax(dim=1).view(-1, 1, 1, 1)
    return points.gather(1, place.expand(-1, 1, *points.shape[2:]))


def _longest(torso: Tensor) -> Tensor:
    """(n, T): the largest value so far."""
    if not torch.onnx.is_in_onnx_export():
        return torso.cummax(dim=1).values
    frame = torch.arange(torso.shape[1], device=torso.device)  # ONNX has no running maximum
    return torch.where(frame[:, None] >= frame, torso[:, None], 0).amax(dim=2)


def _difference(x: Tensor) -> Tensor:
    return x - torch.cat([x[:, :1], x[:, :-1]], dim=1)


def _check(features: Features) -> None:
    skeleton = features._joints
    if features.origin not in ("none", "hips", "first"):
        raise ConfigError(f"features.origin: {features.origin!r} is none of none, hips, first")
    if features.scale not in ("none", "torso"):
        raise ConfigError(f"features.scale: {features.scale!r} is none of none, torso")
    if features.origin == "hips" and not skeleton.has(*_HIPS):
        raise ConfigError(
            f"features.origin: the skeleton {skeleton.name} has no hips; use first or none"
        )
    if features.scale == "torso" and not skeleton.has(*_HIPS, *_SHOULDERS):
        raise ConfigError(f"features.scale: the skeleton {skeleton.name} has no torso; use none")
    if features.angles and not skeleton.angles:
        raise ConfigError(f"features.angles: the skeleton {skeleton.name} has no joint angles")
    if features.heatmap and features.velocities and not features.angles:
        raise ConfigError("features.velocities: the heat-map is made of them; set it to false")
    for name in ("fps", "aspect"):
        if not 0 < getattr(features, name) < math.inf:
            raise ValueError(f"{name} must be above 0, not {getattr(features, name)}")
    if features.aspect != 1 and skeleton.relative:
        raise ConfigError(f"features.aspect: the skeleton {skeleton.name} is not of an image")


def _joint_channels(features: Features) -> list[str]:
    axes = list("xyz")[: features._joints.dims]
    names = ["speed"] if features.heatmap else list(axes)
    names += ["visibility"] if features.visibility else []
    if features.velocities and not features.heatmap:
        names += [f"{axis} velocity" for axis in axes]
    return names


def _angle_channels(features: Features) -> list[str]:
    if not features.angles:
        return []
    names = [f"{name} angle" for name in features._joints.angles]
    if features.velocities:
        names += [f"{name} angular velocity" for name in features._joints.angles]
    return names
