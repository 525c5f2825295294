"""People drawn from their landmarks: what a figure may show of somebody who was filmed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vitruvian.report.sheet import BLUE, GREY, ORANGE, VERMILLION
from vitruvian.spine.explain.findings import Finding
from vitruvian.spine.explain.trunk import TRUNK
from vitruvian.spine.skeletons import Skeleton
from vitruvian.spine.track.cleaning import Track

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Body = npt.NDArray[np.float64]  # (J, 2), y upwards

_SEEN = 0.5  # visibility below which a bone is drawn faintly
_HEAD = 0.2  # radius of the head in lengths of the trunk
_ALONG = ("asymmetric_lean", "restricted_forward_bend")  # findings of the line of the spine


def bodies_of(track: Track, frames: Sequence[int], aspect: float) -> npt.NDArray[np.float64]:
    """Joints as they are drawn, each body around its own middle, all in one scale.

    Args:
        track: cleaned landmarks, y downwards.
        frames: which to draw, at least one.
        aspect: width over height of the frames that x and y are shares of; 1 for lengths.

    Returns:
        (bodies, J, 2), y upwards.
    """
    bodies = track.points[list(frames)][..., :2] * np.array([aspect, -1.0])
    low, high = bodies.min(axis=1, keepdims=True), bodies.max(axis=1, keepdims=True)
    return np.asarray(bodies - (low + high) / 2)


def draw_bodies(
    panels: Sequence[Axes],
    bodies: npt.NDArray[np.float64],
    visibility: npt.NDArray[Any],
    skeleton: Skeleton,
    findings: Sequence[Finding | None],
) -> None:
    """Draw one body in each panel, with the line that a finding is about.

    Args:
        panels: as many as bodies.
        bodies: (bodies, J, 2).
        visibility: (bodies, J).
        skeleton: of the joints, with shoulders and hips.
        findings: what each body shows.
    """
    from matplotlib.collections import LineCollection

    width, height = np.abs(bodies).max(axis=(0, 1)) * 1.12
    colours = [_colour(skeleton, bone) for bone in skeleton.bones]
    for axes, body, seen, finding in zip(panels, bodies, visibility, findings, strict=True):
        faint = [1.0 if seen[list(bone)].min() >= _SEEN else 0.3 for bone in skeleton.bones]
        lines = [body[list(bone)] for bone in skeleton.bones]
        look: dict[str, Any] = {"lw": 1.8, "capstyle": "round"}
        axes.add_collection(LineCollection(lines, colors=colours, alpha=faint, **look))
        _draw_trunk(axes, body, skeleton, finding)
        axes.set(xlim=(-width, width), ylim=(-height, height), aspect="equal", anchor="C")
        axes.set_axis_off()


def _colour(skeleton: Skeleton, bone: tuple[int, int]) -> str:
    sides = {skeleton.joints[joint].split()[0] for joint in bone}
    if sides == {"left"}:
        return BLUE
    return ORANGE if sides == {"right"} else GREY


def _draw_trunk(axes: Axes, body: Body, skeleton: Skeleton, finding: Finding | None) -> None:
    """The head, and the line of the finding."""
    shoulders, hips = (
        body[[skeleton.index(name) for name in pair]] for pair in (TRUNK[:2], TRUNK[2:])
    )
    spine = np.stack([hips.mean(axis=0), shoulders.mean(axis=0)])
    height = float(np.ptp(body[:, 1]))
    length = max(float(np.linalg.norm(spine[1] - spine[0])), 0.2 * height)
    if skeleton.has("nose", "left ear", "right ear"):
        head = body[[skeleton.index(name) for name in ("nose", "left ear", "right ear")]].mean(0)
        angles = np.linspace(0, 2 * np.pi, 40)
        circle = head + 1.2 * _HEAD * length * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        axes.plot(*circle.T, color=GREY, lw=1.2, clip_on=False)
    if finding is None:
        return
    along = finding.name in _ALONG
    for line in (spine,) if along else (shoulders, hips):
        axes.plot(*line.T, color=VERMILLION, lw=3.2, solid_capstyle="round")
    if along:  # upright, to see by how much
        foot = spine[0]
        axes.plot([foot[0]] * 2, [foot[1], foot[1] + 1.15 * length], "k:", lw=1.2)
