"""The adapter to the TimTrack images, on look-alikes and on the real ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import openpyxl
import pytest

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.muscle.adapters.timtrack import OBSERVER_SD, read_timtrack

SHEETS = {
    "p6_isokinetic030_01": "030",
    "p6_isokinetic120_01": "120",
    "p6_isokinetic210_01": "210",
    "p6_isokinetic500_01": "500",
    "p6_isometric_max_01": "isometric",
}
FRAMES = ["push_01_9", "push_01_10", "push_02_9"]


def look_alike(root: Path, without: str = "") -> Path:
    """Set 3 with three frames a condition; observer o says 10, 20, 30 + o and a later row lies."""
    folder = root / "dataset 3"
    for sheet, name in SHEETS.items():
        (folder / name).mkdir(parents=True)
        for grey, frame in enumerate(FRAMES):
            picture = np.full((921, 1665), 50 * (grey + 1), np.uint8)
            cv2.imwrite(str(folder / name / f"{sheet}_{frame}.jpg"), picture)
    for observer in (1, 2, 3):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for sheet in (*SHEETS, "p6_passive_ROM_01"):
            page = book.create_sheet(sheet)
            page.append([" ", "Alpha (deg)", "Beta (deg)", "Height (pixels)"])
            for number, frame in enumerate(FRAMES):
                if frame != without:
                    page.append([frame, 10 * (number + 1) + observer, -2, 270])
            page.append([])
            page.append([FRAMES[0], 99.0])  # a side table below the main one
            page.append(["mean", 20.0])
        book.save(folder / f"dataset3_for_manual_estimation_obs{observer}.xlsx")
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return look_alike(tmp_path_factory.mktemp("timtrack"))


def test_conditions_become_recordings_of_one_person(root: Path) -> None:
    recordings = read_timtrack(root)
    assert [r.task for r in recordings] == [
        "isokinetic_030",
        "isokinetic_120",
        "isokinetic_210",
        "isokinetic_500",
        "isometric",
    ]
    assert {r.participant for r in recordings} == {"P1"}
    assert recordings[0].name == "P1_isokinetic_030"
    assert not any(r.simulated for r in recordings)


def test_the_first_row_of_a_name_counts_and_observers_are_averaged(root: Path) -> None:
    signals = read_timtrack(root)[0].signals
    np.testing.assert_allclose(signals["fascicle_angle_deg"].values, [12, 22, 32])
    np.testing.assert_allclose(signals[OBSERVER_SD].values, [1, 1, 1])  # of 11, 12, 13


def test_frames_come_in_the_order_of_their_numbers(root: Path) -> None:
    recording = read_timtrack(root)[4]
    assert recording.frames is not None
    assert recording.frames.count == recording.frame_count == 3
    greys = [int(image[0, 0]) for image in recording.frames]
    assert greys == [50, 100, 150]  # 9 before 10, the first push before the second
    assert next(iter(recording.frames)).shape == (706, 908)


def test_every_file_is_a_source(root: Path) -> None:
    sources = read_timtrack(root)[1].sources
    assert [s.suffix for s in sources] == [".jpg"] * 3 + [".xlsx"] * 3
    assert all(s.is_file() for s in sources)


def test_an_angle_that_an_observer_did_not_draw_is_named(tmp_path: Path) -> None:
    look_alike(tmp_path, without="push_02_9")
    with pytest.raises(DataError, match=r"obs1.xlsx: sheet p6_isokinetic030_01 .* push_02_9$"):
        read_timtrack(tmp_path)


def test_missing_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"obs1.xlsx: no such table"):
        read_timtrack(tmp_path)


def test_missing_images_are_named(root: Path, tmp_path: Path) -> None:
    (tmp_path / "dataset 3").mkdir()
    for table in (root / "dataset 3").glob("*.xlsx"):
        (tmp_path / "dataset 3" / table.name).write_bytes(table.read_bytes())
    with pytest.raises(DataError, match=r"030: no image named p6_isokinetic030_01_"):
        read_timtrack(tmp_path)


def test_another_screen_is_refused(tmp_path: Path) -> None:
    file = look_alike(tmp_path) / "dataset 3" / "030" / "p6_isokinetic030_01_push_01_9.jpg"
    cv2.imwrite(str(file), np.zeros((600, 800), np.uint8))
    frames = read_timtrack(tmp_path)[0].frames
    assert frames is not None
    with pytest.raises(DataError, match=r"push_01_9.jpg: 800 x 600 pixels"):
        list(frames)


def test_there_are_two_sequences() -> None:
    with pytest.raises(ConfigError, match=r"^dataset: 2 or 3, not 4"):
        read_timtrack(Path(), 4)


@pytest.mark.real_data
def test_the_real_medial_gastrocnemius(real_data: Path) -> None:
    recordings = read_timtrack(real_data / "us_timtrack")
    angles = np.concatenate([r.signals["fascicle_angle_deg"].values for r in recordings])
    spread = np.concatenate([r.signals[OBSERVER_SD].values for r in recordings])
    assert [r.frame_count for r in recordings] == [20] * 5
    # a single observer's angles go from 12.9 to 53.5
    assert (angles.min(), angles.max()) == pytest.approx((13.68, 52.24), abs=0.01)
    assert spread.mean() == pytest.approx(1.14, abs=0.005)
    assert recordings[0].mm_per_pixel == pytest.approx((0.0704, 0.0704), abs=1e-4)


@pytest.mark.real_data
def test_the_real_screens_are_cut_to_the_image(real_data: Path) -> None:
    for dataset, shape in ((2, (458, 576)), (3, (706, 908))):
        frames = read_timtrack(real_data / "us_timtrack", dataset)[0].frames
        assert frames is not None
        image = next(iter(frames))
        assert image.shape == shape
        edges = [image[:, 0], image[:, -1], image[0]]  # grey and noisy tissue, not a flat screen
        assert all(edge.std() > 5 for edge in edges)


@pytest.mark.real_data
def test_the_real_lateral_gastrocnemius(real_data: Path) -> None:
    recordings = read_timtrack(real_data / "us_timtrack", 2)
    assert [r.frame_count for r in recordings] == [33, 23]
    assert {r.participant for r in recordings} == {"P2"}
    angles = recordings[0].signals["fascicle_angle_deg"].values
    assert angles[0] == pytest.approx((18.4 + 17.71 + 17.85) / 3)
