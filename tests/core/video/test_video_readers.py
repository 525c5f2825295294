"""Folders of images, cameras, and videos where PyAV is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from tests.clips import (
    half,
    is_upright,
    number_in,
    numbers_in,
    picture,
    write_images,
    write_video,
)

from vitruvian.core.errors import DataError
from vitruvian.core.video.video import open_video

# --- images --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "jpg", "JPEG", "tif", "tiff"])
def test_a_folder_of_images_in_natural_order(tmp_path: Path, ending: str) -> None:
    folder = write_images(tmp_path / "images", [9, 10, 1, 100, 2], f"img_{{}}.{ending}")
    (folder / "notes.txt").write_text("not an image")
    (folder / f"._img_3.{ending}").write_bytes(b"left by another system")
    with open_video(folder, "none", fps=10) as source:
        assert (source.frames, source.fps, source.live) == (5, 10, False)
        frames = list(source)
    assert [number_in(frame.image) for frame in frames] == [1, 2, 9, 10, 100]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("img_%04d.png", "img_{:04d}.png", [1, 2, 9, 10, 11]),
        ("img_%d.png", "img_{}.png", [1, 2, 9, 10, 11]),
        ("%02d.front.jpg", "{:02d}.front.jpg", [1, 2, 9, 10, 11]),
    ],
)
def test_a_pattern_of_images(tmp_path: Path, pattern: str, name: str, expected: list[int]) -> None:
    write_images(tmp_path, [10, 9, 1, 2, 11], name)
    write_images(tmp_path, [77], "other_{}.png")
    with open_video(str(tmp_path / pattern), "none") as source:
        assert numbers_in(source) == expected
        assert source.name.endswith(pattern)


def test_one_image_is_one_frame(tmp_path: Path) -> None:
    path = write_images(tmp_path, [6]) / "6.png"
    with open_video(path, "none") as source:
        assert numbers_in(source) == [6]


def test_images_say_which_way_up_they_are(tmp_path: Path) -> None:
    """Orientation 6 of Exif: turn clockwise by a quarter."""
    _, content = cv2.imencode(".jpg", cv2.rotate(picture(4), cv2.ROTATE_90_COUNTERCLOCKWISE))
    tags = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    exif = b"Exif\0\0" + tags
    marked = b"\xff\xd8\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "0.jpg").write_bytes(marked + content.tobytes()[2:])
    with open_video(tmp_path, "none") as source:
        assert is_upright(next(source).image)


def test_images_of_several_sizes_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path, [0, 1], "img_{}.png")
    write_images(tmp_path, [2], "img_{}.png", size=(80, 60))
    with open_video(tmp_path) as source:
        next(source), next(source)
        with pytest.raises(DataError, match=r"img_2\.png: 80x60 pixels, .* have 160x120; keep"):
            next(source)


@pytest.mark.parametrize("content", [b"", b"no image", None], ids=["empty", "text", "cut"])
def test_a_bad_image_breaks_a_sequence(tmp_path: Path, content: bytes | None) -> None:
    write_images(tmp_path, range(5), "img_{}.jpg")
    path = tmp_path / "img_3.jpg"
    half(path) if content is None else path.write_bytes(content)
    with open_video(tmp_path, "none") as source:
        assert numbers_in(source) == [0, 1, 2]
        assert source.broken is not None
        assert "after 3 frames (0.07 s): img_3.jpg is no whole image" in source.broken


# --- cameras -------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [77, "77", "/dev/video77"])
def test_no_camera(source: str | int, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=rf"^source={source}: no camera can be opened .* check"):
        open_video(source)
    assert capfd.readouterr() == ("", "")  # the message is all there is


# --- without PyAV --------------------------------------------------------------------------------

WITHOUT_PYAV = """
import sys
sys.modules["av"] = None  # as if it were not installed
from vitruvian.core.errors import DataError
from vitruvian.core.video.video import open_video
try:
    with open_video(sys.argv[1], sys.argv[2]) as source:
        for frame in source:
            print(f"{frame.time_s:.3f}", frame.image.shape[:2])
        print(source.frames, source.fps, source.live, source.broken)
except DataError as error:
    print(error)
"""


def without_pyav(path: Path, resize: str = "none") -> list[str]:
    command = [sys.executable, "-c", WITHOUT_PYAV, str(path), resize]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def test_without_pyav_opencv_reads(tmp_path: Path) -> None:
    times = [0, 0.1, 0.25, 0.3]
    path = write_video(tmp_path / "clip.mp4", 4, 10, rotation=90, size=(90, 160), times=times)
    *frames, last = without_pyav(path)
    assert frames == [f"{time:.3f} (160, 90)" for time in times]
    assert last.startswith("4 ")
    assert last.endswith("False None")
    assert without_pyav(path, "1280x720")[0] == "0.000 (720, 1280)"


def test_without_pyav_damage_is_told(tmp_path: Path) -> None:
    path = half(write_video(tmp_path / "clip.avi", 60, codec="mpeg4"))
    assert "broke off after" in without_pyav(path)[-1]
    path.write_text("no video\n" * 100)
    assert "clip.avi: cannot be opened as a video; check" in without_pyav(path)[0]
