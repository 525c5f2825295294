"""Simulated people with a known severity: the embedded default data of the spine study.

A person has a body, habits, a way of filming, and a severity from which the signs of `manner`
follow in a mixture of their own: some lean, some are stiff. The rating is what they report of it.
How severity shows is a design decision of the simulator, not a finding about people; what it makes
is called simulated wherever it shows.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vitruvian.core.sampling import generator
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.simulator.body import Array, Body
from vitruvian.spine.simulator.camera import Setting, observe
from vitruvian.spine.simulator.exercises import EXERCISES
from vitruvian.spine.simulator.manner import FULL_BEND, Manner, Spells

VERSION = 2  # raise it whenever the same seed would give other clips

SIGNS = ("lean", "shoulder", "rotation", "bend")  # what paper 003 names; `truth` gives each 0 to 1
_PERSON, _CLIP = 0, 1  # streams of chance


@dataclass(frozen=True)
class Person:
    """A simulated person.

    Attributes:
        number: from 0; names them.
        seed: of the cohort.
        severity: 0 (best) to 1 (worst), what an honest index would be.
        female: sex; 30 % are women, as in paper 003.
        body: lengths of the segments.
        manner: how they move.
        setting: how they film.
        bias: that they add to each rating, points.
        step: to which they round ratings, points.
    """

    number: int
    seed: int
    severity: float
    female: bool
    body: Body
    manner: Manner
    setting: Setting
    bias: float
    step: int

    @classmethod
    def drawn(cls, number: int, seed: int, severity: float) -> Person:
        """The person of this number; the severity changes the signs, not the rest of them."""
        rng = generator(seed, _PERSON, number)
        female = bool(rng.random() < 0.3)
        stature = float(rng.normal(1.59, 0.055) if female else rng.normal(1.71, 0.06))
        return cls(
            number=number,
            seed=seed,
            severity=severity,
            female=female,
            body=Body.of(stature, female, legs=float(rng.normal(1.0, 0.015))),
            manner=_manner(rng, severity),
            setting=Setting.drawn(rng),
            bias=float(rng.normal(0.0, 3.0)),
            step=int(rng.choice((1, 5))),
        )

    @property
    def name(self) -> str:
        """As participant in a data set."""
        return f"simulated-{self.number:03d}"

    def clip(self, exercise: str, frames: int, fps: float = 30.0) -> Clip:
        """Film one exercise.

        Args:
            exercise: one of `EXERCISES`.
            frames: at least 2; the exercise is repeated as often as they allow.
            fps: frames per second.

        Raises:
            ValueError: there is no such exercise, or fewer than 2 frames.
        """
        if exercise not in EXERCISES:
            raise ValueError(f"exercise must be one of {', '.join(EXERCISES)}, not {exercise!r}")
        if frames < 2:
            raise ValueError(f"frames must be at least 2, not {frames}")
        rng, rating, spells = self._beginning(exercise, frames / fps)
        times = np.arange(frames) / fps
        pose = EXERCISES[exercise](self.body, self.manner, spells, times, rng)
        camera = self.setting.camera(self.body.stature, exercise, rng)
        points = self.body.landmarks(pose)
        landmarks = observe(points, camera, self.body.stature, times, self.setting.clothing, rng)
        name = f"{self.name}-{exercise.replace(' ', '-')}"
        return Clip(name, self.name, exercise, landmarks, rating, simulated=True)

    def spells(self, exercise: str, frames: int, fps: float = 30.0) -> Spells:
        """When the signs show in the clip of the same arguments: the frames to be found."""
        return self._beginning(exercise, frames / fps)[2]

    def _beginning(
        self, exercise: str, seconds: float
    ) -> tuple[np.random.Generator, float, Spells]:
        """What is drawn first of a clip: its rating and the spells; and the source of the rest."""
        rng = generator(self.seed, _CLIP, self.number, list(EXERCISES).index(exercise))
        return rng, self._rating(rng), Spells.drawn(rng, seconds)

    def _rating(self, rng: np.random.Generator) -> float:
        """100 (1 - severity), as reported: with an error of 5 points in all, rounded."""
        felt = 100.0 * (1.0 - self.severity) + self.bias + rng.normal(0.0, 4.0)
        return float(np.clip(self.step * np.round(felt / self.step), 0.0, 100.0))


def truth(person: Person) -> dict[str, Any]:
    """What is so about a person, to test explanations against.

    Returns:
        severity; `signs`: asymmetric lean, difference of shoulder heights, reduced axial rotation,
        restricted forward bend, guarding and sway, each 0 to 1; side of the lean; sex and stature.
    """
    manner = asdict(person.manner)
    return {
        "severity": person.severity,
        "signs": {name: manner[name] for name in (*SIGNS, "guard", "sway")},
        "side": "left" if person.manner.side > 0 else "right",
        "sex": "female" if person.female else "male",
        "stature_m": person.body.stature,
    }


def severities(people: int, seed: int, healthy: float = 0.79) -> Array:
    """(people,) severity of each person of a cohort.

    People are ranked at random, and the rank gives the severity: so a small cohort has its share of
    bad backs, too. Healthy ones lie from 0.1 to 0.46, the others from 0.56 to 0.95 (paper 003,
    section IV: healthy is 0.1 to 0.5); the gap keeps most reports on the right side of 0.5.
    """
    ranks = generator(seed).permutation(people)
    share = (ranks + 0.5) / people
    well = np.clip(share / healthy, 0.0, 1.0) ** 1.3
    ill = np.clip((share - healthy) / max(1.0 - healthy, 1e-9), 0.0, 1.0)
    return np.where(share <= healthy, 0.10 + 0.36 * well, 0.56 + 0.39 * ill)


def _manner(rng: np.random.Generator, severity: float) -> Manner:
    """Signs of this severity in a mixture from stiffness (0) to scoliosis (1); healthy habits."""
    mixture = rng.beta(0.8, 0.8)
    lopsided, stiff = 0.4 + 0.7 * mixture, 1.1 - 0.7 * mixture

    def sign(weight: float) -> float:
        return float(np.clip(severity * weight * rng.normal(1.0, 0.1), 0.0, 1.0))

    return Manner(
        side=float(rng.choice((-1.0, 1.0))),
        lean=sign(lopsided),
        shoulder=sign(lopsided),
        rotation=sign(stiff),
        bend=sign(stiff),
        guard=sign(rng.uniform(0.7, 1.1)),
        sway=sign(rng.uniform(0.6, 1.1)),
        reach_rad=float(np.clip(rng.normal(0.93, 0.09), 0.7, 1.1)) * FULL_BEND,
        pace=float(np.clip(rng.normal(1.0, 0.09), 0.8, 1.25)),
        spring_m=float(np.clip(rng.normal(0.34, 0.07), 0.18, 0.55)),
        style=float(np.clip(rng.normal(1.0, 0.2), 0.5, 1.5)),
        elbow_rad=float(np.clip(rng.normal(0.25, 0.1), 0.05, 0.6)),
        tilted_rad=float(rng.normal(0.0, 0.02)),
        shrugged_rad=float(rng.normal(0.0, 0.02)),
    )
