"""Small videos of simulated clips, so that the way from a video to landmarks can be walked.

A clothed figure with shaded limbs and a face is drawn over the landmarks of each frame, far parts
first, on a plain background that says SIMULATED.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import RunError
from vitruvian.core.files import atomic
from vitruvian.spine.landmarks import Clip, Landmarks
from vitruvian.spine.skeletons import BLAZEPOSE

Image = npt.NDArray[np.uint8]
Point = npt.NDArray[np.float64]  # (x, y) pixels, z towards the viewer is less
Colour = tuple[int, int, int]  # blue, green, red

_SKIN, _HAIR, _SHIRT = (120, 155, 205), (30, 38, 48), (120, 70, 45)
_TROUSERS, _SHOES, _LIPS = (70, 66, 72), (45, 45, 50), (80, 85, 165)
_WALL, _FLOOR = (205, 208, 210), (150, 160, 168)
_FINE = 3  # drawn so many times larger, then averaged down
_SHIFT = 4  # binary places of a pixel that OpenCV takes


@dataclass(frozen=True)
class _Limb:
    """A tapering limb between two joints of one side; radii in metres."""

    start: str
    end: str
    radii: tuple[float, float]
    colour: Colour


_LIMBS = (
    _Limb("hip", "knee", (0.085, 0.060), _TROUSERS),
    _Limb("knee", "ankle", (0.058, 0.040), _TROUSERS),
    _Limb("heel", "foot index", (0.040, 0.032), _SHOES),
    _Limb("shoulder", "elbow", (0.056, 0.046), _SHIRT),
    _Limb("elbow", "wrist", (0.042, 0.030), _SKIN),
    _Limb("wrist", "index", (0.032, 0.026), _SKIN),
)


def render(clip: Clip, path: Path, size: tuple[int, int] = (320, 180), fps: float = 30.0) -> Path:
    """Draw a clip as an MP4 (MPEG-4 part 2).

    Args:
        clip: landmarks of `blazepose33`; frames without a pose show the empty room.
        path: of the file to write.
        size: width and height in pixels.
        fps: frames per second of the file.

    Returns:
        `path`.

    Raises:
        ValueError: other landmarks than BlazePose's, or a size below 32 pixels.
        RunError: the file cannot be written, or this OpenCV cannot encode it.
    """
    with atomic(path) as temporary:
        film = temporary.with_suffix(".mp4")  # by which OpenCV knows the container
        try:
            _encode(film, frames(clip, size), size, fps)
            film.replace(temporary)
        finally:
            film.unlink(missing_ok=True)
    return path


def frames(clip: Clip, size: tuple[int, int] = (320, 180)) -> Iterator[Image]:
    """Yield the pictures of `render`, (height, width, 3) BGR."""
    if clip.landmarks.skeleton != BLAZEPOSE.name:
        raise ValueError(f"only {BLAZEPOSE.name} can be drawn, not {clip.landmarks.skeleton}")
    if min(size) < 32:
        raise ValueError(f"size must be at least 32 pixels each way, not {size}")
    room = _room(size)
    for number in range(len(clip.landmarks)):
        picture = room.copy()
        if not np.isnan(clip.landmarks.points[number]).any():
            _Figure(picture, clip.landmarks, number).draw()
        yield _captioned(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _encode(path: Path, pictures: Iterator[Image], size: tuple[int, int], fps: float) -> None:
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, fps, size)
    if not writer.isOpened():
        raise RunError(f"cannot write {path}: this OpenCV has no MPEG-4 encoder")
    try:
        for picture in pictures:
            writer.write(picture)
    finally:
        writer.release()


def _room(size: tuple[int, int]) -> Image:
    """A wall above a floor, lit from above."""
    width, height = size[0] * _FINE, size[1] * _FINE
    rows = np.linspace(0.0, 1.0, height)[:, None]
    light = 1.04 - 0.12 * rows
    colours = np.where(rows < 0.78, np.array(_WALL), np.array(_FLOOR)) * light
    return np.repeat(colours[:, None].astype(np.uint8), width, axis=1)


def _captioned(picture: Image) -> Image:
    """The picture with the word SIMULATED in a corner."""
    scale = picture.shape[0] / 400
    place = (int(8 * scale) + 2, picture.shape[0] - int(10 * scale) - 2)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(picture, "SIMULATED", place, font, scale, (60, 60, 60), 1, cv2.LINE_AA)
    return picture


class _Figure:
    """The person of one frame."""

    def __init__(self, picture: Image, landmarks: Landmarks, number: int) -> None:
        """Place the joints in the picture."""
        height, width = picture.shape[:2]
        seen = np.asarray(landmarks.points[number], np.float64)
        shape = landmarks.size or (width, height)
        fit = min(width / shape[0], height / shape[1])
        flat = (seen[:, :2] - 0.5) * np.array(shape) * fit + np.array([width, height]) / 2
        self.picture = picture
        self.joints = np.concatenate([flat, seen[:, 2:] * shape[0] * fit], axis=1)
        self.metre = _pixels_per_metre(self.joints, landmarks, number)

    def draw(self) -> None:
        """Paint all parts, the far ones first."""
        parts: list[tuple[float, Any]] = [(self._depth("hip", "shoulder"), self._trunk)]
        parts.append((self._depth("ear") - 0.02 * self.metre, self._head))
        for side in ("left", "right"):
            for limb in _LIMBS:
                start, end = self.at(f"{side} {limb.start}"), self.at(f"{side} {limb.end}")
                place = 0.5 * (start[2] + end[2])
                parts.append((place, lambda a=start, b=end, limb=limb: self._limb(a, b, limb)))
        for _, paint in sorted(parts, key=lambda part: -part[0]):
            paint()

    def at(self, joint: str) -> Point:
        """(x, y, z) of a joint in pixels."""
        return np.asarray(self.joints[BLAZEPOSE.index(joint)])

    def _middle(self, joint: str) -> Point:
        return 0.5 * (self.at(f"left {joint}") + self.at(f"right {joint}"))

    def _depth(self, *joints: str) -> float:
        return float(np.mean([self._middle(joint)[2] for joint in joints]))

    def _limb(self, start: Point, end: Point, limb: _Limb) -> None:
        near, far = (radius * self.metre for radius in limb.radii)
        self._shaded([(start, near), (end, far)], limb.colour)

    def _trunk(self) -> None:
        """Hull of shoulders, waist and hips, and the neck above it."""
        inward, neck = 0.15, self._middle("shoulder")
        corners = []
        for joint, radius in (("shoulder", 0.065), ("hip", 0.095)):
            for side in ("left", "right"):
                corner = self.at(f"{side} {joint}")
                corners.append((corner + inward * (self._middle(joint) - corner), radius))
        self._shaded([(neck, 0.055 * self.metre), (self._skull()[0], 0.05 * self.metre)], _SKIN)
        self._shaded([(place, radius * self.metre) for place, radius in corners], _SHIRT)

    def _skull(self) -> tuple[Point, Point]:
        """Middle of the head, and its upward direction in the picture (length 1)."""
        ears, eyes, mouth = self._middle("ear"), self._middle("eye"), self._mouth()
        up = (eyes - mouth) * np.array([1.0, 1.0, 0.0])
        length = float(np.hypot(up[0], up[1]))
        up = up / length if length > 0.01 * self.metre else np.array([0.0, -1.0, 0.0])
        return ears + 0.02 * self.metre * up, up

    def _mouth(self) -> Point:
        return 0.5 * (self.at("mouth left") + self.at("mouth right"))

    def _head(self) -> None:
        """Hair, and in front of it the face, as far as it is turned here."""
        middle, up = self._skull()
        nose = self.at("nose")
        self._shaded([(middle + 0.03 * self.metre * up, 0.098 * self.metre)], _HAIR)
        if nose[2] > middle[2]:
            return
        face = middle + 0.35 * (nose - middle)
        chin, brow = face - 0.075 * self.metre * up, face + 0.02 * self.metre * up
        self._shaded([(brow, 0.078 * self.metre), (chin, 0.050 * self.metre)], _SKIN)
        for side in ("left", "right"):
            self._dot(self.at(f"{side} eye"), 0.011, _HAIR)
        self._dot(nose, 0.013, (100, 130, 180))
        self._bar(self.at("mouth left"), self.at("mouth right"), 0.016, _LIPS)

    def _shaded(self, balls: list[tuple[Point, float]], colour: Colour) -> None:
        """The hull of balls (middle, radius in pixels), lighter towards the upper left."""
        for shrink, light in ((1.0, 0.72), (0.86, 0.86), (0.68, 1.0), (0.40, 1.10)):
            outline = [_circle(place, radius, shrink) for place, radius in balls]
            hull = cv2.convexHull(np.concatenate(outline).astype(np.float32))
            tone = tuple(min(round(part * light), 255) for part in colour)
            points = np.round(hull * (1 << _SHIFT)).astype(np.int32)
            cv2.fillConvexPoly(self.picture, points, tone, cv2.LINE_AA, _SHIFT)

    def _dot(self, place: Point, radius_m: float, colour: Colour) -> None:
        outline = np.round(_circle(place, radius_m * self.metre, 1.0) * (1 << _SHIFT))
        cv2.fillConvexPoly(self.picture, outline.astype(np.int32), colour, cv2.LINE_AA, _SHIFT)

    def _bar(self, start: Point, end: Point, width_m: float, colour: Colour) -> None:
        ends = [tuple(int(part) for part in np.round(place[:2])) for place in (start, end)]
        width = max(round(width_m * self.metre), 1)
        cv2.line(self.picture, ends[0], ends[1], colour, width, cv2.LINE_AA)


_ANGLES = np.linspace(0.0, 2 * np.pi, 20, endpoint=False)
_ROUND = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], -1)


def _circle(place: Point, radius: float, shrink: float) -> npt.NDArray[np.float64]:
    """(20, 2) a circle, moved a little to the light when it is shrunk."""
    moved = place[:2] - 0.35 * (1.0 - shrink) * radius
    return np.asarray(moved + radius * shrink * _ROUND)


def _pixels_per_metre(joints: Point, landmarks: Landmarks, number: int) -> float:
    """Size of the figure, by the world landmarks or else by a trunk of 0.5 m."""
    if landmarks.world is None:
        trunk = joints[11:13].mean(0) - joints[23:25].mean(0)
        return float(np.linalg.norm(trunk)) / 0.5
    seen, known = joints[:, :2], landmarks.world[number, :, :2]
    spread = [np.linalg.norm(part - part.mean(0)) for part in (seen, known)]
    return float(spread[0] / spread[1])
