"""Angle, torque and EMG of new recordings or videos: a table over time, a JSON, a figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import DataError
from vitruvian.core.files import write_json
from vitruvian.core.task import SIMULATED_KEY
from vitruvian.muscle.figures import draw_readings
from vitruvian.muscle.online import OnlineEstimator
from vitruvian.muscle.readings import Readings
from vitruvian.muscle.recording import Aligned, ClockSource, Frames, Recording
from vitruvian.muscle.recordings.description import FILE_NAME, FramesPart
from vitruvian.muscle.recordings.finding import named_recordings
from vitruvian.muscle.recordings.frame_files import open_frames
from vitruvian.muscle.recordings.opening import open_recording

if TYPE_CHECKING:
    from vitruvian.muscle.estimator import MuscleEstimator

Floats = npt.NDArray[np.float64]

NO_RATE = (
    "its frames have no times: give model.frame_rate_hz=..., or a recording folder with a clock"
)


@dataclass(frozen=True)
class Timing:
    """When the frames of a recording were taken, and what was measured then.

    Attributes:
        times_s: (frames,) NaN where unknown.
        measured: by quantity, (frames,), NaN where there is no signal; empty without signals.
        source: in words.
    """

    times_s: Floats
    measured: Mapping[str, Floats]
    source: str


def predict_path(
    task: MuscleEstimator, source: Path, target: Path, provenance: dict[str, Any]
) -> Iterator[Path]:
    """Predict every recording of a folder, or one video.

    Args:
        task: the trained task, on its device.
        source: a recording folder, a folder of them, a video, or a folder of images.
        target: folder for `NAME.csv`, `.parquet`, `.json` and `.png`; `_simulated` in the name
            says that the data or the model's training data are.
        provenance: what the JSON says about the run.

    Yields:
        The files as they are written.

    Raises:
        DataError: there is no recording, or some cannot be read; the others have been predicted.
    """
    faults: list[str] = []
    recordings = list(_recordings(task, source))
    for name, opened in recordings:
        try:
            yield from predict_recording(task, opened(), target, provenance)
        except DataError as error:
            faults.append(str(error) if name in str(error) else f"{name}: {error}")
    if faults:
        done = len(recordings) - len(faults)
        told = f"{len(faults)} of {len(recordings)} recordings cannot be predicted; {done} are done"
        raise DataError(faults[0] if len(recordings) == 1 else "\n  ".join([f"{told}:", *faults]))


def _recordings(
    task: MuscleEstimator, source: Path
) -> Iterator[tuple[str, Callable[[], Recording]]]:
    if not source.exists():
        raise DataError(f"input={source}: no such file or folder")
    if source.is_dir() and any(source.rglob(FILE_NAME)):
        for name, folder in named_recordings(source).items():
            yield name, partial(open_recording, folder, name)
    else:
        yield source.name, partial(bare, task, source)


def bare(task: MuscleEstimator, source: Path) -> Recording:
    """A video or a folder of images as a recording without signals."""
    frames = open_frames(source.parent, FramesPart(file=source.name))
    assert frames is not None
    scale = task.mm_per_pixel
    return Recording(
        name=source.stem,
        participant="unknown",
        task="unknown",
        frames=frames,
        frame_count=frames.count,
        signals={},
        clock=ClockSource("frames", rate_hz=task.frame_rate_hz),
        mm_per_pixel=(scale, scale) if scale is not None else None,
        sources=(source,),
    )


def predict_recording(
    task: MuscleEstimator, recording: Recording, target: Path, provenance: dict[str, Any]
) -> Iterator[Path]:
    """Predict one recording; yields its four files as they are written.

    Raises:
        DataError: it has no images, no times, or the muscle's size in them is unknown.
    """
    if recording.frames is None:
        raise DataError(f"{recording.name}: it has no images")
    timing = timing_of(task, recording, recording.frames)
    readings, lost = read_frames(task, recording, recording.frames, timing)
    simulated = recording.simulated or bool(provenance.get(SIMULATED_KEY))
    stem = target / f"{recording.name}{'_simulated' if simulated else ''}"
    stem.parent.mkdir(parents=True, exist_ok=True)
    for ending in (".csv", ".parquet"):
        path = stem.with_name(stem.name + ending)
        readings.write(path)
        yield path
    outline = stem.with_name(f"{stem.name}.json")
    write_json(outline, describe(task, recording, timing, readings, lost) | provenance)
    yield outline
    page = stem.with_name(f"{stem.name}.png")
    draw_readings(page, recording.name, readings.columns, task.quantities, timing, simulated)
    yield page


def read_frames(
    task: MuscleEstimator, recording: Recording, frames: Frames, timing: Timing
) -> tuple[Readings, int]:
    """Push all frames through the on-line estimator, as a stream would come.

    Returns:
        What it says, and the number of frames in which the muscle was not found.

    Raises:
        DataError: it was found in none.
    """
    online = OnlineEstimator(task, recording.mm_per_pixel, recording.masks)
    readings = Readings(task.quantities, centred=task.target == "centred")
    for time_s, image in zip(timing.times_s, frames, strict=True):
        readings.add(float(time_s), online.push(image))
    if online.lost == len(readings):
        raise DataError(
            f"{recording.name}: the muscle was found in none of {len(readings)} frames; check "
            "frames.mm_per_pixel and frames.crop, or choose another region (datamodule/roi)"
        )
    return readings, online.lost


def timing_of(task: MuscleEstimator, recording: Recording, frames: Frames) -> Timing:
    """Times from the recording's own clock, else from the frame rate of its file or the key."""
    known = [name for name in task.quantities if name in recording.signals]
    if recording.signals:
        aligned = task.synchronisation.align(recording, known)
        measured = {name: _spread(aligned, recording.frame_count, name) for name in known}
        return Timing(aligned.clock.times_s, measured, f"clock of kind {aligned.clock.kind}")
    rate = task.frame_rate_hz or frames.claimed_rate_hz
    if not rate:
        raise DataError(f"{recording.name}: {NO_RATE}")
    told = "model.frame_rate_hz" if task.frame_rate_hz else "the file's own claim"
    return Timing(np.arange(recording.frame_count) / rate, {}, f"{rate:g} Hz, {told}")


def _spread(aligned: Aligned, count: int, name: str) -> Floats:
    """Values of kept frames among all frames."""
    values = np.full(count, np.nan)
    values[aligned.frames] = aligned.values[name]
    return values


def describe(
    task: MuscleEstimator, recording: Recording, timing: Timing, readings: Readings, lost: int
) -> dict[str, Any]:
    """What the JSON holds of a recording."""
    return {
        "input": recording.name,
        "participant": recording.participant,
        "task": recording.task,
        "input_simulated": recording.simulated,
        "frames": len(readings),
        "muscle_not_found": lost,
        "times": timing.source,
        "target": task.target,
        "quantities": list(task.quantities),
        "interval_level": task.readout.level,
        "interval_note": "split conformal on the validation participants: few people",
        "columns": list(readings.columns),
        "predicted": datetime.now(UTC).isoformat(timespec="seconds"),
    }
