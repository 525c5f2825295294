"""The loop of an extraction: hand out recordings, hear of them, settle what they came to."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from vitruvian.core.errors import DataError, UserError
from vitruvian.core.signals import Interrupted, StopRequest
from vitruvian.spine.database.claims import Claims
from vitruvian.spine.database.contents import Contents
from vitruvian.spine.database.rows import pose_sha256
from vitruvian.spine.extract.clip_work import ClipJob, ClipWork, Outcome
from vitruvian.spine.extract.extraction_display import Display, Report
from vitruvian.spine.extract.worker_pool import Event, Failed, NoProcesses, Told, WorkerPool

_POLL_S = 0.2  # how soon a signal is heeded
_ASK_AGAIN_S = 1.0  # whether another extractor has finished a clip

_log = logging.getLogger(__name__)


class ExtractionRun:
    """Extracts recordings in parallel processes.

    Args:
        jobs: the recordings, with names that differ.
        work: what a process does.
        workers: how many processes; 0: in this one.
        display: shows how far it is.
        on_bad_clip: raise, or skip: the others go on.
    """

    def __init__(
        self,
        jobs: Sequence[ClipJob],
        work: ClipWork,
        workers: int,
        display: Display,
        on_bad_clip: str,
    ) -> None:
        self._work, self._workers, self._display = work, workers, display
        self._raises = on_bad_clip == "raise"
        self._names = {job.name for job in jobs}
        self._queue = deque(jobs)
        self._elsewhere: list[ClipJob] = []  # another extractor has them
        self._ask_at = 0.0
        self._claims = Claims(work.database.connections, work.extractor)
        self._report = Report()

    def run(self, stop: StopRequest | None) -> Report:
        """Extract them all.

        Args:
            stop: asked several times a second.

        Raises:
            Interrupted: a signal came; what is in the database stays.
            DataError: a clip is bad, and that is to be raised.
            UserError: the database or the pose net cannot be used.
        """
        start = time.monotonic()
        with (
            self._claims.entered(),
            self._pool() as pool,
            self._display.open(len(self._queue), self._workers),
        ):
            self._settle_known()
            while self._queue or self._elsewhere or pool.busy:
                if stop is not None and stop.signum is not None:
                    raise Interrupted(stop.signum)
                self._hand_out(pool)
                for event in pool.wait(_POLL_S):
                    self._hear(event)
        self._report.seconds = time.monotonic() - start
        return self._report

    def _settle_known(self) -> None:
        """Those that have been extracted need no process to find that out."""
        known = Contents(self._claims.connections).known(job.recording for job in self._queue)
        infos = self._work.database.clips(pose_sha256=pose_sha256(self._work.identity))
        stored = {info.content_sha256: info for info in infos}
        for job in [self._queue.popleft() for _ in range(len(self._queue))]:
            content = known.get(job.name, "")
            if content in stored:
                outcome = Outcome("present", stored=stored[content])
                self._settle(job, self._checked(job, outcome))
            else:
                self._queue.append(replace(job, content=content))

    def _pool(self) -> WorkerPool[ClipJob] | NoProcesses[ClipJob]:
        if self._workers:
            return WorkerPool(self._work, self._workers)
        return NoProcesses(self._work)

    def _hand_out(self, pool: WorkerPool[ClipJob] | NoProcesses[ClipJob]) -> None:
        if not self._queue and self._elsewhere and time.monotonic() >= self._ask_at:
            self._queue.extend(self._elsewhere)
            self._elsewhere.clear()
            self._ask_at = time.monotonic() + _ASK_AGAIN_S
        while self._queue and pool.has_room:
            pool.give(self._queue.popleft())

    def _hear(self, event: Event[ClipJob]) -> None:
        name = event.job.name
        if isinstance(event, Told):
            self._display.advance(name, event.message[0])
        elif isinstance(event, Failed):
            self._settle(event.job, self._failed(event))
        elif event.answer.what == "claimed":
            self._elsewhere.append(replace(event.job, content=event.answer.content))
            if not self._queue:
                self._display.wait_for_others(len(self._elsewhere))
        else:
            self._settle(event.job, self._checked(event.job, event.answer))

    def _settle(self, job: ClipJob, outcome: Outcome) -> None:
        if outcome.what == "stopped":
            raise UserError(outcome.note)
        self._report.outcomes[job.name] = outcome
        self._display.finish(job.name, outcome)
        if outcome.what == "bad" and self._raises:
            raise DataError(f"{job.name}: {outcome.note}")

    def _failed(self, event: Failed[ClipJob]) -> Outcome:
        """A process died, perhaps right after it had written its clip; or it met a defect."""
        if event.trace:
            _log.error("%s: a defect of this software\n%s", event.job.name, event.trace)
            return Outcome("bad", event.reason)
        self._claims.release(event.job.name)
        where = {"name": event.job.name, "pose_sha256": pose_sha256(self._work.identity)}
        written = self._work.database.clips(**where)
        if written:
            return Outcome("extracted", written[0].broken or "", written[0].frames)
        return Outcome("bad", event.reason)

    def _checked(self, job: ClipJob, outcome: Outcome) -> Outcome:
        """A recording that is there under another name was renamed since, or is there twice."""
        stored = outcome.stored
        if stored is None or stored.name == job.name:
            return outcome
        if stored.name in self._names:
            return Outcome(
                "bad",
                f"the same recording as {stored.name}; remove one of them (or, if their names "
                "were exchanged, name them as before)",
            )
        try:
            self._work.database.rename(stored.id, job.name)
        except DataError as error:
            return Outcome("bad", str(error))
        return outcome
