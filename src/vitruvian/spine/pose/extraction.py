"""From a video to landmarks: one thread decodes ahead while another finds the person."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.core.video.buffer import BufferedFrames, ImageBuffer
from vitruvian.core.video.video import Frame, VideoSource, open_video
from vitruvian.spine.landmarks import Landmarks
from vitruvian.spine.pose.blazepose import BlazePose, FramePose, PoseLandmarker
from vitruvian.spine.skeletons import BLAZEPOSE

Source = str | int | Path | VideoSource
PosedFrame = tuple[Frame, FramePose | None]
Progress = Callable[[int, int | None], None]

_COLUMNS: Final = 7  # x, y, z, visibility, and x, y, z in metres
_NOBODY: Final = np.full((len(BLAZEPOSE), _COLUMNS), np.nan, np.float32)
_AHEAD: Final = 2  # frames that pose and consumer hold at once when they overlap
_LIVE: Final = 3  # places that a live source needs, see `ImageBuffer`


@dataclass(frozen=True)
class Extraction:
    """The landmarks of a video.

    Attributes:
        landmarks: of every frame, NaN where nobody was found.
        broken: after which frame and why the video broke off; None if it was whole.
        identity: of the pose net, see `BlazePose.identity`.
    """

    landmarks: Landmarks
    broken: str | None
    identity: dict[str, Any]


def extract(source: Source, pose: BlazePose, progress: Progress | None = None) -> Extraction:
    """Find the person in every frame of a video.

    A thread decodes and scales while the pose net runs, since both release Python's lock.

    Args:
        source: what `open_video` takes; or a source that is open already, and stays so.
        pose: the pose net.
        progress: called after each frame with their number and the number to expect, if known.

    Raises:
        ConfigError: MediaPipe is absent or refused.
        DataError: the video cannot be read, or nobody is in it; the model file cannot be used.
    """
    identity = pose.identity()
    record = _Record()
    with _opened(source, pose) as video:
        for frame, found in _poses(video, pose):
            record.add(frame.time_s, found)
            if progress is not None:
                progress(len(record), video.frames)
        if not record.found:
            raise DataError(_nobody(video, len(record)))
        return Extraction(record.landmarks(video.size), video.broken, identity)


def stream_poses(source: Source, pose: BlazePose) -> Iterator[PosedFrame]:
    """Yield every frame with its landmarks; the next pose is computed while one is used.

    Decoding, pose and the consumer's work overlap, and all three together hold no more images than
    equation (1) allows. Of a live source the newest frame is taken and older ones are dropped.

    Args:
        source: what `open_video` takes; or a source that is open already, and stays so.
        pose: the pose net.

    Yields:
        The frame, whose image is there until the next is taken; and its landmarks, None where
        nobody was found.

    Raises:
        ConfigError: MediaPipe is absent or refused.
        DataError: the video cannot be read, or the model file cannot be used.
    """
    with _opened(source, pose) as video:
        yield from _overlapped(video, pose)


@contextmanager
def _opened(source: Source, pose: BlazePose) -> Iterator[VideoSource]:
    if isinstance(source, VideoSource):
        yield source
        return
    with open_video(source, pose.resize) as video:
        yield video


def _poses(video: VideoSource, pose: BlazePose) -> Iterator[PosedFrame]:
    """Decode in a thread, find the pose in this one."""
    buffer = ImageBuffer(pose.buffer_frames, pose.buckets)
    with pose.landmarker() as landmarker, buffer.fill(video) as frames:
        for frame in frames:
            yield frame, landmarker.detect(frame.image, frame.time_s * 1000)


def _overlapped(video: VideoSource, pose: BlazePose) -> Iterator[PosedFrame]:
    """Decode in a thread, find the pose in another."""
    capacity = pose.buffer_frames * pose.buckets
    if capacity < _LIVE + _AHEAD:
        yield from _poses(video, pose)
        return
    with pose.landmarker() as landmarker:
        frames = ImageBuffer(capacity - _AHEAD, 1).fill(video)
        posed = ImageBuffer(_AHEAD, 1).fill(_posed(frames, landmarker), live=False)
        # On leaving, `frames` is closed first: the other thread may be waiting for the next.
        with frames, posed, closing(frames):
            for each in posed:
                yield each.frame, each.pose


@dataclass(frozen=True)
class _Posed:
    """A frame with its landmarks, as a buffer holds it."""

    frame: Frame
    pose: FramePose | None

    def release(self) -> None:
        self.frame.release()


def _posed(frames: BufferedFrames[Frame], landmarker: PoseLandmarker) -> Iterable[_Posed]:
    for frame in frames:
        image = frame.image  # the frame is released when the next is taken, its image is still used
        pose = landmarker.detect(image, frame.time_s * 1000)
        yield _Posed(Frame(frame.index, frame.time_s, image), pose)


class _Record:
    """The landmarks of the frames so far, about 1 kB each, in memory that grows as a whole.

    Attributes:
        found: in how many frames there was somebody.
    """

    def __init__(self) -> None:
        self.found = 0
        self._times, self._values = array("d"), array("f")

    def __len__(self) -> int:
        return len(self._times)

    def add(self, time_s: float, pose: FramePose | None) -> None:
        values = _NOBODY
        if pose is not None:
            values = np.hstack([pose.points, pose.visibility[:, None], pose.world])
            self.found += 1
        self._times.append(time_s)
        self._values.frombytes(values.tobytes())

    def landmarks(self, size: tuple[int, int]) -> Landmarks:
        values = np.array(self._values, np.float32).reshape(len(self), *_NOBODY.shape)
        return Landmarks(
            np.array(self._times, np.float64),
            np.ascontiguousarray(values[..., :3]),
            np.ascontiguousarray(values[..., 3]),
            np.ascontiguousarray(values[..., 4:]),
            size,
        )


def _nobody(video: VideoSource, frames: int) -> str:
    broken = f" (the video {video.broken})" if video.broken else ""
    return (
        f"{video.name}: no person found in its {frames} frames{broken}; film one person from head "
        "to foot, upright and near the camera, or try pose.variant=full or "
        "pose.min_detection_confidence=0.3"
    )
