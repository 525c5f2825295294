"""Where clips come from: videos with ratings, a landmark database or table, or a public set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.spine.data.rehab_pile import read_rehab_pile
from vitruvian.spine.data.uiprmd import is_repetitions, is_scored, read_repetitions, read_scored
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.pose.blazepose import BlazePose
from vitruvian.spine.simulator.cohort import SimulatedPeople
from vitruvian.spine.skeletons import KINECT_LENGTHS

Layout = Literal["auto", "videos", "database", "table", "uiprmd", "uiprmd_scored", "rehab_pile"]

DATABASES = (".db", ".sqlite", ".sqlite3")
TABLES = (".csv", ".parquet")


@dataclass(frozen=True)
class Source:
    """Where the clips of a data module come from; see `SpineClips` for the attributes."""

    root: Path | None
    database: str | None
    layout: Layout
    dataset: str | None
    fold: int
    skeleton: str
    pose: BlazePose
    cache_dir: Path

    def __str__(self) -> str:
        return str(self.root or self.database or "the simulator")

    def clips(self, simulator: SimulatedPeople) -> Iterable[Clip]:
        """Read the clips, extracting landmarks or simulating people first where that is needed.

        Raises:
            ConfigError: keys contradict each other.
            DataError: the data are missing or ill-formed.
        """
        asked = "rehab_pile" if self.dataset is not None else self.layout
        if self.root is None and asked not in ("auto", "database" if self.database else "auto"):
            raise ConfigError(f"datamodule.root: layout={asked} needs a file or folder")
        if self.root is None and self.database is None:
            return _read_database(str(simulator.write(self.cache_dir / "simulated")))
        if self.root is None:
            return _read_database(str(self.database))
        if not self.root.exists():
            raise DataError(f"datamodule.root: {self.root} does not exist")
        return self._readers[self._found(self.root)](self.root)

    @property
    def _readers(self) -> dict[str, Callable[[Path], Iterable[Clip]]]:
        return {
            "videos": self._videos,
            "database": lambda root: _read_database(str(root)),
            "table": _read_table,
            "uiprmd": lambda root: read_repetitions(root, self.skeleton == KINECT_LENGTHS.name),
            "uiprmd_scored": read_scored,
            "rehab_pile": self._rehab_pile,
        }

    def _found(self, root: Path) -> str:
        """The layout that was asked for, or the one that `root` looks like."""
        if self.layout != "auto":
            return self.layout
        if self.dataset is not None:
            return "rehab_pile"
        if root.is_file():
            return _of_file(root)
        if is_repetitions(root):
            return "uiprmd"
        return "uiprmd_scored" if is_scored(root) else "videos"

    def _videos(self, root: Path) -> Iterator[Clip]:
        """Extract what is not in the database yet, then read this folder's clips from it."""
        from vitruvian.spine.extract.folder import extracted_clips

        database = self.database or str(self.cache_dir / "landmarks.db")
        return extracted_clips(root, database, self.pose)

    def _rehab_pile(self, root: Path) -> Iterator[Clip]:
        if self.dataset is None:
            raise ConfigError("datamodule.dataset: name a set, such as KIMORE_reg_LA")
        return read_rehab_pile(root, self.dataset, self.fold)


def _of_file(root: Path) -> str:
    if root.suffix.lower() in DATABASES:
        return "database"
    if root.suffix.lower() in TABLES:
        return "table"
    kinds = ", ".join((*DATABASES, *TABLES))
    raise DataError(f"datamodule.root: {root} is neither a folder nor one of {kinds}")


def _read_database(url: str) -> Iterator[Clip]:
    from vitruvian.spine.database.database import LandmarkDatabase

    with LandmarkDatabase(url) as database:
        yield from database.read_all()


def _read_table(path: Path) -> Iterable[Clip]:
    from vitruvian.spine.tables.tables import read_table

    return read_table(path)
