"""The camera of the simulated clips, and what a pose net makes of the person in front of it.

`Camera` is a pinhole in the room of `body`. `observe` puts the errors of a pose net on projected
landmarks, of the size measured with BlazePose lite on real clips: wandering errors of a few
thousandths of the person's height, larger ones in depth, a low visibility of hidden joints, and
now and then a hand or a foot, or the whole pose, lost for some frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from vitruvian.spine.landmarks import Floats, Landmarks
from vitruvian.spine.simulator.body import Array, rotation
from vitruvian.spine.simulator.curves import drift
from vitruvian.spine.simulator.gait import DISTANCE_M
from vitruvian.spine.skeletons import BLAZEPOSE

SIZE = (1280, 720)  # pixels of the frames that the pose net sees (paper 003, section III.A)
_PORTRAIT_WIDTH = 405  # pixels of a 9:16 picture padded to that size
_NOISE = 0.003  # of the person's height, for a joint of factor 1
_LOST_SHARE = 0.06  # of the clips lose the pose altogether for some frames


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        position: (x, y, z) in the room, metres.
        yaw: direction in which it looks, 0 along -z, radians.
        pitch: downward is positive.
        roll: of the horizon.
        focal: focal length in pixels.
        size: width and height of a frame in pixels.
        shown: width of the picture inside the frame; the rest is padding.
    """

    position: tuple[float, float, float]
    yaw: float
    pitch: float
    roll: float
    focal: float
    size: tuple[int, int] = SIZE
    shown: int = SIZE[0]

    def view(self, points: Array) -> Array:
        """Room coordinates (..., 3) in the camera's: x right, y down, z away from it, metres."""
        frame = rotation(1, np.asarray(self.yaw)) @ rotation(0, np.asarray(-self.pitch))
        frame = frame @ rotation(2, np.asarray(self.roll))
        return (points - np.array(self.position)) @ frame * np.array([1.0, -1.0, -1.0])

    def project(self, view: Array) -> Array:
        """(..., 2) shares of the frame's width and height, of points in the camera's view."""
        pixels = self.focal * view[..., :2] / view[..., 2:]
        return pixels / np.array(self.size) + 0.5


@dataclass(frozen=True)
class Setting:
    """How someone films all of their clips.

    Attributes:
        azimuth: direction of the camera from the person, 0 in front, radians.
        height_m: of the camera above the floor.
        roll: of the horizon, radians.
        focal: focal length in heights of the frame.
        fill: share of the frame's height that the person takes at their nearest.
        portrait: whether the picture is 9:16, padded to the frame.
        clothing: factor on the errors of the pose net: loose clothes, poor light.
    """

    azimuth: float
    height_m: float
    roll: float
    focal: float
    fill: float
    portrait: bool
    clothing: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Setting:
        """Half face the camera, half stand oblique to it; a quarter film in portrait."""
        portrait = bool(rng.random() < 0.25)
        oblique = bool(rng.random() < 0.5) and not portrait
        angle = rng.uniform(0.4, 1.0) * rng.choice((-1.0, 1.0)) if oblique else rng.normal(0, 0.12)
        return cls(
            azimuth=float(angle),
            height_m=float(rng.uniform(0.8, 1.5)),
            roll=float(rng.normal(0.0, 0.02)),
            focal=float(rng.uniform(0.75, 0.95) if portrait else rng.uniform(1.1, 1.6)),
            fill=float(rng.uniform(0.55, 0.72)),
            portrait=portrait,
            clothing=float(rng.uniform(0.7, 1.6)),
        )

    def camera(self, stature: float, exercise: str, rng: np.random.Generator) -> Camera:
        """The camera of one clip: far enough for all of the exercise to be in the frame."""
        room = 1.45 if exercise == "jump" else 1.08  # statures
        walk = 0.5 * DISTANCE_M if exercise == "walk" else 0.0  # to either side of what it aims at
        azimuth = self.azimuth + float(rng.normal(0.0, 0.05))
        far = self.focal * stature * room**0.5 / self.fill + walk * abs(np.cos(azimuth))
        height, middle = self.height_m + float(rng.normal(0.0, 0.03)), 0.5 * room * stature
        position = far * np.sin(azimuth), height, walk + far * np.cos(azimuth)
        return Camera(
            position=(float(position[0]), height, float(position[2])),
            yaw=azimuth + float(rng.normal(0.0, 0.02)),
            pitch=float(np.arctan2(height - middle, far) + rng.normal(0.0, 0.015)),
            roll=self.roll + float(rng.normal(0.0, 0.005)),
            focal=self.focal * SIZE[1],
            shown=_PORTRAIT_WIDTH if self.portrait else SIZE[0],
        )


def observe(
    points: Array,
    camera: Camera,
    stature: float,
    times: Array,
    clothing: float,
    rng: np.random.Generator,
) -> Landmarks:
    """What a pose net would report of a body.

    Args:
        points: (T, 33, 3) in the room, metres.
        camera: that films it.
        stature: of the person, metres.
        times: (T,) seconds.
        clothing: factor on the errors; 0: the landmarks are exact, visible, and never lost.
        rng: draws the errors.

    Returns:
        The landmarks. Their world coordinates are those of a body of average size, as BlazePose
        cannot know how tall someone is.
    """
    view = camera.view(points)
    hips = view[:, 23:25].mean(1, keepdims=True)
    hidden, lost = _episodes(len(times), rng)
    visibility = _visibility(view - hips, camera.project(view), camera, hidden, rng)
    scale = camera.focal / hips[..., 2:]  # pixels per metre at the hips
    noise = _errors(points, times, rng) * (1.0 + 3.0 * hidden)[..., None] * clothing * stature
    image = camera.project(view) + (noise * scale)[..., :2] / np.array(camera.size)
    depth = (view - hips + 3.0 * noise)[..., 2:] * scale / camera.size[0]
    size = (1.70 / stature) ** 0.7 * float(rng.normal(1.0, 0.02 * min(clothing, 1.0)))
    world = (view - hips) * size + noise * np.array([0.8, 0.8, 2.0])
    world -= world[:, 23:25].mean(1, keepdims=True)
    landmarks = np.concatenate([image, depth], -1)
    if clothing == 0:
        return _landmarks(times, landmarks, np.ones_like(visibility), world, camera)
    for array in (landmarks, world, visibility):
        array[lost] = np.nan
    return _landmarks(times, landmarks, visibility, world, camera)


def _landmarks(
    times: Array, points: Array, visibility: Array, world: Array, camera: Camera
) -> Landmarks:
    as_f32 = (array.astype(np.float32) for array in (points, visibility, world))
    rounded: list[Floats] = [np.round(array, 5) for array in as_f32]  # 0.01 px: shorter files
    return Landmarks(times, rounded[0], rounded[1], rounded[2], camera.size)


def _joint_factors() -> npt.NDArray[np.float64]:
    """(33,) size of the errors: small at trunk and head, large at hands and feet."""
    factors = {"elbow": 1.0, "knee": 1.0, "wrist": 1.2, "ankle": 1.2, "hip": 0.8, "shoulder": 0.7}
    end = dict.fromkeys(("pinky", "index", "thumb", "heel"), 1.5)
    known = factors | end
    return np.array([known.get(name.split()[-1], 0.6) for name in BLAZEPOSE.joints])


_FACTORS = _joint_factors()


def _errors(points: Array, times: Array, rng: np.random.Generator) -> Array:
    """(T, 33, 3) errors, shares of the person's height.

    A constant part (where a net thinks that joints are), a wandering and a quick part; those of
    joints in quick motion are larger. This is what is left after the net's own smoothing.
    """
    frames = len(times)
    speed = np.linalg.norm(np.gradient(points, times, axis=0), axis=-1, keepdims=True)
    slow, quick = (drift(rng, frames, 99, width).reshape(frames, 33, 3) for width in (9.0, 1.2))
    constant = rng.standard_normal((1, 33, 3))
    wander = (1.0 + 0.5 * np.minimum(speed, 3.0)) * (0.8 * slow + 0.35 * quick)
    return _NOISE * _FACTORS[:, None] * (1.2 * constant + wander)


_GROUPS = tuple(
    [i for i, name in enumerate(BLAZEPOSE.joints) if name.startswith(side) and name.endswith(ends)]
    for side in ("left", "right")
    for ends in (
        ("wrist", "pinky", "index", "thumb"),
        ("ankle", "heel", "foot index"),
        ("elbow", "wrist", "pinky", "thumb"),
    )
)


def _episodes(frames: int, rng: np.random.Generator) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Which joints (T, 33) something hides for a while; in which frames (T,) no pose is found."""
    hidden, lost = np.zeros((frames, 33)), np.zeros(frames, bool)
    for _ in range(rng.poisson(frames / 75)):
        start, length = int(rng.integers(frames)), int(rng.integers(5, 26))
        hidden[start : start + length, _GROUPS[rng.integers(len(_GROUPS))]] = 1.0
    if rng.random() < _LOST_SHARE:
        start, length = int(rng.integers(frames)), int(rng.integers(2, 9))
        lost[start : start + length] = True
    return hidden, lost


def _visibility(
    body: Array, image: Array, camera: Camera, hidden: Array, rng: np.random.Generator
) -> Array:
    """(T, 33) from 0 to 1: low for joints that are covered, out of the picture or hidden."""
    half = 0.5 * camera.shown / camera.size[0]
    outside = np.maximum(np.abs(image[..., 0] - 0.5) / half, np.abs(image[..., 1] - 0.5) / 0.5) > 1
    logit = 5.5 - 1.2 * _FACTORS + 0.5 * rng.standard_normal((1, 33))
    logit = logit + 0.4 * drift(rng, len(body), 33, 15.0)
    logit -= 3.8 * _covered(body) + 7.0 * hidden + 7.0 * outside
    return _low_pass(1.0 / (1.0 + np.exp(-logit)))


def _covered(body: Array) -> Array:
    """(T, 33) from 0 to 1: behind the trunk, or behind the other arm or leg.

    Args:
        body: in the camera's view, from the middle of the hips.
    """
    neck = body[:, 11:13].mean(1, keepdims=True)
    share = np.clip((body * neck).sum(-1) / (neck * neck).sum(-1), 0.0, 1.0)
    trunk = body - share[..., None] * neck
    near = np.hypot(trunk[..., 0], trunk[..., 1])
    behind = np.clip((0.17 - near) / 0.05, 0, 1) * np.clip((trunk[..., 2] - 0.08) / 0.08, 0, 1)
    other = body - body[:, list(BLAZEPOSE.mirror)]
    near = np.hypot(other[..., 0], other[..., 1])
    limb = np.clip((0.12 - near) / 0.05, 0, 1) * np.clip((other[..., 2] - 0.05) / 0.08, 0, 1)
    covered = np.maximum(behind, limb)
    covered[:, :13] = covered[:, 23:25] = 0.0  # nets report head, shoulders and hips as visible
    return np.asarray(covered)


def _low_pass(values: Array, alpha: float = 0.2) -> Array:
    """First-order low-pass over time, as the pose net's own, started at the first frame."""
    start = (1.0 - alpha) * values[:1]
    return np.asarray(lfilter([alpha], [1.0, alpha - 1.0], values, axis=0, zi=start)[0])
