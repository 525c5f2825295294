"""Simulated people: their calf, their strength, the electrode on it and the scanner over it.

Sizes follow what is commonly measured of the medial gastrocnemius of young adults: 18 mm thick, 21
deg of pennation at rest and 0 deg, 8 to 12 deg more at maximum voluntary contraction (MVC). How
large each difference between people is, is a choice of this simulator, not a finding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitruvian.core.sampling import generator

_PERSON = 0  # stream of chance
_DEPTH_MM = 12.0  # of the soleus that is shown at least


@dataclass(frozen=True)
class Muscle:
    """Geometry of a medial gastrocnemius and the tissue about it.

    Attributes:
        thickness_mm: between the aponeuroses, at rest and 0 deg, in the middle of the image.
        pennation_deg: of the fascicles to the aponeuroses, there and then.
        fat_mm: depth of the superficial aponeurosis.
        taper_deg: by which the deep aponeurosis rises distally (to the right).
        slide_mm_per_deg: that the aponeuroses slide past each other with the joint's angle.
        shortening_mm: that they slide the other way at MVC, as the tendon gives.
        thickening_mm: of the muscle at MVC.
        bulge_mm: of the deep aponeurosis at MVC, in its middle.
        bow_mm: how far the middle of the fascicles is pushed along the muscle at MVC.
        wave_mm: amplitude, along the muscle, of the waves of slack fascicles.
        slack_deg: angle below which the resting muscle is slack.
        uneven_mm: amplitude of the waves of the aponeuroses, along which the tissue slides.
    """

    thickness_mm: float = 18.0
    pennation_deg: float = 21.0
    fat_mm: float = 6.5
    taper_deg: float = 2.5
    slide_mm_per_deg: float = 0.8
    shortening_mm: float = 11.0
    thickening_mm: float = 1.5
    bulge_mm: float = 1.2
    bow_mm: float = 3.0
    wave_mm: float = 0.9
    slack_deg: float = -2.0
    uneven_mm: float = 0.25

    @property
    def run_mm(self) -> float:
        """How far a fascicle reaches along the muscle, at rest and 0 deg."""
        return float(self.thickness_mm / np.tan(np.radians(self.pennation_deg)))


@dataclass(frozen=True)
class Strength:
    """Torque about the ankle, positive in plantarflexion; angles positive in dorsiflexion.

    Attributes:
        maximum_nm: active torque at MVC and the best angle.
        optimum_deg: best angle.
        width_deg: SD of the bell-shaped length curve.
        passive_nm: of the relaxed calf at 0 deg.
        stiffening_deg: over which the passive torque grows e-fold.
    """

    maximum_nm: float = 125.0
    optimum_deg: float = 8.0
    width_deg: float = 30.0
    passive_nm: float = 3.5
    stiffening_deg: float = 12.0


@dataclass(frozen=True)
class Electrode:
    """Surface electrode over the muscle.

    Attributes:
        mvc_v: rectified mean of the EMG at MVC.
        noise_v: SD of the noise at rest.
        hum_v: amplitude of the mains.
        offset_v: constant voltage.
    """

    mvc_v: float = 4e-4
    noise_v: float = 4e-6
    hum_v: float = 2e-6
    offset_v: float = 2e-5


@dataclass(frozen=True)
class Scanner:
    """Ultrasound machine and its settings for one person.

    Attributes:
        shape: rows and columns of the image.
        mm_per_pixel: along both.
        axial_mm: SD of the point spread along the beam.
        lateral_mm: across it at the focus.
        focus_mm: depth of the focus.
        spread: growth of the lateral width, per mm away from the focus.
        density: share of the material's points that hold a scatterer.
        dynamic_db: range from black to white.
        gain_db: overall.
        tgc_db: errors of the depth gain at five depths from the skin to the bottom.
        noise_db: electronic noise at the bottom, against white.
        smoothing: SD in pixels over which the machine averages speckle.
    """

    shape: tuple[int, int] = (256, 336)
    mm_per_pixel: float = 0.15
    axial_mm: float = 0.13
    lateral_mm: float = 0.32
    focus_mm: float = 18.0
    spread: float = 0.03
    density: float = 0.6
    dynamic_db: float = 55.0
    gain_db: float = 0.0
    tgc_db: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)
    noise_db: float = -48.0
    smoothing: float = 0.8


@dataclass(frozen=True)
class Person:
    """A simulated participant.

    Attributes:
        number: from 0; names them.
        seed: of the cohort.
        female: sex.
        age: in years.
        muscle: medial gastrocnemius.
        strength: of the ankle.
        electrode: on the muscle.
        scanner: over it.
    """

    number: int
    seed: int
    female: bool
    age: int
    muscle: Muscle
    strength: Strength
    electrode: Electrode
    scanner: Scanner

    @property
    def name(self) -> str:
        """As participant: P01, P02, ..."""
        return f"P{self.number + 1:02d}"

    @classmethod
    def drawn(cls, number: int, seed: int, female: bool) -> Person:
        """The person of this number in the cohort of this seed, always the same one."""
        random = generator(seed, _PERSON, number)
        age = int(np.clip(round(random.normal(30.0, 7.7)), 18, 60))  # paper 001: 30 +- 7.7 years
        muscle = _muscle(random, female)
        strength, electrode = _strength(random, female), _electrode(random, muscle.fat_mm)
        scanner = _scanner(random, muscle.fat_mm + muscle.thickness_mm + _DEPTH_MM)
        return cls(number, seed, female, age, muscle, strength, electrode, scanner)


def _near(random: np.random.Generator, mean: float, sd: float) -> float:
    """A normal number, within two SD of the mean."""
    return mean + sd * float(np.clip(random.normal(), -2.0, 2.0))


def _muscle(random: np.random.Generator, female: bool) -> Muscle:
    """Fascicles are about as long in everybody: a thick muscle is a steep one (Kawakami 1993)."""
    thickness = _near(random, 17.2 if female else 18.4, 1.9)
    fascicle = _near(random, 50.0, 3.0)
    return Muscle(
        thickness_mm=thickness,
        pennation_deg=float(np.degrees(np.arcsin(thickness / fascicle))),
        fat_mm=float(random.uniform(5.8, 8.0) if female else random.uniform(5.0, 7.0)),
        taper_deg=_near(random, 2.5, 1.0),
        slide_mm_per_deg=_near(random, 0.8, 0.05),
        shortening_mm=_near(random, 11.5, 1.0),
        thickening_mm=_near(random, 1.6, 0.2),
        bulge_mm=_near(random, 1.3, 0.15),
        bow_mm=_near(random, 3.5, 0.4),
        wave_mm=_near(random, 0.9, 0.12),
        slack_deg=_near(random, -1.0, 2.0),
        uneven_mm=float(random.uniform(0.1, 0.35)),
    )


def _strength(random: np.random.Generator, female: bool) -> Strength:
    return Strength(
        maximum_nm=_near(random, 95.0 if female else 130.0, 14.0),
        optimum_deg=_near(random, 8.0, 2.0),
        width_deg=_near(random, 30.0, 2.0),
        passive_nm=_near(random, 3.0 if female else 4.0, 0.5),
        stiffening_deg=_near(random, 12.0, 1.0),
    )


def _electrode(random: np.random.Generator, fat_mm: float) -> Electrode:
    gain = np.exp(_near(random, 0.0, 0.17))
    return Electrode(
        mvc_v=float(4e-4 * gain * np.exp(-0.1 * (fat_mm - 6.5))),  # fat lies between
        noise_v=float(random.uniform(2.5e-6, 5e-6)),
        hum_v=float(random.uniform(0.5e-6, 4e-6)),
        offset_v=float(random.normal(0.0, 3e-5)),
    )


def _scanner(random: np.random.Generator, depth_mm: float) -> Scanner:
    pixel = float(random.uniform(0.13, 0.17))
    rows = int(np.ceil((depth_mm + random.uniform(0.0, 3.0)) / pixel / 2)) * 2
    columns = int(random.uniform(47.0, 53.0) / pixel / 2) * 2
    return Scanner(
        shape=(rows, columns),
        mm_per_pixel=pixel,
        axial_mm=float(random.uniform(0.11, 0.15)),
        lateral_mm=float(random.uniform(0.26, 0.38)),
        focus_mm=float(random.uniform(12.0, 22.0)),
        spread=float(random.uniform(0.02, 0.04)),
        density=float(random.uniform(0.4, 1.0)),
        dynamic_db=float(random.uniform(50.0, 60.0)),
        gain_db=float(random.uniform(-3.0, 3.0)),
        tgc_db=tuple(float(x) for x in random.normal(0.0, 1.5, 5)),
        noise_db=float(random.uniform(-54.0, -46.0)),
        smoothing=float(random.uniform(0.6, 0.95)),
    )
