"""The loop of a live session: a frame, its pose, the index, and everybody who shows them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from vitruvian.core.live import LiveOptions, LiveOutcome
from vitruvian.spine.data.cases import RED_FLAG
from vitruvian.spine.live.broadcast import Broadcast
from vitruvian.spine.live.readings import (
    CHART_S,
    NOTICE,
    SIMULATED,
    History,
    IndexPoint,
    Rate,
    Reading,
    in_words,
    shown,
)
from vitruvian.spine.live.recording import Recording
from vitruvian.spine.live.server import Page
from vitruvian.spine.live.stopping import ASKED, END_OF_STREAM, LOST, Ending, Stop
from vitruvian.spine.live.terminal import Terminal
from vitruvian.spine.live.views import Frame, Output, Pose, Style, View
from vitruvian.spine.live.window import Window, distributions, too_many
from vitruvian.spine.skeletons import BLAZEPOSE, Skeleton

log = logging.getLogger(__name__)


class StreamingIndex(Protocol):
    """The index of a stream of joints; see `vitruvian.spine.head.streaming`."""

    @property
    def value(self) -> float:
        """The index now; NaN before there is one."""

    @property
    def index(self) -> float:
        """The index of the stream so far; NaN before there is one."""

    @property
    def windows(self) -> Sized:
        """The full windows so far."""

    def push(
        self, time_s: float, points: npt.NDArray[Any], visibility: npt.NDArray[Any]
    ) -> Sequence[IndexPoint]:
        """Take a frame's joints, NaN where nobody was seen; the indices that became known."""

    def finish(self) -> Sequence[IndexPoint]:
        """The indices that waited for later frames, when there are none."""


def run(
    frames: Iterator[tuple[Frame, Pose | None]],
    index: StreamingIndex,
    options: LiveOptions,
    simulated: bool = False,
    broken: Callable[[], str | None] = lambda: None,
    skeleton: Skeleton = BLAZEPOSE,
    world: bool = False,
) -> LiveOutcome:
    """Hold a session until its source ends or somebody asks for the end; in the main thread.

    Args:
        frames: images with the pose found in each; closed at the end.
        index: gets every frame's joints.
        options: where to show what.
        simulated: whether the model was trained on simulated data; everything then says so.
        broken: asked when `frames` ends: what broke, if it did not end by itself.
        skeleton: of the joints.
        world: whether the index reads world coordinates, not those of the image.

    Returns:
        What to tell the user, and the exit code: 0 after q or the end of the stream, 128 + n after
        signal n, 2 when the source was lost. What was recorded until then is kept.

    Raises:
        ConfigError: a port, a window or a file that was asked for is not to be had.
        RunError: the recording cannot be written.
    """
    if len(installed := distributions()) > 1:
        log.warning("warning: %s", too_many(installed))
    stop, style = Stop(), Style(skeleton, options.image, simulated)
    with stop.signals(), closed(frames):
        session = Session(index, style, stop, world)
        with ExitStack() as outputs:
            broadcast = session.open(options, outputs)
            if options.wait:
                log.info("waiting for a browser to open the page")
                stop.wait_for(broadcast.wait_for_listener)
            ending = session.play(frames, options.realtime, broken)
            line = session.line(ending)
            broadcast.finish(line)
    return LiveOutcome(line, ending.code)


@contextmanager
def closed(frames: Iterator[Any]) -> Iterator[None]:
    """Close a generator at the end of the block: it holds a camera."""
    try:
        yield
    finally:
        close = getattr(frames, "close", None)
        if close is not None:
            close()


class Session:
    """Counts frames, feeds the index, and hands views to the outputs.

    Args:
        index: of the stream.
        style: of the drawing.
        stop: where the end is asked for.
        world: whether the index reads world coordinates.
    """

    def __init__(self, index: StreamingIndex, style: Style, stop: Stop, world: bool) -> None:
        self._index, self._style, self._stop, self._world = index, style, stop, world
        self._history, self._rate = History(), Rate()
        self._outputs: list[Output] = []
        self._first: tuple[float, float] | None = None  # when it was taken, and its own time
        self._elapsed_s = 0.0  # from the first frame to the last
        self._last: Reading | None = None

    def open(self, options: LiveOptions, stack: ExitStack) -> Broadcast:
        """Open what the options ask for; closed with the stack.

        What may be refused comes first: nobody is told an address that is gone at once.
        """
        broadcast = Broadcast(self._history)

        def ask() -> None:
            self._stop.request(ASKED)

        if options.window:
            self._outputs.append(stack.enter_context(Window(ask)))
        if options.video is not None:
            self._outputs.append(stack.enter_context(Recording(options.video)))
        if options.page is not False:
            page = Page(broadcast, ask, self._facts(options), options.port)
            self._outputs.append(stack.enter_context(page))
        self._outputs.append(stack.enter_context(Terminal(ask)))
        return broadcast

    def _facts(self, options: LiveOptions) -> dict[str, Any]:
        return {
            "source": options.shown_source,
            "notice": NOTICE,
            "simulated": SIMULATED if self._style.simulated else None,
            "threshold": RED_FLAG,
            "chart_s": CHART_S,
        }

    # -- the loop -----------------------------------------------------------------------------

    def play(
        self,
        frames: Iterator[tuple[Frame, Pose | None]],
        realtime: bool,
        broken: Callable[[], str | None],
    ) -> Ending:
        """Show every frame; why there are no more."""
        while (found := self._stop.wait_for(lambda: next(frames, None))) is not None:
            frame, pose = found
            if realtime:
                self._stop.wait_for(partial(self._sleep_until, frame.time_s))
            self._take(frame, pose)
        if self._stop.ending is not None:
            return self._stop.ending
        lost = broken()
        return Ending(f"the source was lost: {lost}", LOST) if lost else END_OF_STREAM

    def _sleep_until(self, time_s: float) -> None:
        if self._first is not None:
            moment, first_s = self._first
            time.sleep(max(0.0, moment + (time_s - first_s) - time.perf_counter()))

    def _take(self, frame: Frame, pose: Pose | None) -> None:
        now = time.perf_counter()
        self._first = self._first or (now, frame.time_s)
        self._elapsed_s = now - self._first[0]
        self._history.add(self._pushed(frame.time_s, pose))
        self._last = self._reading(frame.time_s, self._rate.tick(now), pose is not None)
        view = View(frame, pose, self._last, self._history, self._style)
        for output in self._outputs:
            output.show(view)

    def _reading(self, time_s: float, fps: float, seen: bool) -> Reading:
        count = self._last.frame + 1 if self._last else 1
        value, mean = shown(self._index.value), shown(self._index.index)
        return Reading(count, time_s, fps, value, mean, len(self._index.windows), seen)

    def _pushed(self, time_s: float, pose: Pose | None) -> Sequence[IndexPoint]:
        if pose is not None:
            points = pose.world if self._world else pose.points
            return self._index.push(time_s, points, pose.visibility)
        nobody = np.full((len(self._style.skeleton), self._style.skeleton.dims), np.nan, np.float32)
        return self._index.push(time_s, nobody, nobody[:, 0])

    def line(self, ending: Ending) -> str:
        """How it went, in one line, with the last frames that waited for later ones."""
        if self._last is None:
            return f"{ending.reason}: no frame came"
        self._history.add(self._index.finish())
        count = self._last.frame
        rate = (count - 1) / self._elapsed_s if self._elapsed_s else 0.0
        value, mean = shown(self._index.value), shown(self._index.index)
        flag = ", RED FLAG" if mean > RED_FLAG else ""
        model = f"; {SIMULATED}" if self._style.simulated else ""
        return (
            f"{ending.reason}: {count} frames, {rate:.1f} per second, "
            f"last index {in_words(value)}, mean {in_words(mean)}{flag} ({NOTICE}{model})"
        )
