"""The terminal: a line that follows, q and Enter, and no touch on what is not ours."""

from __future__ import annotations

import fcntl
import io
import json
import math
import os
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.spine.live.fakes import COMMAND, Camera
from vitruvian.spine.live.readings import History, Reading
from vitruvian.spine.live.terminal import Terminal, is_ours, status, typed
from vitruvian.spine.live.views import Style, View


@pytest.mark.parametrize(
    ("reading", "line"),
    [
        (
            Reading(9, 4.25, 29.7, 0.31, 0.3, 1, True),
            "    4.2 s  29.7 frames/s  index 0.31  (q: end)",
        ),
        (
            Reading(9, 4.25, 29.7, 0.8, 0.3, 1, True),
            "    4.2 s  29.7 frames/s  index 0.80  RED FLAG  (q: end)",
        ),
        (
            Reading(1, 0.0, math.nan, math.nan, math.nan, 0, False),
            "    0.0 s  index -  no person in view  (q: end)",
        ),
    ],
)
def test_reading_in_one_line(reading: Reading, line: str) -> None:
    assert status(reading) == line


def test_says_nothing_into_a_file() -> None:
    screen, camera = io.StringIO(), Camera()
    reading = Reading(1, 0.0, 30.0, 0.8, 0.8, 1, True)
    read, write = os.pipe()
    stops: list[bool] = []
    os.write(write, b"q\n")
    with Terminal(lambda: stops.append(True), screen, read) as terminal:
        terminal.show(View(camera.frame(0), None, reading, History(), Style()))
    assert screen.getvalue() == ""
    assert stops == [], "a pipe belongs to somebody else"
    assert os.read(read, 9) == b"q\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_typed_does_not_wait(pipe: tuple[int, int]) -> None:
    assert typed(pipe[0]) == ""
    os.write(pipe[1], b"quite\nq\n")
    assert typed(pipe[0]).split() == ["quite", "q"]


def test_what_is_no_terminal_is_not_ours(pipe: tuple[int, int]) -> None:
    assert not is_ours(pipe[0])
    assert not is_ours(10**6)


@pytest.mark.parametrize("keys", ["q\n", "Q\n", "what\nq\n"])
def test_q_and_enter_end_a_session(keys: str, tmp_path: Path) -> None:
    """A session on a terminal of its own, as a user has one."""
    user, terminal = os.openpty()
    asked = {
        "options": {"source": "0", "page": False, "video": "out.mp4"},
        "camera": {"pause_s": 0.02},
        "law": "high",
        "simulated": False,
    }
    live = subprocess.Popen(
        [sys.executable, "-c", COMMAND, json.dumps(asked)],
        cwd=tmp_path,
        stdin=terminal,
        stderr=terminal,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(terminal)
    seen = ""
    while "RED FLAG" not in seen:
        seen += os.read(user, 4096).decode()
    os.write(user, keys.encode())
    out, _ = live.communicate(timeout=30)
    os.close(user)
    assert live.returncode == 0
    assert out.startswith("stopped by q: ")
    assert "index 0.80  RED FLAG  (q: end)" in seen
