"""One frame as the outputs of a session see it; pictures are drawn when first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy.typing as npt

from vitruvian.spine.live.drawing import Picture, draw_person, draw_whole
from vitruvian.spine.live.readings import History, Reading
from vitruvian.spine.skeletons import BLAZEPOSE, Skeleton


class Frame(Protocol):
    """An image of a video."""

    @property
    def time_s(self) -> float:
        """Seconds since the first frame."""

    @property
    def image(self) -> Picture:
        """Pixels, (h, w, 3) BGR."""


class Pose(Protocol):
    """The joints of the person in a frame."""

    @property
    def points(self) -> npt.NDArray[Any]:
        """Of each joint, (J, D): x and y as shares of width and height."""

    @property
    def world(self) -> npt.NDArray[Any]:
        """Of each joint, (J, 3): metres around the middle of the hips."""

    @property
    def visibility(self) -> npt.NDArray[Any]:
        """Of each joint, (J,), 0 to 1."""


@dataclass(frozen=True)
class Style:
    """How a session is drawn.

    Attributes:
        skeleton: of the joints.
        image: whether the person is shown, or only what was found.
        simulated: whether the model was trained on simulated data, which is then said.
    """

    skeleton: Skeleton = BLAZEPOSE
    image: bool = True
    simulated: bool = False


class View:
    """A frame, its pose and what is known after it.

    Args:
        frame: the image.
        pose: joints of the person; None if there is nobody.
        reading: index and frame rate.
        history: the index until now.
        style: of the drawing.
    """

    def __init__(
        self, frame: Frame, pose: Pose | None, reading: Reading, history: History, style: Style
    ) -> None:
        self.reading, self.history = reading, history
        self._frame, self._pose, self._style = frame, pose, style

    @cached_property
    def person(self) -> Picture:
        """The person with the joints."""
        points, visibility = (
            (self._pose.points, self._pose.visibility) if self._pose else (None, None)
        )
        style = self._style
        return draw_person(self._frame.image, points, visibility, style.skeleton, style.image)

    @cached_property
    def whole(self) -> Picture:
        """The person, and the panel with the index over time."""
        points, _ = self.history.after(0)
        return draw_whole(self.person, self.reading, points, self._style.simulated)


class Output(Protocol):
    """Whoever shows or keeps the views of a session."""

    def show(self, view: View) -> None:
        """Take the next view."""
