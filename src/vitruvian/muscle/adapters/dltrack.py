"""Aponeuroses drawn by hand on the screens of other scanners: how well is the muscle found there?

Source: Cronin et al., "DL_Track" (github njcronin/DL_Track, Apache-2.0), folders `apo_images` and
`apo_masks`. A mask marks every aponeurosis that its author saw; the muscle nearest to the skin lies
between the first two.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.muscle.adapters.stills import Screen, Stills, read_grey
from vitruvian.muscle.recording import ClockSource, Image, Mask, Recording
from vitruvian.muscle.roi.finders import RegionFinder
from vitruvian.muscle.roi.masks import dice

# Cut and scale were read off the depth rulers of the three screens: 78.7, 94.4 and 77.5 pixels/cm.
SCREENS: Mapping[str, Screen] = MappingProxyType(
    {
        "img_00100": Screen(top=131, left=140, height=467, width=366, mm_per_pixel=60 / 472),
        "img_00188": Screen(top=131, left=104, height=467, width=438, mm_per_pixel=50 / 472),
        "img_00568": Screen(top=43, left=99, height=498, width=464, mm_per_pixel=60 / 465),
    }
)


def is_dltrack(root: Path) -> bool:
    """Whether a folder is laid out as DL_Track's images and masks are."""
    return all((Path(root) / name).is_dir() for name in ("apo_images", "apo_masks"))


def read_dltrack(root: Path, screens: Mapping[str, Screen] | None = None) -> list[Recording]:
    """Every image as a recording of one frame with the mask of its muscle, (1, h, w).

    Who was scanned is not known: each image counts as a participant of its own.

    Args:
        root: the folder that holds `apo_images` and `apo_masks`.
        screens: where the image lies on the screen, by name of the file without its ending;
            None: of the three that were measured, `SCREENS`.

    Raises:
        DataError: an image has no entry in `screens`, no mask, or fewer than two aponeuroses.
    """
    files = sorted(Path(root).glob("apo_images/*.tif"))
    if not files:
        raise DataError(f"{root}: no apo_images/*.tif")
    screens = SCREENS if screens is None else screens
    unknown = [file.stem for file in files if file.stem not in screens]
    if unknown:
        raise DataError(f"{root}: give `screens` the cut and the scale of {', '.join(unknown)}")
    return [_recording(file, screens[file.stem]) for file in files]


def _recording(file: Path, screen: Screen) -> Recording:
    drawn = file.parent.with_name("apo_masks") / file.name
    return Recording(
        name=file.stem,
        participant=file.stem,
        task="still",
        frames=Stills([file], screen),
        frame_count=1,
        signals={},
        clock=ClockSource("frames"),
        mm_per_pixel=(screen.mm_per_pixel, screen.mm_per_pixel),
        masks=muscle_between(screen.cut(read_grey(drawn), drawn), drawn)[None],
        raw=(),
        sources=(file, drawn),
    )


def muscle_between(drawn: Image, file: Path) -> Mask:
    """The muscle between the inner edges of the first two aponeuroses from the skin.

    Columns in which one of the two was not drawn have no muscle.

    Args:
        drawn: (h, w) above 127 on aponeuroses.
        file: for the error.

    Raises:
        DataError: fewer than two aponeuroses are drawn.
    """
    _, parts, stats, centres = cv2.connectedComponentsWithStats((drawn > 127).astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]  # the first part is the background
    bands = 1 + np.flatnonzero(areas > areas.max(initial=0) / 10)  # smaller: a slip of the pen
    if len(bands) < 2:
        raise DataError(f"{file}: {len(bands)} aponeuroses drawn; a muscle lies between two")
    upper, deeper = (parts == band for band in bands[np.argsort(centres[bands, 1])][:2])
    below = np.maximum.accumulate(upper, axis=0) & ~upper
    above = np.maximum.accumulate(deeper[::-1], axis=0)[::-1] & ~deeper
    muscle: Mask = below & above
    return muscle


def roi_dice(finder: RegionFinder, root: Path) -> list[dict[str, str | float]]:
    """How well a finder agrees with the masks, one row for each image.

    Returns:
        Rows of `image` and `dice`, counted in the columns where the mask has muscle; the Dice of
        an image in which nothing was found is 0.

    Raises:
        DataError: see `read_dltrack`.
    """
    return [
        {"image": recording.name, "dice": _dice(finder, recording)}
        for recording in read_dltrack(root)
    ]


def _dice(finder: RegionFinder, recording: Recording) -> float:
    """The author stopped where an aponeurosis fades; beyond that nobody can be right or wrong."""
    assert recording.mm_per_pixel
    assert recording.frames
    assert recording.masks is not None
    follow = finder.follow(recording.mm_per_pixel, None)
    (image,) = recording.frames
    truth = recording.masks[0]
    drawn = truth.any(axis=0)
    found = follow(image)
    if found is None:
        return 0.0
    return dice(found[:, drawn], truth[:, drawn])
