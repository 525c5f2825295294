"""The simulated cohort that a config chooses: each choice of parameters in a folder of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vitruvian.liver.simulator import MARKER, VERSION, simulate_cohort


@dataclass(frozen=True)
class SimulatedCohort:
    """Phantoms to train on where there are no scans; see `simulate_cohort`.

    Attributes:
        cases: number of patients.
        seed: of the cohort.
        size: voxels along x and y.
        slices: least and most slices of a scan.
    """

    cases: int = 20
    seed: int = 0
    size: int = 160
    slices: Sequence[int] = (44, 60)

    def write(self, folder: Path) -> Path:
        """Write the cohort below `folder`, once, and return its root."""
        text = json.dumps([VERSION, asdict(self)], sort_keys=True)
        root = folder / f"liver-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        low, high = self.slices
        return simulate_cohort(root, self.cases, self.seed, self.size, (low, high))


def is_simulated(files: Iterable[Path]) -> bool:
    """Whether any of the files lies in a simulated cohort, wherever that was moved or linked to."""
    folders = {folder for file in files for folder in file.resolve().parents}
    return any((folder / MARKER).is_file() for folder in folders)
