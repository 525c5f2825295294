"""From the shape of a muscle and a probe to a B-mode image.

Each pixel asks which point of the material lies there now, and takes its amplitude: tissue that
moves takes its speckle along. What the point spread makes of it is detected, compressed to
decibels and quantised, as a scanner does.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vitruvian.core.sampling import generator
from vitruvian.muscle.recording import Image, Mask
from vitruvian.muscle.simulator.person import Muscle, Person, Scanner
from vitruvian.muscle.simulator.physiology import Shape
from vitruvian.muscle.simulator.tissue import MARGIN_MM, PIXEL_MM, Field, Tissue, grow

_FINE = 20  # steps of a profile per mm of the material
_SOLEUS_MM = 12.0  # over which the soleus follows the deep aponeurosis
_WAVES = 3.5  # waves of a slack fascicle
_BULGE_MM = 22.0  # half width of the bulge
_NOISE = 4  # stream of chance


class Probe(NamedTuple):
    """How the probe lies at one moment.

    Attributes:
        slide_mm: along the leg.
        press_mm: by which it thins the fat.
        tilt_deg: to the leg.
    """

    slide_mm: float = 0.0
    press_mm: float = 0.0
    tilt_deg: float = 0.0


class Picture(NamedTuple):
    """A frame and the muscle in it.

    Attributes:
        image: (h, w) uint8.
        mask: (h, w) bool, True between the aponeuroses.
    """

    image: Image
    mask: Mask


class Renderer:
    """Takes pictures of one person.

    Args:
        person: whose calf it is, under which scanner.
        tissue: its material; None: the person's own.
    """

    def __init__(self, person: Person, tissue: Tissue | None = None) -> None:
        self._muscle, self._scanner = person.muscle, person.scanner
        self._tissue = tissue or grow(person)
        rows, columns = self._scanner.shape
        pixel = self._scanner.mm_per_pixel
        self._y = ((np.arange(rows, dtype=np.float32) + 0.5) * pixel)[:, None]
        self._x = ((np.arange(columns, dtype=np.float32) + 0.5) * pixel)[None, :]
        self._middle = columns * pixel / 2.0
        self._gain = _gain(self._scanner, self._y, self._x)
        self._depth_weight = _defocus(self._scanner, self._y)
        self._noise = _noise(self._scanner, self._y, generator(person.seed, _NOISE, person.number))

    def picture(self, shape: Shape, probe: Probe, random: np.random.Generator) -> Picture:
        """Take a picture of the muscle in a shape; `random` makes the electronic noise."""
        superficial, deep = self.surfaces(shape, probe)
        across, down = self.material(shape, probe, superficial, deep)
        echo = cv2.remap(
            self._tissue.field, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        across_plane, along_plane = np.sin(shape.aside_rad), np.cos(shape.aside_rad)
        mixed = np.kron([along_plane, across_plane], np.eye(2)).astype(np.float32)
        focused = self._spread(cv2.transform(echo, mixed))
        self._add_noise(focused, random)
        muscle = (self._y >= superficial) & (self._y < deep)
        return Picture(self._compress(focused, shape, muscle), muscle)

    def surfaces(self, shape: Shape, probe: Probe) -> tuple[Field, Field]:
        """Depth of the superficial and of the deep aponeurosis, each (1, w) in mm."""
        muscle, x = self._muscle, self._x - np.float32(self._middle)
        tilt = np.float32(np.tan(np.radians(probe.tilt_deg))) * x
        bulge = np.float32(shape.bulge_mm) * (1.0 - np.square(x / _BULGE_MM))
        above = _uneven(muscle, x + np.float32(probe.slide_mm - shape.superficial_mm), 0.0)
        below = _uneven(muscle, x + np.float32(probe.slide_mm - shape.deep_mm), 2.0)
        superficial = muscle.fat_mm - probe.press_mm + tilt + above - 0.4 * bulge
        taper = np.float32(np.tan(np.radians(muscle.taper_deg))) * x
        deep = superficial + shape.thickness_mm - taper - above + below + 1.4 * bulge
        return superficial.astype(np.float32), deep.astype(np.float32)

    def material(
        self, shape: Shape, probe: Probe, superficial: Field, deep: Field
    ) -> tuple[Field, Field]:
        """Column and row of the material that lies at each pixel now, each (h, w)."""
        tissue, y = self._tissue, self._y
        fat = np.minimum(y / superficial, 1.0)
        within = np.clip((y - superficial) / (deep - superficial), 0.0, 1.0)
        depth = fat * tissue.fat_mm + within * tissue.muscle_mm + np.maximum(y - deep, 0.0)
        moved = self._profile(shape)
        steps = (depth * np.float32(_FINE)).astype(np.int16)
        across = (self._x + np.float32(probe.slide_mm + MARGIN_MM)) - moved.take(steps, mode="clip")
        return across * np.float32(1.0 / PIXEL_MM), depth * np.float32(1.0 / PIXEL_MM)

    def _profile(self, shape: Shape) -> Field:
        """Displacement in mm along the leg of each depth of the material, `_FINE` steps to a mm."""
        tissue = self._tissue
        depth = np.arange(len(tissue.field) * PIXEL_MM * _FINE) / _FINE
        fat = np.minimum(depth / tissue.fat_mm, 1.0)
        within = np.clip((depth - tissue.fat_mm) / tissue.muscle_mm, 0.0, 1.0)
        below = np.maximum(depth - tissue.fat_mm - tissue.muscle_mm, 0.0)
        bent = 4.0 * within * (1.0 - within)
        wavy = shape.wave_mm * bent * np.sin(2.0 * np.pi * _WAVES * within)
        aponeuroses = shape.superficial_mm * fat + (shape.deep_mm - shape.superficial_mm) * within
        soleus = -0.6 * shape.deep_mm * (1.0 - np.exp(-below / _SOLEUS_MM))
        return (aponeuroses + shape.bow_mm * bent + wavy + soleus).astype(np.float32)

    def _spread(self, echo: Field) -> Field:
        """Blur with the point spread: wider across the beam the further from the focus."""
        scanner = self._scanner
        pixel = scanner.mm_per_pixel
        axial = scanner.axial_mm / pixel
        narrow, wide = scanner.lateral_mm / pixel, _widest(scanner) / pixel
        sharp = cv2.GaussianBlur(echo, (0, 0), sigmaX=narrow, sigmaY=axial)
        rest = np.sqrt(wide**2 - narrow**2)
        blurred = cv2.GaussianBlur(sharp, (0, 0), sigmaX=rest, sigmaY=0.01)
        blurred *= np.float32(np.sqrt(wide / narrow))  # speckle keeps its power
        blurred -= sharp
        blurred *= self._depth_weight
        sharp += blurred
        return sharp

    def _add_noise(self, echo: Field, random: np.random.Generator) -> None:
        """Electronic noise, which the depth gain has raised towards the bottom."""
        columns = echo.shape[1]
        start = int(random.integers(self._noise.shape[1] - columns))
        echo += self._noise[:, start : start + columns, :: int(random.choice((-1, 1)))]

    def _compress(self, echo: Field, shape: Shape, muscle: Mask) -> Image:
        """Envelope, decibels, gain, grey."""
        real, imaginary = cv2.split(echo)
        power = real * real + imaginary * imaginary
        scanner = self._scanner
        power = cv2.GaussianBlur(power, (0, 0), scanner.smoothing) + np.float32(1e-9)
        decibels = cv2.log(power)
        decibels *= np.float32(10.0 / np.log(10.0))
        decibels += self._gain
        decibels += muscle * np.float32(shape.echo_db)
        grey = (decibels + np.float32(scanner.dynamic_db)) * np.float32(255.0 / scanner.dynamic_db)
        return np.clip(grey, 0.0, 255.0).astype(np.uint8)


def _noise(scanner: Scanner, y: Field, random: np.random.Generator) -> Field:
    """(h, wider, 2) electronic noise to cut frames from, raised by the depth gain."""
    rows, columns = scanner.shape
    level = 10.0 ** (scanner.noise_db / 20.0) * (0.3 + 0.7 * (y / y[-1]) ** 2)
    noise = random.standard_normal((rows, 3 * columns, 2), dtype=np.float32)
    return noise * level[..., None].astype(np.float32)


def _uneven(muscle: Muscle, x: Field, phase: float) -> npt.NDArray[np.float32]:
    """Waves of an aponeurosis in mm, at positions of its own."""
    slow, fast = np.sin(x / 9.0 + phase), np.sin(x / 4.1 + 1.7 * phase)
    return np.float32(muscle.uneven_mm) * (slow + 0.3 * fast).astype(np.float32)


def _widest(scanner: Scanner) -> float:
    depth = scanner.shape[0] * scanner.mm_per_pixel
    away = max(scanner.focus_mm, depth - scanner.focus_mm)
    return scanner.lateral_mm * (1.0 + scanner.spread * away)


def _defocus(scanner: Scanner, y: Field) -> Field:
    """(h, 1, 1) how much of the widest point spread a depth has, 0 at the focus."""
    away = np.abs(y - scanner.focus_mm)
    return (away / away.max())[..., None].astype(np.float32)


def _gain(scanner: Scanner, y: Field, x: Field) -> Field:
    """(h, w) dB: overall and depth gain, attenuation it leaves, and fading to the probe's ends."""
    knots = np.linspace(0.0, float(y[-1, 0]), len(scanner.tgc_db))
    depth = np.interp(y, knots, scanner.tgc_db) - 6.0 * (y / y[-1]) ** 2
    edge = np.minimum(x, x[:, -1:] - x)
    return (scanner.gain_db + depth - 5.0 * np.exp(-edge / 1.5)).astype(np.float32)
