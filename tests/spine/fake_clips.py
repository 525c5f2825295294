"""Clips for tests of what is stored and handed on: random landmarks, with the odd values."""

from __future__ import annotations

import numpy as np

from vitruvian.spine.landmarks import Clip, Landmarks
from vitruvian.spine.skeletons import skeleton_named

IDENTITY = {"variant": "lite", "mode": "video", "model_sha256": "f" * 64, "trim": True}


def fake_landmarks(
    seed: int = 0,
    frames: int = 12,
    skeleton: str = "blazepose33",
    world: bool = True,
    size: tuple[int, int] | None = (1280, 720),
) -> Landmarks:
    """Landmarks at 30 fps; the second frame has no pose."""
    rng = np.random.default_rng(seed)
    joints, dims = len(skeleton_named(skeleton)), skeleton_named(skeleton).dims
    points = rng.normal(0.5, 0.3, (frames, joints, dims)).astype(np.float32)
    visibility = rng.random((frames, joints), dtype=np.float32)
    metres = rng.normal(0, 0.4, (frames, joints, 3)).astype(np.float32)
    for array in (points, visibility, metres):
        array[1:2] = np.nan
    times = np.arange(frames) / 30
    return Landmarks(times, points, visibility, metres if world else None, size, skeleton)


def fake_clip(
    name: str = "p001/walk.mp4", seed: int = 0, frames: int = 12, **fields: object
) -> Clip:
    """A clip of the person and exercise that its name says."""
    participant, _, file = name.rpartition("/")
    labels = {"participant": participant or "p000", "exercise": file.split(".")[0], "rating": 62.5}
    return Clip(name, landmarks=fake_landmarks(seed, frames), **{**labels, **fields})


def same_bits(one: Landmarks, other: Landmarks) -> bool:
    """Whether two landmarks agree in every bit, NaN included."""
    if (one.size, one.skeleton) != (other.size, other.skeleton):
        return False
    for name in ("times_s", "points", "visibility", "world"):
        a, b = getattr(one, name), getattr(other, name)
        if (a is None) != (b is None):
            return False
        if a is not None and (a.dtype, a.shape, a.tobytes()) != (b.dtype, b.shape, b.tobytes()):
            return False
    return True


def same_clip(one: Clip, other: Clip) -> bool:
    """Whether two clips agree in everything."""
    labels = [
        (c.name, c.participant, c.exercise, repr(float(c.rating)), c.simulated)
        for c in (one, other)
    ]
    return labels[0] == labels[1] and same_bits(one.landmarks, other.landmarks)
