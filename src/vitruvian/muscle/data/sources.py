"""Where recordings come from: folders of one's own, a public set, or the simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from vitruvian.core.errors import DataError
from vitruvian.muscle.adapters.dltrack import is_dltrack
from vitruvian.muscle.adapters.tecchio import read_tecchio
from vitruvian.muscle.adapters.timtrack import is_timtrack, read_timtrack
from vitruvian.muscle.recording import Recording
from vitruvian.muscle.recordings.finding import named_recordings
from vitruvian.muscle.recordings.opening import open_recording

Layout = Literal["auto", "recordings", "timtrack", "tecchio"]
Opener = tuple[str, Callable[[], Recording]]  # a name, and what opens the recording or raises


def openers(root: Path, layout: Layout = "auto") -> Iterator[Opener]:
    """Find the recordings of a data root; each is opened by itself, so that one may be broken.

    Raises:
        DataError: the root does not exist, holds no recording, or two of one name.
    """
    if not root.is_dir():
        raise DataError(f"datamodule.root: {root} is no folder")
    found = _guessed(root) if layout == "auto" else layout
    if found == "recordings":
        for name, folder in named_recordings(root).items():
            yield name, partial(open_recording, folder, name)
        return
    for recording in {"timtrack": read_timtrack, "tecchio": read_tecchio}[found](root):
        yield recording.name, partial(_as_it_is, recording)


def _as_it_is(recording: Recording) -> Recording:
    return recording


def _guessed(root: Path) -> str:
    if is_dltrack(root):
        raise DataError(
            f"datamodule.root: {root} holds masks of aponeuroses, no signals; see docs/muscle.md "
            "for the region of interest on them"
        )
    if is_timtrack(root):
        return "timtrack"
    return "tecchio" if (root / "Raw_Data" / "US_Data").is_dir() else "recordings"
