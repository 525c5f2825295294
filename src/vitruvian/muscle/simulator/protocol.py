"""What somebody does in a trial: angle of the joint and excitation of the muscle over time."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from scipy import ndimage

from vitruvian.muscle.recording import Floats

Task = Literal["passive", "isometric", "combined"]
Design = Literal["independent", "confounded"]

TASKS: tuple[Task, ...] = ("passive", "isometric", "combined")
REACH_DEG = 15.0  # to either side
LARGEST = 0.7  # excitation, as a share of MVC
_FASTEST_HZ = 0.4


class Effort(NamedTuple):
    """What is done at each moment.

    Attributes:
        angle_deg: (n,) of the joint, positive in dorsiflexion.
        excitation: (n,) 0..1, as a share of MVC.
    """

    angle_deg: Floats
    excitation: Floats


def effort(
    task: Task, times_s: Floats, random: np.random.Generator, design: Design = "independent"
) -> Effort:
    """Draw what is done in a trial.

    In the `independent` design the pedal moves a relaxed calf (passive), somebody pushes against a
    locked pedal (isometric), or both at once, unrelated to each other (combined). In the
    `confounded` design the same is drawn, and one of both then follows the other in every trial:
    the more plantarflexed, the more active. Who learns from it alone cannot tell them apart.

    Args:
        task: one of `TASKS`.
        times_s: (n,) even times.
        random: the only source of chance.
        design: how angle and excitation are related.
    """
    angle, excitation = _DRAW[task](times_s, random)
    if design == "independent":
        return Effort(angle, excitation)
    if task == "isometric":
        return Effort(_angle_of(excitation), excitation)
    return Effort(angle, _excitation_of(angle))


def _excitation_of(angle_deg: Floats) -> Floats:
    return LARGEST * (REACH_DEG - angle_deg) / (2.0 * REACH_DEG)


def _angle_of(excitation: Floats) -> Floats:
    return REACH_DEG - 2.0 * REACH_DEG * excitation / LARGEST


def _passive(times_s: Floats, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Slow sinusoids, or ramps with a rest at either end."""
    frequency, reach = random.uniform(0.1, 0.3), random.uniform(0.75, 1.0) * REACH_DEG
    wave = np.sin(2.0 * np.pi * (frequency * times_s + random.random()))
    if random.random() < 0.5:
        wave = np.clip(1.6 * np.arcsin(wave) / (np.pi / 2.0), -1.0, 1.0)
        wave = ndimage.gaussian_filter1d(wave, 0.1 / _step(times_s), mode="nearest")
    return reach * wave, np.zeros_like(times_s)


def _isometric(times_s: Floats, random: np.random.Generator) -> tuple[Floats, Floats]:
    """A locked pedal; targets for the torque, some of them rest, with the unrest of a muscle."""
    angle = random.uniform(-10.0, 10.0)
    targets = np.empty_like(times_s)
    start, rest = times_s[0], True
    while start <= times_s[-1]:
        level = 0.0 if rest else random.uniform(0.08, LARGEST)
        targets[times_s >= start] = level
        start += random.uniform(0.5, 1.2) if rest else random.uniform(1.2, 2.5)
        rest = not rest and random.random() < 0.4
    smooth = ndimage.gaussian_filter1d(targets, 0.18 / _step(times_s), mode="nearest")
    unrest = 1.0 + 0.05 * multisine(times_s, random.uniform(0.8, 4.0, 4), random)
    return np.full_like(times_s, angle), np.clip(smooth * unrest, 0.0, LARGEST)


def _combined(times_s: Floats, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Two unrelated processes, of alternating frequencies: a short trial separates them, too."""
    span = max(float(times_s[-1] - times_s[0]), 1.0 / _FASTEST_HZ)
    cycles = np.arange(1, max(int(_FASTEST_HZ * span), 2) + 1)
    moving, pushing = cycles[::2] / span, cycles[1::2] / span
    if random.random() < 0.5 and len(cycles) > 2:
        moving, pushing = pushing, moving
    angle = REACH_DEG * np.tanh(0.9 * multisine(times_s, moving, random))
    pushed = np.tanh(0.9 * multisine(times_s, pushing, random))
    return angle, LARGEST * np.clip(0.45 + 0.55 * pushed, 0.0, 1.0)


def multisine(times_s: Floats, frequencies_hz: Floats, random: np.random.Generator) -> Floats:
    """Sinusoids of random phase, the slow ones larger; of unit variance over a long time, (n,)."""
    sizes = 1.0 / np.sqrt(frequencies_hz)
    sizes *= np.sqrt(2.0 / np.sum(sizes**2))
    phases = random.random(len(frequencies_hz))
    waves = np.sin(2.0 * np.pi * (frequencies_hz * times_s[:, None] + phases))
    return waves @ sizes


def _step(times_s: Floats) -> float:
    return float(times_s[1] - times_s[0])


_DRAW = {"passive": _passive, "isometric": _isometric, "combined": _combined}
