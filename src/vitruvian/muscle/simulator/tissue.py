"""The calf as a material: scatterers that belong to the tissue and are moved with it.

The material lies flat: rows are depths from the skin (fat, muscle, soleus one below the other, the
aponeuroses straight), columns positions along the leg, as at rest and 0 deg. Each point holds a
complex amplitude: random where scatterers lie together (this gives speckle), steady on the bright
faces of connective tissue.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from vitruvian.core.sampling import generator
from vitruvian.muscle.simulator.person import Person

PIXEL_MM = 0.12  # of the material
MARGIN_MM = 32.0  # of material beyond either side of the image, to slide into it
_TISSUE = 1  # stream of chance
_SOLEUS_MM = 34.0
_SOLEUS_DEG = 16.0  # of its fascicles, which run the other way

Field = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tissue:
    """Material of one person.

    Attributes:
        field: (rows, columns, 4) float32: real and imaginary amplitude of what lies in the image's
            plane, and of the scatterers beside it.
        fat_mm: depth of the superficial aponeurosis in it.
        muscle_mm: thickness of the muscle in it.
    """

    field: Field
    fat_mm: float
    muscle_mm: float


@lru_cache(maxsize=1)  # one person's trials come one after another
def grow(person: Person) -> Tissue:
    """The tissue under somebody's probe, always the same one."""
    random = generator(person.seed, _TISSUE, person.number)
    muscle, scanner = person.muscle, person.scanner
    width = scanner.shape[1] * scanner.mm_per_pixel + 2.0 * MARGIN_MM
    columns = round(width / PIXEL_MM)
    layers = [
        _fat(random, muscle.fat_mm, columns),
        _gastrocnemius(random, muscle.thickness_mm, muscle.run_mm, columns),
        _soleus(random, columns),
    ]
    level = np.concatenate(layers)
    deep = muscle.fat_mm + muscle.thickness_mm
    _aponeurosis(random, level, muscle.fat_mm, (-0.35, 0.05, -0.8))
    _aponeurosis(random, level, deep, (0.15, 0.5, 1.6))
    field = _scattered(random, level, scanner.density, person)
    return Tissue(field, muscle.fat_mm, muscle.thickness_mm)


def _scattered(random: np.random.Generator, level: Field, density: float, person: Person) -> Field:
    """Complex amplitudes of a brightness in dB: a random part, and a steady one where it is high.

    The random part is scaled so that its power outlasts the average over the point spread.
    """
    noise = random.standard_normal((*level.shape, 4), dtype=np.float32)
    noise *= (random.random((*level.shape, 1), dtype=np.float32) < density) / np.sqrt(density)
    noise = cv2.GaussianBlur(noise, (0, 0), 0.6)  # resampling it then keeps its power
    noise /= noise.std() * np.float32(np.sqrt(2.0))
    scanner = person.scanner
    points = scanner.axial_mm * scanner.lateral_mm / PIXEL_MM**2
    noise *= np.float32(np.sqrt(4.0 * np.pi * points / (4.0 * np.pi * 0.6**2)))
    steady = np.clip((level + 34.0) / 22.0, 0.0, 0.8)[..., None]
    amplitude = np.power(np.float32(10.0), level / 20.0)[..., None]
    noise *= np.sqrt(1.0 - steady**2)
    noise[..., :1] += steady
    return np.ascontiguousarray(noise * amplitude)


def _rows(thickness_mm: float) -> int:
    return max(round(thickness_mm / PIXEL_MM), 1)


def _fat(random: np.random.Generator, thickness_mm: float, columns: int) -> Field:
    """Skin, a bright line and the dermis below it, then dark lobules of fat between septa."""
    shape = (_rows(thickness_mm), columns)
    depth = (np.arange(shape[0], dtype=np.float32) * PIXEL_MM)[:, None]
    septa = _soft(_texture(random, shape, 1.2, 45.0) + 0.4 * _texture(random, shape, 2.5, 12.0))
    level = -40.0 + 22.0 * septa + 2.0 * _texture(random, shape, 12.0, 30.0)
    skin = -22.0 + 1.5 * _texture(random, shape, 2.0, 20.0)
    level = np.where(depth < 1.5, skin, level)
    return np.maximum(level, _band(depth, 0.15, 0.12, -6.0)).astype(np.float32)


def _gastrocnemius(
    random: np.random.Generator, thickness_mm: float, run_mm: float, columns: int
) -> Field:
    """Dark fascicles between bright perimysium, which is broken into streaks along them."""
    rows = _rows(thickness_mm)
    run = run_mm / PIXEL_MM
    sine = thickness_mm / np.hypot(thickness_mm, run_mm)
    wide = (rows, columns + int(run) + 2)
    coarse = _texture(random, wide, 22.0, 0.17 / PIXEL_MM / sine)
    fine = _texture(random, wide, 10.0, 0.1 / PIXEL_MM / sine)
    patches = _texture(random, wide, 30.0, 60.0)
    ridges = 19.0 * _soft(coarse + 0.15 * patches) + 14.0 * _soft(fine + 0.1 * patches)
    level = np.minimum(-44.0 + ridges + 1.5 * patches, -14.0)
    return _sheared(level.astype(np.float32), -run / rows, columns)


def _soleus(random: np.random.Generator, columns: int) -> Field:
    """Shorter, steeper, fainter streaks the other way, and dark patches below."""
    rows = _rows(_SOLEUS_MM)
    slope = float(1.0 / np.tan(np.radians(_SOLEUS_DEG)))
    wide = (rows, columns + int(slope * rows) + 2)
    coarse = _texture(random, wide, 9.0, 0.2 / PIXEL_MM * slope)
    patches = _texture(random, wide, 35.0, 90.0)
    level = -41.0 + 16.0 * _soft(coarse + 0.25 * patches) + 2.0 * patches
    return _sheared(level.astype(np.float32), slope, columns)


def _aponeurosis(
    random: np.random.Generator, level: Field, depth_mm: float, sheets_mm: tuple[float, ...]
) -> None:
    """Lay bright sheets of collagen into the material, the last one of them fainter."""
    depth = (np.arange(level.shape[0], dtype=np.float32) * PIXEL_MM)[:, None]
    for number, sheet in enumerate(sheets_mm):
        faint = 9.0 * (number == len(sheets_mm) - 1)
        wander = 0.08 * _texture(random, (1, level.shape[1]), 0.0, 60.0)
        bright = -5.0 - faint + 3.5 * _texture(random, (1, level.shape[1]), 0.0, 30.0)
        band = _band(depth, depth_mm + sheet + wander, 0.11, bright)
        np.maximum(level, band, out=level)


def _band(depth: Field, centre: Field | float, sd_mm: float, peak_db: Field | float) -> Field:
    """Brightness in dB about a bright sheet, a Gaussian of amplitude."""
    return peak_db - 4.343 * ((depth - centre) / sd_mm) ** 2


def _texture(
    random: np.random.Generator, shape: tuple[int, int], down: float, along: float
) -> Field:
    """Smooth noise of mean 0 and SD 1; widths in points of the material, down and along."""
    noise = random.standard_normal(shape, dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigmaX=along, sigmaY=max(down, 1e-3))
    return (smooth - smooth.mean()) / max(float(smooth.std()), 1e-6)


def _soft(noise: Field) -> Field:
    """0 for most of the noise, towards 1 on its ridges."""
    return 1.0 / (1.0 + np.exp(-4.0 * (noise - 0.9)))


def _sheared(level: Field, slope: float, columns: int) -> Field:
    """Lay a texture of upright lines askew: `slope` columns for each row."""
    rows = np.arange(level.shape[0], dtype=np.float32)[:, None]
    shift = slope * rows - min(slope * rows[-1, 0], 0.0)
    across = np.arange(columns, dtype=np.float32)[None, :] + shift
    down = np.broadcast_to(rows, across.shape)
    return cv2.remap(level, across, np.ascontiguousarray(down), cv2.INTER_LINEAR)
