"""Where a landmark table keeps which joint: in rows, or in columns of many spellings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vitruvian.core.check import nearest
from vitruvian.core.errors import DataError
from vitruvian.spine.skeletons import BLAZEPOSE, SKELETONS, Skeleton, skeleton_named

AXES = ("x", "y", "z", "visibility", "wx", "wy", "wz")
_AXIS = {
    **{axis: axis for axis in AXES},
    **dict.fromkeys(("v", "vis", "score", "confidence", "likelihood"), "visibility"),
    **{f"world {axis}": f"w{axis}" for axis in "xyz"},
}
_LANDMARK = ("", "landmark", "joint", "keypoint", "point")  # before the number of a joint


@dataclass(frozen=True)
class Place:
    """A column of a wide table.

    Attributes:
        column: as the file calls it.
        joint: name or number, as the file has it, in lower case with blanks.
        axis: one of `AXES`.
    """

    column: str
    joint: str
    axis: str


def places(columns: Iterable[str]) -> list[Place]:
    """The columns that hold a coordinate of a joint.

    Understood are `nose_x`, `LEFT_SHOULDER_X`, `leftShoulder.x`, `left_wrist_visibility`, `x0`,
    `x_0`, `0_x`, `landmark_0_x`, and `wx` or `world_x` for metres.
    """
    found = []
    for column in columns:
        words = _words(column)
        place = _numbered_behind(words) or _named_before(words)
        if place is not None:
            found.append(Place(column, *place))
    return found


def _words(column: str) -> list[str]:
    """`leftShoulder_X` -> left, shoulder, x; `v12` -> v, 12."""
    parted = re.sub(
        r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])", " ", column
    )
    return re.findall(r"[a-z0-9]+", parted.lower())


def _numbered_behind(words: Sequence[str]) -> tuple[str, str] | None:
    """`x 0`: the axis first."""
    axis = _AXIS.get(" ".join(words[:-1]))
    return (words[-1], axis) if axis and words[-1].isdigit() else None


def _named_before(words: Sequence[str]) -> tuple[str, str] | None:
    """`left shoulder x` or `landmark 0 x`: the axis last."""
    for count in (2, 1):
        axis = _AXIS.get(" ".join(words[-count:]))
        joint = " ".join(words[:-count])
        if axis and joint:
            return plain(joint), axis
    return None


def plain(joint: str) -> str:
    """A joint's name in lower case with blanks; only the number of a numbered one."""
    words = _words(joint)
    if words and words[-1].isdigit() and " ".join(words[:-1]) in _LANDMARK:
        return words[-1]
    return " ".join(words)


def positions(
    joints: Sequence[str], meant: Mapping[str, str | None], skeleton: str | None
) -> tuple[Skeleton, list[int | None]]:
    """Find the skeleton, and the position of each joint in it.

    Args:
        joints: of a table, as `plain` gives them; each once.
        meant: our names of joints that the table calls otherwise; None leaves a joint out.
        skeleton: its name, if it is known.

    Returns:
        The skeleton; and for each joint its position, None if it is left out.

    Raises:
        ConfigError: there is no such skeleton.
        DataError: a joint is none of the skeleton's, or two are the same one.
    """
    renamed = {plain(theirs): ours for theirs, ours in meant.items()}
    names = [renamed.get(joint, joint) for joint in joints]
    kept = [plain(name) for name in names if name is not None]
    found = _recognised(kept) if skeleton is None else skeleton_named(skeleton)
    first = _first_number(kept, len(found))
    where = [None if name is None else _position(plain(name), found, first) for name in names]
    taken = [place for place in where if place is not None]
    for joint, place in zip(joints, where, strict=True):
        if place is not None and taken.count(place) > 1:
            raise DataError(f"joint {joint!r} is there twice, as {found.joints[place]}")
    return found, where


def _recognised(joints: Sequence[str]) -> Skeleton:
    if all(joint.isdigit() for joint in joints):
        if len(joints) == len(BLAZEPOSE):
            return BLAZEPOSE
        raise DataError(
            f"{len(joints)} numbered joints: name their skeleton, such as skeleton=kinect22 or "
            f"skeleton=joints{len(joints)}x3"
        )
    known = [(sum(joint in s.joints for joint in joints), s) for s in SKELETONS.values()]
    return max(known, key=lambda pair: pair[0])[1]


def _first_number(joints: Sequence[str], count: int) -> int:
    """Joints are counted from 0, or from 1 where that fits."""
    numbers = [int(joint) for joint in joints if joint.isdigit()]
    return 1 if numbers and min(numbers) == 1 and max(numbers) == count else 0


def _position(joint: str, skeleton: Skeleton, first: int) -> int:
    if joint in skeleton.joints:
        return skeleton.joints.index(joint)
    if joint.isdigit() and 0 <= int(joint) - first < len(skeleton):
        return int(joint) - first
    near = nearest(joint, skeleton.joints)
    hint = f"is it {near!r}? " if near else ""
    raise DataError(
        f"joint {joint!r} is none of {skeleton.name}; {hint}give its name here with "
        "joints={theirs: ours}, or joints={theirs: null} to leave it out"
    )
