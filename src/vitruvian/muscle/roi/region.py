"""The region of interest: frames in, crops around the muscle out, off-line and on-line alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.sampling import generator
from vitruvian.muscle.features import SMALLEST, WIDEST
from vitruvian.muscle.images import Crops
from vitruvian.muscle.recording import Floats, Image, Mask
from vitruvian.muscle.roi.finders import Follower, RegionFinder, WholeImage
from vitruvian.muscle.roi.grids import Box, Grid, straighten

Bounds = npt.NDArray[np.int16]

_LARGEST = 4096  # pixels


@dataclass(frozen=True)
class RegionOfInterest:
    """Crops frames around the muscle (fixed mm per pixel, keeps thickness).

    The box that is cropped stays where the muscle was first found in a recording, so that a finder
    that trembles cannot pass for motion; only the bounds of the muscle in it follow each frame.

    Attributes:
        finder: says where the muscle is.
        mm_per_pixel: of the crops.
        size: rows and columns of the crops, 32 to 4096, at most 8 times as wide as high: what
            optical flow can read.
        rectify: stretch each column between its bounds to all rows, so that both aponeuroses are
            level ("normalised images" of the sister paper); thickness and its change are lost.
        smoothing: share of the bounds before in each frame's bounds, from 0 (none) to below 1.
        jitter_mm: standard deviation of a random displacement of box and bounds along y and x,
            new for each frame: a test of robustness, 0 for use.
        seed: of the displacements.
    """

    finder: RegionFinder
    mm_per_pixel: float = 0.2
    size: Sequence[int] = (128, 256)
    rectify: bool = False
    smoothing: float = 0.0
    jitter_mm: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self)

    def cropper(self, mm_per_pixel: tuple[float, float] | None, given: Mask | None) -> Cropper:
        """Begin a recording or a stream.

        Args:
            mm_per_pixel: along y and along x, of its frames; None: not known, which only the finder
                `WholeImage` allows; the image then fills the crop as far as its proportions let it.
            given: masks that came with it, (n, h, w) or (1, h, w).

        Raises:
            DataError: the millimetres per pixel or the masks are needed and missing.
        """
        if mm_per_pixel is None and not isinstance(self.finder, WholeImage):
            raise DataError(
                "the millimetres per pixel of the frames are not known: set frames.mm_per_pixel "
                "in recording.yaml"
            )
        return Cropper(self, self.finder.follow(mm_per_pixel or (1.0, 1.0), given), mm_per_pixel)

    def crops(
        self,
        frames: Iterable[Image],
        mm_per_pixel: tuple[float, float] | None,
        given: Mask | None,
    ) -> Crops:
        """Crop all frames of a recording.

        Frames before the muscle was first found take the region of that first find; from then on
        the crops are those of a `Cropper`.

        Raises:
            DataError: as `cropper`, or the muscle was found in no frame.
        """
        cropper = self.cropper(mm_per_pixel, given)
        waiting, crops = [], []
        for image in frames:
            cropper.watch(image)
            waiting.append(image)
            if cropper.found:
                crops += [cropper.cut(early) for early in waiting]
                waiting.clear()
        if not crops:
            raise DataError(
                f"the muscle was found in none of {len(waiting)} frames: look at them, check "
                "frames.mm_per_pixel and the screen crop, or choose another finder"
            )
        images, bounds = zip(*crops, strict=True)
        return Crops(np.stack(images), np.stack(bounds), cropper.failures)


class Cropper:
    """Crops the frames of one recording or stream in their order; it sees no later frame.

    Attributes:
        failures: frames so far in which the muscle was not found; the region found last was used,
            and before the first find the whole box in the middle of the image.

    Args:
        region: what is wanted.
        follow: finds the muscle in the next frame.
        mm_per_pixel: of the frames; None: the image is fitted into the crop.
    """

    def __init__(
        self,
        region: RegionOfInterest,
        follow: Follower,
        mm_per_pixel: tuple[float, float] | None,
    ) -> None:
        self._region, self._follow, self._mm = region, follow, mm_per_pixel
        self._height, self._width = region.size
        self._grid: Grid | None = None
        self._bounds: Floats | None = None
        self._box: Box | None = None
        self._cut = 0
        self.failures = 0

    def __call__(self, image: Image) -> tuple[Image, Bounds]:
        """The next frame's crop (H, W) uint8, and in it the muscle's bounds (2, W) int16.

        Raises:
            DataError: the frame has another size than those before.
        """
        self.watch(image)
        return self.cut(image)

    @property
    def found(self) -> bool:
        """Whether the muscle has been found in any frame so far."""
        return self._bounds is not None

    def watch(self, image: Image) -> None:
        """Follow the muscle into the next frame."""
        grid = self._on_grid(image)
        mask = self._follow(image)
        if mask is None or not mask.any():
            self.failures += 1
            return
        bounds = grid.bounds(mask)
        self._bounds = self._smoothed(bounds)
        self._box = self._box or Box.around(bounds, self._height, self._width)

    def cut(self, image: Image) -> tuple[Image, Bounds]:
        """Crop the next frame, which need not be the one watched last, at the region as it is."""
        grid = self._on_grid(image)
        bounds = grid.bounds(np.ones(image.shape, np.bool_)) if not self.found else self._bounds
        assert bounds is not None
        box = self._box or Box.around(bounds, self._height, self._width)
        down, right = self._displacement()
        reduced = grid.reduce(image)
        if not self._region.rectify:
            return box.moved(down, right).cut(reduced), box.bounds_in(bounds)
        columns = box.columns_of(bounds)
        straight = straighten(reduced, columns, box.left + right, self._height, down)
        full = np.multiply.outer([0, self._height], columns[1] > columns[0])
        return straight, full.astype(np.int16)

    def _on_grid(self, image: Image) -> Grid:
        if self._grid is None:
            self._grid = self._grid_for(image)
        if image.shape != self._grid.image:
            raise DataError(f"a frame is {image.shape} (h, w), those before {self._grid.image}")
        return self._grid

    def _grid_for(self, image: Image) -> Grid:
        if self._mm is None or isinstance(self._region.finder, WholeImage):
            return Grid.within(image.shape, (self._height, self._width))
        return Grid.of_spacing(image.shape, self._mm, self._region.mm_per_pixel)

    def _smoothed(self, bounds: Floats) -> Floats:
        """Bounds drawn towards those before, in columns where both are known."""
        before, share = self._bounds, self._region.smoothing
        if before is None or share == 0:
            return bounds
        both = (before[1] > before[0]) & (bounds[1] > bounds[0])
        return np.where(both, share * before + (1 - share) * bounds, bounds)

    def _displacement(self) -> tuple[int, int]:
        """Rows and columns by which the next crop misses the muscle, on purpose."""
        number, self._cut = self._cut, self._cut + 1
        if self._region.jitter_mm == 0:
            return 0, 0
        sd = self._region.jitter_mm / self._region.mm_per_pixel
        down, right = generator(self._region.seed, number).normal(0, sd, 2)
        return round(down), round(right)


def _check(region: RegionOfInterest) -> None:
    if not 0 < region.mm_per_pixel < math.inf:
        raise ConfigError(f"mm_per_pixel: must be above 0, not {region.mm_per_pixel}")
    if len(region.size) != 2 or not all(SMALLEST <= length <= _LARGEST for length in region.size):
        bounds = f"rows and columns from {SMALLEST} to {_LARGEST}"
        raise ConfigError(f"size: must be {bounds}, not {list(region.size)}")
    if region.size[1] > WIDEST * region.size[0]:
        raise ConfigError(
            f"size: at most {WIDEST} times as many columns as rows, not {list(region.size)}"
        )
    if not 0 <= region.smoothing < 1:
        raise ConfigError(f"smoothing: must be from 0 to below 1, not {region.smoothing}")
    if not 0 <= region.jitter_mm < math.inf:
        raise ConfigError(f"jitter_mm: must be a length in mm, 0 for none, not {region.jitter_mm}")
    if region.seed < 0:
        raise ConfigError(f"seed: must not be negative, as {region.seed} is")
