"""Training crops of stored CT scans, a whole batch at a time.

A record of the store holds `image`, int16 HU (z, y, x), `label`, uint8 (z, y, x), and `areas`,
int32 (z,): the voxels with label >= 1 of each slice. Batches leave here as integers; the window,
the conversion to floating point and the augmentation follow on the device.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.sampling import Keys, integers, item_seeds, spawn
from vitruvian.core.store import Record
from vitruvian.liver.volume import PADDING_HU

Batch = dict[str, torch.Tensor]
Array = npt.NDArray[Any]
Region = tuple[Any, ...]  # one slice per axis
Indices = npt.NDArray[np.int64]

# Which draw of an item is used for what (see core.sampling); the last two or three are per axis.
_ITEM, _VOXEL, _CORNER = 0, 1, 2


class SliceCrops:
    """Random crops of axial slices, for 2-D networks (paper 004, section III.A).

    An item is a slice with enough liver. At least `liver_fraction` of every batch are crops that
    hold liver: they lie at random around a random liver pixel, the others anywhere in the slice.

    Args:
        records: of the training cases.
        patch: height and width of a crop; a smaller slice is centred in it and padded with air.
        context: slices that are the channels of an item, odd: the slice itself and its neighbours.
            At the ends of a scan the last slice is repeated.
        min_liver_fraction: slices with a smaller share of liver pixels are left out.
        liver_fraction: share of each batch that must hold liver.
        seed: of the crops.

    Raises:
        ConfigError: `context` is even.
        DataError: no slice holds enough liver.
    """

    def __init__(
        self,
        records: Sequence[Record],
        patch: tuple[int, int] = (256, 256),
        context: int = 1,
        min_liver_fraction: float = 0.015,
        liver_fraction: float = 0.5,
        seed: int = 0,
    ) -> None:
        if context < 1 or context % 2 == 0:
            raise ConfigError(f"context={context}: choose an odd number of slices, such as 3")
        self.records, self.patch, self.context = list(records), tuple(patch), context
        self.liver_fraction, self.seed = liver_fraction, seed
        self._sizes = _sizes(self.records)[:, 1:]
        areas = [record.read("areas").astype(np.int64) for record in self.records]
        shares = [a / size.prod() for a, size in zip(areas, self._sizes, strict=True)]
        kept = [np.flatnonzero(share >= min_liver_fraction) for share in shares]
        if not any(slices.size for slices in kept):
            raise DataError(_too_little_liver(shares, min_liver_fraction))
        self._case = np.repeat(np.arange(len(kept)), [slices.size for slices in kept])
        self._slice = np.concatenate(kept)
        self._area = np.concatenate([a[slices] for a, slices in zip(areas, kept, strict=True)])

    def __len__(self) -> int:
        """Number of slices to draw from."""
        return len(self._slice)

    def __getitems__(self, keys: Keys) -> Batch:
        """Make a batch of the rows (epoch, position, index) of an `EpochOrder`.

        Returns:
            image, int16 HU (n, context, h, w); label, uint8 (n, h, w); seed, int64 (n,), for the
            augmentation.
        """
        seeds = item_seeds(self.seed, keys)
        forced = _spread(len(keys), self.liver_fraction)
        items, forced = _with_liver(keys[:, 2], forced, self._area, seeds)
        records = [self.records[case] for case in self._case[items]]
        slices, sizes = self._slice[items], self._sizes[self._case[items]]
        ordinals = integers(seeds, _VOXEL, np.maximum(self._area[items], 1))
        planes = {i: _plane(records[i], slices[i]) for i in np.flatnonzero(forced).tolist()}
        pixels = np.zeros((len(keys), 2), np.int64)
        for i, plane in planes.items():
            pixels[i] = _liver_pixel(plane, int(ordinals[i]))
        corners = _corners(seeds, sizes, self.patch, pixels, forced)
        image = np.full((len(keys), self.context, *self.patch), PADDING_HU, np.int16)
        label = np.zeros((len(keys), *self.patch), np.uint8)
        for i, (record, z) in enumerate(zip(records, slices.tolist(), strict=True)):
            inside, place = _overlap(corners[i], self.patch, sizes[i])
            image[i, :, *place] = _neighbours(record, z, self.context, inside)
            label[i, *place] = planes[i][inside] if i in planes else _plane(record, z, *inside)
        return _batch(image, label, seeds)


class VolumeCrops:
    """Random 3-D patches, for volumetric networks (V-Net in Table 1 of paper 004: 32x256x256).

    An item is a case; `EpochOrder.samples_per_epoch` says how many patches an epoch has. At least
    `liver_fraction` of every batch are patches that hold liver: they lie at random around a random
    liver voxel, the others anywhere in the scan.

    Args:
        records: of the training cases.
        patch: depth, height and width; a smaller scan is centred in it and padded with air.
        liver_fraction: share of each batch that must hold liver.
        seed: of the patches.

    Raises:
        DataError: no case holds liver.
    """

    def __init__(
        self,
        records: Sequence[Record],
        patch: tuple[int, int, int] = (32, 256, 256),
        liver_fraction: float = 0.5,
        seed: int = 0,
    ) -> None:
        self.records, self.patch = list(records), tuple(patch)
        self.liver_fraction, self.seed = liver_fraction, seed
        self._sizes = _sizes(self.records)
        self._through = [np.cumsum(r.read("areas"), dtype=np.int64) for r in self.records]
        self._volume = np.array([through[-1] for through in self._through])
        if not self._volume.any():
            raise DataError("no training case has a liver voxel: check the masks and their labels")

    def __len__(self) -> int:
        """Number of cases to draw from."""
        return len(self.records)

    def __getitems__(self, keys: Keys) -> Batch:
        """Make a batch of the rows (epoch, position, index) of an `EpochOrder`.

        Returns:
            image, int16 HU (n, 1, d, h, w); label, uint8 (n, d, h, w); seed, int64 (n,), for the
            augmentation.
        """
        seeds = item_seeds(self.seed, keys)
        forced = _spread(len(keys), self.liver_fraction)
        items, forced = _with_liver(keys[:, 2], forced, self._volume, seeds)
        ordinals = integers(seeds, _VOXEL, np.maximum(self._volume[items], 1))
        voxels = np.zeros((len(keys), 3), np.int64)
        for i in np.flatnonzero(forced).tolist():
            voxels[i] = self._liver_voxel(items[i], int(ordinals[i]))
        corners = _corners(seeds, self._sizes[items], self.patch, voxels, forced)
        image = np.full((len(keys), *self.patch), PADDING_HU, np.int16)
        label = np.zeros((len(keys), *self.patch), np.uint8)
        for i, record in enumerate(self.records[item] for item in items):
            inside, place = _overlap(corners[i], self.patch, record.shape("image"))
            image[i, *place] = record.read("image", *inside)
            label[i, *place] = record.read("label", *inside)
        return _batch(image[:, None], label, seeds)

    def _liver_voxel(self, item: int, ordinal: int) -> tuple[int, int, int]:
        through = self._through[item]
        z = int(np.searchsorted(through, ordinal, side="right"))
        before = int(through[z - 1]) if z else 0
        return z, *_liver_pixel(_plane(self.records[item], z), ordinal - before)


def _sizes(records: Sequence[Record]) -> Indices:
    if not records:
        raise DataError("there is no training case: check the data folder and the split")
    return np.array([record.shape("image") for record in records], np.int64)


def _too_little_liver(shares: Iterable[Array], wanted: float) -> str:
    largest = max(float(share.max(initial=0)) for share in shares)
    return (
        f"no training slice is liver to at least {wanted:.1%}; the most is {largest:.1%}: "
        "check the masks, or lower min_liver_fraction"
    )


def _spread(count: int, share: float) -> npt.NDArray[np.bool_]:
    """Mark at least `share` of the places 0 to `count` - 1, evenly and the first one first."""
    marked = np.ceil(np.arange(count + 1) * share)
    return np.diff(marked) > 0


def _with_liver(
    items: Indices, forced: npt.NDArray[np.bool_], liver: Indices, seeds: Indices
) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """Put items with liver where one is required and the order brought one without."""
    bearing = np.flatnonzero(liver)
    if not bearing.size:
        return items, np.zeros_like(forced)
    others = bearing[integers(seeds, _ITEM, bearing.size)]
    return np.where(forced & (liver[items] == 0), others, items), forced


def _plane(record: Record, z: int, *inside: slice) -> Array:
    return record.read("label", slice(z, z + 1), *inside)[0]


def _neighbours(record: Record, z: int, count: int, inside: Region) -> Array:
    """Slice `z` and those around it, (count, h, w); the last one repeated at the ends."""
    first, last = max(z - count // 2, 0), min(z + count // 2, record.shape("image")[0] - 1)
    block = record.read("image", slice(first, last + 1), *inside)
    if len(block) == count:
        return block
    wanted = np.arange(z - count // 2, z + count // 2 + 1)
    return block[np.clip(wanted, first, last) - first]


def _liver_pixel(plane: Array, ordinal: int) -> tuple[int, int]:
    """The liver pixel number `ordinal` of a slice of the label, in reading order."""
    mask = plane > 0
    in_rows = cv2.reduce(mask.view(np.uint8), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    through = np.cumsum(in_rows)  # listing all pixels takes ten times as long
    y = int(np.searchsorted(through, ordinal, side="right"))
    before = int(through[y - 1]) if y else 0
    return y, int(np.flatnonzero(mask[y])[ordinal - before])


def _corners(
    seeds: Indices,
    sizes: Indices,
    patch: Sequence[int],
    voxels: Indices,
    forced: npt.NDArray[np.bool_],
) -> Indices:
    """First voxel of every crop: anywhere, or where the crop holds `voxels` if that is forced.

    Args:
        seeds: (n,).
        sizes: (n, axes) of the scans. Where one is smaller than `patch` the corner is negative.
        patch: (axes,) of the crop.
        voxels: (n, axes) within the scans.
        forced: (n,).
    """
    spare = sizes - np.asarray(patch)
    low = np.minimum(spare // 2, 0)
    high = np.maximum(spare, low)
    corners = np.empty_like(sizes)
    for axis, length in enumerate(patch):
        first, last = low[:, axis], high[:, axis]
        anywhere = first + integers(seeds, _CORNER + axis, last - first + 1)
        around = voxels[:, axis] - integers(seeds, _CORNER + axis, length)
        corners[:, axis] = np.where(forced, np.clip(around, first, last), anywhere)
    return corners


def _overlap(
    corner: Iterable[int], patch: Iterable[int], size: Iterable[int]
) -> tuple[Region, Region]:
    """Where a crop at `corner` overlaps the scan: as seen from the scan, and from the crop."""
    inside = [
        slice(max(int(c), 0), min(int(c) + length, int(total)))
        for c, length, total in zip(corner, patch, size, strict=True)
    ]
    place = [slice(i.start - int(c), i.stop - int(c)) for i, c in zip(inside, corner, strict=True)]
    return tuple(inside), tuple(place)


def _batch(image: Array, label: Array, seeds: Indices) -> Batch:
    arrays = {"image": image, "label": label, "seed": spawn(seeds, 0)}
    return {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}
