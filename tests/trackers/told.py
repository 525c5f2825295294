"""A run as trackers are told of it, without any training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vitruvian.core.rundir import RunDirectory
from vitruvian.core.subject import Subject


def subject(folder: Path, **changed: Any) -> Subject:
    folder.mkdir(parents=True, exist_ok=True)
    given: dict[str, Any] = {
        "run": RunDirectory(folder),
        "study": "liver",
        "title": folder.name,
        "group": None,
        "axes": {},
        "parameters": {"optimizer.lr": 0.001, "seed": 0},
        "config": "seed: 0\n",
        "environment": {"commit": "abc", "packages": {"torch": "2"}},
        "simulated": True,
    }
    return Subject(**given | changed)
