"""Where the muscle lies, as masks on the frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import DataError
from vitruvian.core.video.video_readers import quiet_opencv
from vitruvian.muscle.recording import Mask
from vitruvian.muscle.recordings.picture_sources import ARRAYS, array_stream


def read_masks(path: Path, count: int, shape: Sequence[int] | None) -> Mask:
    """Read masks: an array (n, h, w) or (1, h, w), or one image (h, w); what is not 0 is muscle.

    Args:
        path: of an .npy, an .npz whose array is its only one or called `masks`, or an image.
        count: of frames.
        shape: (h, w) of the frames; None: not known.

    Raises:
        DataError: it is missing or broken, or does not fit the frames.
    """
    masks = (_of_array(path) if path.suffix.lower() in ARRAYS else _of_image(path)) != 0
    if masks.ndim == 2:
        masks = masks[np.newaxis]
    if masks.ndim != 3 or len(masks) not in (1, count):
        raise DataError(
            f"{path}: has the shape {masks.shape}; expected ({count}, h, w), one mask for each "
            "frame, or (1, h, w)"
        )
    if shape is not None and masks.shape[1:] != tuple(shape):
        raise DataError(
            f"{path}: masks of {masks.shape[2]}x{masks.shape[1]} pixels, but the frames have "
            f"{shape[1]}x{shape[0]} after crop and flip"
        )
    return masks


def _of_array(path: Path) -> npt.NDArray[Any]:
    with array_stream(path, None, "masks") as stream:
        try:
            return np.lib.format.read_array(stream, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise DataError(f"{path}: is no whole numpy file: {error}") from error


def _of_image(path: Path) -> npt.NDArray[Any]:
    with quiet_opencv():
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise DataError(f"{path}: cannot be read as an image; check that it is there and whole")
    return image
