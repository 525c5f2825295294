"""The simulated people that a config chooses: each choice has a database of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vitruvian.core.errors import ConfigError
from vitruvian.core.files import atomic, write_json
from vitruvian.core.sampling import generator
from vitruvian.spine.database.database import LandmarkDatabase
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.simulator.exercises import EXERCISES
from vitruvian.spine.simulator.simulator import VERSION, Person, severities, truth

FPS = 30.0
_DURATION, _COMPLETE = 2, 3  # streams of chance, after those of the simulator


@dataclass(frozen=True)
class SimulatedPeople:
    """People to train on where there are no videos; see `vitruvian.spine.simulator.simulator`.

    Attributes:
        people: how many (paper 003, section III.B: 150).
        seed: of the cohort.
        seconds: shortest and longest clip.
        healthy: share of people whose severity is below 0.5 (paper 003, section IV: 79 %).
        complete: share of the clips that were handed in (paper 003, section III.B: 97 %).
    """

    people: int = 150
    seed: int = 0
    seconds: Sequence[float] = (4.0, 7.0)
    healthy: float = 0.79
    complete: float = 0.97

    def __post_init__(self) -> None:
        if self.people < 1:
            raise ConfigError(f"people: at least 1, not {self.people}")
        if len(self.seconds) != 2 or not 0.2 <= self.seconds[0] <= self.seconds[1]:
            raise ConfigError(f"seconds: [shortest, longest] from 0.2 on, not {self.seconds}")
        for name in ("healthy", "complete"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name}: a share above 0, not {getattr(self, name)}")

    def write(self, folder: Path) -> Path:
        """Write the cohort into a database below `folder`, once, and return its path.

        Beside it, in a file of the same name that ends in `.truth.json`, stands what is so about
        these people; see `truth`.

        Raises:
            RunError: the folder cannot be written.
        """
        text = json.dumps([VERSION, self._values()], sort_keys=True)
        path = folder / f"people-{hashlib.sha256(text.encode()).hexdigest()[:12]}.db"
        if path.is_file():
            return path
        write_json(path.with_suffix(".truth.json"), self.truth())
        with atomic(path) as temporary, LandmarkDatabase(temporary) as database:
            database.add_many(self.clips(), {"simulator": VERSION})
        return path

    def persons(self) -> Iterator[Person]:
        """Draw the people."""
        for number, severity in enumerate(severities(self.people, self.seed, self.healthy)):
            yield Person.drawn(number, self.seed, float(severity))

    def truth(self) -> dict[str, Any]:
        """What is so about all of them, by participant, and the parameters they follow from."""
        return {
            "simulated": True,
            "version": VERSION,
            "parameters": self._values(),
            "people": {person.name: truth(person) for person in self.persons()},
        }

    def _values(self) -> dict[str, Any]:
        return {**asdict(self), "seconds": list(self.seconds)}

    def clips(self) -> Iterator[Clip]:
        """Simulate the clips, person by person; somebody has at least the first one."""
        for person in self.persons():
            for place, exercise in enumerate(EXERCISES):
                random = generator(self.seed, _DURATION, person.number, place)
                seconds = random.uniform(self.seconds[0], self.seconds[1])
                if place == 0 or random.random() < self.complete:
                    yield person.clip(exercise, round(seconds * FPS), FPS)
