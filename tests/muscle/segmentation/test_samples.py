"""Recordings with masks into the store, and batches out of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.muscle.segmentation.calves import recorded
from vitruvian.core.errors import DataError
from vitruvian.core.store import Converter, Record, Store
from vitruvian.muscle.recording import Recording
from vitruvian.muscle.segmentation.samples import MaskSamples, convert


def record(folder: Path, recording: Recording, every: int = 1) -> Record:
    source = folder / recording.name
    source.write_text(recording.name)
    converter = Converter("test", 1)
    return Store(folder / "store").add(
        [source], converter, lambda: convert(recording, every, (48, 60))
    )


def test_every_nth_frame_is_reduced_with_its_mask() -> None:
    arrays, meta = convert(recorded(frames=5), 2, (48, 60))
    assert arrays["images"].shape == (3, 48, 60)
    assert meta == {"shape": [96, 120]}
    # the muscle moves two rows a frame: two reduced rows in the frames 0, 2, 4
    assert arrays["bounds"][:, :, 7].tolist() == [[12, 32], [14, 34], [16, 36]]


def test_one_mask_serves_all_frames() -> None:
    recording = recorded(frames=3)
    assert recording.masks is not None
    arrays, _ = convert(recorded(frames=3, masks=recording.masks[:1]), 1, (48, 60))
    assert (arrays["bounds"] == arrays["bounds"][0]).all()


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (None, r"^P01_passive: no masks"),
        (np.zeros((3, 96, 120), np.bool_), r"^P01_passive: 3 masks for 4 frames"),
        (np.zeros((1, 90, 120), np.bool_), r"masks are \(90, 120\) \(h, w\), frame 0 \(96, 120\)"),
    ],
)
def test_what_does_not_fit_is_refused(masks: np.ndarray | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        convert(recorded(masks=masks), 1, (48, 60))


def test_a_recording_without_images_is_refused() -> None:
    with pytest.raises(DataError, match=r"no images to learn from"):
        convert(replace(recorded(), frames=None), 1, (48, 60))


def test_a_batch_holds_the_frames_that_were_asked_for(tmp_path: Path) -> None:
    records = [record(tmp_path, recorded("P01_a", 3)), record(tmp_path, recorded("P02_a", 2))]
    samples = MaskSamples(records, seed=5)
    assert len(samples) == 5
    batch = samples.__getitems__(np.array([[0, 0, 4], [0, 1, 1]]))
    assert batch["image"].shape == (2, 1, 48, 60)
    assert batch["image"].dtype == torch.uint8
    np.testing.assert_array_equal(batch["image"][0, 0], records[1].read("images")[1])
    np.testing.assert_array_equal(batch["bounds"][1], records[0].read("bounds")[1])
    assert len(set(batch["seed"].tolist())) == 2
