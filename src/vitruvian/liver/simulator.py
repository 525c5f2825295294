"""Simulated abdominal CT: the embedded default data of the liver study.

`phantom` scans one drawn patient: tissues get the HU of a contrast phase, the picture is blurred
by the scanner's point spread, noise is added, and the corners outside the reconstruction circle
are padded as real scanners do. `simulate_cohort` writes such scans as LiTS files, to be read by
the reader that reads the real ones. What it writes is called simulated wherever it shows.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.files import unwritable, write_json
from vitruvian.liver.anatomy import (
    DOME_MM,
    LIVER_TISSUES,
    TIP_MM,
    TUMOUR_TISSUES,
    Patient,
    dissect,
)
from vitruvian.liver.level_sets import WARP_MM, Field, Tissue, bspline_field, draw
from vitruvian.liver.volume import Grid

VERSION = 1  # raise it whenever the same seed would give other voxels
MARKER = "SIMULATED.json"
ORIENTATIONS = ("LAS", "LPS", "RAS", "RPS", "LAI")  # how the files of LiTS are stored, and one more

_PHASE_CHANCES = (0.1, 0.25, 0.85)  # cumulative; like LiTS, 60 % are portal venous
_HU: dict[Tissue, tuple[int, int, int, int]] = {  # unenhanced, arterial, portal venous, late
    Tissue.TABLE: (20, 20, 20, 20),
    Tissue.SKIN: (10, 15, 20, 15),
    Tissue.FAT: (-102, -102, -100, -100),
    Tissue.MUSCLE: (54, 58, 64, 62),
    Tissue.CARTILAGE: (105, 105, 108, 108),
    Tissue.CORTICAL_BONE: (390, 390, 400, 395),
    Tissue.MARROW: (135, 140, 150, 145),
    Tissue.DISC: (85, 85, 90, 88),
    Tissue.SPINAL_CANAL: (28, 30, 35, 33),
    Tissue.LUNG: (-860, -860, -850, -850),
    Tissue.LUNG_VESSEL: (-320, -250, -260, -290),
    Tissue.HEART: (45, 95, 110, 95),
    Tissue.HEART_CHAMBER: (42, 240, 155, 120),
    Tissue.GUT: (42, 70, 72, 62),
    Tissue.GUT_CONTENT: (25, 32, 35, 32),
    Tissue.GAS: (-960, -960, -960, -960),
    Tissue.STOMACH_CONTENT: (12, 12, 12, 12),
    Tissue.PANCREAS: (42, 105, 92, 75),
    Tissue.SPLEEN: (52, 125, 122, 98),
    Tissue.RENAL_CORTEX: (33, 190, 185, 150),
    Tissue.RENAL_MEDULLA: (30, 80, 160, 155),
    Tissue.GALLBLADDER: (6, 8, 10, 10),
    Tissue.AORTA: (42, 310, 165, 122),
    Tissue.VENA_CAVA: (40, 90, 145, 120),
    Tissue.PORTAL_VEIN: (40, 120, 168, 124),
    Tissue.LIVER: (62, 76, 112, 98),
    Tissue.LIVER_VESSEL: (42, 100, 152, 120),
}
_NOT_ENHANCING = (Tissue.TABLE, Tissue.LUNG, Tissue.LUNG_VESSEL, Tissue.GAS)


class Phantom(NamedTuple):
    """A simulated scan in canonical orientation (LPS).

    Attributes:
        hu: (z, y, x) int16; padding outside the field of view may be -3024, as in LiTS.
        label: (z, y, x) uint8: 0 background, 1 liver, 2 tumour; exact, set before blur and noise.
        spacing_mm: (dz, dy, dx).
    """

    hu: npt.NDArray[np.int16]
    label: npt.NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]


class _Scan(NamedTuple):
    """Where the voxels lie: spacing, and positions along z, y, x (mm from the trunk's middle)."""

    spacing_mm: tuple[float, float, float]
    positions: tuple[npt.NDArray[np.float64], ...]


def phantom(
    rng: np.random.Generator, size: int = 160, slices: tuple[int, int] = (44, 60)
) -> Phantom:
    """Draw a patient and scan it.

    The same generator state gives the same voxels on every machine: labels rest on exactly
    rounded operations alone, HU on those and on NumPy's normal draws, rounded to whole HU.

    Args:
        rng: the only source of chance.
        size: rows and columns of a slice; the body keeps its millimetres, so 512 gives the
            0.6 to 1.0 mm pixels of LiTS.
        slices: fewest and most slices; they cover the liver and a little more, so more slices
            are thinner ones (3 to 6 mm by default).

    Raises:
        ConfigError: `size` or `slices` out of range.
    """
    _check(size, slices)
    patient = Patient.drawn(rng)
    scan = _plan(rng, patient, size, slices)
    tissue = dissect(patient, scan.positions, rng)
    label = _labels(tissue)
    _lay_on_table(rng, patient, scan, tissue)
    return Phantom(_expose(rng, tissue, scan), label, scan.spacing_mm)


def _check(size: int, slices: tuple[int, int]) -> None:
    if not 32 <= size <= 512:
        raise ConfigError(f"size={size}: choose 32 to 512 pixels a row")
    if not 8 <= slices[0] <= slices[1] <= 1024:
        raise ConfigError(f"slices={slices}: give the fewest and the most slices, 8 to 1024")


def _plan(rng: np.random.Generator, patient: Patient, size: int, slices: tuple[int, int]) -> _Scan:
    """Centre the field of view near the patient; leave slices without liver at both ends."""
    n = int(rng.integers(slices[0], slices[1] + 1))
    low = patient.scale[2] * (TIP_MM - WARP_MM[2]) - draw(rng, 4.0, 36.0)
    high = patient.scale[2] * (DOME_MM + WARP_MM[2]) + draw(rng, 2.0, 12.0)
    dz = round((high - low) / (n - 2), 3)
    field_mm = min(max(patient.width_mm * draw(rng, 1.05, 1.25), 0.6 * 512), 512.0)
    pixel = round(field_mm / size, 4)
    z = low + dz * (np.arange(n, dtype=np.float64) - 0.5)
    row = pixel * (np.arange(size, dtype=np.float64) - 0.5 * (size - 1))
    return _Scan((dz, pixel, pixel), (z, row + draw(rng, -9.0, 14.0), row + draw(rng, -7.0, 7.0)))


def _labels(tissue: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    table = np.zeros(len(Tissue) + 1, np.uint8)
    table[list(LIVER_TISSUES)] = 1
    table[list(TUMOUR_TISSUES)] = 2
    return table[tissue]


def _lay_on_table(
    rng: np.random.Generator, patient: Patient, scan: _Scan, tissue: npt.NDArray[np.uint8]
) -> None:
    """Put the thin shell of a curved table under the back."""
    _, y, x = scan.positions
    sag = patient.back_mm + draw(rng, 8.0, 16.0) - x * x / draw(rng, 1200.0, 2500.0)
    below = y[:, None] - sag
    shell = (below > 0.0) & (below < max(3.0, 2.0 * scan.spacing_mm[1])) & (np.abs(x) < 180.0)
    tissue[shell & (tissue == 0)] = Tissue.TABLE


def _expose(
    rng: np.random.Generator, tissue: npt.NDArray[np.uint8], scan: _Scan
) -> npt.NDArray[np.int16]:
    """Turn tissues into the HU a scanner would show."""
    hu = _attenuations(rng)[tissue]
    hu += bspline_field(rng, hu.shape, (3, 4, 4), 12.0)  # scatter shades a picture slowly
    sharpness = 0.9 / scan.spacing_mm[1]  # the scanner blurs by 0.9 mm, partial volume by pixels
    in_plane = min(0.25, 0.06 + 0.5 * sharpness * sharpness)
    for axis, weight in enumerate((draw(rng, 0.05, 0.15), in_plane, in_plane)):
        hu = _blur(hu, axis, weight)
    hu += _noise(rng, scan)
    return _pad(rng, np.clip(np.rint(hu), -1024, 3071).astype(np.int16))


def _attenuations(rng: np.random.Generator) -> Field:
    """HU of each tissue of one patient: a contrast phase, with individual deviations."""
    phase = int(np.searchsorted(_PHASE_CHANCES, draw(rng, 0.0, 1.0)))
    table = np.full(len(Tissue) + 1, -1000.0, np.float32)
    for tissue, values in _HU.items():
        table[tissue] = values[phase] + (0 if tissue in _NOT_ENHANCING else draw(rng, -7.0, 7.0))
    shift = draw(rng, -10.0, 14.0)  # from a fatty to a dense liver
    table[[Tissue.LIVER, Tissue.LIVER_VESSEL]] += shift
    table[Tissue.TUMOUR] = table[Tissue.LIVER] - draw(rng, 26.0, 60.0)
    table[Tissue.TUMOUR_CORE] = max(table[Tissue.TUMOUR] - draw(rng, 8.0, 30.0), 8.0)
    if draw(rng, 0.0, 1.0) < 0.3:  # the patient drank contrast agent
        table[Tissue.STOMACH_CONTENT] = draw(rng, 120.0, 300.0)
        table[Tissue.GUT_CONTENT] += draw(rng, 0.0, 120.0)
    return table


def _blur(field: Field, axis: int, weight: float) -> Field:
    """Three-tap blur along one axis; the outermost voxels count as their own neighbours."""
    f = np.moveaxis(field, axis, 0)
    out = f * np.float32(1.0 - 2.0 * weight)
    for target, source in (
        (out[1:], f[:-1]),
        (out[:-1], f[1:]),
        (out[:1], f[:1]),
        (out[-1:], f[-1:]),
    ):
        target += source * np.float32(weight)
    return np.moveaxis(out, 0, axis)


def _noise(rng: np.random.Generator, scan: _Scan) -> Field:
    """Noise of SD 10 to 25 HU in the middle of the body, correlated between pixels of a slice."""
    z, y, x = scan.positions
    sd, weight = draw(rng, 10.0, 25.0), draw(rng, 0.1, 0.22)
    centre = 1.0 - 2.0 * weight
    gain = centre * centre + 2.0 * weight * weight  # of the variance by each of the two blurs
    white = rng.standard_normal((len(z), len(y), len(x)), dtype=np.float32)
    square = (y * y)[:, None] + x * x
    profile = sd / gain * (1.0 - 0.5 * np.minimum(square / 40_000.0, 1.0))  # less to penetrate
    return _blur(_blur(white, 1, weight), 2, weight) * profile.astype(np.float32)


def _pad(rng: np.random.Generator, hu: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Blank the corners outside the reconstruction circle, in most scans."""
    chance, half = draw(rng, 0.0, 1.0), 0.5 * (hu.shape[1] - 1)
    row = np.arange(hu.shape[1]) - half
    outside = (row * row)[:, None] + row * row > (half + 0.5) * (half + 0.5)
    if chance > 0.3:
        hu[:, outside] = -3024 if chance > 0.6 else -1024
    return hu


# --- Files --------------------------------------------------------------------------------------


def simulate_cohort(
    root: Path,
    cases: int = 20,
    seed: int = 0,
    size: int = 160,
    slices: tuple[int, int] = (44, 60),
) -> Path:
    """Write a simulated cohort as LiTS files, once.

    `root` comes to hold volume-N.nii, segmentation-N.nii.gz and SIMULATED.json. It appears whole
    or not at all: the files are written in a folder beside it, which is then renamed. A cohort of
    the same parameters that is there already, or appears meanwhile, is kept as it is.

    Args:
        root: folder to create; it may exist if it is empty.
        cases: number of patients.
        seed: patient N is drawn from `default_rng([seed, N])`, whatever the number of cases.
        size: see `phantom`.
        slices: see `phantom`.

    Returns:
        `root`.

    Raises:
        ConfigError: a parameter is out of range.
        DataError: `root` holds something else.
        RunError: the folder cannot be written.
    """
    _check(size, slices)
    if cases < 1:
        raise ConfigError(f"cases={cases}: at least one is needed")
    marker = {
        "simulated": True,
        "what": "simulated abdominal CT with liver and tumour masks; no patient was scanned",
        "version": VERSION,
        "parameters": {"cases": cases, "seed": seed, "size": size, "slices": list(slices)},
    }
    if _present(root, marker):
        return root
    with _new_folder(root, marker) as folder:
        for case in range(cases):
            _write_case(folder, case, np.random.default_rng([seed, case]), size, slices)
        write_json(folder / MARKER, marker)
    return root


def _present(root: Path, marker: dict[str, Any]) -> bool:
    """Whether the very cohort is there; anything else in its place is an error."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        found = json.loads((root / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found != marker:
        other = "another simulated cohort" if isinstance(found, dict) else "other files"
        raise DataError(
            f"{root} holds {other}; remove it or choose another folder to simulate into"
        )
    return True


@contextmanager
def _new_folder(root: Path, marker: dict[str, Any]) -> Iterator[Path]:
    """Yield a folder beside `root` that becomes `root`, unless another process was faster."""
    folder = root.parent / f".{root.name}.{uuid.uuid4().hex}.tmp"
    try:
        folder.mkdir(parents=True)
        yield folder
        try:
            folder.rename(root)
        except OSError:
            if not _present(root, marker):
                raise
    except OSError as error:
        raise unwritable(root, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_case(
    folder: Path, case: int, rng: np.random.Generator, size: int, slices: tuple[int, int]
) -> None:
    scan = phantom(rng, size, slices)
    grid = _grid(rng, scan)
    for name, voxels in (("volume-{}.nii", scan.hu), ("segmentation-{}.nii.gz", scan.label)):
        image = nib.Nifti1Image(grid.native(voxels), grid.affine)
        image.header.set_xyzt_units("mm")
        image.header["descrip"] = b"simulated by Vitruvian"
        nib.save(image, folder / name.format(case))


def _grid(rng: np.random.Generator, scan: Phantom) -> Grid:
    """A file's grid: one of the orientations met in LiTS, the origin anywhere in the room."""
    codes = ORIENTATIONS[rng.integers(len(ORIENTATIONS))]
    shape = scan.hu.shape[::-1]
    affine = np.eye(4)
    for axis, (code, mm, n) in enumerate(zip(codes, scan.spacing_mm[::-1], shape, strict=True)):
        step = mm if code in "RAS" else -mm
        affine[axis, axis] = step
        affine[axis, 3] = round(draw(rng, -150.0, 150.0) - 0.5 * step * (n - 1), 3)
    return Grid((shape[0], shape[1], shape[2]), affine)
