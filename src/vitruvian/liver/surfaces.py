"""Distances between the 3-D surfaces of two masks, in millimetres, as the LiTS challenge has them.

MONAI's surface metrics treat the border of the volume and the symmetric average rightly, and are
not used all the same: their surface is the 6-neighbour one where the challenge's is the
18-neighbour one, which makes the ASSD of a liver on 5 mm slices about a tenth larger; an empty mask
gives them inf; and each of their metrics finds the surfaces anew. The tests compare the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import KDTree

Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float64]

_FACES_AND_EDGES = 2  # scipy's connectivity for 18 neighbours; 1 is faces only, 6 neighbours


def surface_distances(
    prediction: npt.NDArray[Any], truth: npt.NDArray[Any], spacing_mm: Sequence[float]
) -> dict[str, float]:
    """Measure how far the surfaces of two masks lie apart.

    A surface voxel is a voxel of the mask with background among its 18 neighbours (faces and
    edges); everything outside the array counts as background. Distances run between voxel centres,
    from every surface voxel of either mask to the nearest surface voxel of the other:

    - `assd_mm`, average symmetric surface distance: the mean over both surfaces pooled;
    - `hd_mm`, Hausdorff distance: the largest of all. The challenge takes this one number from
      the 6-neighbour surface; the two differ by at most the middle one of the voxel's three sizes;
    - `hd95_mm`: the larger of the two directed 95th percentiles (linear interpolation).

    Args:
        prediction: (z, y, x), bool or integer, 0 background and 1 foreground.
        truth: as `prediction`.
        spacing_mm: voxel size (dz, dy, dx) in mm.

    Returns:
        The three distances in mm; NaN when either mask is empty (a distance to nothing is not
        nought: the challenge's script returns 0 there, which flatters an empty prediction).

    Raises:
        ValueError: shapes differ, an array is not a 3-D binary mask, or a spacing is not positive.
    """
    first, second = paired(prediction, truth)
    spacing = _checked_spacing(spacing_mm)
    if not (first.any() and second.any()):
        return dict.fromkeys(("assd_mm", "hd_mm", "hd95_mm"), math.nan)
    return _summary(*_directed(*_crop(first, second), spacing))


def paired(prediction: npt.NDArray[Any], truth: npt.NDArray[Any]) -> tuple[Mask, Mask]:
    """Return both masks as bool without a copy, or say what is wrong with them.

    Raises:
        ValueError: shapes differ, or an array is not a 3-D binary mask.
    """
    if prediction.shape != truth.shape:
        raise ValueError(
            f"prediction and truth differ in shape: {prediction.shape} and {truth.shape}"
        )
    return _binary(prediction, "prediction"), _binary(truth, "truth")


def _binary(mask: npt.NDArray[Any], name: str) -> Mask:
    if mask.ndim != 3:
        raise ValueError(f"{name} must be (z, y, x), got {mask.ndim} dimensions")
    if mask.dtype == np.bool_:
        return mask
    if not np.issubdtype(mask.dtype, np.integer):
        raise ValueError(f"{name} must be bool or integer, got {mask.dtype}; threshold it first")
    if mask.size and (mask.min() < 0 or mask.max() > 1):
        raise ValueError(f"{name} holds labels other than 0 and 1; pass one class, e.g. mask >= 1")
    return mask.view(np.bool_) if mask.itemsize == 1 else mask.astype(np.bool_)


def _checked_spacing(spacing_mm: Sequence[float]) -> tuple[float, ...]:
    spacing = tuple(float(size) for size in spacing_mm)
    if len(spacing) != 3 or not all(size > 0 and math.isfinite(size) for size in spacing):
        raise ValueError(f"spacing_mm must be three positive sizes (dz, dy, dx), got {spacing}")
    return spacing


def _crop(first: Mask, second: Mask) -> tuple[Mask, Mask]:
    """Cut both to the box around their union: outside it is background, as outside the array."""
    box = ndimage.find_objects((first | second).view(np.uint8))[0]
    return first[box], second[box]


def _directed(
    first: Mask, second: Mask, spacing: tuple[float, ...], connectivity: int = _FACES_AND_EDGES
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Distance of each surface voxel to the other surface: from the first, from the second."""
    here, there = (_surface(mask, spacing, connectivity) for mask in (first, second))
    return _nearest(here, there), _nearest(there, here)


def _surface(mask: Mask, spacing: tuple[float, ...], connectivity: int) -> Points:
    """Centres of the surface voxels, (n, 3) in mm."""
    neighbours = ndimage.generate_binary_structure(3, connectivity)
    inside = ndimage.binary_erosion(mask, neighbours)  # beyond the array scipy puts background
    return np.argwhere(mask & ~inside) * np.asarray(spacing)


def _nearest(points: Points, targets: Points) -> npt.NDArray[np.float64]:
    # A tree grows with the surfaces where a distance transform grows with the box around them: one
    # false positive in a far corner would cost gigabytes. Unbalanced, because a mask's
    # voxels lie on a grid and medians of so many equal coordinates cut badly.
    tree = KDTree(targets, leafsize=32, balanced_tree=False, compact_nodes=False)
    distances, _ = tree.query(points)
    return np.asarray(distances, dtype=np.float64)


def _summary(forth: npt.NDArray[np.float64], back: npt.NDArray[np.float64]) -> dict[str, float]:
    return {
        "assd_mm": float((forth.sum() + back.sum()) / (len(forth) + len(back))),
        "hd_mm": float(max(forth.max(), back.max())),
        "hd95_mm": float(max(np.percentile(forth, 95), np.percentile(back, 95))),
    }
