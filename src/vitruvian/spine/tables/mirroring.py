"""Left and right put right, in recordings and published sets where they are exchanged.

| what happened                                                   | mend it with |
|-----------------------------------------------------------------|--------------|
| nothing                                                         | none         |
| positions were mirrored after the joints had been named         | x            |
| the names of left and right are exchanged, positions are right  | labels       |
| the picture was mirrored before a pose net saw it, as selfie    | both         |
| cameras do: the net calls the right hand left                   |              |

Only `both` keeps a body a possible one: `x` and `labels` alone exchange its sides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from vitruvian.core.errors import ConfigError
from vitruvian.spine.landmarks import Floats, Landmarks
from vitruvian.spine.skeletons import BLAZEPOSE, Skeleton

Mirrored = Literal["none", "x", "labels", "both"]
WAYS = get_args(Mirrored)


def unmirrored(landmarks: Landmarks, mirrored: Mirrored) -> Landmarks:
    """Undo the exchange of left and right that `mirrored` names; twice is not at all.

    Shares of a frame are mirrored at its middle, x to 1 - x; all other coordinates at 0.

    Raises:
        ConfigError: there is no such way, or the skeleton does not know its left from its right.
    """
    if mirrored not in WAYS:
        raise ConfigError(f"mirrored: got {mirrored!r}, expected {' or '.join(WAYS)}")
    if mirrored in ("labels", "both"):
        landmarks = _relabelled(landmarks)
    return _reflected(landmarks) if mirrored in ("x", "both") else landmarks


def _relabelled(landmarks: Landmarks) -> Landmarks:
    other = _sides(landmarks.joints)
    return replace(
        landmarks,
        points=landmarks.points[:, other],
        visibility=landmarks.visibility[:, other],
        world=None if landmarks.world is None else landmarks.world[:, other],
    )


def _sides(skeleton: Skeleton) -> list[int]:
    other = list(skeleton.mirror)
    if other == list(range(len(skeleton))):
        raise ConfigError(f"mirrored: the skeleton {skeleton.name} does not name left and right")
    return other


def _reflected(landmarks: Landmarks) -> Landmarks:
    of_frame = landmarks.skeleton == BLAZEPOSE.name or landmarks.size is not None
    return replace(
        landmarks,
        points=_at(landmarks.points, 0.5 if of_frame else 0.0),
        world=None if landmarks.world is None else _at(landmarks.world, 0.0),
    )


def _at(points: Floats, middle: float) -> Floats:
    sign = np.array([-1, *[1] * (points.shape[-1] - 1)], np.float32)
    shift = np.array([2 * middle, *[0] * (points.shape[-1] - 1)], np.float32)
    return points * sign + shift
