"""The simulated cohort that a config chooses: a folder of raw recordings, written once.

It is written as a lab would leave it, in several file formats and units, so that everything that
reads recordings is exercised: `P01_passive/recording.yaml` and beside it frames, signals, masks,
and `truth.json`, which nothing but a test should read.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import cv2

from vitruvian.core.errors import ConfigError
from vitruvian.core.files import turn, write_json
from vitruvian.core.sampling import generator
from vitruvian.muscle.recordings.channel_form import ChannelForm
from vitruvian.muscle.recordings.writing import write_recording
from vitruvian.muscle.simulator.person import Person
from vitruvian.muscle.simulator.protocol import TASKS
from vitruvian.muscle.simulator.trial import SimulatedTrial

VERSION = 1  # raise it whenever the same seed would give other recordings
MARKER = "SIMULATED.json"
TRUTH = "truth.json"

_WOMEN = 3  # stream of chance, after those of people, tissue and trials
_FEW_FRAMES = 600  # for which another process does not pay
_FRAMES: tuple[Any, ...] = ("avi", "avi", "png", "avi", "npz", "avi", "avi")
_SIGNALS: tuple[Any, ...] = ("csv", "parquet", "mat")
_VOLTS = {
    "angle_deg": ChannelForm("V", scale=20.0),
    "torque_nm": ChannelForm("V", scale=50.0, offset=-10.0),
    "emg_v": ChannelForm("mV", gain=1000.0),
}
_CHANNELS: tuple[dict[str, ChannelForm], ...] = (
    {"emg_v": ChannelForm("mV")},
    _VOLTS,
    {"angle_deg": ChannelForm("rad"), "emg_v": ChannelForm("V", gain=2000.0)},
    {},
)


@dataclass(frozen=True)
class SimulatedCohort:
    """People to train on where there are no recordings; see `person` and `physiology`.

    Cohorts of the same seed have the same people, whatever they do.

    Attributes:
        people: how many (paper 001: 19).
        women: how many of them (paper 001: 6).
        seconds: length of each trial, 1 to 120.
        tasks: what everybody does, of passive, isometric and combined.
        design: `independent`: angle and activity vary on their own; `confounded`: one follows the
            other in every trial, from which no net can learn to tell them apart.
        seed: of the cohort.
        frame_rate_hz: that the scanners claim, 5 to 100; they really run up to 2 % off it.
    """

    people: int = 19
    women: int = 6
    seconds: float = 20.0
    tasks: Sequence[str] = TASKS
    design: Literal["independent", "confounded"] = "independent"
    seed: int = 0
    frame_rate_hz: float = 25.0

    def __post_init__(self) -> None:
        if self.people < 1:
            raise ConfigError(f"people: at least 1, not {self.people}")
        if not 0 <= self.women <= self.people:
            raise ConfigError(f"women: from 0 to people={self.people}, not {self.women}")
        if not 1.0 <= self.seconds <= 120.0:
            raise ConfigError(f"seconds: from 1 to 120, not {self.seconds}")
        if not self.tasks or len(set(self.tasks)) < len(self.tasks) or set(self.tasks) - set(TASKS):
            raise ConfigError(f"tasks: some of {', '.join(TASKS)}, each once, not {self.tasks}")
        if self.design not in ("independent", "confounded"):
            raise ConfigError(f"design: independent or confounded, not {self.design!r}")
        if self.seed < 0:
            raise ConfigError(f"seed: 0 or more, not {self.seed}")
        if not 5.0 <= self.frame_rate_hz <= 100.0:
            raise ConfigError(f"frame_rate_hz: from 5 to 100, not {self.frame_rate_hz}")

    def write(self, folder: Path) -> Path:
        """Write the cohort below `folder`, once, and return its root.

        What was begun and killed is continued: recordings that are whole stay. Of several
        processes one writes and the others wait.

        Raises:
            RunError: the folder cannot be written.
        """
        text = json.dumps([VERSION, self._values()], sort_keys=True)
        root = folder / f"muscle-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        if not (root / MARKER).is_file():
            with turn(folder / f".{root.name}.lock", root):
                self._write_once(root)
        return root

    def persons(self) -> list[Person]:
        """Draw the people."""
        women = set(generator(self.seed, _WOMEN).permutation(self.people)[: self.women].tolist())
        return [Person.drawn(number, self.seed, number in women) for number in range(self.people)]

    def trials(self, person: Person) -> list[SimulatedTrial]:
        """What one of them does."""
        frames = round(self.seconds * self.frame_rate_hz)
        return [
            SimulatedTrial(person, task, frames, self.frame_rate_hz, self.design)
            for task in TASKS
            if task in self.tasks
        ]

    def _write_once(self, root: Path) -> None:
        if (root / MARKER).is_file():  # another process was first
            return
        self._write_people(root)
        content = {"simulated": True, "version": VERSION, "parameters": self._values()}
        write_json(root / MARKER, content)

    def _write_people(self, root: Path) -> None:
        """Write everybody, in several processes where that pays."""
        trials = [self.trials(person) for person in self.persons()]
        frames = sum(trial.frames for some in trials for trial in some)
        workers = min(_cores(), len(trials), -(-frames // _FEW_FRAMES))
        if workers == 1:
            for some in trials:
                _write_trials(root, some)
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, cv2.setNumThreads, (1,)) as pool:
            list(pool.map(partial(_write_trials, root), trials))

    def _values(self) -> dict[str, Any]:
        return {**asdict(self), "tasks": [task for task in TASKS if task in self.tasks]}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _write_trials(root: Path, trials: Sequence[SimulatedTrial]) -> None:
    """Write the trials of one person, unless they are there."""
    for trial in trials:
        if not (root / trial.name / TRUTH).is_file():
            _write_trial(root / trial.name, trial)


def _write_trial(folder: Path, trial: SimulatedTrial) -> None:
    """Write a recording, and last the truth about it, which says that it is whole."""
    for rest in (folder, *folder.parent.glob(f".{folder.name}.*.tmp")):  # of one that was killed
        shutil.rmtree(rest, ignore_errors=True)
    number = trial.person.number
    images, recording = trial.rendered()
    write_recording(
        folder,
        recording,
        images,
        frames=_FRAMES[number % len(_FRAMES)],
        signals=_SIGNALS[number % len(_SIGNALS)],
        channels=_CHANNELS[number % len(_CHANNELS)],
    )
    write_json(folder / TRUTH, trial.truth())
