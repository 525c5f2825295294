"""Reading CT series in DICOM: slices ordered and spaced by their positions.

pydicom is imported only when a DICOM file is read, so that NIfTI users do not pay for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import DataError
from vitruvian.liver.volume import PADDING_HU, Grid, Voxels, to_hu

if TYPE_CHECKING:
    from pydicom import Dataset

GAP_TOLERANCE = 1.5  # a step above 1.5 times the median step means that slices are missing
STACK_TOLERANCE = 0.25  # distance of a slice from its place in an even stack, in steps
SAME_PLACE_MM = 1e-3  # two slices nearer than this are one slice twice
COSINE_TOLERANCE = 1e-4
_MM_TOLERANCE = 1e-4

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.1"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM's patient axes are LPS+, nibabel's RAS+

Vector = npt.NDArray[np.float64]
Kind = Literal["slice", "mask", "other", "broken"]


@dataclass(frozen=True)
class DicomObject:
    """What one DICOM file is, as far as finding cases needs to know.

    Attributes:
        path: the file.
        kind: a CT slice, a segmentation, anything else, or a file too damaged to tell.
        modality: as the file says, such as `CT`, `MR`, `SEG`.
        series: SeriesInstanceUID of a slice; of a segmentation that of the series it was drawn on,
            empty where the file does not say.
        number: SeriesNumber, empty where missing.
    """

    path: Path
    kind: Kind
    modality: str
    series: str
    number: str


def is_dicom(path: Path) -> bool:
    """Whether the file is named `.dcm` or begins as DICOM files do (128 free bytes, `DICM`)."""
    if path.suffix.lower() == ".dcm":
        return True
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def identify(path: Path) -> DicomObject:
    """Read from a DICOM file what it is and which series it belongs to."""
    tags = ["SOPClassUID", "Modality", "ImageType", "SeriesInstanceUID", "SeriesNumber"]
    try:
        header = read_header(path, [*tags, "ReferencedSeriesSequence"])
    except DataError:
        return DicomObject(path, "broken", "unreadable", "", "")
    kind = _kind(header)
    source = header
    if kind == "mask":
        source = (header.get("ReferencedSeriesSequence") or [{}])[0]
    return DicomObject(
        path=path,
        kind=kind,
        modality=str(header.get("Modality", "unknown")),
        series=str(source.get("SeriesInstanceUID", "")),
        number=str(header.get("SeriesNumber") or ""),
    )


def _kind(header: Dataset) -> Kind:
    sop_class = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
    if sop_class is None:
        return "broken"
    if sop_class == SEGMENTATION:
        return "mask"
    scout = "LOCALIZER" in (header.get("ImageType") or [])
    return "slice" if sop_class in (CT_IMAGE, ENHANCED_CT_IMAGE) and not scout else "other"


# --- series --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Series:
    """A CT series whose headers were read and found sound; its voxels are still on the disk.

    Attributes:
        paths: one file per slice, in order along the slice normal.
        grid: (column, row, slice) grid; spacing from positions, never from SliceThickness.
        notes: things the user should know that are no errors.
    """

    paths: tuple[Path, ...]
    grid: Grid
    notes: tuple[str, ...] = ()

    def read_hu(self) -> npt.NDArray[np.int16]:
        """Read all voxels, (i, j, k), as int16 HU with padding at -1024.

        Raises:
            DataError: a slice is damaged or has no rescale slope and intercept.
        """
        stored = np.empty(self.grid.shape[::-1], np.int16)
        for k, path in enumerate(self.paths):
            stored[k] = _slice_hu(path)
        return stored.T


@dataclass(frozen=True)
class _Slice:
    """The header of one slice. Vectors and mm are DICOM's, LPS+."""

    path: Path
    series: str
    columns: int
    rows: int
    position: Vector
    orientation: Vector  # direction of a row, then direction of a column: two unit vectors
    spacing: Vector  # (between rows, between columns)


def open_series(paths: Sequence[Path]) -> Series:
    """Read and check the headers of one CT series, in any order of files.

    Raises:
        DataError: slices are missing, double, uneven or of several series, sizes or orientations; a
            header lacks what is needed; a file is cut short; a compression cannot be decoded here.
    """
    slices = [_read_slice(path) for path in paths]
    for other in slices[1:]:
        _check_alike(slices[0], other)
    if len(slices) < 2:
        raise DataError(f"{paths[0]}: the only slice of its series; copy the whole series")
    rows, columns = slices[0].orientation[:3], slices[0].orientation[3:]
    normal = np.asarray(np.cross(rows, columns), np.float64)
    slices.sort(key=lambda item: float(item.position @ normal))
    _check_stack(slices, normal)
    grid = _series_grid(slices)
    note = f"{slices[0].path.parent.name}: tilted gantry: distances in mm are approximate"
    return Series(tuple(item.path for item in slices), grid, (note,) if grid.is_sheared else ())


def _read_slice(path: Path) -> _Slice:
    header = read_header(path)
    if str(header.get("SOPClassUID", "")) == ENHANCED_CT_IMAGE:
        raise DataError(
            f"{path}: enhanced multi-frame CT is not read here; convert it to NIfTI (dcm2niix)"
        )
    if header.get("SamplesPerPixel", 1) != 1:
        raise DataError(f"{path}: a colour image, not CT; remove it from the series")
    columns, rows = int(needed(path, header, "Columns")), int(needed(path, header, "Rows"))
    check_decodable(path, header)
    _check_whole(path, header, columns * rows)
    return _Slice(
        path=path,
        series=str(header.get("SeriesInstanceUID", "")),
        columns=columns,
        rows=rows,
        position=vector(path, header, "ImagePositionPatient", 3),
        orientation=directions(path, header),
        spacing=vector(path, header, "PixelSpacing", 2),
    )


def _check_alike(first: _Slice, other: _Slice) -> None:
    """Refuse slices that cannot belong to one volume."""
    if other.series != first.series:
        raise DataError(
            f"{other.path}: of another series (SeriesInstanceUID) than {first.path.name}; keep one "
            "series in a case"
        )
    sizes = np.array([first.columns, first.rows]), np.array([other.columns, other.rows])
    for what, one, two, tolerance in (
        ("size in pixels", *sizes, 0.0),
        ("orientation", first.orientation, other.orientation, COSINE_TOLERANCE),
        ("pixel spacing in mm", first.spacing, other.spacing, _MM_TOLERANCE),
    ):
        if not np.allclose(one, two, rtol=0.0, atol=tolerance):
            raise DataError(
                f"{other.path}: its {what}, {two.tolist()}, differs from {one.tolist()} of "
                f"{first.path.name}; keep only slices of one volume in a case"
            )


def _check_stack(slices: Sequence[_Slice], normal: Vector) -> None:
    """Refuse double, missing and uneven slices; `slices` are in order along `normal`."""
    positions = np.array([item.position for item in slices])
    steps = np.diff(positions @ normal)
    usual = float(np.median(steps))
    narrow, wide = int(steps.argmin()), int(steps.argmax())
    if steps[narrow] < SAME_PLACE_MM:
        raise DataError(
            f"{slices[narrow].path}: at the same position as {slices[narrow + 1].path.name}; "
            "delete one of them, or separate the two scans they belong to"
        )
    if steps[wide] > GAP_TOLERANCE * usual:
        raise DataError(
            f"{slices[wide].path}: slices are missing between it and {slices[wide + 1].path.name} "
            f"({steps[wide]:.4g} mm apart, elsewhere {usual:.4g} mm); copy the whole series"
        )
    even = np.linspace(positions[0], positions[-1], len(slices))
    off = np.linalg.norm(positions - even, axis=1)
    if off.max() > STACK_TOLERANCE * usual:
        raise DataError(
            f"{slices[int(off.argmax())].path}: {off.max():.3g} mm from its place in an even stack "
            f"of {usual:.4g} mm steps; resample the series to even slices (dcm2niix does)"
        )


def _series_grid(slices: Sequence[_Slice]) -> Grid:
    """Spacing along k is the mean step: single steps carry the rounding of written positions."""
    first, last = slices[0], slices[-1]
    lps = np.eye(4)
    lps[:3, 0] = first.orientation[:3] * first.spacing[1]
    lps[:3, 1] = first.orientation[3:] * first.spacing[0]
    lps[:3, 2] = (last.position - first.position) / (len(slices) - 1)
    lps[:3, 3] = first.position
    try:
        return Grid((first.columns, first.rows, len(slices)), TO_RAS @ lps)
    except DataError as error:
        raise DataError(f"{first.path}: {error}") from error


def _slice_hu(path: Path) -> npt.NDArray[np.int16]:
    """Read one slice, (row, column), in HU; slope, intercept and padding are its own."""
    dataset, stored = read_pixels(path)
    slope, intercept = (
        np.float32(needed(path, dataset, f"Rescale{part}")) for part in ("Slope", "Intercept")
    )
    values = to_hu(stored.astype(np.float32) * slope + intercept)
    padding = dataset.get("PixelPaddingValue")
    if padding is not None:
        # Some scanners write the padding of signed pixels as unsigned: compare the bits.
        size = stored.dtype.itemsize
        bits = int(padding) & ((1 << 8 * size) - 1)
        values[stored.astype(f"u{size}", copy=False) == bits] = PADDING_HU
    return values


# --- files ---------------------------------------------------------------------------------------


def read_header(path: Path, tags: Iterable[str] | None = None) -> Dataset:
    """Read a DICOM file up to its pixels, all of the header or only `tags`."""
    import pydicom

    only = None if tags is None else list(tags)
    with _damage_named(path):
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=only)


def read_pixels(path: Path) -> tuple[Dataset, Voxels]:
    """Read a DICOM file whole: its header and its decoded pixels."""
    import pydicom

    with _damage_named(path):
        dataset = pydicom.dcmread(path)
        return dataset, np.asarray(dataset.pixel_array)


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn whatever pydicom and its decoders raise into one error that names the file."""
    try:
        yield
    except Exception as error:
        raise DataError(
            f"{path}: cannot be read as DICOM ({type(error).__name__}: {error}); copy it again"
        ) from error


def needed(path: Path, header: Any, name: str) -> Any:
    """The value of an attribute, or an error that names it and the file."""
    value = header.get(name)
    if value is None:
        raise DataError(f"{path}: the header lacks {name}; export the file again with it")
    return value


def vector(path: Path, header: Any, name: str, length: int) -> Vector:
    """The value of an attribute as `length` finite numbers."""
    value = np.array(needed(path, header, name), dtype=np.float64).ravel()
    if len(value) != length or not np.isfinite(value).all():
        raise DataError(
            f"{path}: {name} is {value.tolist()}, not {length} numbers; export it again"
        )
    return value


def directions(path: Path, header: Any) -> Vector:
    """ImageOrientationPatient: direction of a row, then of a column, checked to be unit vectors."""
    vectors = vector(path, header, "ImageOrientationPatient", 6)
    pair = vectors.reshape(2, 3)
    if not np.allclose(pair @ pair.T, np.eye(2), atol=COSINE_TOLERANCE):
        raise DataError(
            f"{path}: ImageOrientationPatient {vectors.tolist()} is not two unit vectors at right "
            "angles; export the file again"
        )
    return vectors


def check_decodable(path: Path, header: Dataset) -> None:
    """Refuse a compression that no installed plugin decodes, naming the plugins that would."""
    from pydicom.pixels import get_decoder

    syntax = needed(path, header.file_meta, "TransferSyntaxUID")
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise DataError(
            f"{path}: compressed as {syntax.name}, which nothing here decodes; decompress the "
            "files first (gdcmconv --raw)"
        ) from None
    if not decoder.is_available:
        plugins = " or ".join(f"[{plugin}]" for plugin in decoder.missing_dependencies)
        raise DataError(
            f"{path}: compressed as {syntax.name}; install one of these plugins with pip: {plugins}"
        )


def _check_whole(path: Path, header: Dataset, pixels: int) -> None:
    """Refuse an uncompressed file shorter than its own pixels, without reading them."""
    if header.file_meta.TransferSyntaxUID.is_compressed:
        return
    least, found = pixels * int(header.get("BitsAllocated", 16)) // 8, path.stat().st_size
    if found < least:
        raise DataError(
            f"{path}: the file is cut short: {found} bytes, its pixels alone need {least}; copy it "
            "again"
        )
