"""Small videos for tests, whose frames tell their number and which way up they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from vitruvian.core.video.resizing import Image
from vitruvian.core.video.video import Frame, VideoSource

TICKS = 90_000  # of a second: the finest clock that all containers used here can keep
BITS = 8
FRONT = {"movflags": "faststart"}  # the index of an mp4 first, so that half of it can be opened
IN_ORDER = {"bf": "0"}  # no frame waits for a later one, so that half a file is half its frames

# BGR, clockwise from the top left: no two turns or mirror images of the picture look alike.
CORNERS = ((0, 0, 255), (0, 255, 0), (255, 0, 0), (0, 255, 255))
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def picture(number: int, size: tuple[int, int] = (160, 120)) -> Image:
    """A grey picture of `size` (w, h): its number as a row of bits, and a colour in each corner."""
    width, height = size
    image = np.full((height, width, 3), 110, np.uint8)
    x, y = width // 4, height // 4
    for colour, place in zip(CORNERS, _corners(x, y), strict=True):
        image[place] = colour
    for bit, block in enumerate(_blocks(image)):
        block[:] = 255 if number >> bit & 1 else 0
    return image


def number_in(image: Image) -> int:
    """The number of a `picture`, also after a change of size and a lossy codec."""
    return sum(int(block.mean() > 128) << bit for bit, block in enumerate(_blocks(image)))


def is_upright(image: Image) -> bool:
    """Whether the four corners of a `picture` are where they belong."""
    y, x = image.shape[0] // 8, image.shape[1] // 8
    found = (image[y, x], image[y, -x], image[-y, -x], image[-y, x])
    pairs = zip(found, CORNERS, strict=True)
    return all(np.abs(pixel.astype(int) - colour).max() < 110 for pixel, colour in pairs)


def inside(source: VideoSource, frame: Frame) -> Image:
    """A frame without the black around the picture."""
    box = source.letterbox
    width, height = box.inner
    return frame.image[box.top : box.top + height, box.left : box.left + width]


def numbers_in(source: VideoSource) -> list[int]:
    """The numbers of all `picture`s of a video."""
    return [number_in(inside(source, frame)) for frame in source]


def half(path: Path, share: float = 0.5) -> Path:
    """Cut a file short; returns its path."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def write_video(
    path: Path,
    frames: int | Iterable[Image] = 20,
    fps: float = 30,
    size: tuple[int, int] = (160, 120),
    codec: str = "libx264",
    rotation: int = 0,
    times: Sequence[float] | None = None,
    *,
    options: Mapping[str, str] | None = None,
    codec_options: Mapping[str, str] | None = None,
    matrix: Sequence[int] | None = None,
    aspect: Fraction | None = None,
    pixel_format: str = "yuv420p",
) -> Path:
    """Write a video; the ending of `path` chooses the container (mp4, mkv, webm, ts, avi).

    Args:
        path: of the file; its folder is made.
        frames: how many `picture`s, or the images themselves: BGR, of one size.
        fps: frames per second, as the header says, also where `times` says otherwise.
        size: width and height of the pictures as a player shows them.
        codec: of FFmpeg, such as libx264, libx265, libvpx-vp9, mpeg4, mjpeg, ffv1.
        rotation: degrees by which a player must turn the stored frames clockwise; they are stored
            turned the other way, so that they show upright. Only mp4 and mov can say it.
        times: seconds of each frame, rising, for a variable frame rate.
        options: of the container, such as {"movflags": "faststart"}.
        codec_options: of the codec, such as {"g": "10"}.
        matrix: display matrix of 9 numbers instead of `rotation`; the frames are stored as given.
        aspect: width of a pixel by its height.
        pixel_format: of FFmpeg, as stored.

    Returns:
        `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    upright = [picture(i, size) for i in range(frames)] if isinstance(frames, int) else frames
    images: Iterator[Image] = (_stored(image, rotation) for image in upright)
    first = next(images, np.zeros((0,)))
    stored = first.shape[1::-1] if first.size else size
    with av.open(str(path), "w", options=dict(options or {})) as container:
        stream: Any = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height = stored
        stream.pix_fmt = pixel_format
        stream.codec_context.thread_count = 1
        stream.codec_context.options = dict(codec_options or {})
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if matrix is not None:
            stream.set_display_matrix(matrix)
        elif rotation:
            stream.set_display_rotation(-rotation)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, TICKS)
        container.start_encoding()
        for i, image in enumerate(chain([first], images) if first.size else ()):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            if times is not None:
                frame.pts, frame.time_base = round(times[i] * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _stored(image: Image, rotation: int) -> Image:
    return cv2.rotate(image, _TURNS[rotation]) if rotation else image


def write_images(
    folder: Path, numbers: Iterable[int], name: str = "{}.png", size: tuple[int, int] = (160, 120)
) -> Path:
    """Write one `picture` for each number into `folder`; returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        ending = Path(name).suffix
        _, content = cv2.imencode(ending, picture(number, size))
        (folder / name.format(number)).write_bytes(content.tobytes())
    return folder


def _corners(x: int, y: int) -> tuple[tuple[slice, slice], ...]:
    top, bottom, left, right = slice(0, y), slice(-y, None), slice(0, x), slice(-x, None)
    return (top, left), (top, right), (bottom, right), (bottom, left)


def _blocks(image: Image) -> list[Image]:
    """The places of the bits: a row of blocks across the middle, lowest bit first."""
    height, width = image.shape[:2]
    rows = slice(height * 3 // 8, height * 5 // 8)
    edges = [width * i // BITS for i in range(BITS + 1)]
    return [image[rows, a + 1 : b - 1] for a, b in pairwise(edges)]
