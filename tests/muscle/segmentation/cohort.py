"""A data root of recordings with masks, small enough to write in a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.muscle.segmentation.calves import recorded
from vitruvian.muscle.recording import Signal
from vitruvian.muscle.recordings.writing import write_recording

PEOPLE = ("P01", "P02", "P03")


def write_cohort(root: Path, people: Sequence[str] = PEOPLE, unmasked: Sequence[str] = ()) -> Path:
    """One recording a person, four frames each; those `unmasked` have no masks."""
    for person in people:
        recording = recorded(f"{person}_passive")
        if person in unmasked:
            recording = replace(recording, masks=None)
        angle = Signal(np.arange(4.0), 25.0, unit="deg")
        write_recording(
            root / recording.name, replace(recording, signals={"angle_deg": angle}), frames="npz"
        )
    return root
