"""Simulated images of two bright bands in speckle, whose place is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from vitruvian.muscle.recording import Floats, Image, Mask
from vitruvian.muscle.roi.masks import bounds_to_mask

HALF = 1.1774  # SDs from the middle of a Gaussian band to half of its height


@dataclass(frozen=True)
class Phantom:
    """Two bands, in the middle of the image `superficial_mm` and `deep_mm` deep.

    Attributes:
        size: (h, w).
        mm: per pixel along y and x.
        tilts_deg: of the two bands.
        bow_mm: by which the deep band sags in the middle.
        brightness: of bands above the tissue's 30, of 255.
        band_mm: standard deviation across a band.
        fascicles_deg: of weaker lines between the bands; None: without.
    """

    superficial_mm: float = 6.0
    deep_mm: float = 24.0
    size: tuple[int, int] = (250, 300)
    mm: tuple[float, float] = (0.2, 0.2)
    tilts_deg: tuple[float, float] = (0.0, 0.0)
    bow_mm: float = 0.0
    brightness: float = 150.0
    band_mm: float = 0.5
    fascicles_deg: float | None = 25.0

    def centres(self) -> Floats:
        """(2, w) rows of the middles of the bands, in pixels from the image's upper edge."""
        x = (np.arange(self.size[1]) + 0.5) * self.mm[1]
        x = x - x.mean()
        slopes = np.tan(np.radians(self.tilts_deg))
        depths = np.array([self.superficial_mm, self.deep_mm])[:, None] + slopes[:, None] * x
        depths[1] += self.bow_mm * (1 - (x / x.max()) ** 2)
        return depths / self.mm[0]

    def mask(self) -> Mask:
        """The muscle: between the inner half-heights of the bands."""
        inwards = np.array([[1.0], [-1.0]]) * HALF * self.band_mm / self.mm[0]
        return bounds_to_mask(self.centres() + inwards, self.size[0])

    def image(self, seed: int = 0, noise: float = 1.0) -> Image:
        """One frame; `noise` is the share of full speckle."""
        rows = np.arange(self.size[0])[:, None] + 0.5
        centres, sd = self.centres(), self.band_mm / self.mm[0]
        bands = sum(np.exp(-((rows - centre) ** 2) / (2 * sd**2)) for centre in centres)
        tissue = 30 + self.brightness * np.asarray(bands) + 40 * self._fascicles(rows)
        speckle = np.random.default_rng(seed).rayleigh(1, self.size)
        speckle = cv2.GaussianBlur(speckle, (0, 0), sigmaX=2, sigmaY=1) / 1.2533
        return np.clip(tissue * (1 + noise * (speckle - 1)), 0, 255).astype(np.uint8)

    def _fascicles(self, rows: Floats) -> Floats:
        if self.fascicles_deg is None:
            return np.zeros(self.size)
        x = np.arange(self.size[1]) * self.mm[1]
        across = rows * self.mm[0] + np.tan(np.radians(self.fascicles_deg)) * x
        return self.mask() * np.maximum(np.sin(across * 2), 0) ** 4


def moving(frames: int, **phantom: float) -> Iterator[tuple[Image, Mask]]:
    """Frames of a muscle that thickens and thins again by 4 mm and slides, with their masks."""
    for number in range(frames):
        phase = np.sin(2 * np.pi * number / 25)
        made = Phantom(6 + 0.5 * phase, 24 + 2 * phase, tilts_deg=(1.0, -3.0 + phase), **phantom)
        yield made.image(number), made.mask()
