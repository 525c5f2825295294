"""A picture to judge a mask by: its contour on three slices of the scan, in true proportions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]  # (rows, columns, 3), BGR
Colour = tuple[int, int, int]

WINDOW_HU = (-160.0, 240.0)  # abdominal soft tissue
LIVER, TUMOUR = (90, 230, 90), (70, 80, 255)
WHITE, GREY, AMBER = (255, 255, 255), (160, 160, 160), (60, 190, 255)

VIEW = 480  # pixels of the longest side of an axial slice
TALLEST = 720  # pixels of the longest scan, head to feet
BAR_MM = 50
MARGIN = 12
LINE = 26  # pixels from one line of the caption to the next


@dataclass(frozen=True)
class View:
    """One slice: rows downwards and columns to the right, as they are drawn.

    Attributes:
        name: of the plane.
        hu: (rows, columns) in HU.
        mask: (rows, columns), 0 background, 1 liver, 2 tumour.
        size_mm: height and width.
        sides: which side of the patient lies at the left and at the right of the picture.
    """

    name: str
    hu: npt.NDArray[np.int16]
    mask: npt.NDArray[np.uint8]
    size_mm: tuple[float, float]
    sides: tuple[str, str]


def draw_overlay(
    hu: npt.NDArray[np.int16],
    mask: npt.NDArray[np.uint8],
    spacing_mm: tuple[float, float, float],
    findings: Sequence[str],
    warnings: Sequence[str] = (),
) -> Picture:
    """Draw the axial, the coronal and the sagittal slice that show most liver.

    The three share one scale in pixels per millimetre. Axial and coronal slices are seen from the
    feet and from the front, as radiologists do: the patient's right is at the left.

    Args:
        hu: (z, y, x) in LPS.
        mask: as `hu`, 0 background, 1 liver, 2 tumour.
        spacing_mm: (dz, dy, dx).
        findings: lines below the picture, such as the volume.
        warnings: smaller lines in amber.

    Returns:
        The picture, BGR (rows, columns, 3).
    """
    views = _views(hu, mask, spacing_mm)
    z_mm, y_mm, x_mm = np.multiply(hu.shape, spacing_mm).tolist()
    scale = min(VIEW / max(y_mm, x_mm), TALLEST / z_mm)
    drawn = [_drawn(view, scale) for view in views]
    height = max(picture.shape[0] for picture in drawn)
    cells = [
        _labelled(_cell(picture, height), view) for picture, view in zip(drawn, views, strict=True)
    ]
    panels = np.hstack(cells)
    return np.vstack([panels, _caption(panels.shape[1], scale, findings, warnings)])


def _views(
    hu: npt.NDArray[np.int16],
    mask: npt.NDArray[np.uint8],
    spacing_mm: tuple[float, float, float],
) -> list[View]:
    z, y, x = _most_liver(mask)
    z_mm, y_mm, x_mm = np.multiply(hu.shape, spacing_mm).tolist()
    across, along = ("R", "L"), ("A", "P")
    return [
        View("axial", hu[z], mask[z], (y_mm, x_mm), across),
        View("coronal", hu[::-1, y], mask[::-1, y], (z_mm, x_mm), across),
        View("sagittal", hu[::-1, :, x], mask[::-1, :, x], (z_mm, y_mm), along),
    ]


def _most_liver(mask: npt.NDArray[np.uint8]) -> tuple[int, int, int]:
    """Index of the slice with most liver along each axis; the middle ones of an empty mask."""
    if not mask.any():
        return mask.shape[0] // 2, mask.shape[1] // 2, mask.shape[2] // 2
    through_z = np.count_nonzero(mask, axis=(1, 2))
    through_y = np.count_nonzero(mask, axis=(0, 2))
    through_x = np.count_nonzero(mask, axis=(0, 1))
    return int(through_z.argmax()), int(through_y.argmax()), int(through_x.argmax())


def _drawn(view: View, scale: float) -> Picture:
    """The slice at `scale` pixels per millimetre with the contours of its labels."""
    size = max(1, round(view.size_mm[1] * scale)), max(1, round(view.size_mm[0] * scale))
    low, high = WINDOW_HU
    grey = np.clip((view.hu - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    picture = np.asarray(cv2.cvtColor(resized(grey, size), cv2.COLOR_GRAY2BGR))
    for label, colour in ((1, LIVER), (2, TUMOUR)):
        inside = (view.mask >= label).astype(np.float32)
        # Halfway between two voxels lies the border: smooth, and where the mask has it.
        region = (resized(inside, size) >= 0.5).astype(np.uint8)
        contours, _ = cv2.findContours(region, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, colour, 1, cv2.LINE_AA)
    return picture


def resized(image: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    """Bring an image to `size` (columns, rows): averaged along an axis that shrinks, else linear.

    OpenCV takes one method for both axes, and slices may be thick where pixels are fine.
    """
    shrunk = min(size[0], image.shape[1]), min(size[1], image.shape[0])
    averaged = cv2.resize(image, shrunk, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(averaged, size, interpolation=cv2.INTER_LINEAR))


def _cell(picture: Picture, height: int) -> Picture:
    """Centre the picture in a black column of this height."""
    missing = height - picture.shape[0]
    return np.pad(picture, ((missing // 2, missing - missing // 2), (0, 2), (0, 0)))


def _labelled(cell: Picture, view: View) -> Picture:
    """Write the plane's name and the sides of the patient into its column."""
    rows, columns = cell.shape[:2]
    middle = rows // 2
    _write(cell, view.name, (MARGIN, LINE), 0.6, GREY)
    _write(cell, view.sides[0], (MARGIN, middle), 0.8, WHITE)
    _write(cell, view.sides[1], (columns - MARGIN - 18, middle), 0.8, WHITE)
    return cell


def _caption(width: int, scale: float, findings: Sequence[str], warnings: Sequence[str]) -> Picture:
    """Findings and warnings below the slices, and a bar of known length."""
    lines = [(text, 0.7, WHITE) for text in findings] + [(text, 0.5, AMBER) for text in warnings]
    strip: Picture = np.zeros((max(len(lines), 2) * LINE + MARGIN, width, 3), np.uint8)
    for number, (text, size, colour) in enumerate(lines, start=1):
        _write(strip, text, (MARGIN, number * LINE), size, colour)
    right, length = width - MARGIN, round(BAR_MM * scale)
    cv2.line(strip, (right - length, LINE), (right, LINE), WHITE, 2)
    _write(strip, f"{BAR_MM} mm", (right - length, 2 * LINE - 4), 0.5, WHITE)
    return strip


def _write(picture: Picture, text: str, place: tuple[int, int], size: float, colour: Any) -> None:
    """Write text with a dark rim, so that it can be read on bone as well as on air."""
    for ink, thickness in (((0, 0, 0), 4), (colour, 1)):
        cv2.putText(
            picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, ink, thickness, cv2.LINE_AA
        )
