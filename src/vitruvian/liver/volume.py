"""A CT volume in memory, and the way back to the grid of its file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import DataError

Voxels = npt.NDArray[Any]
Matrix = npt.NDArray[np.float64]

PADDING_HU = -1024  # air is -1000 HU; what lies below is outside the field of view (LiTS: -3024)
_INT16 = np.iinfo(np.int16)

# A mask fits its image when both lie on the same voxels. Headers are rounded to about 1e-6, so what
# exceeds these is another grid, not another rounding.
SPACING_TOLERANCE = 1e-3  # relative difference of voxel sizes
POSITION_TOLERANCE = 0.25  # distance of corner voxels, as a part of the smallest voxel edge
SHEAR_TOLERANCE = 0.01  # cosine between two grid axes, about half a degree

_LPS = nib.orientations.axcodes2ornt(("L", "P", "S"))


@dataclass(frozen=True, eq=False)
class Grid:
    """The voxel grid of a file.

    Attributes:
        shape: voxels along the file's own axes (i, j, k).
        affine: 4x4, from (i, j, k) to millimetres in RAS+ (nibabel's convention).

    Raises:
        DataError: the grid is empty, or its affine is singular, not finite or has a zero spacing.
    """

    shape: tuple[int, int, int]
    affine: Matrix

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        if min(self.shape) < 1:
            raise DataError(f"the grid {format_shape(self.shape)} holds no voxels; export it again")
        if _singular(affine):
            raise DataError(
                f"the affine {format_affine(affine)} is singular, not finite or has a zero voxel "
                "size; write the true spacing and orientation into the header"
            )

    @cached_property
    def _to_lps(self) -> Matrix:
        ornt = nib.orientations.io_orientation(self.affine)
        return np.asarray(nib.orientations.ornt_transform(ornt, _LPS), dtype=np.float64)

    @property
    def _order(self) -> npt.NDArray[np.intp]:
        """For each file axis (i, j, k), the canonical axis it lies along (0 x, 1 y, 2 z)."""
        return self._to_lps[:, 0].astype(np.intp)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size (dz, dy, dx) in mm of the canonical array."""
        x, y, z = np.linalg.norm(self.canonical_affine[:3, :3], axis=0).tolist()
        return z, y, x

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres; right for sheared grids as well."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    @property
    def canonical_shape(self) -> tuple[int, int, int]:
        """Shape (z, y, x) of the canonical array."""
        x, y, z = (self.shape[axis] for axis in np.argsort(self._order))
        return z, y, x

    @cached_property
    def canonical_affine(self) -> Matrix:
        """4x4, from the canonical array's (x, y, z) indices to millimetres in RAS+."""
        back = nib.orientations.inv_ornt_aff(self._to_lps, self.shape)
        return np.asarray(self.affine @ back, dtype=np.float64)

    @property
    def is_placeholder(self) -> bool:
        """Whether the affine says only "1 mm, unrotated", as a header nobody filled in does."""
        return bool(np.allclose(np.abs(self.affine[:3, :3]), np.eye(3), atol=1e-6))

    @property
    def is_sheared(self) -> bool:
        """Whether the grid axes are not at right angles, as after a tilted gantry."""
        axes = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        return bool(np.abs(axes.T @ axes - np.eye(3)).max() > SHEAR_TOLERANCE)

    def canonical(self, voxels: Voxels) -> Voxels:
        """Turn an array of the file, (i, j, k), into the canonical (z, y, x) in LPS, contiguous."""
        lps = nib.orientations.apply_orientation(voxels, self._to_lps)
        return np.ascontiguousarray(lps.transpose(2, 1, 0))

    def native(self, voxels: Voxels) -> Voxels:
        """Turn a canonical (z, y, x) array back into the file's (i, j, k): the exact inverse."""
        back = voxels.transpose(2, 1, 0).transpose(self._order)
        flips = self._to_lps[:, 1].astype(int)
        return np.ascontiguousarray(back[tuple(slice(None, None, int(flip)) for flip in flips)])


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels in canonical order and the grid they came from.

    Attributes:
        voxels: (z, y, x), LPS; int16 HU for images, uint8 for masks.
        grid: the file's grid.
    """

    voxels: Voxels
    grid: Grid


def to_hu(values: Voxels) -> npt.NDArray[np.int16]:
    """Bring voxels of any integer or float type to whole HU: padding at -1024, int16 at the top."""
    low, high = PADDING_HU, int(_INT16.max)
    if values.dtype.kind == "f":
        values = np.rint(values)
    else:
        limits = np.iinfo(values.dtype)
        low, high = max(low, int(limits.min)), min(high, int(limits.max))
    return np.clip(values, low, high).astype(np.int16)


def mask_grid(image: Grid, mask: Grid, by_index: bool = True) -> Grid:
    """The grid by which a mask's voxels are brought into the image's canonical order.

    A mask may be stored in another orientation than its image, so canonical grids are compared. A
    header nobody filled in (see `Grid.is_placeholder`; many masks of LiTS have one) says nothing
    about position: then voxels correspond by index where the shapes agree.

    Args:
        image: grid of the image.
        mask: grid of the mask.
        by_index: whether a placeholder may be overruled; not where the order of the image's voxels
            is our own, as for a DICOM series.

    Returns:
        `mask`, or `image` where voxels correspond by index.

    Raises:
        DataError: shape, spacing or position disagree; the message shows both.
    """
    fault = _disagreement(image, mask)
    if not fault:
        return mask
    if by_index and image.shape == mask.shape and (image.is_placeholder or mask.is_placeholder):
        return image
    raise DataError(fault)


def _disagreement(image: Grid, mask: Grid) -> str:
    """What differs between the canonical grids, or nothing."""
    if mask.canonical_shape != image.canonical_shape:
        return (
            f"the mask has {format_shape(mask.shape)} voxels, its image {format_shape(image.shape)}"
            "; resample the mask to the image's grid or pair it with the right image"
        )
    if not np.allclose(mask.spacing_mm, image.spacing_mm, rtol=SPACING_TOLERANCE, atol=0.0):
        return (
            f"the mask's spacing (dz, dy, dx) is {_format_mm(mask.spacing_mm)}, its image's "
            f"{_format_mm(image.spacing_mm)}; correct the header that is wrong"
        )
    distance = _corner_distance(image, mask)
    if distance > POSITION_TOLERANCE * min(image.spacing_mm):
        return (
            f"the mask lies up to {distance:.3g} mm away from its image: mask affine "
            f"{format_affine(mask.affine)}, image affine {format_affine(image.affine)}; correct "
            "the header that is wrong, or resample the mask to the image's grid"
        )
    return ""


def _corner_distance(first: Grid, second: Grid) -> float:
    """Largest distance in mm between the same corners of two canonical grids of equal shape."""
    z, y, x = first.canonical_shape
    corners = np.array([(*c, 1) for c in product((0, x - 1), (0, y - 1), (0, z - 1))], dtype=float)
    apart = corners @ (first.canonical_affine - second.canonical_affine).T
    return float(np.linalg.norm(apart[:, :3], axis=1).max())


def _singular(affine: Matrix) -> bool:
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        return True
    edges = affine[:3, :3]
    sizes = np.linalg.norm(edges, axis=0)
    return bool(abs(np.linalg.det(edges)) <= 1e-3 * sizes.prod())


def format_shape(shape: tuple[int, ...]) -> str:
    """Write a shape as `512 x 512 x 75`."""
    return " x ".join(str(size) for size in shape)


def format_affine(affine: Matrix) -> str:
    """Write an affine in one line, rows in brackets, without its constant last row."""
    return " ".join("[" + " ".join(f"{v:.4g}" for v in row) + "]" for row in affine[:3])


def _format_mm(spacing: tuple[float, float, float]) -> str:
    return " x ".join(f"{size:.4g}" for size in spacing) + " mm"
