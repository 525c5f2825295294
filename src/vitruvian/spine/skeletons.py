"""Skeletons: names of the joints, the bones between them, and which joint is whose mirror image.

Nothing else in the room knows that BlazePose has 33 landmarks: a net, a feature or a picture asks
the skeleton, so that a Kinect's 22 joints or bare channels go the same way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from vitruvian.core.errors import ConfigError

Bone = tuple[int, int]
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Skeleton:
    """The joints of one kind of landmarks.

    Attributes:
        name: as a config writes it.
        joints: names in the order of the data.
        dims: coordinates of a joint.
        bones: pairs of joints that are drawn and that a graph net connects.
        mirror: for each joint, its mirror image (itself on the midline).
        angles: joint angles by name, each at the middle one of three joints.
        relative: whether positions are relative to the parent joint, so that they are no points in
            one space.
    """

    name: str
    joints: tuple[str, ...]
    dims: int = 3
    bones: tuple[Bone, ...] = ()
    mirror: tuple[int, ...] = ()
    angles: Mapping[str, Triple] = field(default_factory=dict)
    relative: bool = False

    def __len__(self) -> int:
        """Number of joints."""
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Position of a joint in the data.

        Raises:
            ConfigError: the skeleton has no such joint.
        """
        try:
            return self.joints.index(joint)
        except ValueError as error:
            raise ConfigError(f"the skeleton {self.name} has no joint {joint!r}") from error

    def has(self, *joints: str) -> bool:
        """Whether it has all these joints, as points in one space."""
        return not self.relative and self.dims >= 2 and set(joints) <= set(self.joints)


def skeleton_named(name: str) -> Skeleton:
    """The skeleton of this name: blazepose33, kinect22, kinect_lengths, or such as joints18x3.

    Raises:
        ConfigError: there is none of this name.
    """
    if name in SKELETONS:
        return SKELETONS[name]
    anonymous = re.fullmatch(r"joints([1-9][0-9]*)x([1-3])", name)
    if anonymous is None:
        known = ", ".join(SKELETONS)
        raise ConfigError(f"skeleton: {name!r} is none of {known}, joints<N>x<dims>")
    count, dims = int(anonymous[1]), int(anonymous[2])
    joints = tuple(f"joint {i}" for i in range(count))
    chain = tuple((i, i + 1) for i in range(count - 1))
    return Skeleton(name, joints, dims, chain, tuple(range(count)), relative=True)


def _mirrored(joints: tuple[str, ...]) -> tuple[int, ...]:
    swapped = {"left": "right", "right": "left"}
    other = (" ".join(swapped.get(word, word) for word in joint.split()) for joint in joints)
    return tuple(joints.index(name) for name in other)


# BlazePose's topology (paper 003, Fig. 3; MediaPipe's documentation of the pose landmarker).
_BLAZEPOSE = (
    "nose",
    "left eye inner",
    "left eye",
    "left eye outer",
    "right eye inner",
    "right eye",
    "right eye outer",
    "left ear",
    "right ear",
    "mouth left",
    "mouth right",
    "left shoulder",
    "right shoulder",
    "left elbow",
    "right elbow",
    "left wrist",
    "right wrist",
    "left pinky",
    "right pinky",
    "left index",
    "right index",
    "left thumb",
    "right thumb",
    "left hip",
    "right hip",
    "left knee",
    "right knee",
    "left ankle",
    "right ankle",
    "left heel",
    "right heel",
    "left foot index",
    "right foot index",
)
_BLAZEPOSE_BONES = (
    *((0, 1), (1, 2), (2, 3), (3, 7), (0, 4), (4, 5), (5, 6), (6, 8), (9, 10)),
    *((11, 12), (11, 13), (13, 15), (15, 17), (15, 19), (15, 21), (17, 19)),
    *((12, 14), (14, 16), (16, 18), (16, 20), (16, 22), (18, 20)),
    *((11, 23), (12, 24), (23, 24), (23, 25), (25, 27), (27, 29), (29, 31), (27, 31)),
    *((24, 26), (26, 28), (28, 30), (30, 32), (28, 32)),
)
_BLAZEPOSE_ANGLES = {
    "left elbow": (11, 13, 15),
    "right elbow": (12, 14, 16),
    "left shoulder": (13, 11, 23),
    "right shoulder": (14, 12, 24),
    "left hip": (11, 23, 25),
    "right hip": (12, 24, 26),
    "left knee": (23, 25, 27),
    "right knee": (24, 26, 28),
}

# UI-PRMD's Kinect order (Vakanski et al., Data 2018, 3, 2); positions relative to the parent joint.
_KINECT = (
    "waist",
    "spine",
    "chest",
    "neck",
    "head",
    "head tip",
    "left collar",
    "left upper arm",
    "left forearm",
    "left hand",
    "right collar",
    "right upper arm",
    "right forearm",
    "right hand",
    "left upper leg",
    "left lower leg",
    "left foot",
    "left toes",
    "right upper leg",
    "right lower leg",
    "right foot",
    "right toes",
)
_KINECT_BONES = (
    *((0, 1), (1, 2), (2, 3), (3, 4), (4, 5)),
    *((2, 6), (6, 7), (7, 8), (8, 9), (2, 10), (10, 11), (11, 12), (12, 13)),
    *((0, 14), (14, 15), (15, 16), (16, 17), (0, 18), (18, 19), (19, 20), (20, 21)),
)

BLAZEPOSE = Skeleton(
    "blazepose33",
    _BLAZEPOSE,
    bones=_BLAZEPOSE_BONES,
    mirror=_mirrored(_BLAZEPOSE),
    angles=_BLAZEPOSE_ANGLES,
)
KINECT = Skeleton(
    "kinect22", _KINECT, bones=_KINECT_BONES, mirror=_mirrored(_KINECT), relative=True
)
# A joint's position relative to its parent lies along the bone between them: its length is all that
# it tells. So 66 columns become the waist's three and 21 lengths.
_LENGTHS = ("waist x", "waist y", "waist z", *(f"{joint} length" for joint in _KINECT[1:]))
KINECT_LENGTHS = Skeleton(
    "kinect_lengths",
    _LENGTHS,
    dims=1,
    bones=((0, 1), (1, 2), *((a + 2, b + 2) for a, b in _KINECT_BONES)),
    mirror=_mirrored(_LENGTHS),
    relative=True,
)
SKELETONS = {skeleton.name: skeleton for skeleton in (BLAZEPOSE, KINECT, KINECT_LENGTHS)}
