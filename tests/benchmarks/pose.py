"""BlazePose: time per frame, a whole clip against the plain loop, and memory over a long clip."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import av
import cv2
import numpy as np

from tests.benchmarks.harness import Ratio, Row, Scale, Work, side_by_side
from tests.clips import Image, write_video
from vitruvian.core.errors import DataError
from vitruvian.core.video.resizing import RESIZES
from vitruvian.core.video.video import open_video
from vitruvian.spine.extract.folder import ExtractFolder
from vitruvian.spine.pose.blazepose import BlazePose
from vitruvian.spine.pose.extraction import extract
from vitruvian.spine.pose.pose_models import VARIABLE

PAPER_S = 0.048  # per frame, over at least 20,000 images (paper 003, section III.C)
SHARED = Path(__file__).resolve().parents[3] / "shared"
WALKING = "video_people/sports2d_walk_sagittal_demo.mp4"  # 1768x994, 230 frames
FOUND = 80  # frame from which on the detector finds a person almost always
LOOPS = 100  # of the clip make the long one: 20,000 frames at full scale

Size = Literal["1280x720", "1920x1080"]
SIZES: tuple[Size, ...] = ("1280x720", "1920x1080")


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """All on one real clip.

    Raises:
        DataError: the clip or a model is absent.
    """
    os.environ.setdefault(VARIABLE, str(SHARED / "models"))
    clip = _clip(folder / f"pose-{scale.reads}.mp4", scale.reads)
    for size in SIZES:
        for variant in ("lite", "full"):
            yield from _per_frame(BlazePose(variant, resize=size), clip, scale.repetitions)
    yield _pipeline(BlazePose("lite", trim=False), "lite, untrimmed", clip, scale.repetitions)
    for size in SIZES:
        yield _pipeline(BlazePose("lite", resize=size), "lite", clip, scale.repetitions)
    yield _pipeline(BlazePose("full"), "full", clip, scale.repetitions)
    yield _folder(BlazePose("lite"), clip, folder, scale.repetitions)
    yield _memory(_repeated(clip, LOOPS), BlazePose())


# -- time per frame -------------------------------------------------------------------------------


def _per_frame(pose: BlazePose, clip: Path, repetitions: int) -> Iterator[Row]:
    """Percentiles of one call, colours included, decoding not; a number for each time through."""
    shares = (50, 95, 99)
    passes = [np.percentile(_seconds(pose, clip), shares) for _ in range(repetitions)]
    for share, ours in zip(shares, zip(*passes, strict=True), strict=True):
        what = f"pose: {pose.variant}, {pose.resize}, p{share} of a frame, the paper's 48 ms"
        yield Row(what, Ratio(tuple(map(float, ours)), (PAPER_S,) * repetitions), "ms")


def _seconds(pose: BlazePose, clip: Path) -> list[float]:
    seconds = []
    with open_video(clip, pose.resize) as video, pose.landmarker() as landmarker:
        for frame in video:
            start = time.perf_counter()
            landmarker.detect(frame.image, frame.time_s * 1000)
            seconds.append(time.perf_counter() - start)
    return seconds


# -- a whole clip ---------------------------------------------------------------------------------


def _pipeline(pose: BlazePose, name: str, clip: Path, repetitions: int) -> Row:
    ratio = side_by_side(_ours(pose, clip), _plain(pose, clip), repetitions)
    what = f"pose: a clip, {name}, {pose.resize}, plain OpenCV and MediaPipe loop"
    return Row(what, ratio, "frames/s")


def _ours(pose: BlazePose, clip: Path) -> Work:
    def work() -> int:
        return len(extract(clip, pose).landmarks)

    return work


def _folder(pose: BlazePose, clip: Path, folder: Path, repetitions: int) -> Row:
    """A folder of clips into a database, two at a time, against one after the other by hand."""
    clips = _copies(clip, folder / f"clips-{clip.stem}")

    def ours() -> int:
        with TemporaryDirectory() as place:
            extract_folder = ExtractFolder(Path(place) / "clips.db", pose, clips, workers=2)
            with redirect_stdout(io.StringIO()):
                extract_folder.run()
            return sum(info.frames for info in extract_folder.database.clips())

    def plain() -> int:
        return sum(_plain(pose, copy)() for copy in sorted(clips.iterdir()))

    ratio = side_by_side(ours, plain, repetitions)
    return Row("pose: a folder of 6 clips, lite, 2 processes, plain loop", ratio, "frames/s")


def _copies(clip: Path, folder: Path) -> Path:
    """Six clips of different bytes: the same content twice would be extracted once."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(6):
        copy = folder / f"{number}.mp4"
        if not copy.exists():
            copy.write_bytes(clip.read_bytes() + _free_box(number))
    return folder


def _free_box(number: int) -> bytes:
    """A box of an MP4 file that players skip."""
    return (12).to_bytes(4, "big") + b"free" + number.to_bytes(4, "big")


def _plain(pose: BlazePose, clip: Path) -> Work:
    """What one writes by hand: read, resize, convert, detect, keep the coordinates."""

    def work() -> int:
        video, rows = cv2.VideoCapture(str(clip)), []
        step_ms = 1000 / video.get(cv2.CAP_PROP_FPS)
        with _plain_net(pose) as net:
            while True:
                delivered, image = video.read()
                if not delivered:
                    return len(np.array(rows))
                rows.append(_plain_row(net, image, pose, round(len(rows) * step_ms)))

    return work


def _plain_net(pose: BlazePose) -> Any:
    from mediapipe.tasks import python as tasks

    return tasks.vision.PoseLandmarker.create_from_options(
        tasks.vision.PoseLandmarkerOptions(
            base_options=tasks.BaseOptions(model_asset_path=str(pose.file.path)),
            running_mode=tasks.vision.RunningMode.VIDEO,
        )
    )


def _plain_row(net: Any, image: Any, pose: BlazePose, time_ms: int) -> list[list[float]]:
    import mediapipe as mp

    resized = cv2.resize(image, RESIZES[pose.resize])
    rgb = cv2.cvtColor(resized, cv2.COLOR_BGR2RGB)
    result = net.detect_for_video(mp.Image(image_format=mp.ImageFormat.SRGB, data=rgb), time_ms)
    if not result.pose_landmarks:
        return [[float("nan")] * 4] * 33
    return [[p.x, p.y, p.z, p.visibility] for p in result.pose_landmarks[0]]


# -- memory ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Memory(Row):
    """A row of memory, which the table's other columns treat like times."""

    def _figure(self, seconds: float) -> str:
        return f"{seconds:.0f} MiB"


def _memory(clip: Path, pose: BlazePose) -> Row:
    """At the end of a long clip against a tenth of it: 1.00 is flat."""
    sizes: dict[int, float] = {}

    def note(done: int, _: int | None) -> None:
        sizes[done] = _resident_mib()

    extract(clip, pose, note)
    frames = len(sizes)
    what = f"pose: memory at frame {frames}, at frame {max(frames // 10, 1)}"
    return _Memory(what, Ratio((sizes[frames],), (sizes[max(frames // 10, 1)],)), "s")


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


# -- clips ----------------------------------------------------------------------------------------


def _clip(path: Path, frames: int) -> Path:
    """So many frames as H.264, as telephones record them; written once."""
    return path if path.exists() else write_video(path, _images(frames), fps=30)


def _images(count: int) -> Iterator[Image]:
    """The recording from where one person is found, then what came before."""
    path = Path(os.environ.get("VITRUVIAN_REAL_DATA", SHARED / "data")) / WALKING
    if not path.exists():
        raise DataError(f"{path}: is measured here, but absent; set VITRUVIAN_REAL_DATA")
    return islice(chain(_from(path, FOUND), _from(path, 0)), count)


def _from(path: Path, first: int) -> Iterator[Image]:
    video = cv2.VideoCapture(str(path))
    video.set(cv2.CAP_PROP_POS_FRAMES, first)
    while (read := video.read())[0]:
        yield np.asarray(read[1])


def _repeated(clip: Path, times: int) -> Path:
    """The clip again and again, its packets copied as they are; written once."""
    path = clip.with_name(f"{clip.stem}-{times}-times.mp4")
    if path.exists():
        return path
    with av.open(str(path), "w") as target:
        stream: Any = None
        begin = 0
        for _ in range(times):
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                stream = stream or target.add_stream_from_template(video)
                for packet in source.demux(video):
                    if packet.dts is not None and packet.pts is not None:
                        packet.dts, packet.pts = packet.dts + begin, packet.pts + begin
                        packet.stream = stream
                        target.mux(packet)
                begin += video.duration or 0
    return path
