"""The simulated recordings that the benchmarks of the muscle study read, and its configurations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import cv2
from hydra import compose, initialize_config_dir

from tests.benchmarks.harness import Scale
from vitruvian.core.build import build
from vitruvian.core.compose import register_schema
from vitruvian.core.config import Config, config_directory, freeze
from vitruvian.core.cost import one_thread
from vitruvian.core.store import Store
from vitruvian.muscle.data.cases import MuscleCase
from vitruvian.muscle.data.conversion import stored
from vitruvian.muscle.recordings.opening import open_recording
from vitruvian.muscle.recordings.writing import write_recording
from vitruvian.muscle.simulator.cohort import SimulatedCohort
from vitruvian.muscle.simulator.trial import SimulatedTrial

LEAST_FRAMES = 25  # a second, however small the scale


@cache
def configuration(experiment: str) -> Config:
    """A recipe of the muscle study as it is trained."""
    register_schema()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return freeze(compose("train", [f"experiment={experiment}"]))


def conversion(config: Config) -> tuple[Sequence[str], Any, Any]:
    """Quantities, synchronisation and region of interest, as `stored` takes them."""
    node = config["datamodule"]
    return node["quantities"], build(node["synchronisation"]), build(node["roi"])


def trials(scale: Scale) -> list[SimulatedTrial]:
    """One for each simulated person: angle and activity vary; 225 frames, 9 s, at full scale."""
    frames = LEAST_FRAMES + scale.reads
    people = SimulatedCohort(people=scale.cases, women=0).persons()
    return [SimulatedTrial(person, "combined", frames) for person in people]


def recordings(scale: Scale, folder: Path) -> list[Path]:
    """Their folders, written once: lossless AVI, CSV at 1 kHz, masks."""
    made = trials(scale)
    root = folder / f"muscle-{len(made)}-{made[0].frames}"
    for trial in made:
        if not (root / trial.name).is_dir():
            images, recording = trial.rendered()
            write_recording(root / trial.name, recording, images)
    return [root / trial.name for trial in made]


def stored_cases(scale: Scale, folder: Path, config: Config) -> list[MuscleCase]:
    """The recordings in our store, converted once."""
    settings, store = conversion(config), Store(folder / "muscle-store")
    return [stored(open_recording(path), *settings, store) for path in recordings(scale, folder)]


@contextmanager
def one_core() -> Iterator[None]:
    """Keep torch and OpenCV to one thread each."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with one_thread():
            yield
    finally:
        cv2.setNumThreads(before)
