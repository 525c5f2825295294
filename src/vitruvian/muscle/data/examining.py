"""What was understood of a recording and what is wrong with it, before anybody trains on it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.core.examination import Examined
from vitruvian.muscle.recording import Aligned, Frames, Image, Recording
from vitruvian.muscle.roi.region import RegionOfInterest
from vitruvian.muscle.sync.alignment import Synchronisation

Remarks = tuple[str, ...]

LOOKED_AT = 25  # frames of a recording in which the muscle is looked for: a second


def examine_recording(
    name: str,
    opener: Callable[[], Recording],
    quantities: Sequence[str],
    synchronisation: Synchronisation,
    region: RegionOfInterest,
    figures: Path | None = None,
) -> Examined:
    """Open a recording, align all of it, read every frame, look for the muscle in the first second.

    Problems are what `prepare` would refuse it for, and a muscle that is lost in most frames; what
    is wrong with a channel is a note, since the rest of it can be learnt from.

    Args:
        name: of the recording.
        opener: opens it, or raises DataError.
        quantities: that are to be predicted.
        synchronisation: how frames and signals are brought together.
        region: which part of the frames is read.
        figures: folder for a figure of the alignment; None: none is drawn.
    """
    try:
        recording = opener()
    except DataError as error:
        return Examined(name, "", (str(error),))
    try:
        aligned = synchronisation.align(recording, quantities)
    except DataError as error:
        return Examined(name, "", (str(error),), tuple(recording.notes))
    problems, lost = _looked_at(recording, region)
    figure = _drawn(recording, aligned, figures) if figures is not None else None
    notes = (*_notes(recording, aligned), *lost)
    return Examined(name, _understood(recording, aligned), problems, notes, figure)


def _understood(recording: Recording, aligned: Aligned) -> str:
    clock = aligned.clock
    parts = [f"{recording.participant}, {recording.task}", f"{recording.frame_count} frames"]
    parts[1] += " with a value each" if clock.kind == "frames" else f" at {clock.rate_hz:.3f} Hz"
    if clock.kind != "frames":
        parts.append(f"{clock.pulses} pulses" if clock.pulses else f"clock from {clock.kind}")
        parts.append(f"offset {clock.offset_s:.3f} s")
        drift = "" if np.isnan(clock.drift_ppm) else f"drift {clock.drift_ppm:+.0f} ppm, "
        parts.append(f"{drift}residual {clock.residual_ms:.2f} ms")
    parts += [f"{name} {low:.4g} to {high:.4g}" for name, low, high in _ranges(aligned)]
    return ", ".join(parts + (["simulated"] if recording.simulated else []))


def _ranges(aligned: Aligned) -> Iterator[tuple[str, float, float]]:
    for name, values in aligned.values.items():
        if values.size:
            yield name, float(np.nanmin(values)), float(np.nanmax(values))


def _notes(recording: Recording, aligned: Aligned) -> Iterator[str]:
    yield from recording.notes
    yield from aligned.faults
    clock = aligned.clock
    if clock.missing:
        yield f"{clock.missing} missing pulses filled in"
    if clock.doubled:
        yield f"{clock.doubled} double pulses left out"
    if aligned.dropped:
        yield f"{aligned.dropped} frames without signal dropped"
    yield from clock.notes


def _looked_at(recording: Recording, region: RegionOfInterest) -> tuple[Remarks, Remarks]:
    """Problems and notes of the images."""
    if recording.frames is None:
        return ("no images: it can be aligned, not trained on",), ()
    images = _numbered(recording.frames)
    try:
        first = list(islice(images, LOOKED_AT))
        masks = None if recording.masks is None else recording.masks[: len(first)]
        lost = region.crops(first, recording.mm_per_pixel, masks).failures
        deque(images, maxlen=0)  # the others need only be readable
    except DataError as error:
        return (str(error),), ()
    remark = (f"the muscle was not found in {lost} of the first {len(first)} frames",)
    if 2 * lost > len(first):
        return remark, ()
    return (), remark if lost else ()


def _numbered(frames: Frames) -> Iterator[Image]:
    """The frames; what is wrong with one says which it is."""
    number = 0
    try:
        for image in frames:
            yield image
            number += 1
    except DataError as error:
        if re.search(r"\bframe \d", str(error)):
            raise
        raise DataError(f"frame {number + 1}: {error}") from error


def _drawn(recording: Recording, aligned: Aligned, figures: Path) -> Path:
    from vitruvian.muscle.sync.figure import draw_alignment

    simulated = "_simulated" if recording.simulated else ""
    target = figures / f"{recording.name}{simulated}.png"
    draw_alignment(recording, aligned, target)
    return target
