"""Which part of a scanner's screen is the image, and which way round it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import Image

Flip = Literal["none", "horizontal", "vertical", "both"]

_AXES = {"horizontal": 1, "vertical": 0, "both": -1}


@dataclass(frozen=True)
class Screen:
    """How a frame is taken from a picture of the screen: made grey, cropped, then flipped.

    Attributes:
        crop: (top, left, height, width) in pixels of the screen; None: all of it.
        flip: `horizontal` swaps left and right, `vertical` top and bottom.
    """

    crop: tuple[int, int, int, int] | None = None
    flip: Flip = "none"

    def frame(self, picture: npt.NDArray[np.uint8]) -> Image:
        """The frame in a picture, (h, w) grey, (h, w, 1), BGR (h, w, 3) or BGRA (h, w, 4).

        Raises:
            DataError: the crop lies beyond the picture, or the picture has another shape.
        """
        return self.flipped(grey(self._cropped(picture)))

    def flipped(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """An image that is already cropped, flipped."""
        if self.flip == "none":
            return np.ascontiguousarray(image)
        return cv2.flip(image, _AXES[self.flip])

    def _cropped(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if self.crop is None:
            return picture
        top, left, height, width = self.crop
        rows, columns = picture.shape[:2]
        if top + height > rows or left + width > columns:
            raise DataError(
                f"crop: [top {top}, left {left}, height {height}, width {width}] reaches beyond "
                f"the picture, which has {rows} rows and {columns} columns"
            )
        return picture[top : top + height, left : left + width]


def grey(picture: npt.NDArray[np.uint8]) -> Image:
    """The luma of a picture; what is grey already keeps its values.

    Raises:
        DataError: it has neither 1, 3 nor 4 colours.
    """
    if picture.ndim == 2:
        return picture
    if picture.ndim == 3 and picture.shape[2] == 1:
        return picture[:, :, 0]
    if picture.ndim == 3 and picture.shape[2] in (3, 4):
        code = cv2.COLOR_BGR2GRAY if picture.shape[2] == 3 else cv2.COLOR_BGRA2GRAY
        return cv2.cvtColor(np.ascontiguousarray(picture), code)
    raise DataError(f"a picture of shape {picture.shape} is neither grey nor coloured")
