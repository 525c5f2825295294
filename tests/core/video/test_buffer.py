"""The image buffer: never more than N x gamma images, in order, and it always ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.clips import number_in, write_video

from vitruvian.core.video.buffer import BufferedFrames, ImageBuffer
from vitruvian.core.video.resizing import Image
from vitruvian.core.video.video import Frame, open_video


class Camera:
    """Makes numbered frames, and counts at each one how many images there are in memory.

    Args:
        count: frames; None: without end.
        wait: called before each frame.
        live: as of a `VideoSource`.
    """

    def __init__(
        self,
        count: int | None,
        wait: Callable[[int], object] = lambda number: None,
        live: bool = False,
    ) -> None:
        self.count, self.wait, self.live = count, wait, live
        self.made = self.most = 0
        self._images: list[weakref.ref[Image]] = []

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        if self.made == self.count:
            raise StopIteration
        self.wait(self.made)
        image = np.full((2, 2, 3), self.made % 256, np.uint8)
        self._images = [ref for ref in self._images if ref() is not None] + [weakref.ref(image)]
        self.most = max(self.most, len(self._images))
        self.made += 1
        return Frame(self.made - 1, self.made / 30, image)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread is about to do."""
    for _ in range(20_000):
        if condition():
            return
        time.sleep(0.001)
    raise AssertionError("it never happened")


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "reader"]


# --- equation (1) --------------------------------------------------------------------------------

PAUSES = st.lists(st.sampled_from([0.0, 0.0, 0.0002]), min_size=1, max_size=7)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 40), PAUSES, PAUSES)
def test_never_more_than_n_times_gamma_images(
    length: int, buckets: int, count: int, reading: list[float], using: list[float]
) -> None:
    camera = Camera(count, lambda number: time.sleep(reading[number % len(reading)]))
    seen = []
    with ImageBuffer(length, buckets).fill(camera) as frames:
        for frame in frames:
            assert frames.held <= length * buckets
            time.sleep(using[frame.index % len(using)])
            assert frame.image[0, 0, 0] == frame.index
            seen.append(frame.index)
        assert frames.held == 0
    assert seen == list(range(count))
    assert frames.peak <= length * buckets
    assert camera.most <= length * buckets
    assert frames.dropped == 0


@pytest.mark.parametrize(("length", "buckets"), [(1, 1), (1, 2), (2, 1), (4, 2), (150, 2)], ids=str)
def test_the_reader_waits_for_a_slow_consumer(length: int, buckets: int) -> None:
    full = length * buckets
    camera = Camera(3 * full)
    with ImageBuffer(length, buckets).fill(camera) as frames:
        for number in range(full):
            assert next(frames).index == number
            until(lambda n=number: camera.made == full + n)
            assert frames.held == full
            assert camera.made == full + number  # not one more while this one is in use
        assert sum(1 for _ in frames) == 2 * full
    assert (frames.peak, camera.most) == (full, full)


def test_an_image_is_handed_on_before_its_bucket_is_full() -> None:
    gate = threading.Semaphore(1)
    camera = Camera(10, lambda number: gate.acquire())
    with ImageBuffer(length=5).fill(camera) as frames:
        for number in range(10):
            assert next(frames).index == number  # the next image is not made before the release
            gate.release()
        assert next(frames, None) is None


def test_a_released_image_is_gone() -> None:
    with ImageBuffer(2, 2).fill(Camera(3)) as frames:
        first = next(frames)
        kept = first.image.copy()
        second = next(frames)
        with pytest.raises(RuntimeError, match="frame 0 was released; copy the images you keep"):
            _ = first.image
        assert kept.max() == 0
    with pytest.raises(RuntimeError, match="frame 1 was released"):
        _ = second.image


# --- live ----------------------------------------------------------------------------------------


def test_a_live_source_delivers_its_newest_image() -> None:
    go_on = threading.Semaphore(1)
    camera = Camera(None, lambda number: go_on.acquire(), live=True)
    with ImageBuffer(2, 2).fill(camera) as frames:
        assert next(frames).index == 0
        for _ in range(10):
            go_on.release()
        until(lambda: camera.made == 11 and frames.held == 3)  # in use, ready, being read
        assert next(frames).index == 10
        assert frames.dropped == 9
        assert frames.peak <= 4
        go_on.release()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), PAUSES, PAUSES)
def test_a_live_source_keeps_within_the_buffer(
    length: int, buckets: int, reading: list[float], using: list[float]
) -> None:
    camera = Camera(60, lambda number: time.sleep(reading[number % len(reading)]), live=True)
    seen = []
    with ImageBuffer(length, buckets).fill(camera) as frames:
        for frame in frames:
            time.sleep(using[frame.index % len(using)])
            seen.append(frame.index)
    assert camera.most <= length * buckets
    assert seen == sorted(set(seen))
    assert len(seen) + frames.dropped == 60
    assert seen[-1] == 59


def test_a_file_may_be_read_as_if_live_and_the_other_way_round() -> None:
    with ImageBuffer(1, 3).fill(Camera(5, live=True), live=False) as frames:
        assert [frame.index for frame in frames] == list(range(5))
    camera = Camera(5)
    with ImageBuffer(1, 3).fill(camera, live=True) as frames:
        until(lambda: camera.made == 5 and frames.held == 1)
        assert [frame.index for frame in frames] == [4]


# --- ends ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_a_last_bucket_may_be_short(count: int) -> None:
    with ImageBuffer(2, 1).fill(Camera(count)) as frames:
        assert [frame.index for frame in frames] == list(range(count))
        assert next(frames, None) is None
    assert readers() == []


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_a_consumer_that_stops_early(taken: int) -> None:
    camera = Camera(None)
    with ImageBuffer(2, 2).fill(camera) as frames:
        for _ in range(taken):
            next(frames)
    assert readers() == []
    assert frames.held == 0
    assert next(frames, None) is None
    assert camera.made <= taken + 4


def test_a_consumer_that_fails() -> None:
    def consume() -> None:
        with ImageBuffer(2, 2).fill(Camera(None)) as frames:
            for frame in frames:
                _ = 1 / (frame.index - 3)

    with pytest.raises(ZeroDivisionError):
        consume()
    assert readers() == []


@pytest.mark.parametrize("error", [OSError("unplugged"), SystemExit(3)], ids=repr)
def test_a_reader_that_fails(error: BaseException) -> None:
    def fails(number: int) -> None:
        if number == 3:
            raise error

    with ImageBuffer(2, 2).fill(Camera(9, fails)) as frames:
        # what was read before the failure comes first
        assert [next(frames).index for _ in range(3)] == [0, 1, 2]
        with pytest.raises(type(error)) as caught:
            next(frames)
        assert caught.value is error
        assert frames.held == 0
    assert readers() == []


def test_a_source_that_cannot_be_iterated() -> None:
    with ImageBuffer().fill(3) as frames, pytest.raises(TypeError):
        next(frames)


@pytest.mark.parametrize(("length", "buckets"), [(0, 2), (2, 0), (-1, 1)])
def test_sizes_that_hold_nothing(length: int, buckets: int) -> None:
    with pytest.raises(ValueError, match=f"length={length}, buckets={buckets}: both must be 1"):
        ImageBuffer(length, buckets)


def test_outside_of_the_context_nothing_is_read() -> None:
    frames: BufferedFrames[Frame] = ImageBuffer(2, 2).fill(Camera(3))
    with pytest.raises(RuntimeError, match=r"with buffer\.fill"):
        next(frames)
    frames.close()


INTERRUPTED = """
import itertools
import sys
import time
import numpy as np
from vitruvian.core.video.buffer import ImageBuffer
from vitruvian.core.video.video import Frame

def camera(pause):
    for number in itertools.count():
        yield Frame(number, number / 30, np.zeros((9, 9, 3), np.uint8))
        time.sleep(pause)

with ImageBuffer(2, 2).fill(camera(float(sys.argv[1]))) as frames:
    for frame in frames:
        if frame.index == 0:
            print("begun", flush=True)
        time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize(
    ("reading", "using"),
    [(0.0, 0.0), (0.0, 3600.0), (0.5, 0.0)],
    ids=["both work", "reader waits", "consumer waits"],
)
def test_ctrl_c_ends_it(reading: float, using: float) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(reading), str(using)]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode == -signal.SIGINT


# --- with a video --------------------------------------------------------------------------------


def test_a_video_through_the_buffer(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 60)
    with open_video(path, "none") as source, ImageBuffer(3, 2).fill(source) as frames:
        assert [number_in(frame.image) for frame in frames] == list(range(60))
    assert frames.peak <= 6


def test_what_breaks_in_the_reader_is_known_to_the_consumer(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", 60, codec="mpeg4")
    path.write_bytes(path.read_bytes()[:-3000])
    with open_video(path, "none") as source, ImageBuffer(3, 2).fill(source) as frames:
        count = sum(1 for _ in frames)
    assert source.broken is not None
    assert f"after {count} frames" in source.broken
