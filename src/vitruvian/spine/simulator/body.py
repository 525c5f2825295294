"""The simulated body: from joint angles and where the feet stand to 33 landmarks in space.

Room coordinates are metres: y is up, and a person of heading 0 has x to the left and z in front.
Trunk, head and arms follow their joint angles; the legs reach from the hips to the feet, so that a
standing foot stays where it is. All segments are rigid: only joints move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LEFT, RIGHT = 0, 1
_OUTWARD = np.array([1.0, -1.0])  # of the left and of the right side, along x
_REACH = 0.999  # of the leg's length: a knee never locks, so that it knows where to bend

# Points of the head (share of stature) from the middle between the ears, left ones of each pair.
_NOSE = (0.0, -0.006, 0.068)
_FACE = {
    "eye inner": (0.010, 0.017, 0.056),
    "eye": (0.019, 0.018, 0.053),
    "eye outer": (0.027, 0.017, 0.047),
    "ear": (0.043, 0.0, 0.0),
    "mouth": (0.014, -0.031, 0.052),
}
# Knuckles (share of stature) from the wrist of a hanging left arm, palm to the thigh.
_HAND = ((0.0, -0.050, -0.014), (-0.002, -0.054, 0.014), (-0.008, -0.028, 0.022))


@dataclass(frozen=True)
class Pose:
    """What the joints do over T frames; radians and metres.

    Attributes:
        pelvis: (T, 3) the middle between the hips.
        heading: (T,) of the pelvis; to the left is positive.
        tilt: (T,) of the pelvis, to the front.
        obliquity: (T,) of the pelvis, to the left.
        flexion: (T,) of the spine, to the front, relative to the pelvis.
        lean: (T,) of the spine, to the left.
        twist: (T,) of the shoulders against the pelvis, to the left.
        shrug: (T, 2) angle by which the left and the right shoulder are raised.
        nod: (T,) of the head, to the front, relative to the thorax.
        turn: (T,) of the head, to the left.
        lift: (T, 2) of the left and the right upper arm, to the front.
        spread: (T, 2) of the upper arms, outward.
        elbow: (T, 2) bend of the elbows.
        feet: (T, 2, 3) the ankles, as if the feet stood flat.
        toes: (T, 2) heading of the feet.
        heel: (T, 2) pitch of the feet: heel raised about the toes, or (negative) toes raised.
    """

    pelvis: Array
    heading: Array
    tilt: Array
    obliquity: Array
    flexion: Array
    lean: Array
    twist: Array
    shrug: Array
    nod: Array
    turn: Array
    lift: Array
    spread: Array
    elbow: Array
    feet: Array
    toes: Array
    heel: Array


@dataclass(frozen=True)
class Body:
    """Lengths of the segments in metres (fractions of stature: Drillis and Contini, 1966).

    Attributes:
        stature: height.
        shoulder: half the distance of the shoulder joints.
        hip: half the distance of the hip joints.
        trunk: from the hips to the base of the neck.
        upper_arm: shoulder to elbow.
        forearm: elbow to wrist.
        thigh: hip to knee.
        shank: knee to ankle.
        ankle: height of the ankle above the floor.
        foot: from the ankle to the tip of the foot, along the floor.
        neck: from the base of the neck to the middle between the ears.
    """

    stature: float
    shoulder: float
    hip: float
    trunk: float
    upper_arm: float
    forearm: float
    thigh: float
    shank: float
    ankle: float
    foot: float
    neck: float

    @classmethod
    def of(cls, stature: float, female: bool = False, legs: float = 1.0) -> Body:
        """The body of this stature.

        Args:
            stature: metres.
            female: women have narrower shoulders and wider hips.
            legs: length of the legs relative to the average at the same stature.
        """
        shoulder, hip = (0.098, 0.064) if female else (0.109, 0.059)
        longer = (legs - 1.0) * 0.491  # what the legs gain, the trunk loses
        fractions = {
            "shoulder": shoulder,
            "hip": hip,
            "trunk": 0.300 - longer,
            "upper_arm": 0.172,
            "forearm": 0.152,
            "thigh": 0.245 * legs,
            "shank": 0.246 * legs,
            "ankle": 0.042,
            "foot": 0.098,
            "neck": 0.098,
        }
        return cls(stature, **{name: share * stature for name, share in fractions.items()})

    @property
    def hip_height(self) -> float:
        """Height of the hips when standing, knees all but straight."""
        return (self.thigh + self.shank) * (_REACH - 0.002) + self.ankle

    @property
    def arm(self) -> float:
        """From the shoulder to the knuckles."""
        return self.upper_arm + self.forearm + 0.05 * self.stature

    def shoulders(self, pose: Pose) -> Array:
        """(T, 2, 3) positions of the left and the right shoulder."""
        return self._upper(pose)[0]

    def landmarks(self, pose: Pose) -> Array:
        """(T, 33, 3) landmarks in the order of BlazePose, metres."""
        shoulders, base, thorax = self._upper(pose)
        arms = self._arms(pose, shoulders, thorax)
        return np.concatenate([self._head(pose, base, thorax), *arms, *self._legs(pose)], axis=1)

    def _upper(self, pose: Pose) -> tuple[Array, Array, Array]:
        """Shoulders (T, 2, 3), base of the neck (T, 3) and frame of the thorax (T, 3, 3)."""
        lumbar = _pelvis(pose) @ _bend(pose, 0.5)
        thorax = lumbar @ _bend(pose, 0.5)
        base = pose.pelvis.copy()
        for frame, share in ((_pelvis(pose), 0.15), (lumbar, 0.4), (thorax, 0.45)):
            base += share * self.trunk * frame[..., 1]
        outward = _OUTWARD * np.cos(pose.shrug) * self.shoulder
        clavicles = np.stack([outward, np.sin(pose.shrug) * self.shoulder], -1)
        shoulders = base[:, None] + clavicles @ thorax[..., :2].swapaxes(1, 2)
        return shoulders, base, thorax

    def _head(self, pose: Pose, base: Array, thorax: Array) -> Array:
        """(T, 11, 3) nose, eyes, ears and mouth; the neck takes half of the head's nod."""
        neck = thorax @ rotation(0, 0.5 * pose.nod + 0.2)
        head = neck @ rotation(0, 0.5 * pose.nod - 0.2) @ rotation(1, pose.turn)
        middle = base + self.neck * neck[..., 1]
        return middle[:, None] + (self.stature * _FACE_POINTS) @ head.swapaxes(1, 2)

    def _arms(self, pose: Pose, shoulders: Array, thorax: Array) -> tuple[Array, ...]:
        """Shoulders, elbows, wrists and the three knuckles of each hand, each (T, 2, 3)."""
        upper = thorax[:, None] @ rotation(2, _OUTWARD * pose.spread) @ rotation(0, -pose.lift)
        fore = upper @ rotation(0, -pose.elbow)
        elbows = shoulders - self.upper_arm * upper[..., 1]
        wrists = elbows - self.forearm * fore[..., 1]
        hands = [wrists + self.stature * _both(fore, point) for point in _HAND]
        return shoulders, elbows, wrists, *hands

    def _legs(self, pose: Pose) -> tuple[Array, ...]:
        """Hips, knees, ankles, heels and tips of the feet, each (T, 2, 3)."""
        across = _pelvis(pose)[..., 0]
        hips = pose.pelvis[:, None] + self.hip * _OUTWARD[:, None] * across[:, None]
        flat, pitched = rotation(1, pose.toes), rotation(0, pose.heel)
        to_heel, to_tip = self._sole()
        pivot = np.where((pose.heel > 0)[..., None], to_tip, to_heel)
        turned = pivot - np.einsum("...ij,...j->...i", pitched, pivot)
        ankles = pose.feet + np.einsum("...ij,...j->...i", flat, turned)
        knees, ankles = self._reach(hips, ankles, flat[..., 2] + _front_of(across)[:, None])
        frame = flat @ pitched
        return hips, knees, ankles, ankles + frame @ to_heel, ankles + frame @ to_tip

    def _sole(self) -> tuple[Array, Array]:
        """From the ankle to the heel and to the tip of the foot."""
        heel = np.array([0.0, -0.75 * self.ankle, -0.03 * self.stature])
        return heel, np.array([0.0, -0.80 * self.ankle, self.foot])

    def _reach(self, hips: Array, ankles: Array, front: Array) -> tuple[Array, Array]:
        """Knees between hips and ankles, bent to the front; feet out of reach are pulled in."""
        gap = ankles - hips
        distance = np.linalg.norm(gap, axis=-1, keepdims=True)
        along = gap / distance
        longest, shortest = self.thigh + self.shank, abs(self.thigh - self.shank)
        length = np.clip(distance, shortest + 0.05 * longest, _REACH * longest)
        share = (length**2 + self.thigh**2 - self.shank**2) / (2 * length)
        pole = front - (front * along).sum(-1, keepdims=True) * along
        pole /= np.linalg.norm(pole, axis=-1, keepdims=True)
        knees = hips + share * along + np.sqrt(self.thigh**2 - share**2) * pole
        return knees, hips + length * along


def rotation(axis: int, angle: Array) -> Array:
    """(..., 3, 3) rotations by `angle` (...) about x (0), y (1) or z (2), right-handed."""
    result = np.zeros((*np.shape(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    result[..., axis, axis] = 1.0
    result[..., i, i] = result[..., j, j] = np.cos(angle)
    result[..., j, i] = np.sin(angle)
    result[..., i, j] = -result[..., j, i]
    return result


def _front_of(across: Array) -> Array:
    """(T, 3) the horizontal direction in front of a pelvis whose left is `across`."""
    return np.asarray(np.cross(across, (0.0, 1.0, 0.0)), np.float64)


def _pelvis(pose: Pose) -> Array:
    return rotation(1, pose.heading) @ rotation(2, -pose.obliquity) @ rotation(0, pose.tilt)


def _bend(pose: Pose, share: float) -> Array:
    """(T, 3, 3) what one of the two joints of the spine does."""
    twist, lean = rotation(1, share * pose.twist), rotation(2, -share * pose.lean)
    return lean @ rotation(0, share * pose.flexion) @ twist


def _both(frames: Array, point: tuple[float, float, float]) -> Array:
    """(T, 2, 3) a left point and its mirror image, each in its frame (T, 2, 3, 3)."""
    points = np.array([point, point]) * np.stack([_OUTWARD, [1, 1], [1, 1]], -1)
    return np.einsum("tsij,sj->tsi", frames, points)


def _face_points() -> Array:
    """(11, 3) in the order of BlazePose: nose, left eye, right eye, ears, mouth."""
    mirrored = {name: (-x, y, z) for name, (x, y, z) in _FACE.items()}
    eyes = [side[name] for side in (_FACE, mirrored) for name in ("eye inner", "eye", "eye outer")]
    pairs = [side[name] for name in ("ear", "mouth") for side in (_FACE, mirrored)]
    return np.array([_NOSE, *eyes, *pairs])


_FACE_POINTS = _face_points()
