"""Opening a recording folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vitruvian.muscle.recording import ClockSource, Recording
from vitruvian.muscle.recordings.description import FILE_NAME, Description, read_description
from vitruvian.muscle.recordings.frame_files import RecordedFrames, open_frames
from vitruvian.muscle.recordings.masks import read_masks
from vitruvian.muscle.recordings.signals import read_signals, read_times


def open_recording(folder: Path, name: str | None = None) -> Recording:
    """Open a recording; its frames are read when somebody iterates over them.

    Args:
        folder: that holds a `recording.yaml`, as `description` explains it.
        name: of the recording, as `finding.named_recordings` gives it; None: that of the folder.

    Raises:
        DataError: something is missing, broken or contradicts itself; names the file, and the key,
            column or frame.
        ConfigError: a package that reads a format is not installed.
    """
    description = read_description(folder)
    frames = open_frames(folder, description.frames)
    count = frames.count if frames is not None else description.frames.count or 0
    read = read_signals(folder, description)
    shape = None if frames is None else frames.shape
    masks = description.masks
    depth_note = f"frames: {frames.depth.note}" if frames is not None and frames.depth.note else ""
    return Recording(
        name=name or folder.resolve().name,
        participant=description.participant,
        task=description.task,
        frames=frames,
        frame_count=count,
        signals=read.signals,
        clock=_clock(folder, description),
        mm_per_pixel=description.frames.spacing,
        masks=None if masks is None else read_masks(folder / masks, count, shape),
        emg_mvc_v=description.emg_mvc_v,
        raw=description.raw,
        person=description.person,
        simulated=description.simulated,
        sources=_sources(folder, description, frames),
        notes=tuple(note for note in (depth_note, *read.notes) if note),
    )


def _clock(folder: Path, description: Description) -> ClockSource:
    part = description.clock
    if part is None:  # no signals, nothing to be timed against
        return ClockSource("frames")
    times_s = None if part.times is None else read_times(folder, part.times)
    return ClockSource(part.kind, part.channel, times_s, part.rate_hz)


def _sources(
    folder: Path, description: Description, frames: RecordedFrames | None
) -> Sequence[Path]:
    """Every file, once each."""
    times = description.clock.times if description.clock is not None else None
    named = [
        *(part.file for part in description.signals),
        *([description.masks] if description.masks is not None else []),
        *([times.file] if times is not None and times.file is not None else []),
    ]
    pictures = () if frames is None else frames.source.files
    return tuple(dict.fromkeys([folder / FILE_NAME, *pictures, *(folder / n for n in named)]))
