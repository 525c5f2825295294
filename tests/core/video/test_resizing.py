"""Frames of one size: the picture is scaled evenly, centred and never squashed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clips import (
    is_upright,
    number_in,
    picture,
    write_images,
    write_video,
)

from vitruvian.core.video.resizing import Letterbox, resized
from vitruvian.core.video.video import open_video

# picture, resize, frame, picture within it, left, top
FITS = [
    ((1920, 1080), "1280x720", (1280, 720), (1280, 720), 0, 0),
    ((1080, 1920), "1280x720", (1280, 720), (405, 720), 437, 0),
    ((160, 120), "1280x720", (1280, 720), (960, 720), 160, 0),
    ((320, 90), "1280x720", (1280, 720), (1280, 360), 0, 180),
    ((120, 160), "1920x1080", (1920, 1080), (810, 1080), 555, 0),
    ((160, 90), "1920x1080", (1920, 1080), (1920, 1080), 0, 0),
    ((160, 120), "none", (160, 120), (160, 120), 0, 0),
]


@pytest.mark.parametrize(("size", "resize", "frame", "inner", "left", "top"), FITS, ids=str)
def test_frames_of_one_size(
    tmp_path: Path,
    size: tuple[int, int],
    resize: str,
    frame: tuple[int, int],
    inner: tuple[int, int],
    left: int,
    top: int,
) -> None:
    folder = write_images(tmp_path / "images", [3], size=size)
    clip = write_video(tmp_path / "clip.mp4", [picture(3, size)])
    for path in (folder, clip):
        with open_video(path, resize) as source:
            image = next(source).image
            box = source.letterbox
            assert (source.size, box.inner, box.left, box.top) == (frame, inner, left, top)
        assert image.shape == (frame[1], frame[0], 3)
        inside = image[top : top + inner[1], left : left + inner[0]]
        assert is_upright(inside)
        assert number_in(inside) == 3
        assert int(image.sum()) == int(inside.sum())  # all else is black


@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.tuples(st.integers(16, 2000), st.integers(16, 2000)),
)
def test_pictures_are_never_squashed(picture: tuple[int, int], size: tuple[int, int]) -> None:
    box = Letterbox.fit(picture, size)
    for inner, whole, before, outer in zip(
        box.inner, picture, (box.left, box.top), size, strict=True
    ):
        assert abs(inner - whole * box.scale) <= 0.5 or inner == 1
        assert 0 <= outer - inner - 2 * before <= 1  # in the middle
    assert max(box.inner[0] / size[0], box.inner[1] / size[1]) == 1
    corners = np.array([[0, 0], picture], float)
    np.testing.assert_allclose(box.to_picture(box.to_frame(corners)), corners, atol=1e-6)


def test_where_a_point_of_the_frame_lies_in_the_picture() -> None:
    box = Letterbox.fit((1080, 1920), (1280, 720))
    middle = box.to_picture(np.array([640.0, 360.0]))
    np.testing.assert_allclose(middle, (540, 960), atol=1.5)
    np.testing.assert_allclose(box.to_frame(np.zeros(2)), (437, 0))


def test_smaller_pictures_are_averaged_over_areas() -> None:
    """Every second column is white: picked out, the picture would be black or white, not grey."""
    image = np.zeros((120, 160, 3), np.uint8)
    image[:, ::2] = 255
    assert set(np.unique(resized(image, (80, 60)))) <= {127, 128}
    assert resized(image, (160, 120)) is image


def test_a_decoded_video_is_averaged_over_areas(tmp_path: Path) -> None:
    image = np.zeros((1440, 2560, 3), np.uint8)
    image[:, ::2] = 255
    path = write_video(tmp_path / "clip.mkv", [image], codec="ffv1", pixel_format="yuv444p")
    with open_video(path) as source:
        inside = next(source).image[8:-8, 8:-8]
    assert np.abs(inside.astype(int) - 127).max() <= 2


def test_pyav_and_opencv_scale_alike(tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 255, (1080, 1920, 3)).astype(np.uint8), (0, 0), 6
    )
    path = write_video(tmp_path / "clip.mkv", [smooth], codec="ffv1", pixel_format="bgr0")
    with open_video(path) as source:
        found = next(source).image.astype(int)
    assert np.abs(found - resized(smooth, (1280, 720))).mean() < 1.5


def test_a_picture_that_changes_size(tmp_path: Path) -> None:
    """Browsers lower the resolution of a recording when the line is slow."""
    large = write_video(tmp_path / "1.ts", 5, size=(160, 120), codec="mpeg2video").read_bytes()
    small = write_video(tmp_path / "2.ts", 5, size=(80, 60), codec="mpeg2video").read_bytes()
    (tmp_path / "both.ts").write_bytes(large + small)
    with open_video(tmp_path / "both.ts") as source:
        sizes = {frame.image.shape for frame in source}
    assert sizes == {(720, 1280, 3)}
    with open_video(tmp_path / "both.ts", "none") as source:
        assert {frame.image.shape for frame in source} == {(120, 160, 3)}
        assert source.broken is not None
