"""One random crop: from our store, and from the NIfTI file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from tests.benchmarks.data import compressed, records, scan_files
from tests.benchmarks.harness import Row, Scale, Work, side_by_side
from vitruvian.core.store import Record


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """Files in the page cache on both sides: what is compared is the work per crop."""
    stored = records(scale, folder)[0]
    plain = Path(scan_files(scale, folder)[0]["image"])
    ours = _from_store(scale, stored)
    files = {".nii": plain, ".nii.gz": compressed(plain, folder)}
    for (name, file), share in zip(files.items(), (4, 50), strict=True):
        theirs = _from_file(scale, file, max(scale.reads // share, 1))
        yield Row(
            f"reading: a crop from {name}", side_by_side(ours, theirs, scale.repetitions), "ms"
        )


def _from_store(scale: Scale, record: Record) -> Work:
    rng = np.random.default_rng(0)

    def work() -> int:
        for _ in range(scale.reads):
            z, y, x = _crop(scale, rng)
            assert record.read("image", z, y, x).shape == (1, scale.crop, scale.crop)
        return scale.reads

    return work


def _from_file(scale: Scale, file: Path, reads: int) -> Work:
    rng = np.random.default_rng(0)

    def work() -> int:
        for _ in range(reads):
            z, y, x = _crop(scale, rng)
            image: Any = nib.load(file)
            assert np.asarray(image.dataobj[x, y, z]).shape == (scale.crop, scale.crop, 1)
        return reads

    return work


def _crop(scale: Scale, rng: np.random.Generator) -> tuple[slice, slice, slice]:
    z = int(rng.integers(scale.slices))
    y, x = (int(corner) for corner in rng.integers(scale.size - scale.crop + 1, size=2))
    return slice(z, z + 1), slice(y, y + scale.crop), slice(x, x + scale.crop)
