"""Opening videos: each kind of source, the times of its frames, each mistake told in words."""

from __future__ import annotations

import math
import re
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clips import numbers_in, write_images, write_video

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.video.buffer import ImageBuffer
from vitruvian.core.video.video import Timeline, open_video

# --- sources -------------------------------------------------------------------------------------


def test_a_path_or_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(Path("a b:c%20d.mp4"), 3)
    with open_video("a b:c%20d.mp4", "none") as source:
        assert numbers_in(source) == [0, 1, 2]
    Path("a b:c%20d.mp4").rename("7")
    with open_video(Path("7"), "none") as source:  # the text "7" is a camera
        assert numbers_in(source) == [0, 1, 2]


def text(path: Path) -> None:
    path.write_text("this is no video\n" * 100)


def playlist(path: Path) -> None:
    """A text that makes FFmpeg open another file."""
    write_video(path.parent / "other.ts", 2)
    path.write_text("ffconcat version 1.0\nfile other.ts\n")


def sound(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))


BAD_FILES = [
    ("clip.mp4", lambda path: None, "there is no such file; check the path"),
    ("clip.mp4", lambda path: path.write_bytes(b""), "the file is empty (0 bytes); copy or record"),
    ("clip.avi", lambda path: write_video(path, 0, codec="mpeg4"), "holds no frame; record or"),
    ("clip.mp4", lambda path: write_video(path, 0), "has no video in it; give a video file"),
    ("clip.mp4", text, "cannot be read as a video (invalid data found when processing input)"),
    ("clip.txt", text, "has no video in it; give a video file"),  # FFmpeg plays it as a terminal
    ("clip.mp4", playlist, "has no video in it; give a video file"),
    ("clip.mp4", lambda path: path.write_bytes(bytes(5000)), "cannot be read as a video"),
    ("clip.wav", sound, "has no video in it; give a video file"),
    ("clip.png", text, "no frame can be read: clip.png is no whole image; check that"),
    ("clip.png", lambda path: None, "there is no such file; check the path"),
    ("clip", lambda path: path.mkdir(), "holds no images (.png, .jpg, .jpeg, .tif, .tiff); give"),
    ("i_%03d.png", lambda path: None, "holds no files named i_%03d.png with a number in it; give"),
    ("gone/%d.png", lambda path: None, "holds no files named %d.png with a number in it; give"),
]


@pytest.mark.parametrize(
    ("name", "make", "message"),
    BAD_FILES,
    ids=lambda value: value[:40] if isinstance(value, str) else "made",
)
def test_mistakes_are_told(tmp_path: Path, name: str, make: Any, message: str) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        open_video(path)
    assert str(path if path.is_dir() or "%" not in name else path.parent) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resize": "720x1280"}, "resize: '720x1280' is none of 1280x720, .*none"),
        ({"fps": 0}, "fps: 0 is not above 0"),
        ({"fps": math.nan}, "fps: nan is not above 0"),
    ],
    ids=str,
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_video(write_images(tmp_path, [1]), **options)


def test_a_closed_video_delivers_nothing(tmp_path: Path) -> None:
    source = open_video(write_video(tmp_path / "clip.mp4", 9))
    next(source)
    source.close()
    source.close()
    assert list(source) == []
    assert source.broken is None


# --- times ---------------------------------------------------------------------------------------


# clock, expected times (at 10 fps), frames repaired
CLOCKS = [
    ([0, 0.1, 0.2], [0, 0.1, 0.2], 0),
    ([3.0, 3.1, 3.5], [0, 0.1, 0.5], 0),
    ([-0.2, 0.0, 0.1], [0, 0.2, 0.3], 0),
    ([0, 0.1, 0.1, 0.2], [0, 0.1, 0.15, 0.2], 1),  # twice the same
    ([0, 0.1, 0.05, 0.3], [0, 0.1, 0.15, 0.3], 1),  # one glitch
    ([0, 0.1, 0.2, 0.0, 0.1, 0.2], [0, 0.1, 0.2, 0.25, 0.35, 0.45], 1),  # set back for good
    ([None, None, None], [0, 0.1, 0.2], 0),
    ([0, 0.1, None, 0.3], [0, 0.1, 0.2, 0.3], 0),
    ([None, 0.1, 0.2], [0, 0.1, 0.2], 0),
    ([0, None, 0.1], [0, 0.1, 0.15], 1),
]


@pytest.mark.parametrize(("clock", "expected", "repaired"), CLOCKS, ids=lambda value: str(value))
def test_times_rise(clock: list[float | None], expected: list[float], repaired: int) -> None:
    timeline = Timeline(10)
    assert [timeline.place(shown) for shown in clock] == pytest.approx(expected)
    assert timeline.repaired == repaired


@given(
    st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=30),
    st.floats(1, 240) | st.just(math.nan),
)
def test_times_rise_whatever_the_clock_shows(clock: list[float | None], fps: float) -> None:
    timeline = Timeline(fps)
    times = [timeline.place(shown) for shown in clock]
    assert times[0] == 0
    assert (np.diff(times) > 0).all()


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30), st.floats(-1e3, 1e3))
def test_rising_times_are_kept(steps: list[int], start: float) -> None:
    clock = start + np.cumsum([0, *steps]) / 1000
    timeline = Timeline(30)
    assert [timeline.place(shown) for shown in clock] == pytest.approx(clock - clock[0])
    assert timeline.repaired == 0


# --- real recordings -----------------------------------------------------------------------------


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "frames", "fps", "size"),
    [
        ("sports2d_walk_sagittal_demo.mp4", 230, 30, (1768, 994)),
        ("pose2sim_singleperson_cam01.mp4", 100, 60, (1080, 1920)),
        ("pose2sim_singleperson_cam02.mp4", 100, 60, (1080, 1920)),
    ],
)
def test_real_recordings(
    real_data: Path, name: str, frames: int, fps: float, size: tuple[int, int]
) -> None:
    with open_video(real_data / "video_people" / name, "none") as source:
        assert (source.frames, source.fps, source.letterbox.picture) == (frames, fps, size)
        with ImageBuffer(4, 2).fill(source) as buffered:
            times, shapes = zip(*((f.time_s, f.image.shape) for f in buffered), strict=True)
    assert times == pytest.approx(np.arange(frames) / fps, abs=1e-6)
    assert set(shapes) == {(size[1], size[0], 3)}
    assert (source.broken, source.repaired) == (None, 0)
