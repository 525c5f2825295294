"""`tracker.json`: which loggers a run has, and where each tracker keeps its record of the run.

    {"csv": {"_target_": "vitruvian.core.history.History"},
     "mlflow": {"_target_": "...", "id": "0f3c...", "place": "sqlite:////data/outputs/mlflow/..."}}

Runs of earlier versions have `{"csv": "vitruvian.core.history.History"}`; they are read, too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from vitruvian.core.files import write_json
from vitruvian.core.rundir import RunDirectory


@dataclass(frozen=True)
class Entry:
    """Where a tracker keeps its record.

    Attributes:
        id: of the record; None: there is none yet.
        place: a path in the run directory, a file or the address of a server.
    """

    id: str | None = None
    place: str | None = None


def read_entries(run: RunDirectory) -> dict[str, Entry]:
    """The records that earlier starts of a run have left, by role; none where nothing can be read.

    A damaged file is no reason not to train: new records are begun.
    """
    return {
        role: Entry(*(_text(found.get(key)) for key in ("id", "place")))
        for role, found in _content(run).items()
        if isinstance(found, dict)
    }


def note_entry(run: RunDirectory, role: str, logger: Any, entry: Entry) -> None:
    """Write down one logger's entry beside the others; nothing is written if it stands there."""
    content = _content(run)
    found = {key: value for key, value in asdict(entry).items() if value is not None}
    noted = {"_target_": f"{type(logger).__module__}.{type(logger).__qualname__}", **found}
    if content.get(role) != noted:
        write_json(run.tracker_file, {**content, role: noted})


def _content(run: RunDirectory) -> dict[str, Any]:
    try:
        content = json.loads(run.tracker_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
