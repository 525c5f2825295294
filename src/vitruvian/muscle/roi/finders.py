"""Where the muscle lies in each frame: what every finder is, and the two that need not look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import Image, Mask

Follower = Callable[[Image], Mask | None]


class RegionFinder(Protocol):
    """Finds the muscle; one object serves any number of recordings."""

    def follow(self, mm_per_pixel: tuple[float, float], given: Mask | None) -> Follower:
        """Begin a recording or a stream.

        Args:
            mm_per_pixel: along y and along x, of its frames.
            given: masks that came with the recording, (n, h, w) or (1, h, w); None: none did.

        Returns:
            A function that is called with the frames (h, w) in their order and returns the mask of
            the muscle, (h, w), or None where it is not found. It sees no later frame.

        Raises:
            DataError: the finder needs masks that the recording does not have.
        """


@dataclass(frozen=True)
class GivenMask:
    """Takes the masks that came with a recording."""

    def follow(self, mm_per_pixel: tuple[float, float], given: Mask | None) -> Follower:
        """As `RegionFinder`; one mask may stand for all frames.

        Raises:
            DataError: there are no masks, and when following, too few or of the wrong shape.
        """
        if given is None or not len(given):
            raise DataError(
                "the recording has no masks: name them in recording.yaml, or choose another "
                "finder for the region of interest"
            )
        numbers = count()

        def next_mask(image: Image) -> Mask | None:
            return _checked(given, next(numbers), image)

        return next_mask


def _checked(given: Mask, number: int, image: Image) -> Mask | None:
    """The mask of frame `number`; None where it is empty: the muscle was not seen."""
    if given.shape[1:] != image.shape:
        raise DataError(f"masks are {given.shape[1:]} (h, w) but frames {image.shape}")
    if len(given) == 1:
        return given[0]
    if number >= len(given):
        raise DataError(f"there are {len(given)} masks but more frames; give one for all or each")
    return given[number] if given[number].any() else None


@dataclass(frozen=True)
class WholeImage:
    """Takes the whole image: for frames cropped by hand, and to ask what a mask is worth."""

    def follow(self, mm_per_pixel: tuple[float, float], given: Mask | None) -> Follower:
        """As `RegionFinder`; always finds."""
        return lambda image: np.ones(image.shape, np.bool_)
