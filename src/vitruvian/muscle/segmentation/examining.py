"""What is understood of the masks of a recording, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.core.examination import Examined
from vitruvian.core.files import atomic
from vitruvian.muscle.recording import Mask, Recording
from vitruvian.muscle.roi.overlay import draw_region

Opener = Callable[[], Recording]


def examine_masks(name: str, opener: Opener, figures: Path | None = None) -> Examined:
    """Open a recording and look at its masks.

    Args:
        name: of the recording.
        opener: opens it, or raises DataError.
        figures: folder for a picture of its first frame with the outline; None: none is drawn.
    """
    try:
        recording = opener()
        masks = recording.masks
        if recording.frames is None or masks is None or not len(masks):
            missing = "masks" if recording.frames else "images"
            return Examined(name, _who(recording), (f"no {missing}: it is passed over",))
        problems = _problems(masks, recording)
        drawn = None if figures is None or problems else _drawn(recording, masks[0], figures)
    except DataError as error:
        return Examined(name, "", (str(error),))
    return Examined(name, _understood(recording, masks), problems, _notes(masks), drawn)


def _who(recording: Recording) -> str:
    simulated = ["simulated"] if recording.simulated else []
    return ", ".join([recording.participant, recording.task, *simulated])


def _understood(recording: Recording, masks: Mask) -> str:
    count = "one mask for all" if len(masks) == 1 else f"{len(masks)} masks"
    rows = masks.sum(axis=1)  # (n, w)
    thickness = float(np.median(rows[rows > 0])) if rows.any() else 0.0
    unit = "rows"
    if recording.mm_per_pixel is not None:
        thickness, unit = thickness * recording.mm_per_pixel[0], "mm"
    frames = f"{recording.frame_count} frames"
    return f"{_who(recording)}, {frames}, {count}, muscle {thickness:.1f} {unit} thick"


def _problems(masks: Mask, recording: Recording) -> tuple[str, ...]:
    frames = recording.frames
    assert frames is not None
    shape = next(iter(frames)).shape
    problems = []
    if len(masks) not in (1, frames.count):
        problems.append(f"{len(masks)} masks for {frames.count} frames")
    if masks.shape[1:] != shape:
        problems.append(f"masks are {masks.shape[1:]} (h, w) but frames {shape}")
    if not masks.any():
        problems.append("all masks are empty")
    return tuple(problems)


def _notes(masks: Mask) -> tuple[str, ...]:
    empty = int((~masks.any(axis=(1, 2))).sum())
    return (f"{empty} of {len(masks)} masks are empty",) if empty else ()


def _drawn(recording: Recording, mask: Mask, figures: Path) -> Path:
    assert recording.frames is not None
    picture = draw_region(next(iter(recording.frames)), mask)
    simulated = "_simulated" if recording.simulated else ""
    target = figures / f"{recording.name}_mask{simulated}.png"
    with atomic(target) as temporary:
        temporary.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return target
