"""What a process does with one recording: hash, claim, extract, write."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vitruvian.core.errors import DataError, UserError
from vitruvian.spine.database.claims import Claims
from vitruvian.spine.database.contents import Contents
from vitruvian.spine.database.database import LandmarkDatabase
from vitruvian.spine.database.rows import ClipInfo
from vitruvian.spine.extract.recordings import Recording
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.tables.mirroring import Mirrored, unmirrored
from vitruvian.spine.tables.ratings import Rating

if TYPE_CHECKING:
    from vitruvian.spine.pose.blazepose import BlazePose
    from vitruvian.spine.pose.extraction import Extraction, Progress

_TELL_EVERY_S = 0.5

Extract = Callable[[Path, "BlazePose", "Progress | None"], "Extraction"]
What = Literal["extracted", "present", "claimed", "bad", "stopped"]


@dataclass(frozen=True)
class ClipJob:
    """A recording to extract.

    Attributes:
        recording: the video.
        rating: its row of `ratings.csv`; empty where there is none.
        content: sha256 of the recording, if it is known.
    """

    recording: Recording
    rating: Rating
    content: str = ""

    @property
    def name(self) -> str:
        """Of the clip."""
        return self.recording.name


@dataclass(frozen=True)
class Outcome:
    """What became of a recording.

    Attributes:
        what: it was extracted; was present in the database already; is claimed by another
            extractor; is bad; or the work stopped for a reason that is not the recording's.
        note: that reason, why it is bad, or where a recording broke off.
        frames: how many were extracted.
        stored: what the database had.
        content: sha256 of a claimed recording, for the next try.
    """

    what: What
    note: str = ""
    frames: int = 0
    stored: ClipInfo | None = None
    content: str = ""


@dataclass(frozen=True)
class ClipWork:
    """The work of a process of `ExtractFolder`.

    Attributes:
        database: to write to.
        extractor: the id under which clips are claimed.
        extract: from a video to landmarks.
        pose: the pose net.
        identity: all that the landmarks depend on beside the video.
        mirrored: how left and right are exchanged in the recordings.
        replace: whether another recording of the same name gives way.
    """

    database: LandmarkDatabase
    extractor: str
    extract: Extract
    pose: BlazePose
    identity: Mapping[str, Any]
    mirrored: Mirrored
    replace: bool

    def __call__(self, job: ClipJob, tell: Callable[[Any], None]) -> Outcome:
        """Extract one recording, unless it is there or somebody is at it."""
        try:
            content = job.content or Contents(self.database.connections).sha256(job.recording)
            stored = self.database.find(content, self.identity)
            if stored is not None:
                return Outcome("present", stored=stored)
            return self._claimed(job, content, tell)
        except DataError as error:
            return Outcome("bad", str(error))
        except UserError as error:  # the disk is full, the server is away: the same for all others
            return Outcome("stopped", str(error))

    def _claimed(self, job: ClipJob, content: str, tell: Callable[[Any], None]) -> Outcome:
        claims = Claims(self.database.connections, self.extractor)
        if not claims.take(content, self.identity, job.name):
            return Outcome("claimed", content=content)
        try:
            stored = self.database.find(content, self.identity)  # perhaps just now
            if stored is not None:
                return Outcome("present", stored=stored)
            if not self.replace:
                self.database.check_name(job.name, self.identity)
            return self._extracted(job, content, tell)
        finally:
            claims.release(job.name)

    def _extracted(self, job: ClipJob, content: str, tell: Callable[[Any], None]) -> Outcome:
        found = self.extract(job.recording.path, self.pose, _Sparingly(tell))
        landmarks = unmirrored(found.landmarks, self.mirrored)
        rating = job.rating
        clip = Clip(job.name, rating.participant, rating.exercise, landmarks, rating.rating)
        self.database.add(clip, self.identity, content, found.broken, self.replace)
        return Outcome("extracted", found.broken or "", len(landmarks))


class _Sparingly:
    """Tells how many frames are done, now and then."""

    def __init__(self, tell: Callable[[Any], None]) -> None:
        self._tell, self._next = tell, 0.0

    def __call__(self, frames: int, expected: int | None) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _TELL_EVERY_S
            self._tell((frames, expected))
