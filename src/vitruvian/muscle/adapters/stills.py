"""Single images of a scanner's screen as the frames of a recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import Image


@dataclass(frozen=True)
class Screen:
    """Where a scanner's screen shows the image, and how large it is.

    Attributes:
        top, left, height, width: of the image on the screen, in pixels.
        mm_per_pixel: the same along both axes.
    """

    top: int
    left: int
    height: int
    width: int
    mm_per_pixel: float

    def cut(self, screen: Image, file: Path) -> Image:
        """The image on the screen, (height, width).

        Raises:
            DataError: the screen is smaller, so it is not the one that was measured.
        """
        bottom, right = self.top + self.height, self.left + self.width
        if bottom > screen.shape[0] or right > screen.shape[1]:
            raise DataError(
                f"{file}: {screen.shape[1]} x {screen.shape[0]} pixels; the image was expected to "
                f"reach {right} x {bottom}: this is another screen than the one measured"
            )
        return screen[self.top : bottom, self.left : right]


@dataclass(frozen=True)
class Stills:
    """Images read one by one when they are asked for; satisfies `Frames`.

    Attributes:
        files: one for each frame, in order.
        screen: what is cut out of each.
        claimed_rate_hz: None: stills claim no frame rate.
    """

    files: Sequence[Path]
    screen: Screen
    claimed_rate_hz: float | None = None

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.files)

    def __iter__(self) -> Iterator[Image]:
        """Yield the images, (height, width) uint8."""
        return (self.screen.cut(read_grey(file), file) for file in self.files)


def read_grey(file: Path) -> Image:
    """An image file as (h, w) grey values.

    Raises:
        DataError: it cannot be read.
    """
    image: Image | None = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise DataError(f"{file}: not an image that can be read; copy it again from its source")
    return image
