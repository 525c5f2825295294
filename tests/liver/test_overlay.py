"""The picture beside a mask: proportions, sides, contours."""

from __future__ import annotations

import numpy as np
import pytest

from vitruvian.liver.overlay import (
    AMBER,
    LIVER,
    TALLEST,
    TUMOUR,
    VIEW,
    WHITE,
    Picture,
    draw_overlay,
)

GAP = 2  # columns between two views


def volume(shape: tuple[int, int, int], *boxes: tuple[slice, slice, slice]) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    for label, box in enumerate(boxes, start=1):
        mask[box] = label
    return mask


def box_of(picture: Picture, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """First and last row and column of a colour, edges half as bright included."""
    near = np.abs(picture.astype(int) - colour).max(axis=2) < 60
    rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
    return rows[0], rows[-1], columns[0], columns[-1]


def views(mask: np.ndarray, spacing: tuple[float, float, float], hu: int = -1000) -> list[Picture]:
    """The three views without the caption."""
    air = np.full(mask.shape, hu, np.int16)
    picture = draw_overlay(air, mask, spacing, [], [])
    z_mm, y_mm, x_mm = np.multiply(mask.shape, spacing)
    scale = min(VIEW / max(y_mm, x_mm), TALLEST / z_mm)
    cuts = np.cumsum([round(mm * scale) + GAP for mm in (x_mm, x_mm, y_mm)])
    return np.split(picture[: round(max(y_mm, z_mm) * scale)], cuts[:2], axis=1)


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((30, 90, 90), (5.0, 1.0, 1.0)), ((120, 80, 60), (1.0, 1.5, 2.0)), ((9, 64, 64), (5, 4, 4))],
)
def test_proportions_are_true(
    shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> None:
    """A box of known millimetres is that box in all three views, at one scale."""
    inner = tuple(slice(size // 3, size - size // 3) for size in shape)
    z_mm, y_mm, x_mm = ((s.stop - s.start) * mm for s, mm in zip(inner, spacing, strict=True))
    depth, height, width = np.multiply(shape, spacing)
    scale = min(VIEW / max(height, width), TALLEST / depth)
    sizes = [(y_mm, x_mm), (z_mm, x_mm), (z_mm, y_mm)]
    for view, (rows_mm, columns_mm) in zip(
        views(volume(shape, inner), spacing), sizes, strict=True
    ):
        top, bottom, left, right = box_of(view, LIVER)
        assert bottom - top + 1 == pytest.approx(rows_mm * scale, abs=3)
        assert right - left + 1 == pytest.approx(columns_mm * scale, abs=3)


def test_right_is_left_front_and_head_are_up() -> None:
    """A lump at the patient's right, front and head (LPS: low x, low y, high z)."""
    mask = volume((40, 40, 40), np.s_[30:36, 4:10, 12:18])
    axial, coronal, sagittal = (box_of(view, LIVER) for view in views(mask, (2.0, 2.0, 2.0)))
    scale = VIEW / 40
    for (top, bottom, left, right), (row, column) in zip(
        (axial, coronal, sagittal), ((7, 15), (7, 15), (7, 7)), strict=True
    ):
        assert (top + bottom) / 2 == pytest.approx(row * scale, abs=2)
        assert (left + right) / 2 == pytest.approx(column * scale, abs=2)


def test_a_tumour_has_its_own_contour() -> None:
    z, y, x = np.indices((20, 40, 40)) - np.array([10, 20, 20]).reshape(3, 1, 1, 1)
    mask = ((2 * z) ** 2 + y**2 + x**2 < 15**2).astype(np.uint8)
    mask[8:12, 16:24, 16:24] = 2
    for view in views(mask, (2.0, 1.0, 1.0)):
        outer, inner = box_of(view, LIVER), box_of(view, TUMOUR)
        assert (outer[0] < inner[0], inner[1] < outer[1]) == (True, True)
        assert (outer[2] < inner[2], inner[3] < outer[3]) == (True, True)


@pytest.mark.parametrize("shape", [(3, 512, 512), (400, 64, 64), (1, 2, 2)])
def test_thin_and_tall_scans_fit(shape: tuple[int, int, int]) -> None:
    picture = draw_overlay(
        np.zeros(shape, np.int16), np.zeros(shape, np.uint8), (2.0, 1.0, 1.0), ["no liver found"]
    )
    assert picture.shape[0] <= TALLEST + 100
    assert picture.shape[1] <= 3 * (VIEW + GAP)
    assert not (picture == LIVER).all(axis=2).any()


def test_the_caption_shows_findings_and_warnings() -> None:
    mask = volume((8, 32, 32), np.s_[2:6, 8:24, 8:24])
    hu = np.full(mask.shape, -1000, np.int16)
    plain, warned = (
        draw_overlay(hu, mask, (2.0, 1.0, 1.0), ["liver 1 mL"], warnings)
        for warnings in ([], ["model trained on SIMULATED data"])
    )
    assert (plain == WHITE).all(axis=2)[-60:].any()
    assert not (plain == AMBER).all(axis=2).any()
    assert (warned == AMBER).all(axis=2)[-60:].any()


def test_the_bar_measures_fifty_millimetres() -> None:
    hu = np.full((10, 100, 100), -1000, np.int16)
    picture = draw_overlay(hu, np.zeros(hu.shape, np.uint8), (2.0, 1.0, 1.0), [])
    strip = (picture[VIEW:] == WHITE).all(axis=2)
    longest = max(row.sum() for row in strip)
    assert longest == pytest.approx(50 * VIEW / 100, abs=3)
