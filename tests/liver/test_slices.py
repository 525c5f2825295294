"""Training crops: from the right place, with the promised share of liver, always the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.sampling import EpochOrder, TrainBatches
from vitruvian.core.store import Converter, Record, Store
from vitruvian.liver.slices import SliceCrops, VolumeCrops
from vitruvian.liver.volume import PADDING_HU

Array = npt.NDArray[Any]
SIZE = (10, 48, 40)


def scan(case: int, size: tuple[int, int, int] = SIZE) -> tuple[Array, Array]:
    """A scan whose voxel values tell where they come from, and a liver in slices 2 to 7."""
    z, y, x = np.mgrid[: size[0], : size[1], : size[2]]
    image = (case * 10_000 + z * 1000 + (y % 25) * 40 + x % 40).astype(np.int16)
    label = np.zeros(size, np.uint8)
    label[2:8, 5:15, 30:38] = 1
    label[3, 6:8, 31:33] = 2
    return image, label


def store(tmp_path: Path, *scans: tuple[Array, Array]) -> list[Record]:
    records = []
    for i, (image, label) in enumerate(scans):
        source = tmp_path / f"{i}"
        source.write_text(f"{i}")
        areas = np.count_nonzero(label, axis=(1, 2)).astype(np.int32)
        arrays = {"image": image, "label": label, "areas": areas}
        convert = Converter("test", 1, {"case": i})
        records.append(Store(tmp_path / "store").add([source], convert, lambda a=arrays: (a, {})))
    return records


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    return store(tmp_path, scan(0), scan(1))


def keys(count: int, items: int, epoch: int = 0) -> npt.NDArray[np.int64]:
    return next(EpochOrder(items, count).batches(epoch))


def place_of(crop: Array, whole: Array) -> tuple[int, ...]:
    """Where `crop` was cut from `whole`; fails if it occurs elsewhere or not at all."""
    windows = np.lib.stride_tricks.sliding_window_view(whole, crop.shape)
    (found,) = np.argwhere((windows == crop).all(axis=tuple(range(whole.ndim, windows.ndim))))
    return tuple(int(i) for i in found)


def test_crops_are_cut_from_the_scan(records: list[Record]) -> None:
    crops = SliceCrops(records, patch=(32, 32))
    rows = keys(16, len(crops))
    batch = crops.__getitems__(rows)
    assert batch["image"].shape == (16, 1, 32, 32)
    assert batch["label"].shape == (16, 32, 32)
    assert batch["seed"].shape == (16,)
    assert [str(batch[n].dtype) for n in batch] == ["torch.int16", "torch.uint8", "torch.int64"]
    for image, label, index in zip(batch["image"], batch["label"], rows[:, 2], strict=True):
        case, z = divmod(int(index), 6)
        whole, mask = scan(case)
        _, y, x = place_of(image.numpy(), whole[z + 2 : z + 3])
        assert np.array_equal(label.numpy(), mask[z + 2, y : y + 32, x : x + 32])


@pytest.mark.parametrize(("count", "share"), [(8, 0.5), (7, 0.5), (1, 0.5), (8, 1.0), (9, 0.34)])
def test_share_of_liver(tmp_path: Path, count: int, share: float) -> None:
    image, label = scan(0, (10, 400, 400))
    crops = SliceCrops(store(tmp_path, (image, label)), (24, 24), 1, 0.0001, share)
    for epoch in range(5):
        batch = crops.__getitems__(keys(count, len(crops), epoch))
        holding = batch["label"].flatten(1).any(1)
        wanted = int(np.ceil(count * share))
        assert holding.sum() >= wanted
        if epoch == 0 and share < 1 and count > 1:
            assert holding.sum() < count  # the liver is 0.05 % of the slice


def test_share_of_liver_holds_when_slices_without_liver_are_kept(tmp_path: Path) -> None:
    crops = SliceCrops(store(tmp_path, scan(0)), (16, 16), min_liver_fraction=0.0)
    assert len(crops) == 10
    for epoch in range(10):
        batch = crops.__getitems__(keys(4, len(crops), epoch))
        assert batch["label"].flatten(1).any(1).sum() >= 2


def test_liver_lies_anywhere_in_the_crop(tmp_path: Path) -> None:
    image = np.zeros((1, 64, 64), np.int16)
    label = np.zeros((1, 64, 64), np.uint8)
    label[0, 30, 30] = 1
    crops = SliceCrops(store(tmp_path, (image, label)), (16, 16), 1, 0.0, 1.0)
    found = crops.__getitems__(keys(500, 1))["label"].nonzero()
    assert len(found) == 500
    for axis in (1, 2):
        assert set(found[:, axis].tolist()) == set(range(16))


def test_every_liver_pixel_is_chosen(tmp_path: Path) -> None:
    image, label = scan(0)
    crops = SliceCrops(store(tmp_path, (image, label)), (1, 1), 1, 0.01, 1.0)
    batch = crops.__getitems__(keys(6000, 6))
    values = set(batch["image"].flatten().tolist())
    assert values == set(image[label > 0].tolist())
    assert batch["label"].all()


@pytest.mark.parametrize(
    ("patch", "size"),
    [((64, 64), SIZE), ((49, 40), SIZE), ((20, 50), SIZE), ((64, 64), (10, 64, 64))],
    ids=str,
)
def test_small_slices_are_padded_with_air(
    tmp_path: Path, patch: tuple[int, int], size: tuple[int, int, int]
) -> None:
    image, label = scan(0, size)
    crops = SliceCrops(store(tmp_path, (image, label)), patch)
    batch = crops.__getitems__(keys(4, len(crops)))
    inside = min(patch[0], size[1]) * min(patch[1], size[2])
    for crop, mask in zip(batch["image"], batch["label"], strict=True):
        assert (crop != PADDING_HU).sum() == inside
        assert (crop[0][mask > 0] != PADDING_HU).all()
    if patch[0] >= size[1] and patch[1] >= size[2]:
        assert int(batch["label"].count_nonzero()) == 4 * 80


@pytest.mark.parametrize("context", [3, 5])
def test_neighbours_are_channels_and_repeat_at_the_ends(tmp_path: Path, context: int) -> None:
    image, label = (whole[3:6] for whole in scan(0))
    crops = SliceCrops(store(tmp_path, (image, label)), (48, 40), context)
    rows = keys(3, len(crops))
    batch = crops.__getitems__(rows)
    for crop, index in zip(batch["image"].numpy(), rows[:, 2], strict=True):
        wanted = np.clip(np.arange(context) - context // 2 + int(index), 0, 2)
        assert np.array_equal(crop, image[wanted])


@pytest.mark.parametrize(
    ("fraction", "kept"), [(0.0, 10), (0.015, 6), (80 / 1920, 6), (81 / 1920, None)]
)
def test_slices_with_little_liver_are_left_out(
    tmp_path: Path, fraction: float, kept: int | None
) -> None:
    records = store(tmp_path, scan(0))
    if kept is None:
        with pytest.raises(DataError, match=r"liver to at least 4\.2%; the most is 4\.2%"):
            SliceCrops(records, min_liver_fraction=fraction)
    else:
        assert len(SliceCrops(records, min_liver_fraction=fraction)) == kept


@pytest.mark.parametrize("context", [0, 2, -1])
def test_even_context_is_refused(records: list[Record], context: int) -> None:
    with pytest.raises(ConfigError, match=f"context={context}: choose an odd number"):
        SliceCrops(records, context=context)


@pytest.mark.parametrize("crops", [SliceCrops, VolumeCrops])
def test_no_records_are_refused(crops: Any) -> None:
    with pytest.raises(DataError, match="there is no training case"):
        crops([])


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in ("image", "label", "seed"))


@pytest.mark.parametrize(
    "make",
    [
        lambda records, seed: SliceCrops(records, (32, 32), seed=seed),
        lambda records, seed: VolumeCrops(records, (4, 32, 32), seed=seed),
    ],
    ids=["slices", "volumes"],
)
def test_a_batch_is_a_function_of_its_keys(records: list[Record], make: Any) -> None:
    rows = keys(8, len(make(records, 0)))
    first = make(records, 0).__getitems__(rows)
    assert equal(first, make(records, 0).__getitems__(rows))
    assert not equal(first, make(records, 1).__getitems__(rows))
    later = rows + np.array([1, 0, 0])
    assert not equal(first, make(records, 0).__getitems__(later))
    assert len(set(first["seed"].tolist())) == 8


def test_workers_make_the_same_batches(records: list[Record]) -> None:
    crops = SliceCrops(records, (32, 32))
    order = EpochOrder(len(crops), 4)
    alone, helped = (
        list(TrainBatches(crops, order, num_workers=workers, position=lambda: (1, 0)))
        for workers in (0, 2)
    )
    assert len(alone) == len(helped) == 3
    assert all(equal(a, b) for a, b in zip(alone, helped, strict=True))


# -- volumes --------------------------------------------------------------------------------------


def test_patches_are_cut_from_the_scan(records: list[Record]) -> None:
    crops = VolumeCrops(records, (4, 32, 32))
    rows = keys(8, len(crops))
    batch = crops.__getitems__(rows)
    assert batch["image"].shape == (8, 1, 4, 32, 32)
    assert batch["label"].shape == (8, 4, 32, 32)
    assert [str(batch[n].dtype) for n in batch] == ["torch.int16", "torch.uint8", "torch.int64"]
    for image, label, index in zip(batch["image"], batch["label"], rows[:, 2], strict=True):
        whole, mask = scan(int(index))
        z, y, x = place_of(image[0].numpy(), whole)
        assert np.array_equal(label.numpy(), mask[z : z + 4, y : y + 32, x : x + 32])


def test_patches_hold_liver(tmp_path: Path) -> None:
    without = scan(1)[0], np.zeros(SIZE, np.uint8)
    crops = VolumeCrops(store(tmp_path, without, scan(0), without), (2, 8, 8))
    for epoch in range(10):
        batch = crops.__getitems__(keys(6, len(crops), epoch))
        assert batch["label"].flatten(1).any(1).sum() >= 3


def test_every_liver_voxel_is_chosen(tmp_path: Path) -> None:
    image, label = scan(0)
    crops = VolumeCrops(store(tmp_path, (image, label)), (1, 1, 1), 1.0)
    batch = crops.__getitems__(keys(6000, 1))
    assert set(batch["image"].flatten().tolist()) == set(image[label > 0].tolist())


def test_small_scans_are_padded_with_air(tmp_path: Path) -> None:
    image, label = scan(0)
    batch = VolumeCrops(store(tmp_path, (image, label)), (16, 64, 64)).__getitems__(keys(2, 1))
    assert (batch["image"] != PADDING_HU).flatten(1).sum(1).tolist() == [image.size] * 2
    assert batch["label"].flatten(1).count_nonzero(1).tolist() == [np.count_nonzero(label)] * 2
    assert place_of(image, batch["image"][0, 0].numpy()) == (3, 8, 12)


def test_scans_without_liver_are_refused(tmp_path: Path) -> None:
    records = store(tmp_path, (scan(0)[0], np.zeros(SIZE, np.uint8)))
    with pytest.raises(DataError, match="no training case has a liver voxel"):
        VolumeCrops(records)
