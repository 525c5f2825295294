"""Clips as rows of the landmark database, and back, bit by bit."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import DataError
from vitruvian.spine.database.schema import IDENTITY_COLUMNS
from vitruvian.spine.landmarks import Clip, Landmarks
from vitruvian.spine.skeletons import skeleton_named

Identity = Mapping[str, Any]
Row = dict[str, Any]

_FLOAT = np.dtype("<f4")


@dataclass(frozen=True)
class ClipInfo:
    """What the database knows about a clip, without its landmarks.

    Attributes:
        id: in the database.
        name: of the clip.
        participant: who; empty where that is unknown.
        exercise: what; empty where that is unknown.
        rating: 0 to 100; NaN where there is none.
        simulated: whether a simulator made it.
        skeleton: of its landmarks.
        frames: their number.
        fps: frames per second, the mean; NaN for fewer than two frames.
        size: width and height of the frames that the pose net saw; None without video.
        broken: why the recording ends before its end; None if it does not.
        content_sha256: of the video.
        identity: all that the landmarks depend on beside the video: model, versions, settings.
        created: when it was written, UTC.
    """

    id: int
    name: str
    participant: str
    exercise: str
    rating: float
    simulated: bool
    skeleton: str
    frames: int
    fps: float
    size: tuple[int, int] | None
    broken: str | None
    content_sha256: str
    identity: Identity
    created: datetime

    @property
    def pose(self) -> str:
        """The model in a word, for messages."""
        return str(self.identity.get("variant") or "unknown")


def pose_sha256(identity: Identity) -> str:
    """The hash that stands for a pose identity; the order of its keys does not matter."""
    return hashlib.sha256(_canonical(identity).encode()).hexdigest()


def landmarks_sha256(clip: Clip) -> str:
    """The hash of a clip's landmarks, for clips that come without a video."""
    landmarks = clip.landmarks
    total = hashlib.sha256(landmarks.skeleton.encode())
    total.update(np.ascontiguousarray(landmarks.times_s, "<f8").tobytes())
    for array in (landmarks.points, landmarks.visibility, landmarks.world):
        total.update(b"\0" if array is None else b"".join(_frames(array)))
    return total.hexdigest()


def clip_row(clip: Clip, identity: Identity, content_sha256: str, broken: str | None) -> Row:
    """The row of the table `clips`.

    Raises:
        ValueError: the rating is not from 0 to 100, or there is no name or no frame.
    """
    if not clip.name or not len(clip.landmarks):
        raise ValueError(f"{clip.name or 'a clip'}: a name and at least one frame are needed")
    if clip.rating < 0 or clip.rating > 100:
        raise ValueError(f"{clip.name}: a rating is from 0 to 100, not {clip.rating:g}")
    width, height = clip.landmarks.size or (None, None)
    named = {name: identity.get(name) for name in IDENTITY_COLUMNS}
    return {
        "name": clip.name,
        "content_sha256": content_sha256,
        "pose_sha256": pose_sha256(identity),
        "identity": _canonical(identity),
        "participant": clip.participant,
        "exercise": clip.exercise,
        "rating": _or_none(clip.rating),
        "simulated": clip.simulated,
        "skeleton": clip.landmarks.skeleton,
        "frames": len(clip.landmarks),
        "fps": _or_none(clip.landmarks.fps),
        "width": width,
        "height": height,
        "broken": broken,
        "created": datetime.now(UTC).replace(tzinfo=None, microsecond=0),
        **{name: None if value is None else str(value) for name, value in named.items()},
    }


def landmark_rows(clip_id: int, landmarks: Landmarks) -> list[Row]:
    """The rows of the table `landmarks`, one per frame."""
    return [
        {
            "clip_id": clip_id,
            "frame": frame,
            "time_s": time,
            "points": points,
            "visibility": visibility,
            "world": world,
        }
        for frame, (time, points, visibility, world) in enumerate(
            zip(
                landmarks.times_s.tolist(),
                _frames(landmarks.points),
                _frames(landmarks.visibility),
                _frames(landmarks.world) if landmarks.world is not None else _nothing(),
                strict=False,
            )
        )
    ]


def info_of(row: Mapping[Any, Any]) -> ClipInfo:
    """Read a row of the table `clips`."""
    return ClipInfo(
        id=row["id"],
        name=row["name"],
        participant=row["participant"],
        exercise=row["exercise"],
        rating=_or_nan(row["rating"]),
        simulated=bool(row["simulated"]),
        skeleton=row["skeleton"],
        frames=row["frames"],
        fps=_or_nan(row["fps"]),
        size=None if row["width"] is None else (row["width"], row["height"]),
        broken=row["broken"],
        content_sha256=row["content_sha256"],
        identity=json.loads(row["identity"]),
        created=row["created"],
    )


def clip_of(info: ClipInfo, rows: Sequence[Sequence[Any]]) -> Clip:
    """Put a clip together.

    Args:
        info: of the clip.
        rows: time_s, points, visibility and world of its frames, in their order.

    Raises:
        DataError: rows are missing, or their content does not fit the skeleton.
    """
    times, points, visibility, world = zip(*rows, strict=True) if rows else ((), (), (), ())
    try:
        if len(rows) != info.frames:
            raise ValueError(f"{len(rows)} of {info.frames} frames are there")
        landmarks = Landmarks(
            np.array(times, np.float64),
            _joined(points, info, skeleton_named(info.skeleton).dims),
            _joined(visibility, info, 1)[..., 0],
            None if None in world else _joined(world, info, 3),
            info.size,
            info.skeleton,
        )
    except ValueError as error:
        raise DataError(f"clip {info.name} is damaged in the database: {error}") from error
    return Clip(info.name, info.participant, info.exercise, landmarks, info.rating, info.simulated)


def _joined(blobs: Sequence[bytes], info: ClipInfo, dims: int) -> npt.NDArray[np.float32]:
    joints = len(skeleton_named(info.skeleton))
    content = bytearray().join(blobs)  # writable, and copied once
    return np.frombuffer(content, _FLOAT).astype(np.float32, copy=False).reshape(-1, joints, dims)


def _frames(array: npt.NDArray[Any]) -> Iterator[bytes]:
    return (frame.tobytes() for frame in np.ascontiguousarray(array, _FLOAT))


def _nothing() -> Iterator[None]:
    while True:
        yield None


def _canonical(identity: Identity) -> str:
    return json.dumps(dict(identity), sort_keys=True, ensure_ascii=False)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)
