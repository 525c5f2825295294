"""From a recording to a case in the store, and from cases to training batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.muscle.small import QUANTITIES, RATE, SIZE, StoredImages, case, recording, speckle
from vitruvian.core.errors import DataError
from vitruvian.core.store import Store
from vitruvian.muscle.data.conversion import described, stored
from vitruvian.muscle.data.inputs import FrameInput
from vitruvian.muscle.data.samples import FrameSamples, targets_of
from vitruvian.muscle.recording import Signal
from vitruvian.muscle.roi.finders import WholeImage
from vitruvian.muscle.roi.region import RegionOfInterest
from vitruvian.muscle.sync.alignment import Synchronisation


def keys_of(*items: int) -> Any:
    return np.array([(0, position, item) for position, item in enumerate(items)])


def test_a_case_holds_what_was_measured_at_its_frames(tmp_path: Path) -> None:
    found = case(tmp_path)
    trial = found.trial()
    assert len(found) == 30
    assert found.crops.shape("images") == (30, *SIZE)
    np.testing.assert_allclose(trial.times_s, 0.5 + np.arange(30) / RATE, atol=1e-6)
    np.testing.assert_allclose(trial.values["angle_deg"], 10 * trial.times_s, atol=0.05)
    assert trial.follows.tolist() == [False] + [True] * 29
    assert (found.simulated, trial.emg_mvc_v) == (True, 4e-4)
    assert trial.rate_hz == pytest.approx(RATE, rel=1e-6)


def test_grey_statistics_are_those_inside_the_muscle(tmp_path: Path) -> None:
    found = case(tmp_path)
    inside = found.images()[0][:, 4:28] / 255  # rows 8 to 32 of 40, centred in 32
    bounds = found.images()[1]
    assert np.unique(bounds[:, 0][bounds[:, 1] > 0]).tolist() == [4]
    count, total, squares = found.meta["grey"]
    assert count == inside.size
    assert total == pytest.approx(inside.sum(), rel=1e-6)
    assert squares == pytest.approx((inside**2).sum(), rel=1e-6)


def test_frames_without_signal_leave_no_item_across_the_gap(tmp_path: Path) -> None:
    made = recording(tmp_path)
    angle = made.signals["angle_deg"].values.copy()
    angle[900:1300] = np.nan  # 0.9 s to 1.3 s: ten frames
    signals = {**made.signals, "angle_deg": Signal(angle, 1000.0, unit="deg")}
    gap = replace(made, signals=signals)
    found = stored(
        gap,
        QUANTITIES,
        Synchronisation(),
        RegionOfInterest(WholeImage(), size=SIZE),
        Store(tmp_path / "store"),
    )
    frames = found.frames
    assert found.meta["dropped"] == 30 - len(frames) >= 9
    run = found.run_length
    restart = int(np.flatnonzero(np.diff(frames) > 1)[0]) + 1
    assert (run[restart - 1], run[restart], run[restart + 1]) == (restart, 1, 2)
    samples = FrameSamples([found], FrameInput("stack", 3), "absolute")
    assert len(samples) == len(frames) - 4  # two at the start of each of the two runs


def test_a_batch_holds_the_frames_behind_its_targets(tmp_path: Path) -> None:
    found = case(tmp_path)
    samples = FrameSamples([found], FrameInput("stack", 3), "both", seed=1)
    batch = samples.__getitems__(keys_of(0, 5, 27))
    images = found.images()[0]
    for row, last in enumerate((2, 7, 29)):
        assert np.array_equal(batch["images"][row].numpy(), images[last - 2 : last + 1])
    expected = targets_of(found, "both")[[2, 7, 29]]
    np.testing.assert_allclose(batch["target"].numpy(), expected, rtol=1e-6)
    assert expected.shape == (3, 6)
    np.testing.assert_allclose(expected[:, 0], 0.4, atol=0.02)  # 10 deg/s at 25 Hz
    assert batch["bounds"].shape == (3, 2, SIZE[1])
    assert len(set(batch["seed"].tolist())) == 3


@pytest.mark.parametrize("target", ["change", "centred", "absolute", "both"])
def test_targets_are_known_at_every_item(tmp_path: Path, target: Any) -> None:
    for kind in ("single", "pair", "difference", "stack"):
        samples = FrameSamples([case(tmp_path)], FrameInput(kind), target)
        assert np.isfinite(samples.targets).all()


def test_too_short_a_trial_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no training trial has 40 frames in a row"):
        FrameSamples([case(tmp_path)], FrameInput("stack", 40), "absolute")


def test_a_recording_without_images_is_refused(tmp_path: Path) -> None:
    bare = replace(recording(tmp_path, name="P07"), frames=None)
    whole = RegionOfInterest(WholeImage(), size=SIZE)
    with pytest.raises(DataError, match="P07: it has no images, so nothing can be learnt"):
        stored(bare, QUANTITIES, Synchronisation(), whole, Store(tmp_path / "store"))


def test_other_settings_make_other_records(tmp_path: Path) -> None:
    made = recording(tmp_path)
    store = Store(tmp_path / "store")

    def key(region: RegionOfInterest, frames: Any = None) -> str:
        found = replace(made, frames=StoredImages(frames if frames is not None else speckle(30)))
        return stored(found, QUANTITIES, Synchronisation(), region, store).crops.key

    first = key(RegionOfInterest(WholeImage(), size=SIZE))
    assert key(RegionOfInterest(WholeImage(), size=SIZE)) == first
    assert key(RegionOfInterest(WholeImage(), size=SIZE, jitter_mm=1.0)) != first
    assert key(RegionOfInterest(WholeImage(), size=(32, 96))) != first


def test_settings_are_described_by_class_and_values() -> None:
    told = described(RegionOfInterest(WholeImage(), size=(32, 64)))
    assert told["class"] == "RegionOfInterest"
    assert told["finder"] == {"class": "WholeImage"}
    assert list(told["size"]) == [32, 64]
