"""Pictures side by side in one PNG that is small enough for a page: a title, names, a banner.

Grey images with coloured outlines need few colours: a PNG with a palette holds them in a fraction
of the bytes, and panels that repeat an image cost next to nothing.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]  # (rows, columns, 3), BGR
Colour = tuple[int, int, int]

# Okabe and Ito (2008), as in report.charts, but BGR
ORANGE, SKY, VERMILLION = (0, 159, 230), (233, 180, 86), (0, 94, 213)
WHITE, PALE = (255, 255, 255), (190, 190, 190)

_BAR, _NAME, _GAP, _MARGIN = 30, 24, 6, 8  # pixels: title, names of panels, between them, at edges
_GREYS = 32
_BANNER = "SIMULATED"
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Panel:
    """One of the pictures.

    Attributes:
        name: a few words, drawn above it.
        picture: (rows, columns, 3), BGR.
        colour: of the name: that of the outline which it is about.
        sides: what is written at its left and right edge, such as R and L; empty: nothing.
    """

    name: str
    picture: Picture
    colour: Colour = PALE
    sides: tuple[str, str] = ("", "")


def write_panels(path: Path, title: str, panels: Sequence[Panel], simulated: bool) -> None:
    """Draw panels side by side on black, with the title above them.

    Args:
        path: of the PNG, whatever its ending.
        title: at the top.
        panels: at least one.
        simulated: whether the data are; a banner says so.
    """
    height = max(panel.picture.shape[0] for panel in panels)
    cells = [_cell(panel, height) for panel in panels]
    gap = np.zeros((height + _NAME, _GAP, 3), np.uint8)
    row = np.hstack([part for cell in cells for part in (cell, gap)][:-1])
    wanted = _width(title, 0.5) + (_width(_BANNER, 0.5) + 3 * _MARGIN if simulated else 0)
    room = max(0, wanted + 2 * _MARGIN - row.shape[1])
    body = np.pad(row, ((0, 0), (0, room), (0, 0)))
    top = _titled(title, body.shape[1], simulated)
    path.write_bytes(encoded(np.vstack([top, body])))


def outline(picture: Picture, mask: npt.NDArray[Any], colour: Colour, thickness: int = 1) -> None:
    """Draw the border of a mask of the picture's size onto it."""
    region = np.ascontiguousarray(mask, dtype=np.uint8)
    borders, _ = cv2.findContours(region, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, borders, -1, colour, thickness, cv2.LINE_AA)


def grey(image: npt.NDArray[np.uint8]) -> Picture:
    """A grey image (rows, columns) that can be drawn on."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)


def _cell(panel: Panel, height: int) -> Picture:
    """The picture in a column of this height, at least as wide as its name."""
    rows, columns = panel.picture.shape[:2]
    wide = max(columns, _width(panel.name, 0.42) + 2 * _MARGIN)
    left = (wide - columns) // 2
    cell: Picture = np.zeros((_NAME + height, wide, 3), np.uint8)
    cell[_NAME : _NAME + rows, left : left + columns] = panel.picture
    _write(cell, panel.name, (_MARGIN, _NAME - 8), 0.42, panel.colour)
    middle = _NAME + rows // 2
    _write(cell, panel.sides[0], (left + _MARGIN, middle), 0.5, WHITE)
    _write(cell, panel.sides[1], (left + columns - _MARGIN - 11, middle), 0.5, WHITE)
    return cell


def _titled(title: str, width: int, simulated: bool) -> Picture:
    bar: Picture = np.zeros((_BAR, width, 3), np.uint8)
    _write(bar, title, (_MARGIN, 20), 0.5, WHITE)
    if simulated:
        left = width - _width(_BANNER, 0.5) - 2 * _MARGIN
        cv2.rectangle(bar, (left, 4), (width - 4, _BAR - 4), VERMILLION, cv2.FILLED)
        cv2.putText(bar, _BANNER, (left + 6, 20), _FONT, 0.5, WHITE, 1, cv2.LINE_AA)
    return bar


def _width(text: str, size: float) -> int:
    (width, _), _ = cv2.getTextSize(text, _FONT, size, 1)
    return int(width)


def _write(picture: Picture, text: str, place: tuple[int, int], size: float, ink: Colour) -> None:
    """Write with a dark rim, so that it can be read on any image; the font knows ASCII only."""
    plain = text.encode("ascii", "replace").decode()
    for colour, thickness in (((0, 0, 0), 3), (ink, 1)):
        cv2.putText(picture, plain, place, _FONT, size, colour, thickness, cv2.LINE_AA)


def encoded(picture: Picture) -> bytes:
    """A PNG with a palette; colours that it lacks become the nearest ones that it has."""
    palette, nearest = _palette()
    blue, green, red = np.moveaxis(picture >> 3, -1, 0).astype(np.int64)
    rows, columns = picture.shape[:2]
    lines = np.zeros((rows, 1 + columns), np.uint8)  # each begins with its filter: none
    lines[:, 1:] = nearest[blue, green, red]
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)  # 8 bits of a palette
    chunks = [
        (b"IHDR", header),
        (b"PLTE", palette[:, ::-1].tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


@cache
def _palette() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Colours (n, 3) BGR, and the nearest one of every colour in steps of 8, (32, 32, 32)."""
    greys = [(shade, shade, shade) for shade in np.linspace(0, 255, _GREYS)]
    # what a smooth outline leaves of the grey below it
    mixed = [
        tuple(share * part + (1 - share) * shade for part in colour)
        for colour, share, shade in product(
            (ORANGE, SKY, VERMILLION), (1.0, 0.67, 0.33), (0, 64, 128, 192, 255)
        )
    ]
    colours = np.unique(np.rint(np.array(greys + mixed)).astype(np.uint8), axis=0)
    steps = np.arange(32, dtype=np.float32) * 255 / 31
    every = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    squares = [((every - colour) ** 2).sum(axis=1) for colour in colours.astype(np.float32)]
    nearest = np.argmin(np.stack(squares), axis=0).astype(np.uint8)
    return colours, nearest.reshape(32, 32, 32)
