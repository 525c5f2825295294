"""How long BlazePose takes for a frame, and how large it is, on this machine.

The frames show a drawn person, whom the pose net finds and tracks as it would one in a video; so
nobody's recording is needed.
"""

from __future__ import annotations

import os
import time
from typing import Literal

import cv2
import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.spine.pose.blazepose import BlazePose, Image, Variant
from vitruvian.spine.pose.pose_models import VARIABLE, cached

_FRAME_MS = 1000 / 30
_WARMUP = 5
_SIZES = {"1280x720": (1280, 720), "1920x1080": (1920, 1080)}
_SKIN, _SHIRT, _DARK, _GREY = (140, 170, 220), (120, 60, 40), (50, 45, 45), (200, 195, 190)  # BGR


class PoseTime:
    """Milliseconds of the pose net for one frame, or frames per second.

    Args:
        variant: of BlazePose.
        size: of the frames.
        frames: of which the median is told.
        rate: tell frames per second instead.
    """

    def __init__(
        self,
        variant: Variant = "lite",
        size: Literal["1280x720", "1920x1080"] = "1920x1080",
        frames: int = 30,
        rate: bool = False,
    ) -> None:
        if frames < 1:
            raise ValueError(f"frames must be at least 1, not {frames}")
        self.pose, self.size, self.frames, self.rate = BlazePose(variant), size, frames, rate

    def __call__(self) -> tuple[float, str]:
        """The number, and how it was measured.

        Raises:
            UserError: MediaPipe or the model is not there.
        """
        seconds = float(np.median(self._seconds()))
        about = (
            f"the median of {self.frames} frames of {self.size} with a drawn person, BlazePose "
            f"{self.pose.variant} on this machine"
        )
        return (1 / seconds if self.rate else 1000 * seconds), about

    def _seconds(self) -> list[float]:
        _require_here(self.pose.variant)
        image, seconds = drawn_person(*_SIZES[self.size]), []
        with self.pose.landmarker() as landmarker:
            for number in range(_WARMUP + self.frames):
                start = time.perf_counter()
                found = landmarker.detect(image, number * _FRAME_MS)
                seconds.append(time.perf_counter() - start)
        if found is None:
            raise DataError("BlazePose has not found the drawn person: nothing can be timed")
        return seconds[_WARMUP:]


class ModelSize:
    """Megabytes of a pose model's file.

    Args:
        variant: of BlazePose.
    """

    def __init__(self, variant: Variant = "lite") -> None:
        self.pose = BlazePose(variant)

    def __call__(self) -> tuple[float, str]:
        """The size, and of which file.

        Raises:
            UserError: the model is not there.
        """
        _require_here(self.pose.variant)
        path = self.pose.file.path
        return path.stat().st_size / 1e6, f"the file {path.name}, detector and landmarks together"


def _require_here(variant: str) -> None:
    """Fetch nothing from the network for a measurement that nobody asked for by name."""
    if not os.environ.get(VARIABLE) and not cached(variant).is_file():
        raise DataError(
            f"the model of BlazePose {variant} is not on this machine; name its folder: {VARIABLE}"
        )


def drawn_person(width: int, height: int) -> Image:
    """Draw a person who faces the camera, (height, width, 3) BGR."""
    image = np.full((height, width, 3), _GREY, np.uint8)
    pen = _Pen(image)
    for side in (-1, 1):
        pen.limb([(28, 400), (34, 540)], side, _DARK, 46)
        pen.limb([(34, 540), (36, 670)], side, _DARK, 36)
        pen.limb([(62, 220), (90, 330)], side, _SHIRT, 32)
        pen.limb([(90, 330), (102, 436)], side, _SKIN, 24)
    corners = [pen.at(x, y) for x, y in ((-72, 205), (72, 205), (52, 410), (-52, 410))]
    cv2.fillPoly(image, [np.array(corners, np.int32)], _SHIRT)
    pen.limb([(0, 165), (0, 215)], 1, _SKIN, 36)
    pen.oval((0, 130), (42, 55), _SKIN)
    pen.oval((0, 96), (44, 30), _DARK)
    pen.oval((0, 140), (38, 40), _SKIN)
    for side in (-1, 1):
        pen.oval((16 * side, 125), (8, 5), (255, 255, 255))
        pen.oval((16 * side, 125), (4, 4), _DARK)
        pen.limb([(8, 112), (24, 112)], side, _DARK, 4)
    pen.limb([(0, 128), (3, 145)], 1, (110, 130, 180), 4)
    pen.oval((0, 160), (14, 4), (90, 90, 180))
    blurred = cv2.GaussianBlur(image, (0, 0), 1.5 * pen.scale)
    return blurred.astype(np.uint8)


class _Pen:
    """Draws in units of a frame of 720 rows, x from its middle."""

    def __init__(self, image: Image) -> None:
        self.image, self.scale = image, image.shape[0] / 720

    def at(self, x: float, y: float) -> tuple[int, int]:
        return int(self.image.shape[1] / 2 + x * self.scale), int(y * self.scale)

    def limb(
        self, ends: list[tuple[int, int]], side: int, colour: tuple[int, int, int], width: int
    ) -> None:
        (x1, y1), (x2, y2) = ends
        thick = max(1, int(width * self.scale))
        cv2.line(self.image, self.at(side * x1, y1), self.at(side * x2, y2), colour, thick)

    def oval(
        self, middle: tuple[int, int], radii: tuple[int, int], colour: tuple[int, int, int]
    ) -> None:
        axes = (int(radii[0] * self.scale), int(radii[1] * self.scale))
        cv2.ellipse(self.image, self.at(*middle), axes, 0, 0, 360, colour, -1)
