"""Masks of new scans: a NIfTI in the scan's own grid, its volume as JSON, an overlay picture.

Of a scan's header only its geometry is carried over: names, dates and free text stay behind.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import nibabel as nib
import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.core.files import atomic, write_json
from vitruvian.core.task import SIMULATED_KEY
from vitruvian.liver.cohort import is_simulated
from vitruvian.liver.components import Mask
from vitruvian.liver.inference import Scan
from vitruvian.liver.layouts import Case, find_cases
from vitruvian.liver.overlay import Picture, draw_overlay
from vitruvian.liver.readers import read_image
from vitruvian.liver.volume import Grid, Volume

if TYPE_CHECKING:
    from vitruvian.liver.segmenter import LiverSegmenter

NOT_FOR_DIAGNOSIS = "research software: not a medical device, not for diagnosis"
SIMULATED = "model trained on SIMULATED data"
ENDINGS = (".nii.gz", ".json", ".png")  # of the mask, the volume and the overlay
SUFFIXES = ("_liver", "_liver_simulated")  # the second: the model was trained on simulated data

# The fields of a NIfTI-1 or -2 header that say where the voxels lie.
_PLACEMENT = (
    *("qform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("sform_code", "srow_x", "srow_y", "srow_z"),
)


def predict_path(
    task: LiverSegmenter, source: Path, target: Path, provenance: dict[str, Any]
) -> Iterator[Path]:
    """Segment every scan of a file or folder, one after the other.

    Args:
        task: the trained task, on its device.
        source: a NIfTI file, a folder of NIfTI files, or a folder of DICOM series.
        target: folder for `NAME_liver.nii.gz`, `NAME_liver.json` and `NAME_liver.png`; it gets the
            sub-folders of `source`.
        provenance: what the JSON says about the run.

    Yields:
        The files as they are written, mask first, scan by scan.

    Raises:
        DataError: there is no scan, or some are broken; those that are not have been predicted.
    """
    if not source.exists():
        raise DataError(f"input={source}: no such file or folder")
    faults: list[str] = []
    scans = find_scans(source)
    for name, case in scans.items():
        try:
            yield from predict_case(task, case, name, target, provenance)
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise DataError(_told(faults, len(scans)))


def _told(faults: list[str], scans: int) -> str:
    if scans == 1:
        return faults[0]
    listed = "\n".join(f"  {fault}" for fault in faults)
    done = scans - len(faults)
    return f"{len(faults)} of {scans} scans cannot be predicted; {done} are done:\n{listed}"


def find_scans(source: Path) -> dict[str, Case]:
    """List the scans of a file or folder by the names of their results.

    A name is the scan's own without its ending, after its sub-folder; scans that would share one
    are numbered. Masks predicted earlier are passed over.

    Raises:
        DataError: there is no scan.
    """
    scans: dict[str, Case] = {}
    for case in find_cases(source, labelled=False):
        for single in _apart(case):
            if not _is_result(single.images[0]):
                scans[_unused(_name(single, source), scans)] = single
    if not scans:
        raise DataError(f"input={source}: holds masks predicted earlier, and no scan")
    return scans


def _apart(case: Case) -> list[Case]:
    """Files of one name in several folders are copies to a training, and scans here."""
    if case.format == "dicom":
        return [case]
    return [replace(case, images=(image,)) for image in case.images]


def _is_result(image: Path) -> bool:
    stem = image.name.removesuffix(".nii.gz")
    return stem.endswith(SUFFIXES) and image.with_name(f"{stem}.json").is_file()


def _name(case: Case, source: Path) -> str:
    if case.format == "dicom":
        return re.sub(r"[^\w.-]+", "_", case.id)
    image = case.images[0]
    inside = image.relative_to(source) if source.is_dir() else Path(image.name)
    return re.sub(r"\.nii(\.gz)?$", "", inside.as_posix())


def _unused(name: str, taken: dict[str, Case]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def predict_case(
    task: LiverSegmenter, case: Case, name: str, target: Path, provenance: dict[str, Any]
) -> list[Path]:
    """Segment one scan and write its three files, `NAME_liver[_simulated]` with their endings."""
    image = read_image(case)
    mask = task.inference.clean(task.segment(Scan.of(image.voxels)))
    suffix = result_suffix(provenance)
    paths = [target / f"{name}{suffix}{ending}" for ending in ENDINGS]
    found = describe(case, mask, image, task.classes) | provenance
    write_mask(paths[0], mask, image.grid, mask_header(case, image.grid, found))
    write_json(paths[1], found)
    write_picture(paths[2], overlay(image, mask, found))
    return paths


def result_suffix(provenance: dict[str, Any]) -> str:
    """What the results are called after their scan: the name tells a model of simulated data."""
    return SUFFIXES[bool(provenance.get(SIMULATED_KEY))]


def describe(case: Case, mask: Mask, image: Volume, classes: int) -> dict[str, Any]:
    """What was found, in mL, and in what; nothing of the header but its geometry."""
    liver = int(np.count_nonzero(mask))
    volumes = {"liver_ml": liver * image.grid.voxel_ml}
    if classes == 3:  # two classes say nothing about tumours
        volumes["tumour_ml"] = int(np.count_nonzero(mask == 2)) * image.grid.voxel_ml
    return {
        "input": case.images[0].name if case.format == "nifti" else case.id,
        "input_files": len(case.images),
        "input_simulated": is_simulated(case.images),
        **volumes,
        "empty": liver == 0,
        "shape_ijk": list(image.grid.shape),
        "spacing_mm_zyx": list(image.grid.spacing_mm),
        "note": NOT_FOR_DIAGNOSIS,
        "predicted": datetime.now(UTC).isoformat(timespec="seconds"),
    }


# -- the three files ------------------------------------------------------------------------------


def mask_header(case: Case, grid: Grid, found: dict[str, Any]) -> nib.Nifti1Header:
    """A header that places the mask to the last bit where its scan lies, and says what it is."""
    header = nib.Nifti1Header()
    if case.format == "nifti":
        scan = nib.load(case.images[0]).header
        header["pixdim"][:4] = scan["pixdim"][:4]
        for field in _PLACEMENT:
            header[field] = scan[field]
    else:
        header.set_sform(grid.affine, code="scanner")
        header.set_qform(grid.affine, code="unknown" if grid.is_sheared else "scanner")
    header.set_data_dtype(np.uint8)
    header.set_xyzt_units("mm")
    texts = ["liver mask by Vitruvian", *([SIMULATED] if found.get(SIMULATED_KEY) else [])]
    header["descrip"] = ", ".join(texts).encode()
    return header


def write_mask(path: Path, mask: Mask, grid: Grid, header: nib.Nifti1Header) -> None:
    """Write a canonical mask back onto the voxels of its scan; equal masks make equal files."""
    image = nib.Nifti1Image(grid.native(mask), None, header)
    with (
        atomic(path) as temporary,
        temporary.open("wb") as stream,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=stream, mtime=0) as packed,
    ):
        image.to_file_map({"image": nib.FileHolder(fileobj=packed)})


def overlay(image: Volume, mask: Mask, found: dict[str, Any]) -> Picture:
    """The picture of a scan with the contour of its mask, and its volume in words."""
    sizes = [f"liver {found['liver_ml']:.0f} mL"]
    if "tumour_ml" in found:
        sizes.append(f"tumour {found['tumour_ml']:.0f} mL")
    warnings = [
        *(["SIMULATED scan"] if found["input_simulated"] else []),
        *([SIMULATED] if found.get(SIMULATED_KEY) else []),
        "research software, not for diagnosis",
    ]
    findings = ["no liver found"] if found["empty"] else [", ".join(sizes)]
    return draw_overlay(image.voxels, mask, image.grid.spacing_mm, findings, warnings)


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture as PNG, atomically."""
    encoded, data = cv2.imencode(".png", picture)
    if not encoded:
        raise DataError(f"{path}: the overlay picture could not be encoded")
    with atomic(path) as temporary:
        temporary.write_bytes(data.tobytes())
