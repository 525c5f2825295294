"""Masks of new scans: a NIfTI in the scan's own grid, its volume as JSON, an overlay picture."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import nibabel as nib
import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import DataError
from vitruvian.core.files import atomic, write_json
from vitruvian.liver.inference import Mask, Scan
from vitruvian.liver.layouts import Case, find_cases
from vitruvian.liver.readers import read_image
from vitruvian.liver.volume import Grid, Volume

if TYPE_CHECKING:
    from vitruvian.liver.segmenter import LiverSegmenter

WINDOW_HU = (-160.0, 240.0)  # abdominal soft-tissue window of the overlay
CONTOUR_BGR = (60, 220, 60)
TUMOUR_BGR = (60, 60, 230)


def predict_path(
    task: LiverSegmenter, source: Path, target: Path, provenance: dict[str, Any]
) -> list[Path]:
    """Segment every scan of a file or folder.

    Args:
        task: the trained task, on its device.
        source: a NIfTI file, a folder of NIfTI files, or a folder of DICOM series.
        target: folder for `NAME_liver.nii.gz`, `NAME_liver.json` and `NAME_liver.png`.
        provenance: what the JSON says about the run.

    Returns:
        The files written, mask first, scan by scan.

    Raises:
        DataError: there is no scan, or one is broken.
    """
    if not source.exists():
        raise DataError(f"input={source}: no such file or folder")
    written: list[Path] = []
    for case in find_cases(source, labelled=False):
        written += predict_case(task, case, target, provenance)
    return written


def predict_case(
    task: LiverSegmenter, case: Case, target: Path, provenance: dict[str, Any]
) -> list[Path]:
    """Segment one scan and write its three files."""
    image = read_image(case)
    mask = task.inference.clean(task.segment(Scan.of(image.voxels)))
    stem = target / f"{file_stem(case)}_liver"
    paths = [stem.with_name(stem.name + end) for end in (".nii.gz", ".json", ".png")]
    write_mask(paths[0], mask, image.grid)
    write_json(paths[1], describe(case, mask, image, provenance))
    write_overlay(paths[2], image.voxels, mask, image.grid.spacing_mm)
    return paths


def file_stem(case: Case) -> str:
    """The scan's own file name without its ending, or the series' name."""
    if case.format == "nifti":
        return re.sub(r"\.nii(\.gz)?$", "", case.images[0].name)
    return re.sub(r"[^\w.-]+", "_", case.id)


def write_mask(path: Path, mask: Mask, grid: Grid) -> None:
    """Write a canonical mask back onto the grid, orientation and affine of its scan."""
    image = nib.Nifti1Image(grid.native(mask), grid.affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(grid.affine, code=1)
    image.set_sform(grid.affine, code=1)
    with atomic(path) as temporary:
        named = temporary.with_suffix(".nii.gz")  # nibabel chooses the format by the name
        try:
            nib.save(image, named)
            named.replace(temporary)
        finally:
            named.unlink(missing_ok=True)


def describe(case: Case, mask: Mask, image: Volume, provenance: dict[str, Any]) -> dict[str, Any]:
    """Volumes in mL, what was read, and the run that predicted it."""
    counts = np.bincount(mask.ravel(), minlength=3)
    return {
        "input": [str(path) for path in case.images],
        "liver_ml": float(counts[1:].sum() * image.grid.voxel_ml),
        "tumour_ml": float(counts[2] * image.grid.voxel_ml),
        "empty": bool(counts[1:].sum() == 0),
        "shape": list(image.grid.shape),
        "spacing_mm_zyx": list(image.grid.spacing_mm),
        "note": "research software: not a medical device, not for diagnosis",
        "predicted": datetime.now(UTC).isoformat(timespec="seconds"),
        **provenance,
    }


def write_overlay(
    path: Path, hu: npt.NDArray[np.int16], mask: Mask, spacing_mm: tuple[float, float, float]
) -> None:
    """Draw the contour on an axial, a coronal and a sagittal slice through the liver."""
    z, y, x = _middle(mask)
    dz, dy, dx = spacing_mm
    views = [
        _view(hu[z], mask[z], dy, dx),
        _view(hu[::-1, y], mask[::-1, y], dz, dx),
        _view(hu[::-1, :, x], mask[::-1, :, x], dz, dy),
    ]
    height = max(view.shape[0] for view in views)
    picture = np.hstack([_to_height(view, height) for view in views])
    encoded, data = cv2.imencode(".png", picture)
    if not encoded:
        raise DataError(f"{path}: the overlay picture could not be encoded")
    with atomic(path) as temporary:
        temporary.write_bytes(data.tobytes())


def _middle(mask: Mask) -> tuple[int, int, int]:
    """Index of the slices with most liver along each axis; the centre of an empty mask."""
    if not mask.any():
        return mask.shape[0] // 2, mask.shape[1] // 2, mask.shape[2] // 2
    z, y, x = (
        int(np.count_nonzero(mask, axis=tuple({0, 1, 2} - {axis})).argmax()) for axis in range(3)
    )
    return z, y, x


def _view(
    hu: npt.NDArray[np.int16], mask: Mask, row_mm: float, column_mm: float
) -> npt.NDArray[np.uint8]:
    """A slice in true proportions with the contours of its labels."""
    low, high = WINDOW_HU
    grey = np.clip((hu - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    scale = row_mm / column_mm
    size = (hu.shape[1], max(1, round(hu.shape[0] * scale)))
    picture = cv2.cvtColor(
        cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR), cv2.COLOR_GRAY2BGR
    )
    drawn = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    for label, colour in ((1, CONTOUR_BGR), (2, TUMOUR_BGR)):
        contours, _ = cv2.findContours(
            (drawn >= label).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(picture, contours, -1, colour, 1)
    return np.asarray(picture, dtype=np.uint8)


def _to_height(picture: npt.NDArray[np.uint8], height: int) -> npt.NDArray[np.uint8]:
    """Centre the picture on a black strip of this height."""
    missing = height - picture.shape[0]
    return np.pad(picture, ((missing // 2, missing - missing // 2), (0, 0), (0, 0)))
