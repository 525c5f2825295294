"""Masks from arrays and images, and how they must fit the frames."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from vitruvian.core.errors import DataError
from vitruvian.muscle.recordings.masks import read_masks

MASK = np.arange(20).reshape(4, 5) % 3 == 0


def test_arrays_and_images_say_the_same(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", MASK)
    np.savez(tmp_path / "m.npz", masks=MASK[np.newaxis].astype(np.uint8) * 7)
    cv2.imwrite(str(tmp_path / "m.png"), MASK.astype(np.uint8) * 255)
    for name in ("m.npy", "m.npz", "m.png"):
        masks = read_masks(tmp_path / name, 9, (4, 5))
        assert masks.dtype == bool
        np.testing.assert_array_equal(masks, MASK[np.newaxis])


def test_one_for_each_frame(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", masks=np.stack([MASK, ~MASK]), other=MASK)
    np.testing.assert_array_equal(read_masks(tmp_path / "m.npz", 2, None), [MASK, ~MASK])


@pytest.mark.parametrize(
    ("count", "shape", "message"),
    [
        (3, (4, 5), r"has the shape \(2, 4, 5\); expected \(3, h, w\)"),
        (2, (5, 4), "masks of 5x4 pixels, but the frames have 4x5 after crop and flip"),
    ],
)
def test_masks_that_do_not_fit(
    tmp_path: Path, count: int, shape: tuple[int, int], message: str
) -> None:
    np.save(tmp_path / "m.npy", np.stack([MASK, MASK]))
    with pytest.raises(DataError, match=message):
        read_masks(tmp_path / "m.npy", count, shape)


@pytest.mark.parametrize("name", ["none.npz", "none.png", "broken.npy", "broken.npz"])
def test_masks_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    for ending in ("npy", "npz"):
        (tmp_path / f"broken.{ending}").write_bytes(b"nothing")
    with pytest.raises(DataError, match="whole"):
        read_masks(tmp_path / name, 1, None)
