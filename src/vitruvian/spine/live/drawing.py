"""Pictures of a frame: the joints on the person, and below them the index over time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from vitruvian.spine.data.cases import RED_FLAG
from vitruvian.spine.live.readings import (
    CHART_S,
    NOTICE,
    SIMULATED,
    Reading,
    basis,
    in_words,
)
from vitruvian.spine.skeletons import Skeleton

Picture = npt.NDArray[np.uint8]  # (rows, columns, 3), BGR
Colour = tuple[int, int, int]
Pixel = tuple[int, int]

WHITE, GREY, DARK = (240, 240, 240), (150, 150, 150), (28, 24, 22)
LEFT, RIGHT, MIDDLE = (235, 190, 90), (90, 170, 255), (230, 230, 230)  # sides of the person
CALM, RED, AMBER = (190, 200, 110), (72, 72, 235), (60, 190, 255)

SURE: Final = 0.5  # visibility from which a joint is drawn full
NARROWEST: Final = 640  # pixels: a narrower picture has no room for the panel's words
SMALLEST: Final = 0.7  # size of the panel's words; 1 in a picture 1280 pixels wide
_FAR: Final = 4  # joints may lie outside of the frame, but OpenCV's coordinates have their limits
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX


# -- the person -----------------------------------------------------------------------------------


def draw_person(
    image: Picture,
    points: npt.NDArray[Any] | None,
    visibility: npt.NDArray[Any] | None,
    skeleton: Skeleton,
    show_image: bool = True,
) -> Picture:
    """Draw bones and joints, the left side of the person in another colour than the right.

    Args:
        image: (h, w, 3) BGR; it is left as it is.
        points: (J, D), x and y as shares of width and height; None without a person.
        visibility: (J,), 0 to 1; joints below 0.5 are drawn hollow, their bones thin.
        skeleton: names and bones of the joints.
        show_image: draw on the image, else on black, which shows nobody's face.

    Returns:
        A new picture of the image's size; a small one is enlarged to a width of 640 pixels.
    """
    picture = _widened(image) if show_image else np.zeros_like(_widened(image))
    if points is None or visibility is None:
        return picture
    height, width = picture.shape[:2]
    places = pixels(points, width, height)
    sure = np.nan_to_num(visibility) >= SURE
    thick = max(1, round(min(height, width) / 240))
    for a, b in skeleton.bones:
        if (start := places[a]) and (end := places[b]):
            weight = thick if sure[a] and sure[b] else 1
            cv2.line(picture, start, end, _side(skeleton, a, b), weight, cv2.LINE_AA)
    for joint, place in enumerate(places):
        if place:
            _draw_joint(picture, place, _side(skeleton, joint), thick, bool(sure[joint]))
    return picture


def _widened(picture: Picture) -> Picture:
    """A copy that has room for what is drawn on it."""
    height, width = picture.shape[:2]
    if width >= NARROWEST:
        return picture.copy()
    size = (NARROWEST, round(height * NARROWEST / width))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def pixels(points: npt.NDArray[Any], width: int, height: int) -> list[Pixel | None]:
    """Where the joints lie in a picture, in pixels; None for those that were not found."""
    scaled = np.asarray(points, np.float64)[:, :2] * (width, height)
    limits = np.array((width, height), np.float64) * _FAR
    kept = np.clip(scaled, -limits, limits)
    return [(round(x), round(y)) if math.isfinite(x + y) else None for x, y in kept.tolist()]


def _side(skeleton: Skeleton, *joints: int) -> Colour:
    """The colour of a side, of the middle where the joints do not agree."""
    names = [skeleton.joints[joint].split() for joint in joints]
    for word, colour in (("left", LEFT), ("right", RIGHT)):
        if all(word in name for name in names):
            return colour
    return MIDDLE


def _draw_joint(picture: Picture, place: Pixel, colour: Colour, thick: int, sure: bool) -> None:
    cv2.circle(picture, place, thick + 2, DARK, cv2.FILLED, cv2.LINE_AA)  # a rim, for bright walls
    cv2.circle(picture, place, thick + 1, colour, cv2.FILLED if sure else 1, cv2.LINE_AA)


# -- the panel ------------------------------------------------------------------------------------


def draw_whole(
    person: Picture,
    reading: Reading,
    history: Sequence[tuple[float, float]],
    simulated: bool,
) -> Picture:
    """The picture of the person with a panel below it, for a file or a window.

    Args:
        person: as `draw_person` returns it.
        reading: of this frame.
        history: times in seconds and the index at each.
        simulated: whether the model was trained on simulated data; the panel then says so.

    Returns:
        A picture of even height and width, as video codecs want it.
    """
    wide = _even(person)
    return np.vstack([wide, draw_panel(wide.shape[1], reading, history, simulated)])


def _even(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)))


def draw_panel(
    width: int, reading: Reading, history: Sequence[tuple[float, float]], simulated: bool
) -> Picture:
    """Index, flag, chart, frame rate, and what the index is not; `width` pixels wide, even."""
    unit = max(width / 1280, SMALLEST)
    picture: Picture = np.full((2 * round(104 * unit + 12), width, 3), DARK, np.uint8)
    foot = round(44 * unit + 20)
    _draw_value(picture, reading, unit)
    left, top = round(width * 0.3), round(16 * unit)
    chart = picture[top : picture.shape[0] - foot, left : width - round(20 * unit)]
    _draw_chart(chart, reading.time_s, history, unit)
    _draw_foot(picture, reading, simulated, unit)
    return picture


def _draw_value(picture: Picture, reading: Reading, unit: float) -> None:
    colour = RED if reading.flag else WHITE
    left = round(20 * unit)
    _write(picture, "spinal health index", (left, round(34 * unit)), 0.62 * unit, GREY)
    _write(picture, in_words(reading.value), (left, round(98 * unit)), 1.9 * unit, colour, 2)
    if reading.flag:
        _draw_flag(picture, (left, round(120 * unit)), unit)
        place = (left + round(30 * unit), round(140 * unit))
        _write(picture, f"RED FLAG: above {RED_FLAG:g}", place, 0.68 * unit, RED, 2)
    else:
        _write(picture, _state(reading), (left, round(140 * unit)), 0.62 * unit, GREY)
    note = basis(reading) if reading.seen else "no person in view"
    _write(picture, note, (left, round(168 * unit)), 0.5 * unit, GREY)


def _state(reading: Reading) -> str:
    return "no red flag" if math.isfinite(reading.value) else "no index yet"


def _draw_flag(picture: Picture, place: Pixel, unit: float) -> None:
    """A pole and a triangle: the colour alone would not reach everybody."""
    x, y = place
    side = round(20 * unit)
    cv2.line(picture, (x, y), (x, y + round(1.3 * side)), RED, 2)
    triangle = np.array([(x, y), (x + side, y + side // 2), (x, y + side)], np.int32)
    cv2.fillPoly(picture, [triangle], RED, cv2.LINE_AA)


def _draw_chart(
    chart: Picture, now_s: float, history: Sequence[tuple[float, float]], unit: float
) -> None:
    """The last minute: time to the right, the index upwards; red where it is above 0.5."""
    height, width = chart.shape[:2]
    for level in (0.0, RED_FLAG, 1.0):
        y = round((1 - level) * (height - 1))
        colour = RED if level == RED_FLAG else GREY
        cv2.line(chart, (round(34 * unit), y), (width, y), colour, 1)
        baseline = min(max(y + round(6 * unit), round(14 * unit)), height - 2)
        _write(chart, f"{level:g}", (0, baseline), 0.5 * unit, colour)
    start = max(0.0, now_s - CHART_S)
    left = 34 * unit
    scale = (width - 1 - left) / CHART_S
    for piece in pieces(history):
        points = [(left + (t - start) * scale, (1 - value) * (height - 1)) for t, value in piece]
        high = any(value > RED_FLAG for _, value in piece)
        line = np.array(points, np.float64).round().astype(np.int32)
        cv2.polylines(chart, [line], False, RED if high else CALM, 2, cv2.LINE_AA)


def pieces(history: Iterable[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """Cut a line where it has gaps (NaN) and where it crosses the threshold.

    Both sides of a crossing get the point on the threshold, so that neither hole nor wrong colour
    shows.
    """
    piece: list[tuple[float, float]] = []
    for time_s, value in history:
        if math.isnan(value):
            if piece:
                yield piece
            piece = []
            continue
        if piece and (piece[-1][1] > RED_FLAG) != (value > RED_FLAG):
            crossing = _crossing(piece[-1], (time_s, value))
            yield [*piece, crossing]
            piece = [crossing]
        piece.append((time_s, value))
    if piece:
        yield piece


def _crossing(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    share = (RED_FLAG - a[1]) / (b[1] - a[1])
    return a[0] + share * (b[0] - a[0]), RED_FLAG


def _draw_foot(picture: Picture, reading: Reading, simulated: bool, unit: float) -> None:
    height, width = picture.shape[:2]
    left, size = round(20 * unit), 0.5 * unit
    rows = (height - round(26 * unit) - 4, height - round(8 * unit) - 2)
    _write(picture, NOTICE, (left, rows[1]), size, WHITE)
    if simulated:
        _write(picture, SIMULATED, (left, rows[0]), size, AMBER, 2 if unit >= 1 else 1)
    if math.isfinite(reading.fps):
        rate = f"{reading.fps:.1f} frames/s   {reading.time_s:.1f} s"
        (length, _), _ = cv2.getTextSize(rate, _FONT, size, 1)
        _write(picture, rate, (width - left - length, rows[1]), size, GREY)


def _write(
    picture: Picture, text: str, place: Pixel, size: float, colour: Colour, thickness: int = 1
) -> None:
    cv2.putText(picture, text, place, _FONT, size, colour, thickness, cv2.LINE_AA)
