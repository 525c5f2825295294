"""From a video to landmarks: every frame in order, images within the buffer, clear refusals."""

from __future__ import annotations

import gc
import itertools
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from tests.clips import write_video

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.video.video import Frame, VideoSource, open_video
from vitruvian.core.video.video_readers import ImagesReader
from vitruvian.spine.landmarks import Landmarks
from vitruvian.spine.pose.blazepose import BlazePose
from vitruvian.spine.pose.extraction import extract, stream_poses
from vitruvian.spine.skeletons import BLAZEPOSE

Image = npt.NDArray[np.uint8]

BALANCING = "video_people/pose2sim_singleperson_cam01.mp4"
WALKING = "video_people/sports2d_walk_sagittal_demo.mp4"
SIZE = (405, 720)  # of the images below

pytestmark = pytest.mark.real_data


@pytest.fixture
def images(real_data: Path, pose_models: Path) -> tuple[Image, ...]:
    """Twelve upright images of one standing person, 405x720."""
    return first_images(real_data / BALANCING, 12)


@cache
def first_images(path: Path, count: int) -> tuple[Image, ...]:
    video = cv2.VideoCapture(str(path))
    found = tuple(np.asarray(cv2.resize(video.read()[1], SIZE)) for _ in range(count))
    video.release()
    return found


@pytest.fixture
def clip(images: tuple[Image, ...], tmp_path: Path) -> Path:
    """A short portrait video of one standing person, at 30 frames per second."""
    return recorded(tmp_path / "clip.mp4", images)


def recorded(path: Path, images: Iterable[Image], **options: Any) -> Path:
    """Write a video; codecs want even sizes."""
    return write_video(path, (image[:, :404] for image in images), **options)


def saved(folder: Path, images: Iterable[Image]) -> list[Path]:
    paths = []
    for number, image in enumerate(images):
        paths.append(folder / f"{number:03}.png")
        cv2.imwrite(str(paths[-1]), image)
    return paths


def assert_same(a: Landmarks, b: Landmarks) -> None:
    for name in ("times_s", "points", "visibility", "world"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


# -- landmarks ------------------------------------------------------------------------------------


def test_every_frame_has_its_landmarks(clip: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    pose = BlazePose()
    found = extract(clip, pose, lambda *call: calls.append(call))
    landmarks = found.landmarks
    assert len(landmarks) == 12
    np.testing.assert_allclose(landmarks.times_s, np.arange(12) / 30, atol=1e-3)
    assert landmarks.skeleton == "blazepose33"
    assert np.isfinite(landmarks.points).all()
    assert landmarks.world is not None
    assert landmarks.points.dtype == landmarks.visibility.dtype == np.float32
    assert landmarks.points.flags.c_contiguous
    assert found.broken is None
    assert found.identity == pose.identity()
    assert calls == [(i, 12) for i in range(1, 13)]


def test_a_portrait_video_is_padded_not_squashed(clip: Path) -> None:
    padded = extract(clip, BlazePose(resize="1280x720")).landmarks
    plain = extract(clip, BlazePose(resize="none")).landmarks
    assert padded.size == (1280, 720)
    assert plain.size == (404, 720)
    columns, rows = padded.points[..., 0] * 1280, padded.points[..., 1] * 720
    assert np.median(np.abs(columns - (1280 - 404) / 2 - plain.points[..., 0] * 404)) < 6
    assert np.median(np.abs(rows - plain.points[..., 1] * 720)) < 6


def test_the_same_video_gives_the_same_landmarks(clip: Path) -> None:
    first, again = (extract(clip, BlazePose()) for _ in range(2))
    assert_same(first.landmarks, again.landmarks)
    assert first.identity == again.identity


def test_frames_without_a_person_are_nan(images: tuple[Image, ...], tmp_path: Path) -> None:
    empty = [np.zeros_like(images[0])] * 3
    clip = recorded(tmp_path / "clip.mkv", [*empty, *images[:6]], codec="ffv1")
    landmarks = extract(clip, BlazePose()).landmarks
    nobody = np.isnan(landmarks.visibility).all(axis=1)
    assert nobody.tolist() == [True] * 3 + [False] * 6
    assert np.isnan(landmarks.points[:3]).all()
    assert landmarks.world is not None
    assert np.isnan(landmarks.world[:3]).all()
    assert len(landmarks.times_s) == 9


def test_folders_of_images_are_videos_too(images: tuple[Image, ...], tmp_path: Path) -> None:
    saved(tmp_path, images[:4])
    assert len(extract(tmp_path, BlazePose()).landmarks) == 4


def test_what_was_read_of_a_broken_clip_is_kept(images: tuple[Image, ...], tmp_path: Path) -> None:
    clip = recorded(tmp_path / "clip.mkv", images, fps=5, codec="mjpeg", pixel_format="yuvj420p")
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    found = extract(clip, BlazePose())
    assert found.broken is not None
    assert f"broke off after {len(found.landmarks)} frames" in found.broken
    assert 5 <= len(found.landmarks) <= 9
    assert np.isfinite(found.landmarks.points).all()


# -- refusals -------------------------------------------------------------------------------------


def test_a_video_of_nobody_is_refused(tmp_path: Path, pose_models: Path) -> None:
    clip = write_video(tmp_path / "garden.mp4", 5)
    with pytest.raises(DataError, match=r"garden.mp4: no person found in its 5 frames; film one"):
        extract(clip, BlazePose())


def test_the_refusal_says_when_the_video_broke_off(tmp_path: Path, pose_models: Path) -> None:
    clip = write_video(tmp_path / "garden.mkv", 30, codec="mjpeg", pixel_format="yuvj420p")
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(DataError, match=r"no person .* \(the video broke off after"):
        extract(clip, BlazePose())


@pytest.mark.parametrize("take", [extract, lambda *given: next(iter(stream_poses(*given)))])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"", "empty"),
        (b"hello" * 100, "cannot be read as a video"),
    ],
)
def test_what_is_no_video_is_refused(
    tmp_path: Path, pose_models: Path, take: Any, content: bytes | None, message: str
) -> None:
    clip = tmp_path / "clip.mp4"
    if content is not None:
        clip.write_bytes(content)
    with pytest.raises(DataError, match=f"clip.mp4.*{message}"):
        take(clip, BlazePose())


def test_without_mediapipe_no_video_is_opened(
    tmp_path: Path, pose_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(ConfigError, match="needs mediapipe"):
        extract(tmp_path / "missing.mp4", BlazePose())


# -- one frame at a time --------------------------------------------------------------------------


@pytest.mark.parametrize("buffer_frames", [1, 2, 150], ids="{} x 2".format)
def test_the_stream_is_the_extraction(clip: Path, buffer_frames: int) -> None:
    pose = BlazePose(buffer_frames=buffer_frames)
    whole = extract(clip, pose).landmarks
    for frame, found in stream_poses(clip, pose):
        assert found is not None
        np.testing.assert_array_equal(found.points, whole.points[frame.index])
        np.testing.assert_array_equal(found.visibility, whole.visibility[frame.index])
        assert frame.time_s == whole.times_s[frame.index]
        last = frame.index
    assert last == 11


def test_an_image_is_there_until_the_next_is_taken(
    images: tuple[Image, ...], tmp_path: Path, pose_models: Path
) -> None:
    saved(tmp_path, images[:8])
    before: Frame | None = None
    for frame, _ in stream_poses(tmp_path, BlazePose(resize="none")):
        time.sleep(0.02)  # the next pose is computed meanwhile
        np.testing.assert_array_equal(frame.image, images[frame.index])
        if before is not None:
            with pytest.raises(RuntimeError, match="released"):
                _ = before.image
        before = frame


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_stream_may_be_left_early(clip: Path, after: int) -> None:
    threads = set(threading.enumerate())
    stream = stream_poses(clip, BlazePose())
    for _ in range(after):
        next(stream)
    stream.close()  # an iterator that is a generator
    assert set(threading.enumerate()) <= threads


def test_an_open_source_stays_open(clip: Path) -> None:
    pose = BlazePose(buffer_frames=4)
    with open_video(clip) as video:
        taken = [frame.index for frame, _ in itertools.islice(stream_poses(video, pose), 3)]
        assert taken == [0, 1, 2]
        assert next(video).index > 2


def test_an_error_in_the_middle_follows_the_frames_before_it(
    images: tuple[Image, ...], tmp_path: Path
) -> None:
    paths = saved(tmp_path, images[:5])
    cv2.imwrite(str(paths[3]), images[3][:100])
    stream = stream_poses(tmp_path, BlazePose())
    assert [frame.index for frame, _ in itertools.islice(stream, 3)] == [0, 1, 2]
    with pytest.raises(DataError, match=r"003.png: 405x100 pixels"):
        next(stream)


# -- equation (1) ---------------------------------------------------------------------------------


class Counted(VideoSource):
    """A source that knows how many of its images are still held anywhere."""

    alive, most = 0, 0

    def __next__(self) -> Frame:
        frame = super().__next__()
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(frame.image, self._gone)
        return frame

    def _gone(self) -> None:
        self.alive -= 1


@pytest.mark.parametrize(("buffer_frames", "buckets"), [(1, 1), (2, 2), (5, 1), (3, 2)])
@pytest.mark.parametrize("overlapped", [True, False])
def test_no_more_images_are_held_than_the_equation_allows(
    images: tuple[Image, ...], tmp_path: Path, buffer_frames: int, buckets: int, overlapped: bool
) -> None:
    pose = BlazePose(buffer_frames=buffer_frames, buckets=buckets)
    source = Counted(ImagesReader(saved(tmp_path, images[:8]), "images", 30), None)
    if overlapped:
        for _ in stream_poses(source, pose):
            time.sleep(0.005)
    else:
        extract(source, pose)
    assert 1 <= source.most <= buffer_frames * buckets
    gc.collect()
    assert source.alive == 0


def test_a_live_source_gives_its_newest_frame(images: tuple[Image, ...], tmp_path: Path) -> None:
    reader = ImagesReader(saved(tmp_path, images), "camera", 30)
    reader.live = True
    seen = []
    for frame, _ in stream_poses(VideoSource(reader, None), BlazePose()):
        seen.append(frame.index)
        time.sleep(0.1)  # much longer than it takes to read the next
    assert seen == sorted(set(seen))
    assert seen[-1] == 11
    assert len(seen) < 12


# -- whole clips ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["lite", "full"])
def test_whoever_is_found_is_followed(real_data: Path, pose_models: Path, variant: Any) -> None:
    """Two people are in view: in mode video the net stays with one until it loses her."""
    landmarks = extract(real_data / WALKING, BlazePose(variant)).landmarks
    assert len(landmarks) == 230
    assert np.isfinite(landmarks.visibility[:, 0]).mean() > 0.9
    assert np.nanmax(np.abs(np.diff(left_hip(landmarks)[10:160]))) < 0.1


@pytest.mark.slow
def test_a_woman_walks_across(real_data: Path, pose_models: Path) -> None:
    landmarks = extract(real_data / WALKING, BlazePose(mode="image")).landmarks
    hips, times = left_hip(landmarks)[90:140], landmarks.times_s[90:140]
    found = np.isfinite(hips)
    assert found.mean() > 0.9
    metres_s, _ = np.polyfit(times[found], hips[found], 1) * 5  # the picture is some 5 m wide
    assert -2 < metres_s < -0.7, "from the right to the left, at a walking pace"
    assert np.corrcoef(times[found], hips[found])[0, 1] < -0.99


def left_hip(landmarks: Landmarks) -> npt.NDArray[np.float32]:
    """Its x in every frame."""
    return landmarks.points[:, BLAZEPOSE.index("left hip"), 0]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_flat_over_thousands_of_frames(
    images: tuple[Image, ...], tmp_path: Path
) -> None:
    forth_and_back = (*images, *images[::-1])
    frames = itertools.islice(itertools.cycle(forth_and_back), 2400)
    clip = recorded(tmp_path / "long.mp4", frames, codec="mpeg4")
    sizes = dict(resident((100, 1200, 2400), clip))
    assert sizes[2400] - sizes[100] < 40, f"MiB by frame: {sizes}"


def resident(at: Iterable[int], clip: Path) -> Iterator[tuple[int, float]]:
    """Memory of this process, MiB, when so many frames are done."""
    wanted, found = set(at), []

    def note(done: int, _: int | None) -> None:
        if done in wanted:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            found.append((done, pages * os.sysconf("SC_PAGE_SIZE") / 2**20))

    extract(clip, BlazePose(buffer_frames=8, resize="none"), note)
    yield from found
