"""Finding the recordings below a folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

from vitruvian.core.errors import DataError
from vitruvian.muscle.recordings.description import FILE_NAME


def find_recordings(root: Path) -> list[Path]:
    """All folders at and below `root` that hold a `recording.yaml`.

    Hidden folders are left out: a recording that is being written is in one.

    Returns:
        Their paths in natural order: `P2` before `P10`.

    Raises:
        DataError: there are none; says what was looked for.
    """
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder of recordings")
    found = []
    for place, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place)] if FILE_NAME in files else []
    if not found:
        raise DataError(
            f"{root}: no {FILE_NAME} in it or in a folder below it; a recording is such a folder"
        )
    return sorted(found, key=natural_order)


def named_recordings(root: Path) -> dict[str, Path]:
    """The recordings of `find_recordings`, in its order, by `recording_name`.

    Raises:
        DataError: there are none, or two would have one name; names both folders.
    """
    named: dict[str, Path] = {}
    for folder in find_recordings(root):
        name = recording_name(root, folder)
        if name in named:
            raise DataError(
                f"{named[name]} and {folder}: both recordings would be called {name}; rename one"
            )
        named[name] = folder
    return named


def recording_name(root: Path, folder: Path) -> str:
    """What the recording in `folder` at or below `root` is called: `P01_passive` of P01/passive."""
    return "_".join(folder.relative_to(root).parts) or root.resolve().name


def natural_order(path: Path) -> list[list[tuple[int, str]]]:
    """A key that sorts numbers in names by their value, in each part of a path."""
    return [
        [(int(piece), piece) if piece.isdigit() else (-1, piece) for piece in pieces]
        for pieces in (re.split(r"([0-9]+)", part.lower()) for part in path.parts)
    ]
