"""Ultrasound of a muscle with what other devices measured, aligned once, split by participant."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vitruvian.core.datamodule import Batching, DataModule
from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.examination import Examined
from vitruvian.core.node_copy import node_folder
from vitruvian.core.sampling import TrainBatches
from vitruvian.core.store import Store
from vitruvian.muscle.data.cases import MuscleCase
from vitruvian.muscle.data.conversion import stored
from vitruvian.muscle.data.examining import examine_recording
from vitruvian.muscle.data.inputs import FrameInput, Target
from vitruvian.muscle.data.samples import FrameSamples, targets_of
from vitruvian.muscle.data.sources import Layout, Opener, openers
from vitruvian.muscle.quantities import quantity
from vitruvian.muscle.roi.region import RegionOfInterest
from vitruvian.muscle.simulator.cohort import SimulatedCohort
from vitruvian.muscle.sync.alignment import Synchronisation
from vitruvian.muscle.trial import Trial

log = logging.getLogger(__name__)

TASKS = "tasks of one person are on several sides of the split, for comparison only"
SHOWN = 10  # bad recordings named before the rest is counted


class MuscleRecordings(DataModule):
    """Recordings of one's own, a public set, or simulated people.

    Args:
        simulator: the people that are used without a root.
        synchronisation: how frames and signals are brought together.
        roi: which part of the frames is read.
        inputs: the frames behind one answer.
        cache_dir: where converted (and simulated) recordings are kept; shared by all runs.
        node_dir: folder on the node's own disk to which records are copied; variables such as
            `$TMPDIR` are the node's. None: they are read from `cache_dir`.
        root: folder of recordings, or of a public set; None for simulated ones.
        layout: what `root` is; see `sources`.
        quantities: what is predicted.
        target: change since the frame before, value less the trial's mean, value, or both.
        tasks: names of those to use; None: all.
        unit: what a split divides; "task" holds out whole tasks of known people, labelled so.
        fold: the participant who is left out, for a split that follows it.
        on_bad_recording: `skip` leaves out what cannot be used and names it; `raise` stops.
        batch_size: items in a batch of one process.
        samples_per_epoch: items of an epoch; None: every frame once.
        workers: loader processes.
        pin_memory: copy batches to page-locked memory.
        seed: of the order.
    """

    def __init__(
        self,
        simulator: SimulatedCohort,
        synchronisation: Synchronisation,
        roi: RegionOfInterest,
        inputs: FrameInput,
        cache_dir: Path,
        root: Path | None = None,
        node_dir: str | None = None,
        layout: Layout = "auto",
        quantities: Sequence[str] = ("angle_deg", "torque_nm", "emg_v"),
        target: Target = "change",
        tasks: Sequence[str] | None = None,
        unit: Literal["participant", "task"] = "participant",
        fold: int = 0,
        on_bad_recording: Literal["raise", "skip"] = "skip",
        batch_size: int = 32,
        samples_per_epoch: int | None = None,
        workers: int = 0,
        pin_memory: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._store = Store(Path(cache_dir) / "store", node_folder(node_dir))
        if not quantities:
            raise ConfigError("datamodule.quantities: name at least one")
        self.quantities = tuple(quantity(name).name for name in quantities)
        self.synchronisation, self.roi = synchronisation, roi
        self.inputs, self.target, self.fold = inputs, target, fold
        self._simulator, self._cache = simulator, Path(cache_dir)
        self.root = Path(root) if root is not None else None
        self._layout: Layout = layout
        self._tasks = list(tasks) if tasks is not None else None
        self._unit, self._on_bad = unit, on_bad_recording
        self._batching = Batching(batch_size, samples_per_epoch, workers, pin_memory, seed)
        self._cases: dict[str, list[MuscleCase]] = {}

    # -- preparing ----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Simulate if there is no root; open, align, crop and keep the recordings.

        Raises:
            DataError: there is no recording, or some cannot be used and `on_bad_recording` is
                `raise`.
            ConfigError: `tasks` names one that is not there.
        """
        # One after the other: a second thread gained nothing, and Python 3.11 may fail at reading
        # two .npz files at once (see core/store.py).
        converted = [self._converted(opener) for opener in self._openers()]
        self._report([item for item in converted if isinstance(item, str)])
        cases = [item for item in converted if isinstance(item, MuscleCase)]
        self._cases = defaultdict(list)
        for case in self._wanted(cases):
            self._cases[self._subject(case)].append(case)
        self._tell([case for some in self._cases.values() for case in some])

    def _openers(self) -> list[Opener]:
        if self.root is None and self._layout not in ("auto", "recordings"):
            raise ConfigError(f"datamodule.root: layout={self._layout} needs a folder")
        root = self.root or self._simulator.write(self._cache / "simulated")
        return list(openers(root, self._layout))

    def _converted(self, opener: Opener) -> MuscleCase | str:
        """The case, or what is wrong with the recording."""
        try:
            recording = opener[1]()
            settings = (self.quantities, self.synchronisation, self.roi)
            return stored(recording, *settings, self._store)
        except DataError as error:
            return str(error)

    def _wanted(self, cases: Sequence[MuscleCase]) -> list[MuscleCase]:
        known = sorted({case.task for case in cases})
        absent = [task for task in self._tasks or () if task not in known]
        if absent:
            there = ", ".join(known)
            raise ConfigError(f"datamodule.tasks: {absent[0]!r} is not among the data: {there}")
        found = [c for c in cases if self._tasks is None or c.task in self._tasks]
        if not found:
            raise DataError(f"{self.root or 'the simulator'}: no recording that can be used")
        return found

    def _subject(self, case: MuscleCase) -> str:
        return case.participant if self._unit == "participant" else case.task

    def _report(self, bad: Sequence[str]) -> None:
        if not bad:
            return
        shown = [*bad[:SHOWN], *([f"... and {len(bad) - SHOWN} more"] if bad[SHOWN:] else [])]
        if self._on_bad == "raise":
            told = "datamodule.on_bad_recording=skip leaves them out"
            raise DataError("\n".join([*shown, told]))
        log.info("left out: %d recording%s", len(bad), "" if len(bad) == 1 else "s")
        for line in shown:
            log.info("  %s", line)

    def _tell(self, cases: Sequence[MuscleCase]) -> None:
        """Say what was dropped on the way; `vitruvian-check` tells of each recording."""
        dropped = sum(case.meta["dropped"] for case in cases)
        lost = sum(case.meta["lost"] for case in cases)
        faulty = sum(bool(case.meta["faults"]) for case in cases)
        if dropped or lost or faulty:
            log.info(
                "%d frames without signal dropped, muscle not found in %d frames, faults in the "
                "channels of %d of %d recordings; vitruvian-check names them",
                dropped,
                lost,
                faulty,
                len(cases),
            )

    def examine(self, figures: Path | None = None) -> Iterator[Examined]:
        """Say of each recording what was understood and what is wrong; see `examining`."""
        for name, opener in self._openers():
            yield examine_recording(
                name, opener, self.quantities, self.synchronisation, self.roi, figures
            )

    # -- who is there -------------------------------------------------------------------------

    @property
    def subjects(self) -> list[str]:
        """Every participant, or every task where the unit is the task."""
        return list(self._cases)

    @property
    def simulated(self) -> bool:
        """Whether any recording comes from the simulator, wherever its folder was moved."""
        return any(case.simulated for cases in self._cases.values() for case in cases)

    @property
    def leaky(self) -> str:
        """Why figures flatter where one person is on several sides."""
        return TASKS if self._unit == "task" else ""

    # -- what is fitted on training people ----------------------------------------------------

    def grey_statistics(self) -> tuple[float, float]:
        """Mean and standard deviation of the grey values (0 to 1) inside training muscles."""
        sums = np.sum([case.meta["grey"] for case in self.cases(self.part("train"))], axis=0)
        count, total, squares = (float(value) for value in sums)
        mean = total / max(count, 1.0)
        return mean, float(np.sqrt(max(squares / max(count, 1.0) - mean**2, 0.0)))

    def target_statistics(self) -> tuple[Any, Any]:
        """Mean and standard deviation, (outputs,), of what is asked of training people."""
        cases = self.cases(self.part("train"))
        asked = np.concatenate([targets_of(case, self.target) for case in cases])
        known = asked[np.isfinite(asked).all(axis=1)]
        if not len(known):
            raise DataError("no training trial has two frames in a row: no change is known")
        return known.mean(axis=0), known.std(axis=0)

    def trials(self) -> list[Trial]:
        """The training trials as numbers, for the baselines."""
        return [case.trial() for case in self.cases(self.part("train"))]

    # -- delivering ---------------------------------------------------------------------------

    def train_batches(self) -> TrainBatches:
        """Random frames of the training people."""
        cases = self.cases(self.part("train"))
        dataset = FrameSamples(cases, self.inputs, self.target, self._batching.seed)
        return self.ordered(dataset, self._batching)

    def cases(self, subjects: Sequence[str]) -> list[Any]:
        """The trials of these people, in the order of their names."""
        found = [case for subject in subjects for case in self._cases[subject]]
        return sorted(found, key=lambda case: case.case)
