"""Programs that extract a folder with the fake extraction, to be stopped and killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import vitruvian
from vitruvian.spine.database.database import LandmarkDatabase
from vitruvian.spine.landmarks import Clip

ROOT = Path(vitruvian.__file__).parents[2]

PROGRAM = """
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(message)s")
from tests.spine.fake_extraction import FakeFolder, FakePose
sys.exit(FakeFolder(sys.argv[1], FakePose(), sys.argv[2], workers=2).run())
"""


def start(db: LandmarkDatabase, folder: Path, **keys: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(db), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src{os.pathsep}{ROOT}"},
        text=True,
        start_new_session=True,
        **keys,
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.02)


def content(db: LandmarkDatabase) -> dict[str, Clip]:
    """All clips of a database by name."""
    return {clip.name: clip for clip in db.read_all()}
