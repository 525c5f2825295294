"""An extraction without videos or pose nets: what a file says becomes of it.

A "video" is a text of words: `seed 7` gives that clip's landmarks, `slow 0.5` takes its time,
`bad`, `defect`, `broken` and `kill` go wrong in their ways, `wait` does not end before a file `go`
lies beside it. Each call is noted in `calls.txt` beside the video.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.spine.fake_clips import IDENTITY, fake_landmarks
from vitruvian.core.errors import DataError
from vitruvian.spine.extract.folder import ExtractFolder
from vitruvian.spine.pose.extraction import Extraction


class FakePose:
    """Stands for a pose net with an identity."""

    def __init__(self, variant: str = "lite") -> None:
        self.variant = variant

    def identity(self) -> dict[str, Any]:
        return {**IDENTITY, "variant": self.variant}


def fake_extract(path: Path, pose: FakePose, progress: Any) -> Extraction:
    """Do what the file says."""
    note(path)
    words = path.read_text(encoding="utf-8").split()
    orders = dict(zip(words, [*words[1:], ""], strict=True))
    time.sleep(float(orders.get("slow", 0)))
    while "wait" in orders and not (path.parent / "go").exists():
        time.sleep(0.02)
    progress(6, 12)
    if "bad" in orders:
        raise DataError(f"{path}: no person found")
    if "defect" in orders:
        raise ZeroDivisionError("division by zero")
    if "kill" in orders:
        os.kill(os.getpid(), signal.SIGKILL)
    broken = "broke off after 12 frames" if "broken" in orders else None
    return Extraction(fake_landmarks(int(orders["seed"])), broken, pose.identity())


def note(path: Path) -> None:
    with (path.parent / "calls.txt").open("a", encoding="utf-8") as stream:
        stream.write(f"{path.name}\n")


def calls(folder: Path) -> list[str]:
    """Names of the videos that were extracted, each as often as it was, sorted."""
    path = folder / "calls.txt"
    return sorted(path.read_text(encoding="utf-8").split()) if path.exists() else []


def fake_videos(folder: Path, orders: Iterable[str], first: int = 0) -> list[str]:
    """Write videos `c00.mp4` and so on, with their numbers as seeds; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number, order in enumerate(orders, first):
        names.append(f"c{number:02d}.mp4")
        (folder / names[-1]).write_text(f"seed {number} {order}", encoding="utf-8")
    return names


class FakeFolder(ExtractFolder):
    """`ExtractFolder` with the fake extraction."""

    extract = staticmethod(fake_extract)
