"""What is known after each frame: the index, its flag, the frame rate, and the last minute."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from vitruvian.spine.data.cases import RED_FLAG

NOTICE = "screening index trained on self-report, not a diagnosis"
SIMULATED = "model trained on SIMULATED data"

CHART_S = 60.0  # length of the chart
_SPACING_S = 1 / 15  # the chart is a few hundred pixels wide: more points would not show
_RATE_FRAMES = 30


class IndexPoint(Protocol):
    """The index at one moment."""

    @property
    def time_s(self) -> float:
        """Seconds since the first frame."""

    @property
    def value(self) -> float:
        """The index; NaN where there is none."""


@dataclass(frozen=True)
class Reading:
    """What is known after a frame.

    Attributes:
        frame: how many frames there have been.
        time_s: of this one, since the first.
        fps: frames per second that are being processed; NaN for the first one.
        value: the index now, 0 (best) to 1 (worst); NaN before there is one.
        mean: the index of the stream so far, which is what a prediction of the clip says.
        windows: how many windows the mean is of; none while the first one is filling.
        seen: whether a person was found in the frame.
    """

    frame: int
    time_s: float
    fps: float
    value: float
    mean: float
    windows: int
    seen: bool

    @property
    def flag(self) -> bool:
        """Whether the index raises the red flag."""
        return self.value > RED_FLAG


def shown(value: float | None) -> float:
    """The index as it is reported: within 0 and 1 (nets are trained without a limit), or NaN."""
    return math.nan if value is None or math.isnan(value) else min(max(float(value), 0.0), 1.0)


def basis(reading: Reading) -> str:
    """What the index of the stream rests on, in words."""
    if reading.windows == 0:
        return "first window is filling"
    plural = "" if reading.windows == 1 else "s"
    return f"mean of {reading.windows} window{plural}: {in_words(reading.mean)}"


def in_words(value: float) -> str:
    """The index with two digits, or a dash."""
    return "-" if math.isnan(value) else f"{value:.2f}"


class History:
    """The index over the last minute; written by one thread, read by several."""

    def __init__(self, seconds: float = CHART_S) -> None:
        self.seconds = seconds
        self._points: deque[tuple[float, float]] = deque()
        self._count = 0  # of all points ever: a reader remembers up to which it has read
        self._lock = threading.Lock()

    def add(self, points: Iterable[IndexPoint]) -> None:
        """Append newer points, and forget those older than the chart is long."""
        with self._lock:
            for point in points:
                if self._points and point.time_s - self._points[-1][0] < _SPACING_S:
                    continue
                self._points.append((float(point.time_s), shown(point.value)))
                self._count += 1
            while self._points and self._points[-1][0] - self._points[0][0] > self.seconds:
                self._points.popleft()

    def after(self, count: int = 0) -> tuple[list[tuple[float, float]], int]:
        """The points since `count`, as (time in seconds, index), and the count to ask for next."""
        with self._lock:
            known = max(0, len(self._points) - (self._count - count))
            return list(islice(self._points, known, None)), self._count


class Rate:
    """Frames per second, over the last frames."""

    def __init__(self) -> None:
        self._moments: deque[float] = deque(maxlen=_RATE_FRAMES)

    def tick(self, now: float) -> float:
        """Count a frame at the time `now` in seconds; NaN for the first one."""
        self._moments.append(now)
        elapsed = now - self._moments[0]
        return (len(self._moments) - 1) / elapsed if elapsed > 0 else math.nan
