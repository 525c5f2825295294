"""The classical finder of the medial gastrocnemius: between two aponeuroses, bright level bands.

No training and no model file. On the first frame all nearly level bright lines are found and the
pair that looks most like the superficial and the deep aponeurosis is chosen; from then on the two
are followed as the brightest smooth paths near those of the frame before. The group's own ancestor
(Darby et al. 2012, an active shape model on tracked features) initialised itself in 7 of 8 people;
this one needs no shapes to be learnt, and says so when it has lost its lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from vitruvian.core.errors import ConfigError
from vitruvian.muscle.recording import Image, Mask
from vitruvian.muscle.roi.finders import Follower
from vitruvian.muscle.roi.masks import bounds_to_mask
from vitruvian.muscle.roi.paths import Array, Rows, brightest_paths, level_lines

ROW_MM, COLUMN_MM = 0.25, 1.5  # of the reduced image: fine across the bands, coarse along them
LINE_MM, SURROUND_MM = (0.5, 1.2), (4.0, 12.0)  # thin and thick: SD across, height of surround
ALONG_MM = 4.0  # SD of smoothing along it: fascicles, which are steeper, fade
APART_MM = 1.5  # closer lines are one
BEND_MM = 0.75  # a line that bends no more than this still counts as straight
SEARCH_MM = 3.0  # how far a curved path may leave its straight line
STIFFNESS = 0.4
FADED = 0.8  # lines that keep less than this share of their contrast are searched for anew
EDGE_MM = 3.0  # an aponeurosis is at most this thick on its inner side


@dataclass(frozen=True)
class Aponeuroses:
    """Finds the two aponeuroses and takes what lies between their inner edges.

    Attributes:
        depth_mm: greatest depth of the superficial aponeurosis in the middle of the image.
        thickness_mm: least and greatest thickness of the muscle in the middle of the image.
        tilt_deg: steepest line that is tried, against the skin.
        motion_mm: farthest that an aponeurosis moves from one frame to the next.
        least_contrast: mean brightness of the weaker line above its surround, in deviations; below
            it the muscle is lost. Measured: 0.4 at most in speckle alone, 1.6 at least in the 171
            TimTrack images.
    """

    depth_mm: float = 20.0
    thickness_mm: Sequence[float] = (8.0, 35.0)
    tilt_deg: float = 15.0
    motion_mm: float = 2.0
    least_contrast: float = 0.8

    def __post_init__(self) -> None:
        _check(self)

    def follow(self, mm_per_pixel: tuple[float, float], given: Mask | None) -> Follower:
        """As `RegionFinder`; masks that are given are not looked at."""
        return _Following(self, mm_per_pixel)


def _check(finder: Aponeuroses) -> None:
    for name in ("depth_mm", "motion_mm"):
        if not 0 < getattr(finder, name) < math.inf:
            raise ConfigError(f"{name}: must be above 0 mm, not {getattr(finder, name)}")
    if len(finder.thickness_mm) != 2 or not 0 < finder.thickness_mm[0] < finder.thickness_mm[1]:
        raise ConfigError(
            f"thickness_mm: must be two lengths in order, not {list(finder.thickness_mm)}"
        )
    if not 0 <= finder.tilt_deg <= 45:
        raise ConfigError(f"tilt_deg: must be from 0 to 45, not {finder.tilt_deg}")
    if not math.isfinite(finder.least_contrast):
        raise ConfigError(f"least_contrast: must be a number, not {finder.least_contrast}")


class _Following:
    """One recording: the paths of the frame before, and how clear they were when searched for."""

    def __init__(self, finder: Aponeuroses, mm_per_pixel: tuple[float, float]) -> None:
        self._finder, self._mm = finder, mm_per_pixel
        self._lines: Rows | None = None
        self._clear = math.inf

    def __call__(self, image: Image) -> Mask | None:
        reduced = _reduced(image, self._mm)
        paths = self._next(_contrast(reduced))
        if paths is None:
            self._lines = None
            return None
        self._lines = _gentle(paths)
        return _mask(_inner_edges(reduced, paths), image.shape, self._mm)

    def _next(self, contrast: Array) -> Rows | None:
        """The two paths in this frame; None where there are none to be believed."""
        followed, clear = self._refined(contrast, self._lines, self._finder.motion_mm)
        if followed is not None and clear >= FADED * self._clear:
            return followed
        lines = _chosen(contrast, self._finder)
        found, again = self._refined(contrast, lines, SEARCH_MM)
        self._clear = max(clear, again)
        return found if again * FADED > clear else followed

    def _refined(
        self, contrast: Array, lines: Rows | None, reach_mm: float
    ) -> tuple[Rows | None, float]:
        """The paths near lines, and the contrast of the weaker one; None, 0 if not believable."""
        if lines is None:
            return None, 0.0
        paths = brightest_paths(contrast, lines, round(reach_mm / ROW_MM), STIFFNESS)
        clear = _clarity(contrast, paths)
        thickness = float((paths[1] - paths[0]).mean()) * ROW_MM
        least, greatest = self._finder.thickness_mm
        believable = clear >= self._finder.least_contrast and least <= thickness <= greatest
        return (paths, clear) if believable else (None, 0.0)


def _clarity(contrast: Array, paths: Rows) -> float:
    """Mean contrast along the weaker of two paths."""
    rows = np.clip(np.round(paths).astype(np.int64), 0, len(contrast) - 1)
    return float(contrast[rows, np.arange(contrast.shape[1])].mean(axis=1).min())


def _gentle(paths: Rows) -> Rows:
    """Parabolas through the paths: where one went astray in a frame, the next is not led after."""
    return paths @ _onto_parabolas(paths.shape[1])


@lru_cache(maxsize=8)
def _onto_parabolas(columns: int) -> Rows:
    """The projection, (columns, columns) and symmetric, of rows on their best parabola."""
    powers = np.vander(np.linspace(-1, 1, columns), 3)
    return np.asarray(powers @ np.linalg.pinv(powers), np.float64)


def _reduced(image: Image, mm_per_pixel: tuple[float, float]) -> Array:
    """The image at ROW_MM by COLUMN_MM, 0 to 1."""
    height, width = np.multiply(image.shape, mm_per_pixel)
    size = max(round(width / COLUMN_MM), 2), max(round(height / ROW_MM), 2)
    reduced: Array = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.divide(reduced, 255, dtype=np.float32)


def _contrast(reduced: Array) -> Array:
    """How much brighter a band is than what lies above and below it, in deviations.

    The deviation is halfway (geometrically) between that of the neighbourhood, so that a deep line
    in the dark counts, and that of the whole image, as aponeuroses are its brightest bands.
    """
    along = ALONG_MM / COLUMN_MM
    ridge: Array = np.full(reduced.shape, -np.inf, np.float32)
    for line, surround in zip(LINE_MM, SURROUND_MM, strict=True):
        band = cv2.GaussianBlur(reduced, (0, 0), sigmaX=along, sigmaY=line / ROW_MM)
        around = cv2.blur(band, (1, 2 * round(surround / ROW_MM / 2) + 1))
        np.maximum(ridge, band - around, out=ridge)
    window = (2 * round(6 / COLUMN_MM) + 1, 2 * round(6 / ROW_MM) + 1)  # 12 mm each way
    local = cv2.blur(ridge * ridge, window)
    deviation = (local * local.mean()) ** 0.25 + 0.005
    return np.asarray(np.clip(ridge / deviation, -1, 3), np.float32)


def _chosen(contrast: Array, finder: Aponeuroses) -> Rows | None:
    """The pair of lines that looks most like the aponeuroses, (2, columns)."""
    steepest = math.tan(math.radians(finder.tilt_deg)) * COLUMN_MM / ROW_MM
    bend = np.ones((2 * round(BEND_MM / ROW_MM) + 1, 1), np.uint8)
    lines, strength = level_lines(
        cv2.dilate(contrast, bend),
        np.linspace(-steepest, steepest, 15).tolist(),
        round(APART_MM / ROW_MM),
    )
    worth = _worth_of_pairs(lines * ROW_MM, strength, finder)
    if not worth.size or worth.max() == -np.inf:
        return None
    return lines[list(np.unravel_index(worth.argmax(), worth.shape))]


def _worth_of_pairs(lines_mm: Rows, strength: Array, finder: Aponeuroses) -> Array:
    """Worth of each line as the superficial with each as the deep aponeurosis, (n, n)."""
    middle = lines_mm.mean(axis=1)
    thickness = middle - middle[:, None]
    gap = (lines_mm - lines_mm[:, None]).min(axis=2)
    least, greatest = finder.thickness_mm
    possible = (thickness >= least) & (thickness <= greatest) & (gap > least / 3)
    possible &= (middle <= finder.depth_mm)[:, None]
    between = (middle > middle[:, None, None]) & (middle < middle[:, None])  # (n, n, n)
    crossed = np.where(between, strength, 0).max(axis=2, initial=0)
    unusual = (2 * thickness - least - greatest) / (greatest - least)  # -1 to 1
    worth = strength + strength[:, None] - 0.5 * crossed - 0.3 * unusual**2
    return np.where(possible, worth, -np.inf).astype(np.float32)


def _inner_edges(reduced: Array, paths: Rows) -> Rows:
    """From the crest of each aponeurosis to where half of its brightness is lost, inwards."""
    smooth = cv2.GaussianBlur(reduced, (0, 0), sigmaX=2 / COLUMN_MM, sigmaY=0.25 / ROW_MM)
    depths = np.arange(round(EDGE_MM / ROW_MM))
    inward = np.array([1, -1])
    rows = np.round(paths)[:, :, None] + inward[:, None, None] * depths
    rows = np.clip(rows, 0, len(reduced) - 1).astype(np.int64)
    profile = smooth[rows, np.arange(reduced.shape[1])[:, None]]  # (2, columns, depths)
    half = (profile[..., :3].max(axis=2) + profile.min(axis=2)) / 2
    offset = (profile < half[..., None]).argmax(axis=2).astype(np.float32)
    offset = cv2.blur(cv2.medianBlur(offset, 5), (7, 1), borderType=cv2.BORDER_REPLICATE)
    return paths + inward[:, None] * offset


def _mask(edges: Rows, shape: tuple[int, ...], mm_per_pixel: tuple[float, float]) -> Mask:
    """Bring rows of the reduced image back to a mask of the image's own size."""
    height, width = shape
    rows, columns = ROW_MM / mm_per_pixel[0], COLUMN_MM / mm_per_pixel[1]
    centres = (np.arange(width) + 0.5) / columns - 0.5
    known = np.arange(edges.shape[1])
    bounds = np.array([np.interp(centres, known, edge) for edge in edges])
    return bounds_to_mask(np.clip((bounds + 0.5) * rows, 0, height), height)
