"""`vitruvian-extract`: the landmarks of all recordings in a folder, in parallel processes.

It may be stopped or killed at any moment and started again: what is in the database stays, and
nothing in it is half done. Several may work on one folder, also on several computers with one
database server.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.signals import STOP_SIGNALS, Interrupted, StopRequest
from vitruvian.spine.database.database import LandmarkDatabase, pose_sha256
from vitruvian.spine.extract.clip_work import ClipJob, ClipWork, Extract
from vitruvian.spine.extract.extraction_display import Display, Report
from vitruvian.spine.extract.extraction_run import ExtractionRun
from vitruvian.spine.extract.recordings import VIDEO_ENDINGS, find_recordings
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.tables.mirroring import WAYS, Mirrored, unmirrored
from vitruvian.spine.tables.ratings import Rating, Ratings, Unrated, read_ratings
from vitruvian.spine.tables.tables import ENDINGS, TableForm, check_ending, read_table, write_table

if TYPE_CHECKING:
    from vitruvian.spine.pose.blazepose import BlazePose
    from vitruvian.spine.pose.extraction import Extraction, Progress

__all__ = ["VIDEO_ENDINGS", "ExtractFolder", "extracted_clips"]

RATINGS_FILE = "ratings.csv"
IMPORTED = "imported"  # the variant of landmarks that come from a table

_log = logging.getLogger(__name__)


def extract_video(path: Path, pose: BlazePose, progress: Progress | None) -> Extraction:
    """Run the pose net over a video; see `vitruvian.spine.pose.extraction.extract`."""
    from vitruvian.spine.pose.extraction import extract

    return extract(path, pose, progress)


class ExtractFolder:
    """Brings recordings or a landmark table into a landmark database.

    Without `input` it corrects what the database says from `ratings`, or exports it.

    Args:
        database: SQLite file or SQLAlchemy URL, see `LandmarkDatabase`.
        pose: the pose net.
        input: folder of videos, one video, or a landmark table (`.parquet`, `.csv`).
        ratings: CSV with the columns clip, participant, exercise, rating; by default
            `ratings.csv` in the folder, if there is one.
        unrated: what becomes of recordings without a row in it: error, skip (left out), or keep
            (without person and rating).
        workers: processes at once; by default one for each core; 0 works in this process, for
            debuggers and notebooks.
        export: table to write the landmarks of this input to, `.parquet` or `.csv`.
        mirrored: how left and right are exchanged: none, x, labels or both, see `mirroring`.
        on_bad_clip: skip (the others go on) or raise.
        replace: whether another recording of the same name in the database gives way.
        table: how a landmark table from elsewhere names and means things.

    Raises:
        ConfigError: a value is none of those.
    """

    extract: Extract = staticmethod(extract_video)

    def __init__(
        self,
        database: str | Path,
        pose: BlazePose,
        input: str | Path | None = None,
        ratings: str | Path | None = None,
        unrated: Unrated = "error",
        workers: int | None = None,
        export: str | Path | None = None,
        mirrored: Mirrored = "none",
        on_bad_clip: Literal["raise", "skip"] = "skip",
        replace: bool = False,
        table: TableForm | None = None,
    ) -> None:
        _choose("unrated", unrated, ("error", "skip", "keep"))
        _choose("mirrored", mirrored, WAYS)
        _choose("on_bad_clip", on_bad_clip, ("raise", "skip"))
        if workers is not None and workers < 0:
            raise ConfigError(f"workers: 0 or more, not {workers}")
        self.database, self.pose = LandmarkDatabase(database), pose
        self.input, self.ratings, self.export = _path(input), _path(ratings), _path(export)
        self.unrated, self.mirrored, self.on_bad_clip = unrated, mirrored, on_bad_clip
        self.workers = _cores() if workers is None else workers
        self.replace, self.table = replace, table
        if self.export is not None:
            check_ending(self.export, "export")
        if not (self.input or self.ratings or self.export):
            raise ConfigError("input: a folder of videos, a video or a landmark table is needed")

    def run(self) -> int:
        """Do it, and show what was done.

        Returns:
            0; 2 if clips are bad; 128 + the signal if one stopped it.

        Raises:
            DataError: there are no recordings, `ratings.csv` is wrong, or a clip is bad and
                `on_bad_clip` is raise.
            RunError: the database or the export cannot be written.
        """
        with _listening() as stop:
            try:
                return self._run(stop)
            except Interrupted as interrupted:
                _log.warning(
                    "%s; what is in %s stays, start again to go on", interrupted, self.database
                )
                return interrupted.exit_code

    def _run(self, stop: StopRequest | None) -> int:
        if self.input is None:
            return self._without_input()
        display = Display()
        if self.input.suffix.lower() in ENDINGS and not self.input.is_dir():
            names, identity = self._import(display)
            bad = 0
        else:
            report = self.extract_all(display, stop)
            display.summarize(report)
            names, identity, bad = report.good, self._identity(), len(report.bad)
        if self.export is not None and names:
            self._write(self.database.read_all(name=names, pose_sha256=pose_sha256(identity)))
        return 2 if bad else 0

    def _write(self, clips: Iterator[Clip]) -> None:
        assert self.export is not None
        _log.info("%d clips written to %s", write_table(clips, self.export), self.export)

    def _without_input(self) -> int:
        if self.ratings is not None:
            names = sorted({info.name for info in self.database.clips()})
            wanted = read_ratings(self.ratings).match(names, "skip")
            _log.info("%d clips corrected", self.database.relabel(wanted.values()))
        if self.export is not None:
            self._write(self.database.read_all())
        return 0

    # -- recordings ---------------------------------------------------------------------------

    def extract_all(self, display: Display, stop: StopRequest | None = None) -> Report:
        """Extract what is not in the database yet, and correct the labels of what is.

        Raises:
            Interrupted: `stop` has heard a signal.
            DataError, RunError: as in `run`.
        """
        ratings = self._read_ratings()
        jobs, left_out = self._jobs(ratings)
        work = ClipWork(
            self.database,
            uuid.uuid4().hex,
            self.extract,
            self.pose,
            self._identity(),
            self.mirrored,
            self.replace,
        )
        workers = min(self.workers, len(jobs))
        report = ExtractionRun(jobs, work, workers, display, self.on_bad_clip).run(stop)
        report.left_out = left_out
        present = {name for name, o in report.outcomes.items() if o.what == "present"}
        rated = [job.rating for job in jobs if job.name in present and job.rating.participant]
        self.database.relabel(rated)
        return report

    def _read_ratings(self) -> Ratings | None:
        if self.ratings is not None:
            return read_ratings(self.ratings)
        beside = self.input / RATINGS_FILE if self.input and self.input.is_dir() else None
        return read_ratings(beside) if beside and beside.is_file() else None

    def _jobs(self, ratings: Ratings | None) -> tuple[list[ClipJob], int]:
        """What to extract, and how many recordings are left out."""
        assert self.input is not None
        found = find_recordings(self.input, ratings)
        labels = _labels([recording.name for recording in found], ratings, self.unrated)
        jobs = [ClipJob(each, labels[each.name]) for each in found if each.name in labels]
        return jobs, len(found) - len(jobs)

    def _identity(self) -> Mapping[str, Any]:
        return self._mirrored_too(self.pose.identity())

    def _mirrored_too(self, identity: Mapping[str, Any]) -> Mapping[str, Any]:
        return (
            dict(identity) if self.mirrored == "none" else {**identity, "mirrored": self.mirrored}
        )

    # -- tables -------------------------------------------------------------------------------

    def _import(self, display: Display) -> tuple[list[str], Mapping[str, Any]]:
        """Bring a landmark table into the database; the names of its clips, and their identity."""
        assert self.input is not None
        found = read_table(self.input, self.table)
        labels = _labels([c.name for c in found], self._read_ratings(), self.unrated)
        clips = [
            changed(_labelled(c, labels[c.name]), landmarks=unmirrored(c.landmarks, self.mirrored))
            for c in found
            if c.name in labels
        ]
        identity = self._mirrored_too({"variant": IMPORTED})
        new = self.database.add_many(clips, identity, self.replace)
        rated = [label for label in labels.values() if label.participant]
        self.database.relabel(rated)
        display.summarize_import(clips, new, len(found) - len(clips))
        return [clip.name for clip in clips], identity


def extracted_clips(root: Path, database: str, pose: BlazePose) -> Iterator[Clip]:
    """Extract what of a folder is not in the database yet, then read the folder's clips from it.

    Raises:
        DataError: there are no recordings, `ratings.csv` is wrong, or a clip is bad.
        RunError: the database cannot be written.
    """
    folder = ExtractFolder(database, pose, root)
    display = Display()
    report = folder.extract_all(display)
    if report.bad:
        display.summarize(report)
        told = "\n".join(f"  {name}: {reason}" for name, reason in report.bad.items())
        raise DataError(f"{root}: {len(report.bad)} clips are bad; remove or mend them:\n{told}")
    where = {"name": report.good, "pose_sha256": pose_sha256(folder.pose.identity())}
    return folder.database.read_all(**where)


def _labels(
    names: Sequence[str], ratings: Ratings | None, unrated: Unrated
) -> Mapping[str, Rating]:
    if ratings is None:
        return {name: Rating(name) for name in names}
    return ratings.match(names, unrated)


def _labelled(clip: Clip, label: Rating) -> Clip:
    """A clip with its row of `ratings.csv`, or as its table has it."""
    if not label.participant:
        return clip
    return changed(
        clip, participant=label.participant, exercise=label.exercise, rating=label.rating
    )


@contextmanager
def _listening() -> Iterator[StopRequest | None]:
    """Catch the signals that stop a run, to end the processes first."""
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    stop = StopRequest()
    stop.graceful = True
    stop.install()
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _choose(key: str, value: str, valid: Sequence[str]) -> None:
    if value not in valid:
        raise ConfigError(f"{key}: got {value!r}, expected {' or '.join(valid)}")


def _path(value: str | Path | None) -> Path | None:
    return Path(value).expanduser() if value else None


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
