"""CT scans with liver masks, converted once, split by patient, cropped for training."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from vitruvian.core.datamodule import Batching, DataModule
from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.examination import Examined
from vitruvian.core.node_copy import node_folder
from vitruvian.core.sampling import TrainBatches
from vitruvian.core.store import Converted, Converter, Record, Store
from vitruvian.liver.baselines import HuStatistics, fit_threshold
from vitruvian.liver.cohort import SimulatedCohort, is_simulated
from vitruvian.liver.examination import examine_cases
from vitruvian.liver.inference import Scan
from vitruvian.liver.readers import (
    Case,
    Finding,
    Labels,
    find_cases,
    read_image,
    read_label,
    survey,
)
from vitruvian.liver.slices import SliceCrops, VolumeCrops

log = logging.getLogger(__name__)

CONVERTER_VERSION = 1
CONVERSION_THREADS = 2  # unpacking and hashing leave the interpreter free; memory sets the limit

Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class LiverCase:
    """A converted case, as the task evaluates it.

    Attributes:
        case: the patient's id.
        record: its arrays `image` (int16 HU), `label` (uint8) and `areas`, all (z, ...).
        spacing_mm: (dz, dy, dx).
    """

    case: str
    record: Record
    spacing_mm: tuple[float, float, float]

    def scan(self) -> Scan:
        """The CT, read a few slices at a time."""
        shape = cast("tuple[int, int, int]", self.record.shape("image"))
        return Scan(shape, lambda z0, z1: self.record.read("image", slice(z0, z1)))

    def voxels(self) -> npt.NDArray[np.int16]:
        """The whole CT, int16 HU (z, y, x), memory-mapped."""
        return self.record.open("image")

    def truth(self, classes: int) -> Mask:
        """The mask: 0 and 1, or 0, 1 and 2 where tumours are a class of their own."""
        label = self.record.read("label")
        return label if classes == 3 else np.minimum(label, 1)


class LiverCT(DataModule):
    """LiTS, MSD Task03, DICOM series, pairs of files, or simulated phantoms.

    Args:
        root: folder of scans, or None for simulated ones.
        simulator: the phantoms that are used without a root.
        cache_dir: where converted (and simulated) scans are kept; shared by all runs.
        node_dir: folder on the node's own disk to which records are copied; variables such as
            `$TMPDIR` are the node's. None: they are read from `cache_dir`.
        fold: who is held out, for a split that follows it.
        layout, image_glob, label_glob: how the files are named; see `find_cases`.
        liver_labels, tumour_labels: what the numbers of the masks mean; see `Labels`.
        on_bad_case: `raise` lists every bad case and stops; `skip` reports them and goes on.
        classes: 2, or 3 with tumours apart.
        context: neighbouring slices as channels, odd.
        patch: (y, x), or (z, y, x) for 3-D patches.
        min_liver_fraction: training slices with less liver are left out.
        batch_size: crops in a batch of one process.
        samples_per_epoch: crops of an epoch; None: every slice (or volume) once.
        foreground: share of a batch that must hold liver.
        workers: loader processes.
        pin_memory: copy batches to page-locked memory.
        seed: of order and crops.
    """

    def __init__(
        self,
        simulator: SimulatedCohort,
        cache_dir: Path,
        root: Path | None = None,
        node_dir: str | None = None,
        fold: int = 0,
        layout: Literal["auto", "lits", "msd", "dicom", "pairs"] = "auto",
        image_glob: str | None = None,
        label_glob: str | None = None,
        liver_labels: Sequence[int] = (1, 2),
        tumour_labels: Sequence[int] = (2,),
        on_bad_case: Literal["raise", "skip"] = "raise",
        classes: int = 2,
        context: int = 1,
        patch: Sequence[int] = (256, 256),
        min_liver_fraction: float = 0.015,
        batch_size: int = 32,
        samples_per_epoch: int | None = None,
        foreground: float = 0.5,
        workers: int = 0,
        pin_memory: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._store = Store(Path(cache_dir) / "store", node_folder(node_dir))
        if len(patch) not in (2, 3):
            raise ConfigError(f"datamodule.patch: two or three sizes, not {list(patch)}")
        if classes == 3 and not tumour_labels:
            raise ConfigError(
                "datamodule.tumour_labels: classes=3 needs the numbers that mean tumour; use "
                "classes=2 where the masks have none"
            )
        for name, share in (("foreground", foreground), ("min_liver_fraction", min_liver_fraction)):
            if not 0 <= share <= 1:
                raise ConfigError(f"datamodule.{name}: a share from 0 to 1, not {share}")
        self.fold = fold
        self.root = Path(root) if root is not None else None
        self._simulator, self._cache = simulator, Path(cache_dir)
        self._find = partial(
            find_cases, layout=layout, image_glob=image_glob, label_glob=label_glob
        )
        self._labels = Labels(tuple(liver_labels), tuple(tumour_labels))
        self._on_bad_case = on_bad_case
        self.classes, self.context, self.patch = classes, context, tuple(patch)
        self._min_liver_fraction, self._foreground = min_liver_fraction, foreground
        self._batching = Batching(batch_size, samples_per_epoch, workers, pin_memory, seed)
        self._cases: dict[str, LiverCase] = {}
        self._simulated = False

    # -- preparing ----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Simulate if there is no root; find, check and convert the cases.

        Raises:
            DataError: no case, or bad cases, listed: those with faulty headers at once, those with
                faulty voxels when all cases have been converted.
        """
        found = survey(self._listed(), self._labels)
        cases = found.accept(self._on_bad_case)  # headers take no time: their faults come first
        with ThreadPoolExecutor(CONVERSION_THREADS) as pool:
            converted = list(pool.map(self._convert, cases))
        found = found.without(item for item in converted if isinstance(item, Finding))
        cases = found.accept(self._on_bad_case)
        for remark in (*found.notes, *found.problems):
            log.info("note: %s", remark.text)
        self._simulated = is_simulated(image for case in cases for image in case.images)
        self._cases = {item.case: item for item in converted if isinstance(item, LiverCase)}

    def _listed(self) -> list[Case]:
        return self._find(self.root or self._simulator.write(self._cache / "simulated"))

    def examine(self, figures: Path | None = None) -> Iterator[Examined]:
        """Look at every scan and mask, voxels included; figures show the mask on the scan.

        Raises:
            ConfigError: the layout and its globs do not fit each other.
            DataError: no such folder, or no case in it.
        """
        return examine_cases(self._listed(), self._labels, figures)

    def _convert(self, case: Case) -> LiverCase | Finding:
        """Convert a case whose headers are sound; its voxels may still be at fault."""
        converter = Converter("liver_ct", CONVERTER_VERSION, asdict(self._labels))
        sources = [*case.images, *case.masks]
        try:
            record = self._store.add(sources, converter, lambda: convert(case, self._labels))
        except DataError as error:
            return Finding(case.id, str(error))
        spacing = record.meta["spacing_mm"]
        return LiverCase(case.id, record, (spacing[0], spacing[1], spacing[2]))

    @property
    def subjects(self) -> list[str]:
        """Every patient; in LiTS a case is a patient."""
        return list(self._cases)

    @property
    def simulated(self) -> bool:
        """Whether the scans are phantoms, also when their folder was given as root."""
        return self._simulated

    def liver_hu_range(self) -> tuple[float, float]:
        """HU range of the threshold baseline, fitted on the training patients only."""
        metas = [self._cases[s].record.meta["liver_hu"] for s in self.splits.train]
        return fit_threshold(HuStatistics(**meta) for meta in metas)

    # -- delivering ---------------------------------------------------------------------------

    def train_batches(self) -> TrainBatches:
        """Random crops of the training patients."""
        dataset = self._crops([self._cases[s].record for s in self.splits.train])
        return self.ordered(dataset, self._batching)

    def _crops(self, records: Sequence[Record]) -> SliceCrops | VolumeCrops:
        if len(self.patch) == 3:
            return VolumeCrops(records, self.patch, self._foreground, self._batching.seed)
        return SliceCrops(
            records,
            cast("tuple[int, int]", self.patch),
            self.context,
            self._min_liver_fraction,
            self._foreground,
            self._batching.seed,
        )

    def cases(self, subjects: Sequence[str]) -> list[Any]:
        """The cases of these patients."""
        return [self._cases[subject] for subject in subjects]


def convert(case: Case, labels: Labels) -> Converted:
    """Read a case into the arrays and the plain data that the store keeps.

    Returns:
        `image` int16 HU and `label` uint8, both (z, y, x) in LPS, and `areas` int32 (z,), liver
        voxels of each slice; beside them the spacing and the statistics of the liver's HU.
    """
    image = read_image(case)
    label = read_label(case, image.grid, labels)
    areas = np.count_nonzero(label.voxels, axis=(1, 2)).astype(np.int32)
    arrays = {"image": image.voxels, "label": label.voxels, "areas": areas}
    meta = {
        "case": case.id,
        "spacing_mm": list(image.grid.spacing_mm),
        "liver_hu": asdict(HuStatistics.of(image.voxels, label.voxels)),
    }
    return arrays, meta
