"""Angle, torque and EMG while the probe is on the leg: numbers in the terminal, and a table."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.core.live import LiveOptions, LiveOutcome
from vitruvian.core.signals import Interrupted, StopRequest
from vitruvian.core.task import SIMULATED_KEY
from vitruvian.core.video.video import open_video
from vitruvian.muscle.online import OnlineEstimator, Reading
from vitruvian.muscle.quantities import quantity
from vitruvian.muscle.readings import Readings
from vitruvian.muscle.recording import USUAL_RATE_HZ, Image
from vitruvian.muscle.recordings.description import FILE_NAME
from vitruvian.muscle.recordings.opening import open_recording

if TYPE_CHECKING:
    from vitruvian.muscle.estimator import MuscleEstimator

TOLD_EVERY_S = 1.0
LOST = 2  # exit code where the source was lost
TIMED = 1000  # last frames whose durations are reported

Timed = Iterator[tuple[float, Image]]


def predict_live(
    task: MuscleEstimator, options: LiveOptions, provenance: dict[str, Any]
) -> LiveOutcome:
    """Say angle, torque and EMG of a source while it runs.

    Args:
        task: the trained task, on its device.
        options: a recording folder, a video, a camera or an address; `table` keeps the numbers.
        provenance: what the run was trained on.

    Returns:
        What to tell the user; the table is written also where a signal ended the session.

    Raises:
        ConfigError: something is asked for that this study does not show.
        DataError: nothing of the source can be read, or its millimetres per pixel are not known.
    """
    options.refuse("muscle", "page", "window", "video", "wait")
    if provenance.get(SIMULATED_KEY):
        print("note: the model was trained on simulated people")
    stop = StopRequest()
    stop.install()
    session = Session(task, options)
    code = 0
    try:
        session.play()
    except Interrupted as signal:
        code = signal.exit_code
    except DataError as error:  # what was read so far is not lost with the source
        if not len(session.readings):
            raise
        session.broken = str(error)
    finally:
        session.keep()
    return LiveOutcome(session.summary(), LOST if session.broken and not code else code)


class Session:
    """One stream: paced if asked for, timed, told every second.

    Args:
        task: the trained task.
        options: where to read.
    """

    def __init__(self, task: MuscleEstimator, options: LiveOptions) -> None:
        self._task, self._options = task, options
        self.readings = Readings(task.quantities, centred=task.target == "centred")
        self.broken: str | None = None
        self._seconds: deque[float] = deque(maxlen=TIMED)

    def play(self) -> None:
        """Read the source to its end."""
        told = -TOLD_EVERY_S
        with self._opened() as (online, frames):
            began = time.monotonic()
            for time_s, image in frames:
                if self._options.realtime:
                    time.sleep(max(0.0, began + time_s - time.monotonic()))
                start = time.perf_counter()
                reading = online.push(image)
                self._seconds.append(time.perf_counter() - start)
                self.readings.add(time_s, reading)
                if time_s - told >= TOLD_EVERY_S:
                    told = time_s
                    print(self.line(time_s, reading), flush=True)

    @contextmanager
    def _opened(self) -> Iterator[tuple[OnlineEstimator, Timed]]:
        folder = Path(self._options.source).expanduser()
        if (folder / FILE_NAME).is_file():
            recording = open_recording(folder)
            online = OnlineEstimator(self._task, recording.mm_per_pixel, recording.masks)
            if recording.frames is None:
                raise DataError(f"{recording.name}: it has no images")
            claimed = recording.clock.rate_hz or recording.frames.claimed_rate_hz
            rate = claimed or self._task.frame_rate_hz or USUAL_RATE_HZ
            yield online, ((n / rate, image) for n, image in enumerate(recording.frames))
            return
        scale = self._task.mm_per_pixel
        online = OnlineEstimator(self._task, (scale, scale) if scale else None)
        rate = self._task.frame_rate_hz or USUAL_RATE_HZ
        with closing(open_video(self._options.source, "none", rate)) as video:
            yield online, ((frame.time_s, _grey(frame)) for frame in video)
            self.broken = video.broken

    def keep(self) -> None:
        """Write what was read so far into the table that was asked for."""
        if self._options.table is not None and len(self.readings):
            self.readings.write(self._options.table)

    def line(self, time_s: float, reading: Reading) -> str:
        """One line for the terminal."""
        values = reading.value if reading.value is not None else reading.change
        if values is None or np.isnan(values).any():
            return f"{time_s:8.2f} s  no muscle yet, or too few frames  ({self.timing()})"
        told = [
            f"{quantity(name).word} {value:.4g} {quantity(name).symbol}"
            for name, value in zip(self._task.quantities, values, strict=True)
        ]
        per_frame = "" if reading.value is not None else " per frame"
        return f"{time_s:8.2f} s  {', '.join(told)}{per_frame}  ({self.timing()})"

    def timing(self) -> str:
        """How long the last frames took, region of interest included."""
        if not self._seconds:
            return "no frame"
        p50, p95, p99 = (1e3 * q for q in np.percentile(self._seconds, [50, 95, 99]))
        return f"p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms a frame"

    def summary(self) -> str:
        """What to tell at the end."""
        kept = f"; {self._options.table}" if self._options.table and len(self.readings) else ""
        end = f"; the source was lost: {self.broken}" if self.broken else ""
        frames = f"{len(self.readings)} frames of {self._options.shown_source}"
        return f"{frames}, {self.timing()}{kept}{end}"


def _grey(frame: Any) -> Image:
    """The picture of a video frame in grey; its memory is given back."""
    image: Image = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
    frame.release()
    return image
