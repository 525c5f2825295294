"""Decoding files and streams: every frame, upright, at its time; damage and silence are told."""

from __future__ import annotations

import gc
import itertools
import re
import traceback
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from tests.cameras import rtsp_camera, unused_port, web_camera, web_server
from tests.clips import (
    FRONT,
    IN_ORDER,
    half,
    inside,
    is_upright,
    number_in,
    numbers_in,
    picture,
    write_video,
)

from vitruvian.core.errors import DataError
from vitruvian.core.video.buffer import ImageBuffer
from vitruvian.core.video.decoding import Turn
from vitruvian.core.video.video import open_video

# --- files ---------------------------------------------------------------------------------------


CODECS = [
    ("clip.mp4", "libx264", "yuv420p"),
    ("clip.mkv", "libx264", "yuv420p"),
    ("clip.ts", "libx264", "yuv420p"),
    ("clip.avi", "libx264", "yuv420p"),  # with B-frames, for which AVI has no times
    ("clip.avi", "mpeg4", "yuv420p"),
    ("clip.mov", "mjpeg", "yuvj420p"),
    ("clip.webm", "libvpx-vp9", "yuv420p"),
    ("clip.mp4", "libx265", "yuv420p10le"),
    ("clip.mkv", "ffv1", "bgr0"),
    ("clip.mpg", "mpeg2video", "yuv420p"),
    ("clip.gif", "gif", "rgb8"),
]


@pytest.mark.parametrize(("name", "codec", "pixels"), CODECS, ids=lambda value: str(value))
def test_every_frame_of_a_file_in_order(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    path = write_video(tmp_path / name, 20, 25, codec=codec, pixel_format=pixels)
    with open_video(path, "none") as source:
        frames = list(source)
        assert [number_in(frame.image) for frame in frames] == list(range(20))
        assert [frame.index for frame in frames] == list(range(20))
        assert [frame.time_s for frame in frames] == pytest.approx(np.arange(20) / 25, abs=1e-3)
        assert frames[0].time_s == 0.0
        assert all(is_upright(frame.image) for frame in frames)
        assert (source.size, source.fps, source.broken) == ((160, 120), 25, None)
        assert (source.name, source.live, source.repaired) == (str(path), False, 0)
        assert source.frames == pytest.approx(20, abs=1)
    image = frames[0].image
    assert (image.dtype, image.shape) == (np.uint8, (120, 160, 3))
    assert image.flags["C_CONTIGUOUS"]
    image[:] = 0  # may be drawn on
    assert next(source, None) is None


# --- which way up --------------------------------------------------------------------------------


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("resize", ["none", "1280x720"])
def test_rotation_flags_are_honoured(tmp_path: Path, rotation: int, resize: str) -> None:
    path = write_video(tmp_path / "clip.mp4", 3, rotation=rotation, size=(90, 160))
    with open_video(path, resize) as source:
        assert source.letterbox.picture == (90, 160)
        for number, frame in enumerate(source):
            image = inside(source, frame)
            assert is_upright(image)
            assert number_in(image) == number


def test_frames_leave_no_rings_behind(tmp_path: Path) -> None:
    """Two objects that hold each other keep their frame until Python looks for such rings."""
    path = write_video(tmp_path / "clip.mp4", 100, rotation=90, size=(90, 160))
    gc.collect()
    gc.disable()
    try:
        with open_video(path) as source:
            assert sum(1 for _ in source) == 100
        assert gc.collect() < 50
    finally:
        gc.enable()


ONE = 1 << 16
MATRICES = [
    ((1, 0, 0, 1), lambda image: image),
    ((0, 1, -1, 0), lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)),
    ((-1, 0, 0, -1), lambda image: cv2.rotate(image, cv2.ROTATE_180)),
    ((0, -1, 1, 0), lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE)),
    ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    ((1, 0, 0, -1), lambda image: image[::-1]),
    ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    ((0, -1, -1, 0), lambda image: image[::-1, ::-1].transpose(1, 0, 2)),
    ((0, 0, 0, 0), lambda image: image),  # some writers leave it empty
]


@pytest.mark.parametrize(("matrix", "shown"), MATRICES, ids=lambda value: str(value)[:14])
def test_display_matrices(matrix: tuple[int, ...], shown: Any) -> None:
    a, b, c, d = (value * ONE for value in matrix)
    turn = Turn.of_matrix((a, b, 0, c, d, 0, 0, 0, 1 << 30))
    image = picture(5, (48, 32))
    np.testing.assert_array_equal(turn.apply(image), shown(image))
    assert turn.size((48, 32)) == shown(image).shape[1::-1]


def test_a_mirrored_file_shows_the_right_way_round(tmp_path: Path) -> None:
    """A selfie camera writes mirror images with a matrix that mirrors them back."""
    mirrored = [np.ascontiguousarray(picture(i)[:, ::-1]) for i in range(3)]
    matrix = (-ONE, 0, 0, 0, ONE, 0, 160 * ONE, 0, 1 << 30)
    path = write_video(tmp_path / "clip.mp4", mirrored, matrix=matrix)
    with open_video(path, "none") as source:
        assert all(is_upright(frame.image) for frame in source)


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 2, size=(120, 120), aspect=Fraction(4, 3))
    with open_video(path, "none") as source:
        assert source.size == (160, 120)
        assert numbers_in(source) == [0, 1]
    with open_video(path) as source:
        assert source.letterbox.inner == (960, 720)


def test_cut_from_a_longer_recording(tmp_path: Path) -> None:
    """A stream that begins amid a group of pictures: from the first whole picture on."""
    path = write_video(tmp_path / "clip.ts", 60, codec_options={"g": "20"} | IN_ORDER)
    content = path.read_bytes()
    path.write_bytes(content[188 * 12 :])
    with open_video(path, "none") as source:
        found = numbers_in(source)
    assert found == list(range(found[0], 60))
    assert 0 < found[0] <= 20
    assert source.broken is None


# --- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "webm"])
def test_variable_frame_rate(tmp_path: Path, ending: str) -> None:
    times = [0, 0.1, 0.2, 0.35, 0.36, 1.0, 1.04, 1.5]
    codec = "libvpx-vp9" if ending == "webm" else "libx264"
    path = write_video(tmp_path / f"clip.{ending}", 8, times=times, codec=codec)
    with open_video(path, "none") as source:
        assert [frame.time_s for frame in source] == pytest.approx(times, abs=1.1e-3)
        assert source.repaired == 0


def test_the_first_frame_is_at_zero(tmp_path: Path) -> None:
    times = [5.5, 5.6, 5.75]
    with open_video(write_video(tmp_path / "clip.mkv", 3, times=times), "none") as source:
        assert [frame.time_s for frame in source] == pytest.approx([0, 0.1, 0.25])


def test_two_recordings_in_one_file(tmp_path: Path) -> None:
    """A clock that starts again in the middle, as in transport streams that were joined."""
    path = write_video(tmp_path / "clip.ts", 10, 25, codec="mpeg2video")
    path.write_bytes(path.read_bytes() * 2)
    with open_video(path, "none") as source:
        times = [frame.time_s for frame in source]
    assert times[0] == 0
    assert (np.diff(times) > 0).all()
    assert source.repaired + (source.broken is not None) > 0


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("clip.mp4", "libx264"),
        ("clip.mkv", "libx264"),
        ("clip.ts", "libx264"),
        ("clip.avi", "mpeg4"),
        ("clip.webm", "libvpx-vp9"),
        ("clip.flv", "flv"),
    ],
)
def test_half_a_file_keeps_what_can_be_read(tmp_path: Path, name: str, codec: str) -> None:
    options = FRONT if name.endswith("mp4") else {}
    path = half(
        write_video(tmp_path / name, 60, codec=codec, options=options, codec_options=IN_ORDER)
    )
    with open_video(path, "none") as source:
        found = numbers_in(source)
        assert 1 <= len(found) < 60
        assert found == list(range(len(found)))
        assert source.broken is not None
        assert re.match(rf"broke off after {len(found)} frames \([0-9.]+ s\): ", source.broken)
        assert next(source, None) is None  # it ended for good


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_noise_in_the_middle_of_a_file(tmp_path: Path, ending: str) -> None:
    options = FRONT if ending == "mp4" else {}
    path = write_video(
        tmp_path / f"clip.{ending}", 60, options=options, codec_options={"g": "10"} | IN_ORDER
    )
    content = bytearray(path.read_bytes())
    middle = slice(len(content) // 2, len(content) // 2 + 1000)
    content[middle] = np.random.default_rng(0).bytes(1000)
    path.write_bytes(content)
    with open_video(path, "none") as source:
        found = numbers_in(source)
    assert found == list(range(len(found)))
    assert source.broken is not None


def test_without_its_index_an_mp4_cannot_be_opened(tmp_path: Path) -> None:
    path = half(write_video(tmp_path / "clip.mp4"))
    with pytest.raises(DataError, match=r"clip\.mp4: cut short: the index at the end .* copy"):
        open_video(path)


@pytest.mark.real_data
def test_half_of_a_real_recording(real_data: Path, tmp_path: Path) -> None:
    original = real_data / "video_people" / "pose2sim_singleperson_cam01.mp4"
    for ending in ("mp4", "mkv", "ts"):
        path = half(copied(original, tmp_path / f"clip.{ending}"))
        with open_video(path) as source:
            found = sum(1 for _ in source)
        assert 10 < found < 90
        assert source.broken is not None


def copied(original: Path, path: Path) -> Path:
    """The same frames, not coded anew, in another container."""
    with av.open(str(original)) as read, av.open(str(path), "w", options=FRONT) as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                written.mux(packet)
    return path


# --- addresses -----------------------------------------------------------------------------------


def test_a_video_from_a_web_server(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", 20, options=FRONT)
    with (
        web_server(tmp_path) as served,
        open_video(f"{served.address}/clip.mp4?token=secret", "none") as source,
    ):
        assert (source.live, source.frames, source.fps) == (False, 20, 30)
        assert source.name == f"{served.address}/clip.mp4"
        assert numbers_in(source) == list(range(20))
        assert source.broken is None


def test_a_web_server_breaks_off(tmp_path: Path) -> None:
    images = [np.random.default_rng(i).integers(0, 255, (120, 160, 3), np.uint8) for i in range(60)]
    write_video(tmp_path / "clip.mp4", images, options=FRONT, codec_options=IN_ORDER)
    with (
        web_server(tmp_path, missing=2000) as served,
        open_video(f"{served.address}/clip.mp4", "none") as source,
    ):
        assert 1 < sum(1 for _ in source) < 60
        assert source.broken is not None


@pytest.mark.parametrize("camera", [web_camera, rtsp_camera])
def test_a_network_camera(camera: Any) -> None:
    with camera() as served, open_video(f"{served.address}/video", "none") as source:
        assert (source.live, source.frames, source.size) == (True, None, (160, 120))
        with ImageBuffer(2, 2).fill(source) as frames:
            times = []
            for frame in itertools.islice(frames, 8):
                assert is_upright(frame.image)
                times.append(frame.time_s)
            assert (np.diff(times) > 0).all()
            served.unplugged.set()
            for frame in frames:
                assert is_upright(frame.image)
        assert source.broken is not None
        assert re.match(r"broke off after [0-9]+ frames .*: the stream (ended|is l)", source.broken)


def test_a_camera_that_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitruvian.core.video.decoding.TIMEOUT_S", 1.0)
    with web_camera() as served, open_video(f"{served.address}/video") as source:
        next(source)
        served.silent.set()
        list(source)  # what was under way
        assert source.broken is not None
        assert source.broken.endswith("the stream is lost (no answer for 1 s)")


@pytest.mark.parametrize(
    ("path", "reason"),
    [("missing.mp4", "not found"), ("text.mp4", "invalid data")],
)
def test_what_a_web_server_does_not_have(tmp_path: Path, path: str, reason: str) -> None:
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    message = rf"{path}: cannot be opened \(.*{reason}.*check"
    with web_server(tmp_path) as served, pytest.raises(DataError, match=message):
        open_video(f"{served.address}/{path}")


@pytest.mark.parametrize("scheme", ["http", "rtsp", "tcp"])
def test_an_address_that_nobody_answers(scheme: str) -> None:
    address = f"{scheme}://user:password@127.0.0.1:{unused_port()}/video?token=secret"
    with pytest.raises(DataError, match=r"/video: cannot be opened \(.*\); check") as caught:
        open_video(address)
    shown = "".join(traceback.format_exception(caught.value))
    assert re.search(r"user:|password@|token=secret", shown.replace(address, "")) is None


def test_a_playlist_calls_no_other_machine(tmp_path: Path) -> None:
    path = tmp_path / "clip.m3u8"
    with web_server(tmp_path) as served:
        path.write_text(f"#EXTM3U\n#EXTINF:1,\n{served.address}/clip.ts\n#EXT-X-ENDLIST\n")
        with pytest.raises(DataError, match=r"clip\.m3u8: "):
            open_video(path)
        assert served.asked == []
