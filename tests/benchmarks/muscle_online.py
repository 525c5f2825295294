"""One frame in, angle, torque and EMG out, region of interest included, on one core.

Each frame is timed by itself, as a person who waits for it would: the table shows the median, the
text the 95th and the 99th percentile. A frame on disk would have to be decoded first; one from a
frame grabber, as here, is there. The weights are untrained, which costs the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.benchmarks.harness import Ratio, Row, Scale
from tests.benchmarks.muscle_data import configuration, one_core, trials
from vitruvian.core.engine import build_task
from vitruvian.muscle.estimator import MuscleEstimator
from vitruvian.muscle.online import OnlineEstimator
from vitruvian.muscle.recording import Image, Recording

EXPERIMENTS = ("muscle_best", "muscle_cnn")
BETWEEN_FRAMES_S = 0.040  # at 25 Hz

Step = Callable[[Image], Any]
Begin = Callable[[], Step]


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """Against the time until the next frame; then the region of interest by itself."""
    images, recording = trials(scale)[0].rendered()
    with one_core():
        for experiment in EXPERIMENTS:
            task = _untrained(experiment)
            steps: dict[str, Begin] = {
                "a frame": partial(_estimator, task, recording),
                "its region of interest alone": partial(
                    task.roi.cropper, recording.mm_per_pixel, None
                ),
            }
            for name, begin in steps.items():
                yield _row(f"{experiment}, {name}", _seconds(begin, images, scale.repetitions))


def _untrained(experiment: str) -> MuscleEstimator:
    torch.manual_seed(0)
    task = build_task(configuration(experiment))
    assert isinstance(task, MuscleEstimator)
    return task


def _estimator(task: MuscleEstimator, recording: Recording) -> Step:
    online = OnlineEstimator(task, recording.mm_per_pixel)
    return lambda image: online.push(image).change


def _seconds(begin: Begin, images: Sequence[Image], repetitions: int) -> list[float]:
    """Seconds of each frame but a stream's first, which no net answers; one stream to warm up."""
    found: list[float] = []
    for repetition in range(repetitions + 1):
        step = begin()
        step(images[0])
        for image in images[1:]:
            start = time.perf_counter()
            answer = step(image)
            seconds = time.perf_counter() - start
            assert all(np.isfinite(part).all() for part in answer)
            if repetition:
                found.append(seconds)
    return found


def _row(what: str, seconds: Sequence[float]) -> Row:
    high, highest = (f"{1000 * s:.2g}" for s in np.percentile(seconds, (95, 99)))
    ratio = Ratio(tuple(seconds), (BETWEEN_FRAMES_S,) * len(seconds))
    return Row(f"muscle_online: {what} (p95 {high}, p99 {highest} ms), 25 Hz", ratio, "ms")
