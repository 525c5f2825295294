"""What a prediction is asked for: videos, folders of images, landmark tables or databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vitruvian.core.errors import DataError
from vitruvian.spine.data.sources import DATABASES, TABLES
from vitruvian.spine.extract.recordings import find_recordings
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.pose.blazepose import BlazePose
from vitruvian.spine.pose.extraction import extract
from vitruvian.spine.skeletons import BLAZEPOSE, Skeleton

Read = Callable[[], tuple[Clip, dict[str, Any]]]


@dataclass(frozen=True)
class Input:
    """One recording to predict.

    Attributes:
        name: of its results; it may hold sub-folders.
        source: the file or folder it comes from.
        read: returns the clip, and what to say of the way to it, such as the pose net.
    """

    name: str
    source: Path
    read: Read


def find_inputs(source: Path, pose: BlazePose, skeleton: Skeleton) -> list[Input]:
    """List the recordings of a file or folder, in the order of their names.

    Raises:
        DataError: there is none, or the model does not read what the source holds.
    """
    if not source.exists():
        raise DataError(f"input={source}: no such file or folder")
    if source.suffix.lower() in (*TABLES, *DATABASES) and source.is_file():
        return list(_of_clips(source, skeleton))
    recordings = find_recordings(source)
    if skeleton != BLAZEPOSE:
        raise DataError(
            f"input={source}: the model reads {skeleton.name}, a video gives {BLAZEPOSE.name}; "
            "give it a landmark table"
        )
    names = _names([recording.name for recording in recordings])
    return [
        Input(name, recording.path, partial(_extracted, recording.path, name, pose))
        for name, recording in zip(names, recordings, strict=True)
    ]


def _names(files: Sequence[str]) -> list[str]:
    """Names without endings, where that leaves them different."""
    short = [Path(file).with_suffix("").as_posix() for file in files]
    pairs = zip(short, files, strict=True)
    return [name if short.count(name) == 1 else file for name, file in pairs]


def _extracted(path: Path, name: str, pose: BlazePose) -> tuple[Clip, dict[str, Any]]:
    found = extract(path, pose)
    return Clip(name, "", "", found.landmarks), {"pose": found.identity, "broken": found.broken}


def _of_clips(source: Path, skeleton: Skeleton) -> Iterator[Input]:
    clips = _stored(source)
    for clip in clips:
        if clip.landmarks.skeleton != skeleton.name:
            raise DataError(
                f"input={source}: {clip.name} has {clip.landmarks.skeleton}, "
                f"the model reads {skeleton.name}"
            )
        yield Input(clip.name, source, partial(_as_it_is, clip))


def _as_it_is(clip: Clip) -> tuple[Clip, dict[str, Any]]:
    return clip, {}


def _stored(source: Path) -> list[Clip]:
    if source.suffix.lower() in TABLES:
        from vitruvian.spine.tables.tables import read_table

        return read_table(source)
    from vitruvian.spine.database.database import LandmarkDatabase

    with LandmarkDatabase(source) as database:
        return list(database.read_all())
