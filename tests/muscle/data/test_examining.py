"""What a look at a recording says: problems stop it from being used, notes do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.muscle.small import QUANTITIES, REGION, StoredImages, recording, speckle
from vitruvian.core.errors import DataError
from vitruvian.core.examination import Examined
from vitruvian.muscle.data.examining import examine_recording
from vitruvian.muscle.data.sources import openers
from vitruvian.muscle.recording import Image, Recording, Signal
from vitruvian.muscle.recordings.description import FramesPart
from vitruvian.muscle.recordings.frame_files import open_frames
from vitruvian.muscle.recordings.writing import write_recording
from vitruvian.muscle.sync.alignment import Synchronisation

FRAMES = 60


class Torn(StoredImages):
    """Frames of which one cannot be read."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(speckle(FRAMES))
        self._torn, self._message = number, message

    def __iter__(self) -> Iterator[Image]:
        for number, image in enumerate(super().__iter__(), 1):
            if number == self._torn:
                raise DataError(self._message)
            yield image


def examined(found: Recording) -> Examined:
    return examine_recording(found.name, lambda: found, QUANTITIES, Synchronisation(), REGION)


def masked(folder: Path, lost: int) -> Recording:
    """A trial without muscle in the first frames."""
    found = recording(folder, FRAMES)
    assert found.masks is not None
    masks = np.repeat(found.masks, FRAMES, axis=0)
    masks[:lost] = False
    return replace(found, masks=masks)


def test_a_sound_recording(tmp_path: Path) -> None:
    found = examined(recording(tmp_path, FRAMES))
    assert found.understood.startswith(
        "P01, passive, 60 frames at 25.000 Hz, 60 pulses, offset 0.5"
    )
    assert (found.problems, found.notes) == ((), ())


def test_faults_of_channels_and_what_was_assumed_are_notes(tmp_path: Path) -> None:
    whole = recording(tmp_path, FRAMES, notes=("emg_v: taken as microvolts",))
    emg = whole.signals["emg_v"].values.copy()
    emg[500:1000:10] = emg[501:1000:10] = emg[502:1000:10] = 1e-3
    signals = {**whole.signals, "emg_v": Signal(emg, 1000.0, unit="V")}
    found = examined(replace(whole, signals=signals))
    assert found.problems == ()
    assert found.notes == ("emg_v: taken as microvolts", "emg_v: railed for 4.4 % of the time")


@pytest.mark.parametrize("number", [1, 3, 26, FRAMES])
@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("us.avi: torn", "frame {}: us.avi: torn"),
        ("us.npz: cut in frame 9", "us.npz: cut in frame 9"),
    ],
)
def test_every_frame_has_to_be_readable(
    tmp_path: Path, number: int, message: str, shown: str
) -> None:
    found = examined(replace(recording(tmp_path, FRAMES), frames=Torn(number, message)))
    assert found.problems == (shown.format(number),)


def test_a_file_that_was_cut_short_is_a_problem(tmp_path: Path) -> None:
    np.save(tmp_path / "us.npy", speckle(FRAMES))
    content = (tmp_path / "us.npy").read_bytes()
    (tmp_path / "us.npy").write_bytes(content[: len(content) // 2])
    frames = open_frames(tmp_path, FramesPart("us.npy"))
    found = examined(replace(recording(tmp_path, FRAMES), frames=frames))
    assert found.problems == (f"{tmp_path / 'us.npy'}: cut short in frame 30 of 60",)


@pytest.mark.parametrize(
    ("lost", "problem"), [(0, False), (3, False), (12, False), (13, True), (24, True)]
)
def test_a_muscle_that_is_lost_now_and_then_is_a_note(
    tmp_path: Path, lost: int, problem: bool
) -> None:
    found = examined(masked(tmp_path, lost))
    remark = (f"the muscle was not found in {lost} of the first 25 frames",) if lost else ()
    assert (found.problems, found.notes) == ((remark, ()) if problem else ((), remark))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"frames": None}, "no images: it can be aligned, not trained on"),
        ({"mm_per_pixel": None}, "the millimetres per pixel of the frames are not known"),
        ({"frame_count": 90}, "P01_passive: 90 frames but 60 trigger pulses"),
    ],
)
def test_what_cannot_be_prepared_is_a_problem(tmp_path: Path, keys: dict, message: str) -> None:
    found = examined(replace(recording(tmp_path, FRAMES), notes=("assumed",), **keys))
    assert len(found.problems) == 1
    assert found.problems[0].startswith(message)
    assert found.notes == ("assumed",)


def test_a_folder_that_cannot_be_opened_is_a_problem(tmp_path: Path) -> None:
    def broken() -> Recording:
        raise DataError("recording.yaml: task: missing")

    found = examine_recording("P01", broken, QUANTITIES, Synchronisation(), REGION)
    assert found == Examined("P01", "", ("recording.yaml: task: missing",))


def test_recordings_in_folders_of_people_keep_their_own_names(tmp_path: Path) -> None:
    for person in ("P01", "P02"):
        trial = recording(tmp_path, FRAMES, participant=person)
        write_recording(tmp_path / "root" / person / "passive", trial)
    found = {name: opener() for name, opener in openers(tmp_path / "root")}
    assert list(found) == ["P01_passive", "P02_passive"]
    assert [trial.name for trial in found.values()] == list(found)
    assert [trial.participant for trial in found.values()] == ["P01", "P02"]
