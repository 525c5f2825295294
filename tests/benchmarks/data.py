"""The simulated scans that the benchmarks read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from tests.benchmarks.harness import Scale
from vitruvian.core.splits import Splits
from vitruvian.core.store import Record
from vitruvian.liver.cohort import SimulatedCohort
from vitruvian.liver.datamodule import LiverCT

LIVER_SHARE = 0.015  # of a training slice (paper 004, section III.B)
KEYS = ("image", "label")


def scan_files(scale: Scale, folder: Path) -> list[dict[str, str]]:
    """LiTS files of simulated scans, written once; MONAI's way of listing them."""
    slices = (scale.slices, scale.slices)
    root = SimulatedCohort(scale.cases, 0, scale.size, slices).write(folder / "simulated")
    return [
        {"image": f"{root}/volume-{i}.nii", "label": f"{root}/segmentation-{i}.nii.gz"}
        for i in range(scale.cases)
    ]


def training_data(scale: Scale, folder: Path, batches: int, workers: int) -> LiverCT:
    """The data module over those scans, all of them for training; converts them once."""
    root = Path(scan_files(scale, folder)[0]["image"]).parent
    data = LiverCT(
        SimulatedCohort(),
        folder / "cache",
        root,
        patch=(scale.crop, scale.crop),
        min_liver_fraction=LIVER_SHARE,
        batch_size=scale.batch,
        samples_per_epoch=batches * scale.batch,
        workers=workers,
    )
    data.prepare()
    data.use(Splits(tuple(data.subjects), (), (), "all for training"))
    return data


def records(scale: Scale, folder: Path) -> list[Record]:
    """The scans as they lie in our store."""
    data = training_data(scale, folder, 1, 0)
    return [case.record for case in data.cases(data.subjects)]


def slice_files(stored: Sequence[Record], folder: Path) -> list[dict[str, str]]:
    """Every slice with enough liver as a pair of `.npy` files, as one prepares 2-D data by hand."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _slice_file(record, int(z), folder)
        for record in stored
        for z in np.flatnonzero((record.read("label") > 0).mean(axis=(1, 2)) >= LIVER_SHARE)
    ]


def _slice_file(record: Record, z: int, folder: Path) -> dict[str, str]:
    paths = {key: folder / f"{record.key}-{z}-{key}.npy" for key in KEYS}
    for key, path in paths.items():
        if not path.exists():
            np.save(path, record.read(key, slice(z, z + 1))[0])
    return {key: str(path) for key, path in paths.items()}


def compressed(file: Path, folder: Path) -> Path:
    """A copy of a NIfTI file as `.nii.gz`, made once."""
    path = folder / f"{file.parent.name}-{file.name}.gz"
    if not path.exists():
        nib.save(nib.load(file), path)
    return path
