"""The newest frame for whoever looks: browsers come and go, the session never waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from vitruvian.spine.live.drawing import Picture
from vitruvian.spine.live.readings import History, Reading
from vitruvian.spine.live.views import View

_WATCHED_S = 2.0  # after the last request: a browser asks again as soon as it has drawn
_QUALITY = 80  # of the JPEG: thin bones stay clean, 1280 x 720 takes about 0.1 MB


class Broadcast:
    """Holds one picture and one reading, always the newest; what nobody fetched is gone.

    Nothing is drawn or encoded unless somebody looks, and one encoding serves all who do.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.final: str | None = None  # the last word, once the session has ended
        self._news = threading.Condition()
        self._reading: Reading | None = None
        self._picture: Picture | None = None
        self._pictured = -1  # number of the frame in the picture
        self._encoding = threading.Lock()
        self._jpeg = (-1, b"")
        self._asked_at = -_WATCHED_S
        self._asking = 0  # requests that wait for a picture
        self._listeners = 0

    # -- the session's side -------------------------------------------------------------------

    def show(self, view: View) -> None:
        """Publish a frame."""
        picture = view.person if self.watched else None
        with self._news:
            self._reading = view.reading
            if picture is not None:
                self._picture, self._pictured = picture, view.reading.frame
            self._news.notify_all()

    def finish(self, final: str) -> None:
        """Say the last word; whoever waits hears it."""
        with self._news:
            self.final = self.final or final
            self._news.notify_all()

    @property
    def watched(self) -> bool:
        """Whether somebody looks at the pictures."""
        return self._asking > 0 or time.monotonic() - self._asked_at < _WATCHED_S

    def wait_for_listener(self) -> bool:
        """Wait until a page is open."""
        with self._news:
            return self._news.wait_for(lambda: self._listeners > 0)

    def wait_for_silence(self, seconds: float) -> None:
        """Wait until every page has heard the last word, or this long."""
        with self._news:
            self._news.wait_for(lambda: self._listeners == 0, seconds)

    # -- the browsers' side -------------------------------------------------------------------

    @contextmanager
    def listening(self) -> Iterator[None]:
        """A page is open within the block."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._news:
            self._listeners += change
            self._news.notify_all()

    def reading(self, after: int, seconds: float) -> Reading | None:
        """The newest reading of a frame later than `after`; None if none comes in time."""
        with self._news:
            self._news.wait_for(lambda: self._newer(after) or self.final is not None, seconds)
            return self._reading if self._newer(after) else None

    def _newer(self, after: int) -> bool:
        return self._reading is not None and self._reading.frame > after

    def jpeg(self, after: int, seconds: float) -> tuple[int, bytes] | None:
        """The newest picture later than frame `after`, and its number; None if none comes in time.

        Asking is what makes the session draw.
        """
        with self._news:
            self._asking += 1
            try:
                self._news.wait_for(lambda: self._pictured > after or self.final, seconds)
            finally:
                self._asking -= 1
                self._asked_at = time.monotonic()
            number, picture = self._pictured, self._picture
        if picture is None or number <= after:
            return None
        return number, self._encoded(number, picture)

    def _encoded(self, number: int, picture: Picture) -> bytes:
        with self._encoding:
            if self._jpeg[0] != number:
                _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
                self._jpeg = (number, data.tobytes())
            return self._jpeg[1]
