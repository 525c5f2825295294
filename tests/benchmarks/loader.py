"""Training crops as they arrive in the training loop, windowed, flipped and turned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.benchmarks import monai_loaders
from tests.benchmarks.data import records, scan_files, slice_files, training_data
from tests.benchmarks.harness import Row, Scale, Work, side_by_side
from vitruvian.core.cost import one_thread
from vitruvian.liver.augment import FlipRotate
from vitruvian.liver.segmenter import HUWindow


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """One torch thread on both sides: with two, threads that wait make either much slower."""
    with one_thread():
        yield from _rows(scale, folder)


def _rows(scale: Scale, folder: Path) -> Iterator[Row]:
    sizes = scale.crop, scale.batch, scale.batches
    scans, cut = scan_files(scale, folder), slice_files(records(scale, folder), folder / "slices")
    slices = partial(monai_loaders.slices, cut, *sizes)
    disk = partial(slices, folder=folder / "persistent")
    theirs: dict[str, Callable[[int], Work]] = {
        "CacheDataset": slices,
        "PersistentDataset": disk,
        "CacheDataset, tuned": partial(slices, tuned=True),
        "PersistentDataset, tuned": partial(disk, tuned=True),
    }
    ours = _ours(scale, folder, 0)

    def row(name: str, other: Work) -> Row:
        return Row(f"loader: {name}", side_by_side(ours, other, scale.repetitions), "slices/s")

    fewer = max(scale.batches // 6, 1)
    volumes = monai_loaders.volumes(scans, scale.crop, scale.batch, fewer, 2)
    yield row("MONAI CacheDataset of volumes, 2 workers", volumes)
    for name, make in theirs.items():
        yield row(f"MONAI {name}", make(0))
        yield row(f"MONAI {name}, 2 workers", make(2))
    yield row("ours with 2 workers instead of a thread", _ours(scale, folder, 2))


def _ours(scale: Scale, folder: Path, workers: int) -> Work:
    batches = training_data(scale, folder, scale.batches, workers).train_batches()
    window, augment = HUWindow(-200.0, 250.0), FlipRotate()

    def work() -> int:
        seen = 0
        for batch in batches:
            image, _ = augment(window(batch["image"]), batch["label"], batch["seed"])
            seen += len(image)
            assert image.shape[1:] == (1, scale.crop, scale.crop)
        return seen

    return work
