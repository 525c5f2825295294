"""Masks of new images and recordings as PNGs, with a JSON that says where they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.core.files import atomic, write_json
from vitruvian.core.task import SIMULATED_KEY
from vitruvian.muscle.adapters.stills import read_grey
from vitruvian.muscle.recording import Image, Mask
from vitruvian.muscle.recordings.finding import find_recordings
from vitruvian.muscle.recordings.opening import open_recording
from vitruvian.muscle.recordings.picture_sources import IMAGES

if TYPE_CHECKING:
    from vitruvian.muscle.segmentation.task import MuscleSegmenter

SUFFIXES = ("_mask", "_mask_simulated")  # the second: the model was trained on simulated people
NOT_FOR_DIAGNOSIS = "research software: not a medical device, not for diagnosis"


@dataclass(frozen=True)
class Source:
    """Something to segment.

    Attributes:
        name: of its results.
        simulated: whether a simulator made it.
        frames: opens the images and says where the mask of each is to be written, below the
            target; a suffix stands for {}.
    """

    name: str
    simulated: bool
    frames: Callable[[], Iterable[tuple[str, Image]]]


def predict_path(
    task: MuscleSegmenter, source: Path, target: Path, provenance: dict[str, Any]
) -> Iterator[Path]:
    """Segment an image, a folder of images, a recording, or a folder of recordings.

    A mask is white where the muscle is, of the size of its frame; black all over where the muscle
    was not found. Images give `NAME_mask.png`, recordings a folder `NAME_mask` with one PNG for
    each frame; each has a `NAME_mask.json`.

    Yields:
        The files as they are written.

    Raises:
        DataError: there is nothing to segment, or it cannot be read.
    """
    suffix = SUFFIXES[bool(provenance.get(SIMULATED_KEY))]
    for item in _sources(source):
        found = 0
        count = 0
        for place, frame in item.frames():
            mask = task.find(frame)
            count, found = count + 1, found + (mask is not None)
            yield _written(target / place.format(suffix), mask, frame)
        outline = target / f"{item.name}{suffix}.json"
        write_json(outline, _described(item, count, found) | provenance)
        yield outline


def _sources(source: Path) -> list[Source]:
    """What there is at a path.

    Raises:
        DataError: nothing.
    """
    if not source.exists():
        raise DataError(f"input={source}: no such file or folder")
    files = [source] if source.is_file() else sorted(source.iterdir())
    images = [file for file in files if file.suffix.lower() in IMAGES]
    if images and not (source / "recording.yaml").is_file():
        return [_image(file) for file in images]
    if source.is_file():
        raise DataError(f"input={source}: neither an image ({', '.join(IMAGES)}) nor a folder")
    return [_recording(folder) for folder in find_recordings(source)]


def _image(file: Path) -> Source:
    return Source(file.stem, False, lambda: [(f"{file.stem}{{}}.png", read_grey(file))])


def _recording(folder: Path) -> Source:
    recording = open_recording(folder)
    frames = recording.frames
    if frames is None:
        raise DataError(f"{folder}: it has no images")
    return Source(
        recording.name,
        recording.simulated,
        lambda: (
            (f"{recording.name}{{}}/{number:05d}.png", frame) for number, frame in enumerate(frames)
        ),
    )


def _written(path: Path, mask: Mask | None, frame: Image) -> Path:
    shown = np.zeros(frame.shape, np.uint8) if mask is None else mask.astype(np.uint8) * 255
    with atomic(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", shown)[1].tobytes())
    return path


def _described(item: Source, count: int, found: int) -> dict[str, Any]:
    return {
        "input": item.name,
        "input_simulated": item.simulated,
        "frames": count,
        "found": found,
        "note": NOT_FOR_DIAGNOSIS,
        "predicted": datetime.now(UTC).isoformat(timespec="seconds"),
    }
