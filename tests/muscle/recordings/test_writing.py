"""What is written comes back: frames bit by bit, signals in float32, and everything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.muscle.recordings.folders import FRAMES, HEIGHT, WIDTH, images, simulated
from vitruvian.core.errors import RunError
from vitruvian.muscle.recording import ClockSource, Recording, Signal
from vitruvian.muscle.recordings.channel_form import ChannelForm
from vitruvian.muscle.recordings.opening import open_recording
from vitruvian.muscle.recordings.screen import Screen
from vitruvian.muscle.recordings.writing import write_recording

FORMS = {
    "angle_deg": ChannelForm("rad"),
    "torque_nm": ChannelForm("V", scale=50.0, offset=3.0),
    "emg_v": ChannelForm("mV", gain=1000.0),
}


def assert_same_signals(opened: Recording, written: Recording) -> None:
    assert list(opened.signals) == list(written.signals)
    for name, signal in written.signals.items():
        other = opened.signals[name]
        largest = np.abs(signal.values).max()
        np.testing.assert_allclose(other.values, signal.values, rtol=0, atol=4e-7 * largest)
        assert (other.rate_hz, other.start_s) == (signal.rate_hz, signal.start_s)


@pytest.mark.parametrize("frames", ["avi", "png", "tiff", "npz"])
def test_frames_come_back_bit_by_bit_and_as_often_as_wanted(tmp_path: Path, frames: str) -> None:
    folder = write_recording(tmp_path / "P01", simulated(), images(), frames=frames)
    opened = open_recording(folder).frames
    assert opened is not None
    assert opened.count == FRAMES
    for _ in range(2):
        np.testing.assert_array_equal(np.stack(list(opened)), np.stack(images()))


def test_mp4_loses_little(tmp_path: Path) -> None:
    smooth = [np.full((HEIGHT, WIDTH), 20 * n + 50, np.uint8) for n in range(FRAMES)]
    opened = open_recording(write_recording(tmp_path / "P", simulated(), smooth, frames="mp4"))
    assert opened.frames is not None
    assert opened.frame_count == FRAMES
    np.testing.assert_allclose(np.stack(list(opened.frames)), np.stack(smooth), atol=4)


@pytest.mark.parametrize("signals", ["csv", "parquet", "mat", "mat73"])
@pytest.mark.parametrize("channels", [{}, FORMS], ids=["plain", "formed"])
def test_signals_come_back(tmp_path: Path, signals: str, channels: dict[str, ChannelForm]) -> None:
    written = simulated()
    folder = write_recording(tmp_path / "P", written, None, signals=signals, channels=channels)
    assert_same_signals(open_recording(folder), written)


def test_numbers_in_the_file_have_the_form_that_was_asked_for(tmp_path: Path) -> None:
    signals = {"emg_v": Signal(np.array([0.0, 0.002]), 1000.0)}
    recording = simulated(signals=signals, clock=ClockSource("frames"))
    folder = write_recording(tmp_path / "P", recording, channels=FORMS)
    lines = (folder / "signals.csv").read_text().split()
    assert lines[0] == '"emg_mV"'
    assert float(lines[2]) == 2000.0  # 2 mV after a gain of 1000


def test_what_is_known_comes_back(tmp_path: Path) -> None:
    written = simulated()
    opened = open_recording(write_recording(tmp_path / "P01_passive", written, images()))
    for name in ("name", "participant", "task", "frame_count", "clock", "mm_per_pixel"):
        assert getattr(opened, name) == getattr(written, name)
    for name in ("emg_mvc_v", "raw", "person", "simulated"):
        assert getattr(opened, name) == getattr(written, name)
    np.testing.assert_array_equal(opened.masks, written.masks)
    assert {path.name for path in opened.sources} == {
        "recording.yaml",
        "frames.avi",
        "signals_1.csv",
        "signals_2.csv",
        "masks.npz",
    }
    assert all(path.is_file() for path in opened.sources)


def test_listed_pulses_come_back_exactly(tmp_path: Path) -> None:
    times_s = np.array([0.1, 1 / 3, 2 / 3])
    clock = ClockSource("pulses", None, times_s, 25.0)
    opened = open_recording(write_recording(tmp_path / "P", simulated(clock=clock), None))
    np.testing.assert_array_equal(opened.clock.times_s, times_s)


def test_a_recording_without_images_keeps_their_number(tmp_path: Path) -> None:
    opened = open_recording(write_recording(tmp_path / "P", simulated(masks=None), None))
    assert opened.frames is None
    assert opened.frame_count == FRAMES
    assert opened.masks is None


def test_a_recording_that_was_opened_can_be_written(tmp_path: Path) -> None:
    first = open_recording(write_recording(tmp_path / "P", simulated(), images()))
    second = open_recording(write_recording(tmp_path / "Q", first, frames="png"))
    assert second.frames is not None
    np.testing.assert_array_equal(np.stack(list(second.frames)), np.stack(images()))
    assert_same_signals(second, first)


def test_screens_are_written_whole_and_read_cropped(tmp_path: Path) -> None:
    screens = [np.pad(image, ((3, 1), (2, 5))) for image in images()]
    screen = Screen((3, 2, HEIGHT, WIDTH), "horizontal")
    opened = open_recording(write_recording(tmp_path / "P", simulated(), screens, screen=screen))
    assert opened.frames is not None
    np.testing.assert_array_equal(
        np.stack(list(opened.frames)), np.stack([image[:, ::-1] for image in images()])
    )


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    folder = write_recording(tmp_path / "P", simulated(), None)
    with pytest.raises(RunError, match="is there already"):
        write_recording(folder, simulated(), None)


def test_nothing_is_left_of_a_recording_that_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 images given for frame_count=4"):
        write_recording(tmp_path / "P", simulated(), images(3))
    assert list(tmp_path.iterdir()) == []
