"""What a look at CT scans and their liver masks finds: headers first, then every voxel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.core.examination import Examined
from vitruvian.liver.cohort import is_simulated
from vitruvian.liver.labels import Labels
from vitruvian.liver.layouts import Case
from vitruvian.liver.overlay import draw_overlay
from vitruvian.liver.predict import write_picture
from vitruvian.liver.readers import read_image, read_label, survey
from vitruvian.liver.volume import Volume

AIR_HU = -200  # every abdominal scan holds air; without any, the numbers are no Hounsfield units


def examine_cases(
    cases: Iterable[Case], labels: Labels, figures: Path | None = None
) -> Iterator[Examined]:
    """Examine scans and masks: those with faulty headers at once, then the voxels of the others.

    Args:
        cases: as `find_cases` lists them.
        labels: what the numbers of the masks mean.
        figures: folder for a picture of each scan with the contour of its mask; None: none.
    """
    found = survey(cases, labels)
    for fault in found.problems:
        yield Examined(fault.case_id, "", (fault.text,))
    for case in found.good:
        notes = [note.text for note in found.notes if note.case_id == case.id]
        try:
            yield _examine(case, labels, notes, figures)
        except DataError as error:
            yield Examined(case.id, "", (str(error),), tuple(notes))


def _examine(case: Case, labels: Labels, notes: list[str], figures: Path | None) -> Examined:
    image = read_image(case)
    mask = read_label(case, image.grid, labels)
    simulated = is_simulated(case.images)
    understood = f"{_described(image, mask)}{', SIMULATED' if simulated else ''}"
    picture = None
    if figures is not None:
        picture = figures / f"{case.id}{'_simulated' if simulated else ''}.png"
        said = [f"case {case.id}", understood]
        drawn = draw_overlay(image.voxels, mask.voxels, image.grid.spacing_mm, said)
        write_picture(picture, drawn)
    return Examined(case.id, understood, notes=(*notes, *_doubts(image, mask)), figure=picture)


def _described(image: Volume, mask: Volume) -> str:
    """Grid, spacing, range and volumes, x before y before z as radiologists say it."""
    size = " x ".join(str(n) for n in image.voxels.shape[::-1])
    spacing = " x ".join(f"{mm:.2f}" for mm in image.grid.spacing_mm[::-1])
    low, high = int(image.voxels.min()), int(image.voxels.max())
    liver, tumour = (
        np.count_nonzero(mask.voxels >= least) * image.grid.voxel_ml for least in (1, 2)
    )
    tumours = f" (tumours {tumour:.1f} ml)" if tumour else ""
    slices = np.count_nonzero((mask.voxels >= 1).any(axis=(1, 2)))
    return (
        f"{size} voxels of {spacing} mm, {low} to {high} HU, "
        f"liver {liver:.0f} ml{tumours} in {slices} slices"
    )


def _doubts(image: Volume, mask: Volume) -> Iterator[str]:
    """What can be read and used, but is seldom meant."""
    if not mask.voxels.any():
        yield "the mask holds no liver: is it the right file, and datamodule.liver_labels right?"
    if image.voxels.min() > AIR_HU:
        yield (
            f"no voxel is below {AIR_HU} HU although every scan holds air: were the numbers "
            "rescaled to Hounsfield units when the scan was exported?"
        )
