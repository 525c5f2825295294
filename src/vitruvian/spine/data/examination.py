"""What a look at clips finds: frames, rate, what is masked, who and which rating."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.core.examination import Examined
from vitruvian.spine.data.sources import Source
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.simulator.cohort import SimulatedPeople
from vitruvian.spine.skeletons import Skeleton
from vitruvian.spine.track.cleaning import Cleaning

Noted = tuple[Clip, tuple[str, ...]]  # a clip, and what to know about its recording


def read_each(source: Source, simulator: SimulatedPeople) -> Iterator[Noted | Examined]:
    """Read the clips of a source one by one; one that cannot be read is told and passed over.

    Videos are extracted first where that is needed, which takes its time; what was extracted stays.

    Yields:
        Each clip with notes on its recording, or what is wrong with it.

    Raises:
        ConfigError: keys contradict each other.
        DataError: there is nothing to read, or no single clip is to blame, as in a broken table.
    """
    if _layout(source) == "videos":
        yield from _extracted(source)
        return
    clips = source.clips(simulator)  # refuses keys that contradict each other
    database = _database(source, simulator)
    yield from ((clip, ()) for clip in clips) if database is None else _stored(database)


def _layout(source: Source) -> str | None:
    place = source.root
    return source._found(place) if place is not None and place.exists() else None


def _database(source: Source, simulator: SimulatedPeople) -> str | None:
    if source.root is None:
        return source.database or str(simulator.write(source.cache_dir / "simulated"))
    return str(source.root) if _layout(source) == "database" else None


def _stored(
    url: str, names: Sequence[str] | None = None, **where: Any
) -> Iterator[Noted | Examined]:
    from vitruvian.spine.database.database import LandmarkDatabase

    with LandmarkDatabase(url) as database:
        infos = {info.name: info for info in database.clips(**where)}
        for name, info in infos.items():
            if names is not None and name not in names:
                continue
            notes = (f"the recording breaks off: {info.broken}",) if info.broken else ()
            try:
                yield database.read(name, **where), notes
            except DataError as error:
                yield Examined(name, "", (str(error),), notes)


def _extracted(source: Source) -> Iterator[Noted | Examined]:
    from vitruvian.spine.database.rows import pose_sha256
    from vitruvian.spine.extract.extraction_display import Display
    from vitruvian.spine.extract.folder import ExtractFolder

    url = source.database or str(source.cache_dir / "landmarks.db")
    folder = ExtractFolder(url, source.pose, source.root)
    report = folder.extract_all(Display())
    for name, reason in report.bad.items():
        yield Examined(name, "", (reason,))
    identity = pose_sha256(source.pose.identity())
    yield from _stored(url, report.good, pose_sha256=identity)


def examine_clip(
    clip: Clip, notes: tuple[str, ...], skeleton: Skeleton, cleaning: Cleaning
) -> Examined:
    """Examine a clip as training would take it: its joints, its rating and its cleaning."""
    problems, masked = [], ""
    if clip.landmarks.skeleton != skeleton.name:
        problems.append(
            f"its joints are {clip.landmarks.skeleton}, not {skeleton.name}; set "
            f"datamodule.skeleton={clip.landmarks.skeleton} if all clips have these"
        )
    if not np.isfinite(clip.rating):
        problems.append("it has no rating; add its row to ratings.csv, 0 (worst) to 100 (best)")
    try:
        masked = f", {cleaning.clean(clip.landmarks).masked:.0%} masked"
    except DataError as error:
        problems.append(str(error))
    return Examined(clip.name, f"{_described(clip)}{masked}", tuple(problems), notes)


def _described(clip: Clip) -> str:
    marks = clip.landmarks
    seconds = marks.times_s[-1] - marks.times_s[0] if len(marks) else 0.0
    rate = f" at {marks.fps:.4g} per second ({seconds:.1f} s)" if len(marks) > 1 else ""
    rated = f", rating {clip.rating:g}" if np.isfinite(clip.rating) else ""
    who = f"{clip.participant or 'nobody named'}, {clip.exercise or 'no exercise named'}"
    simulated = ", SIMULATED" if clip.simulated else ""
    return f"{who}{rated}, {len(marks)} frames{rate}{simulated}"
