"""Frames from videos, image files and arrays: grey, cropped, flipped, of eight bits, all there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.muscle.recordings.folders import HEIGHT, WIDTH, images
from vitruvian.core.errors import DataError
from vitruvian.muscle.recordings.description import FramesPart
from vitruvian.muscle.recordings.frame_files import RecordedFrames, open_frames
from vitruvian.muscle.recordings.frame_writers import write_frames


def opened(folder: Path, file: str, **keys: Any) -> RecordedFrames:
    frames = open_frames(folder, FramesPart(file, **keys))
    assert frames is not None
    return frames


def stacked(frames: RecordedFrames) -> np.ndarray:
    return np.stack(list(frames))


def put_images(folder: Path, names: list[str], pictures: Any) -> None:
    folder.mkdir(exist_ok=True)
    for name, picture in zip(names, pictures, strict=True):
        assert cv2.imwrite(str(folder / name), picture)


# --- images --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "pgm"])
@pytest.mark.parametrize("file", ["us", "us/img_%d.{}", "us/img_*.{}", "us/*"])
def test_images_in_natural_order(tmp_path: Path, ending: str, file: str) -> None:
    numbers = (10, 9, 100, 1)
    put_images(tmp_path / "us", [f"img_{n}.{ending}" for n in numbers], images())
    ordered = [images()[place] for place in (3, 1, 0, 2)]
    np.testing.assert_array_equal(stacked(opened(tmp_path, file.format(ending))), ordered)


def test_a_jpeg_is_nearly_itself(tmp_path: Path) -> None:
    smooth = np.tile(np.linspace(0, 250, 40).astype(np.uint8), (30, 1))
    put_images(tmp_path, ["a.jpg"], [smooth])
    np.testing.assert_allclose(stacked(opened(tmp_path, "a.jpg"))[0], smooth, atol=6)


def test_pages_of_a_tiff(tmp_path: Path) -> None:
    assert cv2.imwritemulti(str(tmp_path / "stack.tif"), images())
    frames = opened(tmp_path, "stack.tif")
    assert frames.count == 4
    np.testing.assert_array_equal(stacked(frames), images())


def test_colours_become_luma(tmp_path: Path) -> None:
    bgr = np.zeros((1, 3, 3), np.uint8)
    bgr[0, [0, 1, 2], [0, 1, 2]] = 255
    put_images(tmp_path, ["a.png"], [bgr])
    np.save(tmp_path / "a.npy", bgr[np.newaxis, ..., ::-1])  # arrays are RGB
    for name in ("a.png", "a.npy"):
        assert stacked(opened(tmp_path, name)).tolist() == [[[29, 150, 76]]]


@pytest.mark.parametrize(
    ("highest", "expected", "bits"), [(65535, 255, 16), (4095, 255, 12), (1000, 249, 10)]
)
def test_sixteen_bits_share_one_factor(
    tmp_path: Path, highest: int, expected: int, bits: int
) -> None:
    pictures = np.zeros((2, HEIGHT, WIDTH), np.uint16)
    pictures[1, 2, 3] = highest
    pictures[0, 0, 0] = highest // 2
    put_images(tmp_path / "us", ["1.tiff", "2.tiff"], pictures)
    frames = opened(tmp_path, "us")
    assert stacked(frames)[1, 2, 3] == expected
    assert stacked(frames)[0, 0, 0] == pytest.approx(expected / 2, abs=1)
    assert (
        frames.depth.note
        == f"the brightest pixel is {highest}: read as {bits} bits and brought to 8"
    )


# --- the screen ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flip", "rows", "columns"),
    [("none", 1, 1), ("horizontal", 1, -1), ("vertical", -1, 1), ("both", -1, -1)],
)
def test_crop_then_flip(tmp_path: Path, flip: Any, rows: int, columns: int) -> None:
    np.save(tmp_path / "f.npy", np.stack(images()))
    frames = opened(tmp_path, "f.npy", crop=(2, 3, 5, 7), flip=flip)
    expected = np.stack(images())[:, 2:7, 3:10][:, ::rows, ::columns]
    np.testing.assert_array_equal(stacked(frames), expected)
    assert frames.shape == (5, 7)


# --- arrays --------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_in_npz(tmp_path: Path, save: Any) -> None:
    save(tmp_path / "one.npz", anything=np.stack(images()))
    save(tmp_path / "two.npz", frames=np.stack(images()), times=np.arange(4))
    for name, key in (("one.npz", None), ("two.npz", None), ("two.npz", "frames")):
        frames = opened(tmp_path, name, key=key)
        np.testing.assert_array_equal(stacked(frames), images())


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[[0.0, 0.5, 1.0]]]), [0, 128, 255]),
        (np.array([[[0.0, 127.6, 255.0]]]), [0, 128, 255]),
        (np.array([[[False, True]]]), [0, 255]),
        (np.array([[[0, 255]]], np.int64), [0, 255]),
    ],
)
def test_arrays_of_other_types(tmp_path: Path, array: np.ndarray, expected: list[int]) -> None:
    np.save(tmp_path / "f.npy", array)
    assert stacked(opened(tmp_path, "f.npy")).tolist() == [[expected]]


# --- videos --------------------------------------------------------------------------------------


def test_the_frames_of_a_video_are_counted(tmp_path: Path) -> None:
    """The header is made to claim 9 frames; there are 4."""
    write_frames(tmp_path, images(), "avi", 25.0)
    path = tmp_path / "frames.avi"
    content = bytearray(path.read_bytes())
    content[48:52] = (9).to_bytes(4, "little")  # dwTotalFrames of the main header
    at = content.index(b"strh") + 8 + 32  # dwLength of the stream's header
    content[at : at + 4] = (9).to_bytes(4, "little")
    path.write_bytes(content)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 9
    assert opened(tmp_path, "frames.avi").count == 4


def test_a_video_claims_a_rate(tmp_path: Path) -> None:
    write_frames(tmp_path, images(), "avi", 23.976)
    assert opened(tmp_path, "frames.avi").claimed_rate_hz == pytest.approx(23.976, abs=1e-3)
    np.save(tmp_path / "f.npy", np.stack(images()))
    assert opened(tmp_path, "f.npy").claimed_rate_hz is None


def test_a_video_that_is_cut_short(tmp_path: Path) -> None:
    write_frames(tmp_path, images(100), "avi", 25.0)
    path = tmp_path / "frames.avi"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"frames\.avi: broke off after [0-9]+ frames"):
        opened(tmp_path, "frames.avi")


# --- mistakes ------------------------------------------------------------------------------------


def _damaged_png(folder: Path) -> str:
    put_images(folder / "us", ["1.png", "2.png"], images()[:2])
    (folder / "us" / "2.png").write_bytes(b"no image")
    return "us"


def _two_sizes(folder: Path) -> str:
    put_images(folder / "us", ["1.png", "2.png"], [images()[0], images()[1][:5]])
    return "us"


def _two_kinds(folder: Path) -> str:
    put_images(folder / "us", ["1.png", "preview.jpg"], images()[:2])
    return "us"


def _two_depths(folder: Path) -> str:
    dim, bright = images()[0], images()[1].astype(np.uint16) * 99
    put_images(folder / "us", ["1.png", "2.png"], [dim, bright])
    return "us"


def _empty_folder(folder: Path) -> str:
    (folder / "us").mkdir()
    return "us"


def _cut_array(folder: Path) -> str:
    np.save(folder / "f.npy", np.stack(images()))
    content = (folder / "f.npy").read_bytes()
    (folder / "f.npy").write_bytes(content[: -HEIGHT * WIDTH - 1])
    return "f.npy"


def _cut_archive(folder: Path) -> str:
    np.savez(folder / "f.npz", frames=np.stack(images()))
    (folder / "f.npz").write_bytes((folder / "f.npz").read_bytes()[:-30])
    return "f.npz"


def _damaged_archive(folder: Path) -> str:
    np.savez(folder / "f.npz", frames=np.stack(images(100)))  # longer than a buffer of zipfile
    content = bytearray((folder / "f.npz").read_bytes())
    content[-400] ^= 255
    (folder / "f.npz").write_bytes(content)
    return "f.npz"


def _damaged_deflated(folder: Path) -> str:
    np.savez_compressed(folder / "f.npz", frames=np.tile(np.stack(images(100)), (2, 1, 1)) // 8)
    content = bytearray((folder / "f.npz").read_bytes())
    content[len(content) // 2] ^= 255
    (folder / "f.npz").write_bytes(content)
    return "f.npz"


def _many_arrays(folder: Path) -> str:
    np.savez(folder / "f.npz", a=np.zeros(3), b=np.zeros(3))
    return "f.npz"


def _flat_array(folder: Path) -> str:
    np.save(folder / "f.npy", np.zeros((4, 5)))
    return "f.npy"


def _negative(folder: Path) -> str:
    np.save(folder / "f.npy", np.full((1, 2, 2), -1.0))
    return "f.npy"


def _too_bright(folder: Path) -> str:
    np.save(folder / "f.npy", np.full((1, 2, 2), 70000))
    return "f.npy"


def _no_frames(folder: Path) -> str:
    np.save(folder / "f.npy", np.zeros((0, 2, 2), np.uint8))
    return "f.npy"


MISTAKES = [
    (lambda _: "none.avi", "there is no such file"),
    (lambda _: "none.npz", "there is no such file"),
    (lambda _: "us/%d.png", "us/%d.png: no images there; .png, "),
    (_empty_folder, "us: no images there; .png, "),
    (_two_kinds, "holds .jpg and .png; name one kind, as *.jpg"),
    (_two_sizes, "us: frame 2 has 22x5 pixels, those before it 22x14"),
    (_two_depths, "us: frame 2: uint16 with "),
    (_damaged_png, "us/2.png: cannot be read as an image"),
    (_cut_array, "f.npy: cut short in frame 3 of 4"),
    (_cut_archive, "f.npz: is no whole numpy file"),
    (_damaged_archive, "is damaged: Bad CRC-32"),
    (_damaged_deflated, "is damaged: "),
    (_many_arrays, "f.npz: has no array 'frames'; there are a, b"),
    (_flat_array, "f.npy: shape (4, 5) is no (n, h, w)"),
    (_negative, "f.npy: the darkest pixel is -1"),
    (_too_bright, "f.npy: the brightest pixel is 70000; 16 bits end at 65535"),
    (_no_frames, "f.npy: holds no frame"),
]


@pytest.mark.parametrize(("make", "message"), MISTAKES)
def test_mistakes_name_file_and_frame(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(DataError) as raised:
        stacked(opened(tmp_path, make(tmp_path)))
    assert message in str(raised.value)


def test_a_crop_beyond_the_picture(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.stack(images()))
    with pytest.raises(DataError, match=r"f\.npy: crop: .* beyond the picture, which has 14 rows"):
        opened(tmp_path, "f.npy", crop=(10, 0, 5, 5))


def test_a_key_for_a_video(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"frames\.key names an array, but this is no \.npz"):
        opened(tmp_path, "frames.avi", key="frames")
