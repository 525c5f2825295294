"""Reading and checking the cases of the liver study, whatever their format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.liver.dicom import Series, open_series
from vitruvian.liver.dicom_seg import Segmentation, open_segmentation
from vitruvian.liver.labels import LITS, Labels
from vitruvian.liver.layouts import Case, find_cases
from vitruvian.liver.nifti import NiftiFile, is_nifti, open_nifti
from vitruvian.liver.volume import Grid, Volume, mask_grid

__all__ = [
    "LITS",
    "Case",
    "Finding",
    "Labels",
    "Survey",
    "check_case",
    "find_cases",
    "read_image",
    "read_label",
    "survey",
]

# --- reading -------------------------------------------------------------------------------------


def read_image(case: Case) -> Volume:
    """Read the CT of a case: int16 HU, (z, y, x) in LPS, everything below -1024 HU at -1024.

    Raises:
        DataError: the image is missing or broken; names the case and the file.
    """
    with _case_named(case):
        source = _open_image(case)
        return Volume(source.grid.canonical(source.read_hu()), source.grid)


def read_label(case: Case, image_grid: Grid, labels: Labels = LITS) -> Volume:
    """Read the mask of a case: uint8 classes 0, 1 liver, 2 tumour, (z, y, x) as its image.

    Args:
        case: the case.
        image_grid: grid of its image, which the mask must share.
        labels: which stored numbers mean what.

    Returns:
        The mask; its grid is the one by which its own voxels were put in order.

    Raises:
        DataError: the mask is missing or broken, lies on another grid, or holds other labels.
    """
    with _case_named(case):
        mask = _open_mask(case)
        if isinstance(mask, Segmentation):
            with _file_named(mask.path):
                classes = labels.segments(mask.segments)
            return Volume(image_grid.canonical(mask.read(image_grid, classes)), image_grid)
        grid = _fitting(case, image_grid, mask)
        with _file_named(mask.path):
            stored = mask.read(labels.classes, np.uint8)
        return Volume(grid.canonical(stored), grid)


def _open_image(case: Case) -> NiftiFile | Series:
    if case.format == "dicom":
        return open_series(case.images)
    return open_nifti(_only(case.images, "image", f"{case.label} has no image beside it"))


def _open_mask(case: Case) -> NiftiFile | Segmentation:
    image = case.images[0] if case.images else None
    path = _only(case.masks, "mask", f"{image} has no mask beside it")
    return open_nifti(path) if is_nifti(path) else open_segmentation(path)


def _only(paths: tuple[Path, ...], what: str, missing: str) -> Path:
    if not paths:
        raise DataError(f"{missing}; add the {what} or remove the case")
    if len(paths) > 1:
        listed = " and ".join(str(path) for path in paths)
        raise DataError(f"has {len(paths)} {what}s: {listed}; {_advice(paths)}")
    return paths[0]


def _advice(paths: tuple[Path, ...]) -> str:
    """Say which of several copies to delete: the uncompressed one, where that is the difference."""
    for path in paths:
        if path.with_name(f"{path.name}.gz") in paths:
            return f"delete {path} if both hold the same scan"
    return f"keep one and delete the others (or {paths[-1]} if all are the same)"


def _fitting(case: Case, image_grid: Grid, mask: NiftiFile) -> Grid:
    with _file_named(mask.path):
        return mask_grid(image_grid, mask.grid, by_index=case.format == "nifti")


@contextmanager
def _file_named(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        text = str(error)
        raise DataError(text if str(path) in text else f"{path}: {text}") from error


@contextmanager
def _case_named(case: Case) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f"case {case.id}: {error}") from error


# --- checking ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """Something to tell about a case; `text` names the file and, for a fault, what to do."""

    case_id: str
    text: str


@dataclass(frozen=True)
class Survey:
    """What a look at all cases found.

    Attributes:
        good: the cases that can be used, in the order given.
        problems: why each other case cannot.
        notes: remarks on good cases, such as a header that says nothing about millimetres.
    """

    good: tuple[Case, ...]
    problems: tuple[Finding, ...]
    notes: tuple[Finding, ...]

    def without(self, problems: Iterable[Finding]) -> Survey:
        """The survey with more cases found bad, as when their voxels were read."""
        more = tuple(problems)
        bad = {problem.case_id for problem in more}
        return Survey(
            tuple(case for case in self.good if case.id not in bad),
            self.problems + more,
            tuple(note for note in self.notes if note.case_id not in bad),
        )

    def accept(self, on_bad_case: Literal["raise", "skip"] = "raise") -> tuple[Case, ...]:
        """Return the good cases; with bad ones present, either raise or leave them out.

        Raises:
            DataError: there are bad cases and `on_bad_case` is `raise`, all of them in one message;
                or no good case is left.
        """
        listed = "\n".join(f"  {problem.text}" for problem in self.problems)
        if not self.good:
            raise DataError(f"no case can be used:\n{listed}")
        if self.problems and on_bad_case == "raise":
            raise DataError(
                f"{len(self.problems)} of {len(self.problems) + len(self.good)} cases cannot be "
                f"used; mend them, or leave them out with on_bad_case=skip:\n{listed}"
            )
        return self.good


def check_case(case: Case, labels: Labels = LITS, voxels: bool = False) -> list[str]:
    """Check a case: its headers only (milliseconds), or every voxel as well.

    Args:
        case: the case; its mask is checked where one is expected.
        labels: which stored numbers mean what.
        voxels: also read image and mask whole, as the store does when it converts them.

    Returns:
        Notes: things the user should know that are no errors.

    Raises:
        DataError: the case cannot be used; names the case and the file, and says what to do.
    """
    with _case_named(case):
        image = _open_image(case)
        notes = [*image.notes, *(_check_mask(case, image.grid, labels) if case.labelled else [])]
    if voxels:
        read_image(case)
        if case.labelled:
            read_label(case, image.grid, labels)
    return notes


def survey(cases: Iterable[Case], labels: Labels = LITS, voxels: bool = False) -> Survey:
    """Check all cases and tell the good from the bad; see `check_case`. Raises nothing itself."""
    good, problems, notes = [], [], []
    for case in cases:
        try:
            remarks = check_case(case, labels, voxels)
        except DataError as error:
            problems.append(Finding(case.id, str(error)))
        else:
            good.append(case)
            notes += [Finding(case.id, f"case {case.id}: {remark}") for remark in remarks]
    return Survey(tuple(good), tuple(problems), tuple(notes))


def _check_mask(case: Case, image_grid: Grid, labels: Labels) -> list[str]:
    mask = _open_mask(case)
    if isinstance(mask, Segmentation):
        with _file_named(mask.path):
            mask.place(image_grid, labels.segments(mask.segments))
        return []
    if _fitting(case, image_grid, mask) is image_grid:
        return [
            f"{mask.path.name}: its header and its image's disagree, and one was never filled in; "
            "voxels matched by index"
        ]
    return []  # on the image's grid, the image's own notes say all
