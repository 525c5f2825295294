"""Where frames with masks come from, and who is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.muscle.segmentation.cohort import write_cohort
from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.splits import Splits
from vitruvian.muscle.segmentation.datamodule import MuscleMasks
from vitruvian.muscle.simulator.cohort import SimulatedCohort

SIZE = (48, 60)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("cohort"))


def masks(cache: Path, root: Path | None, **options: Any) -> MuscleMasks:
    settings: dict[str, Any] = {"every": 2, "size": SIZE, "batch_size": 2} | options
    return MuscleMasks(SimulatedCohort(), cache, root, **settings)


def prepared(cache: Path, root: Path | None, **options: Any) -> MuscleMasks:
    datamodule = masks(cache, root, **options)
    datamodule.prepare()
    datamodule.use(Splits(("P01",), ("P02",), ("P03",), "fixed"))
    return datamodule


def test_people_are_subjects_and_every_nth_frame_is_kept(tmp_path: Path, root: Path) -> None:
    datamodule = prepared(tmp_path, root)
    assert datamodule.subjects == ["P01", "P02", "P03"]
    assert datamodule.simulated
    (case,) = datamodule.cases(["P02"])
    assert (case.case, case.participant) == ("P02_passive", "P02")
    assert len(case.images()) == len(case.truths()) == 2
    assert case.mm_per_pixel == (1.0, 0.8)  # 0.5 and 0.4 before the frames were halved


def test_training_batches_come_from_training_people(tmp_path: Path, root: Path) -> None:
    datamodule = prepared(tmp_path, root)
    batches = list(datamodule.train_dataloader())
    assert [batch["image"].shape for batch in batches] == [(2, 1, *SIZE)]
    (case,) = datamodule.cases(["P01"])
    assert {b.tobytes() for b in case.record.read("bounds")} == {
        b.numpy().tobytes() for b in batches[0]["bounds"]
    }


def test_the_mean_mask_is_of_training_people(tmp_path: Path, root: Path) -> None:
    mean = prepared(tmp_path, root).mean_mask()
    # frames 0 and 2: rows 12 to 31 and 14 to 33 after halving
    assert mean[:, 0].tolist() == [0] * 12 + [0.5] * 2 + [1] * 18 + [0.5] * 2 + [0] * 14


def test_recordings_without_masks_are_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_cohort(tmp_path / "root", ["P01", "P02"], unmasked=["P02"])
    datamodule = masks(tmp_path, root)
    with caplog.at_level("INFO"):
        datamodule.prepare()
    assert datamodule.subjects == ["P01"]
    assert "recordings without masks, passed over: 1" in caplog.text


def test_a_root_without_any_mask_is_refused(tmp_path: Path) -> None:
    root = write_cohort(tmp_path / "root", ["P01"], unmasked=["P01"])
    with pytest.raises(DataError, match=r"no recording has masks"):
        masks(tmp_path, root).prepare()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, r"^datamodule.every: at least 1, not 0"),
        ({"size": (8,)}, r"^datamodule.size: \(height, width\), not \[8\]"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        masks(Path(), None, **options)


def test_an_examination_says_what_was_understood(tmp_path: Path) -> None:
    root = write_cohort(tmp_path / "root", ["P01", "P02"], unmasked=["P02"])
    good, bad = masks(tmp_path, root).examine(tmp_path / "figures")
    assert good.case == "P01_passive"
    assert good.understood == ("P01, passive, simulated, 4 frames, 4 masks, muscle 20.0 mm thick")
    assert good.problems == ()
    assert good.figure == tmp_path / "figures" / "P01_passive_mask_simulated.png"
    assert good.figure.is_file()
    assert bad.problems == ("no masks: it is passed over",)


def test_a_broken_recording_is_a_problem_not_an_end(tmp_path: Path) -> None:
    root = write_cohort(tmp_path / "root", ["P01", "P02"])
    (root / "P01_passive" / "recording.yaml").write_text("frames: [")
    bad, good = masks(tmp_path, root).examine()
    assert "recording.yaml" in bad.problems[0]
    assert good.problems == ()


@pytest.mark.real_data
def test_the_masks_of_dltrack_can_be_evaluated(real_data: Path, tmp_path: Path) -> None:
    datamodule = masks(tmp_path, real_data / "us_dltrack_masks", size=(128, 160))
    datamodule.prepare()
    assert datamodule.subjects == ["img_00100", "img_00188", "img_00568"]
    assert not datamodule.simulated
    shares = [np.mean(case.truths()) for case in datamodule.cases(datamodule.subjects)]
    assert all(0.2 < share < 0.3 for share in shares)
