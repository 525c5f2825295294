"""Clips of people doing exercises, as cleaned landmarks, split by person, cut into windows."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vitruvian.core.datamodule import Batching, DataModule
from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.examination import Examined
from vitruvian.core.sampling import TrainBatches
from vitruvian.spine.data.cases import RED_FLAG, SpineCase, clean_case
from vitruvian.spine.data.examination import examine_clip, read_each
from vitruvian.spine.data.sources import Layout, Source
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.pose.blazepose import BlazePose
from vitruvian.spine.simulator.cohort import SimulatedPeople
from vitruvian.spine.skeletons import skeleton_named
from vitruvian.spine.track.cleaning import Cleaning
from vitruvian.spine.track.windows import Windows, WindowSamples

log = logging.getLogger(__name__)

CLIPS = "clips of one person are on several sides of the split, for comparison only"
SHOWN = 10  # bad clips named before the rest is counted


class SpineClips(DataModule):
    """Videos with ratings, a landmark database or table, public skeleton sets, or simulated people.

    Args:
        simulator: the people that are used without `root` and `database`.
        cleaning: how landmarks become tracks.
        windows: how tracks are cut.
        pose: the pose net for videos.
        cache_dir: where simulated people and extracted landmarks are kept; shared by all runs.
        root: folder of videos with `ratings.csv`, of a public set, or a landmark table or database.
        database: SQLAlchemy URL or SQLite file of a landmark database, read alone or filled from
            the videos of `root`; None: one in `cache_dir`.
        layout: what `root` is; see `sources`.
        dataset: name of the set, for layout rehab_pile.
        fold: who is held out, for a split that follows it; for layout rehab_pile the fold of the
            collection.
        skeleton: joints of the landmarks.
        exercises: names of those to use; None: all.
        unit: what a split divides; "clip" parts the clips of a person as the paper may have done,
            which leaks, and is labelled so wherever it shows.
        on_bad_clip: `skip` leaves out clips that are too masked and names them; `raise` stops.
        batch_size: windows in a batch of one process.
        samples_per_epoch: windows of an epoch; None: every window once.
        jitter: move the windows of training at random, up to half a stride.
        workers: loader processes.
        pin_memory: copy batches to page-locked memory.
        seed: of order and jitter.
    """

    def __init__(
        self,
        simulator: SimulatedPeople,
        cleaning: Cleaning,
        windows: Windows,
        pose: BlazePose,
        cache_dir: Path,
        root: Path | None = None,
        database: str | None = None,
        layout: Layout = "auto",
        dataset: str | None = None,
        fold: int = 0,
        skeleton: str = "blazepose33",
        exercises: Sequence[str] | None = None,
        unit: Literal["person", "clip"] = "person",
        on_bad_clip: Literal["raise", "skip"] = "skip",
        batch_size: int = 32,
        samples_per_epoch: int | None = None,
        jitter: bool = False,
        workers: int = 0,
        pin_memory: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.skeleton = skeleton_named(skeleton)
        self.cleaning, self.windows = cleaning, windows
        place = Path(root) if root is not None else None
        self._source = Source(
            place, database, layout, dataset, fold, skeleton, pose, Path(cache_dir)
        )
        self._simulator = simulator
        self._exercises = list(exercises) if exercises is not None else None
        self._unit, self._on_bad_clip = unit, on_bad_clip
        self._jitter = jitter
        self._batching = Batching(batch_size, samples_per_epoch, workers, pin_memory, seed)
        self._cases: dict[str, list[SpineCase]] = {}

    # -- preparing ----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Simulate, extract or read the clips, and clean them.

        Raises:
            DataError: there is no clip, it has other joints than `skeleton`, or clips cannot be
                used and `on_bad_clip` is `raise`.
        """
        bad: list[str] = []
        cases: defaultdict[str, list[SpineCase]] = defaultdict(list)
        for clip in self._wanted(self._source.clips(self._simulator)):
            try:
                case = self._case(clip)
            except DataError as error:
                bad.append(str(error))
                continue
            cases[self._subject(case)].append(case)
        self._report(bad)
        if not cases:
            raise DataError(f"{self._source}: no clip that can be used")
        self._cases = dict(cases)

    def _wanted(self, clips: Iterable[Clip]) -> Iterable[Clip]:
        seen: Counter[str] = Counter()
        for clip in clips:
            seen[clip.exercise] += 1
            if self._exercises is None or clip.exercise in self._exercises:
                yield clip
        self._refuse_absent(seen)

    def _refuse_absent(self, seen: Mapping[str, int]) -> None:
        absent = [name for name in self._exercises or () if name not in seen]
        if absent:
            known = ", ".join(sorted(seen))
            raise ConfigError(f"datamodule.exercises: {absent[0]!r} is not among the data: {known}")

    def _case(self, clip: Clip) -> SpineCase:
        if clip.landmarks.skeleton != self.skeleton.name:
            raise ConfigError(
                f"datamodule.skeleton: the clips have {clip.landmarks.skeleton}, "
                f"not {self.skeleton.name}; add datamodule.skeleton={clip.landmarks.skeleton}"
            )
        if not np.isfinite(clip.rating):
            raise DataError(f"{clip.name}: it has no rating")
        return clean_case(clip, self.cleaning)

    def _subject(self, case: SpineCase) -> str:
        return case.participant if self._unit == "person" else case.case

    def _report(self, bad: Sequence[str]) -> None:
        if not bad:
            return
        shown = [*bad[:SHOWN], *([f"... and {len(bad) - SHOWN} more"] if bad[SHOWN:] else [])]
        if self._on_bad_clip == "raise":
            raise DataError("\n".join([*shown, "datamodule.on_bad_clip=skip leaves them out"]))
        log.info("left out: %d clip%s", len(bad), "" if len(bad) == 1 else "s")
        for line in shown:
            log.info("  %s", line)

    def examine(self, figures: Path | None = None) -> Iterator[Examined]:
        """Look at every clip: frames, rate, share masked, rating and person; it draws no figures.

        Raises:
            ConfigError: keys contradict each other, or name an exercise that is not there.
            DataError: there is nothing to read.
        """
        seen: Counter[str] = Counter()
        for found in read_each(self._source, self._simulator):
            if isinstance(found, Examined):
                yield found
                continue
            clip, notes = found
            seen[clip.exercise] += 1
            if self._exercises is None or clip.exercise in self._exercises:
                yield examine_clip(clip, notes, self.skeleton, self.cleaning)
        self._refuse_absent(seen)

    # -- who is there -------------------------------------------------------------------------

    @property
    def subjects(self) -> list[str]:
        """Every person, or every clip where the unit is the clip."""
        return list(self._cases)

    @property
    def strata(self) -> dict[str, str]:
        """Whether a person's mean index is a red flag: splits spread these evenly."""
        return {
            subject: "red flag" if np.mean([c.truth for c in cases]) > RED_FLAG else "healthy"
            for subject, cases in self._cases.items()
        }

    @property
    def simulated(self) -> bool:
        """Whether any clip comes from the simulator, also from a database that was moved."""
        return any(case.simulated for cases in self._cases.values() for case in cases)

    @property
    def leaky(self) -> str:
        """Why figures flatter where clips of one person are on several sides."""
        return CLIPS if self._unit == "clip" else ""

    # -- delivering ---------------------------------------------------------------------------

    def train_batches(self) -> TrainBatches:
        """Random windows of the training people."""
        cases = self.cases(self.part("train"))
        dataset = WindowSamples(
            [case.track for case in cases],
            [case.truth for case in cases],
            self.windows,
            self._batching.seed,
            self._jitter,
        )
        return self.ordered(dataset, self._batching)

    def cases(self, subjects: Sequence[str]) -> list[Any]:
        """The clips of these people, in the order of their names."""
        found = [case for subject in subjects for case in self._cases[subject]]
        return sorted(found, key=lambda case: case.case)
