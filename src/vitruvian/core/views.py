"""Which files of an evaluation folder are evaluations, and which are further tables of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MARKS = ("overridden", "leaky", "simulated")  # in names of evaluations of their own

Notes = Mapping[str, Any]


def mains(folder: Path) -> list[str]:
    """Names of the evaluations of a folder, without their further tables."""
    notes, _ = read_notes(folder)
    return [name for name in notes if main_of(name, notes) is None]


def tables_of(folder: Path, name: str) -> list[str]:
    """An evaluation and its further tables, by the names of their files."""
    notes, _ = read_notes(folder)
    return [name, *(other for other in notes if main_of(other, notes) == name)]


def read_notes(folder: Path) -> tuple[dict[str, Notes], list[str]]:
    """What each evaluation's JSON says, by its name, and the files that are damaged."""
    found: dict[str, Notes] = {}
    damaged = []
    for file in sorted(folder.glob("*.json")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            damaged.append(file.name)
            continue
        if isinstance(content, dict) and "groups" in content:
            found[file.stem] = content
    return found, damaged


def main_of(name: str, notes: Mapping[str, Notes]) -> str | None:
    """The evaluation that `name` is a further table of; None if it is one itself."""
    view = notes[name].get("view")
    if view is not None:
        return name.removesuffix(f"_{view}") if view else None
    alike = (other for other in sorted(notes, key=len) if _continues(name, other, notes))
    return next(alike, None)


def _continues(name: str, other: str, notes: Mapping[str, Notes]) -> bool:
    """Whether a file of an earlier version, which does not say it, is a table of another."""
    rest = name.removeprefix(f"{other}_")
    same = all(notes[name].get(key) == notes[other].get(key) for key in ("split", "changed"))
    return rest != name and not rest.startswith(_MARKS) and same
