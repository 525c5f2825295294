"""The recordings in a folder: videos, and folders of images that `ratings.csv` names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitruvian.core.errors import DataError
from vitruvian.core.video.video_readers import is_image
from vitruvian.spine.tables.ratings import Ratings

VIDEO_ENDINGS = (
    *(".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv"),
    *(".3gp", ".mts", ".m2ts", ".ts", ".ogv", ".mjpeg", ".mjpg"),
)


@dataclass(frozen=True)
class Recording:
    """A video, or a folder of images.

    Attributes:
        name: its path below the folder of recordings, with the ending.
        path: of it.
    """

    name: str
    path: Path


def find_recordings(source: Path, ratings: Ratings | None = None) -> list[Recording]:
    """List the recordings below a folder in the order of their names, or take the one given.

    A folder of images without any video is one recording. Hidden files are left out.

    Raises:
        DataError: there is none.
    """
    if not source.exists():
        raise DataError(f"input={source}: no such file or folder")
    if source.is_file():
        return [Recording(source.name, source)]
    files = list(_files(source))
    names = [name for name in files if name.lower().endswith(VIDEO_ENDINGS)]
    names += _image_folders(source, ratings)
    if not names and any(is_image(source / name) for name in files if "/" not in name):
        return [Recording(source.resolve().name, source)]
    if not names:
        seen = ", ".join(files[:3]) or "nothing"
        raise DataError(f"input={source}: no videos found (it holds {seen})")
    return [Recording(name, source / name) for name in sorted(set(names))]


def _image_folders(source: Path, ratings: Ratings | None) -> Sequence[str]:
    """Those that have a row: pictures lie beside videos for many reasons."""
    rows = ratings.rows if ratings else ()
    return [row.clip for row in rows if (source / row.clip).is_dir()]


def _files(root: Path) -> Iterator[str]:
    """Relative paths of all files, sorted, without hidden ones; links are followed once."""
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back up would never end
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(folder).relative_to(root)
        yield from sorted((here / name).as_posix() for name in files if not name.startswith("."))
