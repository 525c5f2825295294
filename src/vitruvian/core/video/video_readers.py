"""Readers of pictures by OpenCV: cameras, folders of images, and videos where PyAV is missing."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.core.video.resizing import Image, Size, resized

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

_PLACE = re.compile(r"%(?:0[0-9]+)?d")  # the number in a pattern such as img_%04d.png


class BrokenError(Exception):
    """A source that had begun well cannot be read on; the message says why."""


class Picture(Protocol):
    """A picture as recorded, before it is scaled.

    Attributes:
        size: width and height, upright and with square pixels.
    """

    @property
    def size(self) -> Size: ...

    def scaled(self, size: Size) -> Image:
        """The picture upright, scaled to `size`."""


class Reader(Protocol):
    """Reads pictures one after the other.

    Attributes:
        name: path, camera or address, as messages and tables show it.
        fps: nominal frame rate, frames per second; NaN where unknown.
        frames: how many to expect; None where unknown.
        promised_s: how long the source says it is, seconds; None where it does not say.
        live: whether pictures come whether or not anybody takes them.
    """

    name: str
    fps: float
    live: bool

    @property
    def frames(self) -> int | None: ...

    @property
    def promised_s(self) -> float | None: ...

    def read(self) -> tuple[float | None, Picture] | None:
        """The time of the next picture, in seconds from anywhere, None if unknown; and the picture.

        Returns:
            None at the end.

        Raises:
            BrokenError: there should be more, but it cannot be read.
            DataError: the source is no such thing as it seemed.
        """

    def close(self) -> None:
        """Let go of the source."""


@dataclass(frozen=True)
class BgrPicture:
    """A picture that OpenCV decoded."""

    image: Image

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.image.shape[1], self.image.shape[0]

    def scaled(self, size: Size) -> Image:
        """The picture, scaled to `size`."""
        return resized(self.image, size)


# --- images --------------------------------------------------------------------------------------


class ImagesReader:
    """Reads image files as the frames of a clip, all of one size.

    Args:
        paths: of the images, in order.
        name: of the folder or pattern they were found by.
        fps: at which they were taken.
    """

    promised_s = None
    live = False

    def __init__(self, paths: Sequence[Path], name: str, fps: float) -> None:
        self.name, self.fps, self.frames = name, fps, len(paths)
        self._paths = list(paths)
        self._next = 0
        self._size: Size | None = None

    def read(self) -> tuple[float | None, BgrPicture] | None:
        """See `Reader`."""
        if self._next == len(self._paths):
            return None
        path = self._paths[self._next]
        picture = BgrPicture(_decoded_image(path))
        self._check_size(path, picture.size)
        self._next += 1
        return (self._next - 1) / self.fps, picture

    def _check_size(self, path: Path, size: Size) -> None:
        self._size = self._size or size
        if size != self._size:
            raise DataError(
                f"{path}: {size[0]}x{size[1]} pixels, but the images before it have "
                f"{self._size[0]}x{self._size[1]}; keep the images of one clip only, all of one "
                "size"
            )

    def close(self) -> None:
        """See `Reader`."""


def find_images(path: Path) -> list[Path]:
    """The images of a folder, or of a pattern such as `frames/img_%04d.png`.

    Returns:
        paths in natural order: `img_2` before `img_10`.

    Raises:
        DataError: there are none; says what was looked for.
    """
    if path.is_dir():
        place, wanted = path, f"images ({', '.join(IMAGE_ENDINGS)})"
        found = [p for p in path.iterdir() if is_image(p) and not p.name.startswith(".")]
    else:
        place, wanted = path.parent, f"files named {path.name} with a number in it"
        numbered = re.compile("[0-9]+".join(re.escape(text) for text in _PLACE.split(path.name)))
        names = place.iterdir() if place.is_dir() else ()
        found = [p for p in names if numbered.fullmatch(p.name)]
    if not found:
        raise DataError(f"{place}: holds no {wanted}; give a video file or a folder of images")
    return sorted(found, key=_natural)


def is_image(path: Path) -> bool:
    """Whether the file is named as an image that can be a frame."""
    return path.suffix.lower() in IMAGE_ENDINGS


def is_pattern(path: Path) -> bool:
    """Whether the path is none of a file, but a pattern of numbered images."""
    return bool(_PLACE.search(path.name)) and not path.exists()


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", path.name.lower())
    return [(int(part), part) if part.isdigit() else (-1, part) for part in parts]


def _decoded_image(path: Path) -> Image:
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise BrokenError(f"{path.name} cannot be read ({error.strerror})") from error
    with quiet_opencv():
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if image is None:
        raise BrokenError(f"{path.name} is no whole image")
    return image


# --- cameras and videos --------------------------------------------------------------------------


class CaptureReader:
    """Reads a camera, or a video where PyAV is not installed, by OpenCV.

    Args:
        target: number of a camera, or the path or address of a video.
        name: for messages; a camera's is `source=0`.
        size: width and height to ask a camera for; None: its own.

    Raises:
        DataError: it cannot be opened.
    """

    def __init__(self, target: int | str, name: str, size: Size | None = None) -> None:
        self.name = name
        self._camera = isinstance(target, int)
        with quiet_opencv():
            self._capture = cv2.VideoCapture(target)
        if not self._capture.isOpened():
            raise DataError(f"{name}: {_NO_CAMERA if self._camera else _NO_VIDEO}")
        if self._camera and size is not None:
            self._ask_for(size)
        self.fps = self._property(cv2.CAP_PROP_FPS) or math.nan
        count = 0 if self._camera else round(self._property(cv2.CAP_PROP_FRAME_COUNT))
        self.frames = count or None
        self.promised_s = count / self.fps if count and self.fps > 0 else None
        self.live = self.frames is None

    def read(self) -> tuple[float | None, BgrPicture] | None:
        """See `Reader`; the times of a live source are those of arrival."""
        delivered, image = self._capture.read()
        if delivered:
            return self._now(), BgrPicture(image)
        if self.live:
            raise BrokenError("the camera or stream delivers no more pictures")
        return None

    def close(self) -> None:
        """See `Reader`."""
        self._capture.release()

    def _now(self) -> float:
        if self.live:
            return time.monotonic()
        return self._property(cv2.CAP_PROP_POS_MSEC) / 1000

    def _property(self, key: int) -> float:
        """A property of the source, 0 where OpenCV does not know it."""
        value = float(self._capture.get(key))
        return value if math.isfinite(value) and value > 0 else 0.0

    def _ask_for(self, size: Size) -> None:
        """Ask for frames of `size`, compressed: raw ones come at 5 to 10 a second over USB 2."""
        wishes: dict[int, Any] = {
            cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"MJPG"),
            cv2.CAP_PROP_FRAME_WIDTH: size[0],
            cv2.CAP_PROP_FRAME_HEIGHT: size[1],
        }
        for key, value in wishes.items():
            self._capture.set(key, value)


_NO_CAMERA = (
    "no camera can be opened under this number; check that it is plugged in, that no other program "
    "uses it, and its number (the first is 0)"
)
_NO_VIDEO = "cannot be opened as a video; check that it is one and was copied whole"


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV from writing to the terminal what an exception says better."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
