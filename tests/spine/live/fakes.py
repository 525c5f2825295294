"""A camera, a person and a model of a few lines each, and a session that runs in its own process.

`LiveProcess` starts one that leaves with the session's exit code.
"""

from __future__ import annotations

import json
import logging
import math
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vitruvian.core.live import LiveOptions
from vitruvian.spine.live.session import run

ROOT = Path(__file__).resolve().parents[3]
SIZE = (320, 180)
COMMAND = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.spine.live.fakes import main
main()
"""

# A person who stands and faces the camera: x and y of the 33 joints, as shares of the frame.
STANDING = np.array(
    [
        *((0.50, 0.15), (0.51, 0.13), (0.515, 0.13), (0.52, 0.13), (0.49, 0.13), (0.485, 0.13)),
        *((0.48, 0.13), (0.53, 0.14), (0.47, 0.14), (0.51, 0.17), (0.49, 0.17), (0.56, 0.28)),
        *((0.44, 0.28), (0.60, 0.40), (0.40, 0.40), (0.62, 0.52), (0.38, 0.52), (0.625, 0.55)),
        *((0.375, 0.55), (0.62, 0.56), (0.38, 0.56), (0.61, 0.55), (0.39, 0.55), (0.54, 0.55)),
        *((0.46, 0.55), (0.55, 0.74), (0.45, 0.74), (0.55, 0.92), (0.45, 0.92), (0.54, 0.94)),
        *((0.46, 0.94), (0.57, 0.96), (0.43, 0.96)),
    ]
)


@dataclass(frozen=True)
class FakeFrame:
    """An image and its time."""

    index: int
    time_s: float
    image: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class FakePose:
    """Joints of a person."""

    points: npt.NDArray[np.float32]
    visibility: npt.NDArray[np.float32]
    world: npt.NDArray[np.float32]


@dataclass
class Camera:
    """Delivers a grey room with one person, who sways.

    Attributes:
        frames: how many there are.
        fps: of the clock of the video.
        pause_s: time between two frames; 0: as fast as they are taken.
        nobody: numbers of the frames without a person.
        broken: what the camera says at its end.
        hangs: whether it waits for ever after the last frame.
        size: of the images.
        open: whether it is in use.
    """

    frames: int = 10**9
    fps: float = 30.0
    pause_s: float = 0.0
    nobody: Sequence[int] = ()
    broken: str | None = None
    hangs: bool = False
    size: tuple[int, int] = SIZE
    open: bool = field(default=False, init=False)

    def stream(self) -> Iterator[tuple[FakeFrame, FakePose | None]]:
        """The frames with their poses."""
        self.open = True
        try:
            for index in range(self.frames):
                time.sleep(self.pause_s)
                yield self.frame(index), self.pose(index)
            while self.hangs:
                threading.Event().wait()
        finally:
            self.open = False

    def frame(self, index: int) -> FakeFrame:
        """The room, a little brighter from frame to frame."""
        width, height = self.size
        image = np.full((height, width, 3), 60 + index % 64, np.uint8)
        return FakeFrame(index, index / self.fps, image)

    def pose(self, index: int) -> FakePose | None:
        """The person."""
        if index in self.nobody:
            return None
        sway = 0.05 * math.sin(index / 20)
        points = np.zeros((33, 3), np.float32)
        points[:, :2] = STANDING + (sway, 0.0) * (1 - STANDING[:, 1:])
        visibility = np.full(33, 0.9, np.float32)
        visibility[15:23] = 0.3  # the hands are hidden
        return FakePose(points, visibility, points + 100)


@dataclass(frozen=True)
class Point:
    """The index at one moment."""

    time_s: float
    value: float


class FakeIndex:
    """An index that follows a given law of time; it settles `late` frames after the frame.

    Args:
        law: name of one of LAWS.
        late: how many frames it waits for.
        window: frames of a window.
    """

    def __init__(self, law: str = "wave", late: int = 2, window: int = 30) -> None:
        self._law, self._late, self._window = LAWS[law], late, window
        self._waiting: list[float] = []
        self.known: list[float] = []
        self.nobody = 0
        self.highest = -math.inf

    @property
    def value(self) -> float:
        """The newest."""
        return self.known[-1] if self.known else math.nan

    @property
    def index(self) -> float:
        """The mean so far."""
        return float(np.mean(self.known)) if self.known else math.nan

    @property
    def windows(self) -> list[float]:
        """The full ones."""
        return self.known[:: self._window][1:]

    def push(self, time_s: float, points: Any, visibility: Any) -> list[Point]:
        """Take a frame."""
        assert points.shape == (33, 3)
        assert visibility.shape == (33,)
        self.highest = max(self.highest, float(np.nanmax(points, initial=-math.inf)))
        self.nobody += bool(np.isnan(points).all() and np.isnan(visibility).all())
        self._waiting.append(time_s)
        return [self._settle()] if len(self._waiting) > self._late else []

    def finish(self) -> list[Point]:
        """Settle what waits."""
        return [self._settle() for _ in range(len(self._waiting))]

    def _settle(self) -> Point:
        time_s = self._waiting.pop(0)
        self.known.append(self._law(time_s))
        return Point(time_s, self.known[-1])


LAWS = {
    "wave": lambda time_s: 0.5 + 0.35 * math.sin(time_s / 2),
    "high": lambda _: 0.8,
    "low": lambda _: 0.2,
    "beyond": lambda _: 1.7,
    "unknown": lambda _: math.nan,
}


# -- a session in a process -----------------------------------------------------------------------


class LiveProcess:
    """A session in a process of its own, as a user's would be; ended at the end of the block.

    Args:
        folder: where it works.
        options: of `LiveOptions`; without a port the page has any free one.
        camera: of `Camera`.
        law: of the index.
        simulated: whether the model was trained on simulated data.
    """

    def __init__(
        self,
        folder: Path,
        options: dict[str, Any] | None = None,
        camera: dict[str, Any] | None = None,
        law: str = "wave",
        simulated: bool = False,
    ) -> None:
        asked = {
            "options": {"source": "0", "port": 0, **(options or {})},
            "camera": {"pause_s": 0.02, **(camera or {})},
            "law": law,
            "simulated": simulated,
        }
        self._said: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, json.dumps(asked)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> LiveProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def said(self, pattern: str) -> re.Match[str]:
        """Read what it says until a line matches."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"it never said {pattern}: {''.join(self._said)}")

    def page(self) -> tuple[int, str]:
        """Port and key of the page."""
        found = self.said(r"page: http://127\.0\.0\.1:(\d+)/\?key=(\S+)")
        return int(found[1]), found[2]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def ended(self) -> tuple[int, str]:
        """Wait for the end: the exit code, and the line it ended with."""
        out, err = self._process.communicate(timeout=30)
        assert "Traceback" not in err, err
        return self._process.returncode, out


def main() -> None:
    """Hold the session that the argument describes."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asked = json.loads(sys.argv[1])
    options = asked["options"]
    if "video" in options:
        options["video"] = Path(options["video"])
    camera = Camera(**asked["camera"])
    outcome = run(
        camera.stream(),
        FakeIndex(asked["law"]),
        LiveOptions(**options),
        asked["simulated"],
        broken=lambda: camera.broken,
    )
    print(outcome.line)
    assert not camera.open
    left = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    assert not left, left
    sys.exit(outcome.code)
