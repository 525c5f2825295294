"""The same crops and flips with MONAI's data sets and loader.

Three ways, of which the benchmark takes each:

- `volumes`: a scan is an item, of which `RandCropByPosNegLabeld` cuts several crops, as in MONAI's
  segmentation tutorials;
- `slices`: the slices with liver were written to files of their own beforehand, and a slice is an
  item. With everything at its default, this is the faster one;
- `slices` tuned with all that MONAI's performance guide offers for this task: no metadata in the
  random transforms, liver pixels listed once and cached (`FgBgToIndicesd`), and items not copied
  out of the cache (`copy_cache=False`).

All of them apply the HU window before the cache, which fixes it; ours applies it to each batch, as
a key of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from monai.data import (
    CacheDataset,
    DataLoader,
    PersistentDataset,
    get_track_meta,
    set_track_meta,
)
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    EnsureTyped,
    FgBgToIndicesd,
    LoadImaged,
    Orientationd,
    RandCropByPosNegLabeld,
    RandFlipd,
    RandRotate90d,
    ScaleIntensityRanged,
    SqueezeDimd,
)
from torch.utils.data import RandomSampler

from tests.benchmarks.data import KEYS
from tests.benchmarks.harness import Work

Files = Sequence[dict[str, str]]
WINDOW = (-200, 250, 0.0, 1.0)
CROPS_OF_A_VOLUME = 8


def volumes(files: Files, crop: int, batch: int, batches: int, workers: int) -> Work:
    """Scans in memory, several crops of each; as MONAI's tutorials are written."""
    count = min(CROPS_OF_A_VOLUME, batch)
    chain = [
        LoadImaged(KEYS, reader="NibabelReader"),
        EnsureChannelFirstd(KEYS),
        Orientationd(KEYS, "LPS", labels=None),
        ScaleIntensityRanged("image", *WINDOW, clip=True),
        RandCropByPosNegLabeld(KEYS, "label", (crop, crop, 1), num_samples=count),
        SqueezeDimd(KEYS, -1),
        *_symmetries(),
    ]
    dataset = CacheDataset(list(files), Compose(chain), num_workers=1, progress=False)
    draws = batch * batches // count
    return _epoch(_loader(dataset, batch // count, draws, workers), crop, tracked=True)


def slices(
    files: Files,
    crop: int,
    batch: int,
    batches: int,
    workers: int,
    *,
    tuned: bool = False,
    folder: Path | None = None,
) -> Work:
    """Slices in memory, or below `folder` if it is given, one crop of each."""
    chain = Compose([*_cached(tuned), *_random(crop, tuned), *_symmetries()])
    dataset: Any
    if folder is None:
        dataset = CacheDataset(
            list(files), chain, num_workers=1, progress=False, copy_cache=not tuned
        )
    else:
        dataset = PersistentDataset(list(files), chain, folder / f"tuned_{tuned}")
        with _tracking(not tuned):
            for item in range(len(dataset)):  # writes what is missing
                dataset[item]
    return _epoch(_loader(dataset, batch, batch * batches, workers), crop, tracked=not tuned)


def _cached(tuned: bool) -> list[Any]:
    chain = [
        LoadImaged(KEYS, reader="NumpyReader"),
        EnsureChannelFirstd(KEYS, channel_dim="no_channel"),
        ScaleIntensityRanged("image", *WINDOW, clip=True),
    ]
    if tuned:
        chain += [
            EnsureTyped("image", dtype=torch.float32, track_meta=False),
            EnsureTyped("label", dtype=torch.uint8, track_meta=False),
            FgBgToIndicesd("label"),
        ]
    return chain


def _random(crop: int, tuned: bool) -> list[Any]:
    listed = {"fg_indices_key": "label_fg_indices", "bg_indices_key": "label_bg_indices"}
    return [RandCropByPosNegLabeld(KEYS, "label", (crop, crop), **(listed if tuned else {}))]


def _symmetries() -> list[Any]:
    """Flips along both axes, and 0 to 3 quarter turns with equal chances."""
    return [
        RandFlipd(KEYS, 0.5, 0),
        RandFlipd(KEYS, 0.5, 1),
        RandRotate90d(KEYS, prob=0.75, max_k=3),
    ]


def _loader(dataset: Any, batch: int, draws: int, workers: int) -> DataLoader:
    return DataLoader(
        dataset,
        workers,
        batch_size=batch,
        sampler=RandomSampler(dataset, replacement=True, num_samples=draws),
        persistent_workers=workers > 0,
    )


def _epoch(loader: DataLoader, crop: int, tracked: bool) -> Work:
    def work() -> int:
        seen = 0
        with _tracking(tracked):
            for batch in loader:
                seen += len(batch["image"])
                assert batch["image"].shape[1:] == batch["label"].shape[1:] == (1, crop, crop)
        return seen

    return work


@contextmanager
def _tracking(metadata: bool) -> Iterator[None]:
    """Whether MONAI's transforms carry metadata along; a global switch of MONAI."""
    before = get_track_meta()
    set_track_meta(metadata)
    try:
        yield
    finally:
        set_track_meta(before)
