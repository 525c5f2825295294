"""Reading masks stored as DICOM segmentations (DICOM-SEG): frames placed by their positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import DataError
from vitruvian.liver.dicom import (
    SEGMENTATION,
    TO_RAS,
    check_decodable,
    directions,
    needed,
    read_header,
    read_pixels,
    vector,
)
from vitruvian.liver.volume import POSITION_TOLERANCE, Grid, Matrix, format_shape

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class Segment:
    """A segment of a DICOM-SEG file: its number, its label and what it shows."""

    number: int
    label: str
    shows: str


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a DICOM-SEG file: its place in the file, its segment and its plane.

    Attributes:
        index: position in the file's pixel data.
        segment: number of the segment it belongs to.
        plane: 4x4, from (column, row, 0, 1) to mm in RAS+.
    """

    index: int
    segment: int
    plane: Matrix


@dataclass(frozen=True)
class Segmentation:
    """A DICOM-SEG file whose header was read; its voxels are still on the disk.

    Attributes:
        path: the file.
        shape: (columns, rows) of its frames.
        segments: what it holds.
        frames: planes of the segments; planes without a voxel of the segment may be missing.
        threshold: lowest pixel value that counts as inside.
    """

    path: Path
    shape: tuple[int, int]
    segments: tuple[Segment, ...]
    frames: tuple[Frame, ...]
    threshold: float

    def place(self, grid: Grid, classes: Mapping[int, int]) -> list[tuple[Frame, int]]:
        """Find the slice (k) of an image's grid on which each wanted frame lies.

        Args:
            grid: the image's grid.
            classes: segment number -> class; higher classes come last, to be drawn over lower ones.

        Raises:
            DataError: a frame does not lie on a slice of the grid.
        """
        if self.shape != grid.shape[:2]:
            raise DataError(
                f"{self.path}: frames of {format_shape(self.shape)} pixels, but image slices of "
                f"{format_shape(grid.shape[:2])}; export the segmentation on the image's grid"
            )
        wanted = [frame for frame in self.frames if frame.segment in classes]
        wanted.sort(key=lambda frame: classes[frame.segment])
        return [(frame, self._slice_of(frame, grid)) for frame in wanted]

    def read(self, grid: Grid, classes: Mapping[int, int]) -> npt.NDArray[np.uint8]:
        """Draw the wanted segments on the image's grid: uint8 classes, (i, j, k).

        Raises:
            DataError: the pixels are damaged, or a frame does not lie on a slice of the grid.
        """
        placed = self.place(grid, classes)
        columns, rows, _ = grid.shape
        pixels = read_pixels(self.path)[1].reshape(-1, rows, columns)
        stored = np.zeros(grid.shape[::-1], np.uint8)
        for frame, k in placed:
            stored[k][pixels[frame.index] >= self.threshold] = classes[frame.segment]
        return stored.T

    def _slice_of(self, frame: Frame, grid: Grid) -> int:
        ni, nj, nk = grid.shape
        corners = np.array([[0, 0, 0, 1], [ni - 1, 0, 0, 1], [0, nj - 1, 0, 1]], dtype=float)
        found = corners @ (np.linalg.inv(grid.affine) @ frame.plane).T
        k = round(float(found[0, 2]))
        off = float(np.abs(found - corners - [0, 0, k, 0]).max())
        if off > POSITION_TOLERANCE or not 0 <= k < nk:
            raise DataError(
                f"{self.path}: frame {frame.index + 1} does not lie on a slice of the image (it is "
                f"at slice {found[0, 2]:.2f} of 0 to {nk - 1}, {off:.2g} voxels off); use the "
                "segmentation drawn on this series, or resample it to the image's grid"
            )
        return k


def open_segmentation(path: Path) -> Segmentation:
    """Read the header of a DICOM-SEG file.

    Raises:
        DataError: not a segmentation, of an unknown type, compressed in a way that cannot be
            decoded here, or lacking the planes of its frames.
    """
    header = read_header(path)
    if str(header.get("SOPClassUID", "")) != SEGMENTATION:
        raise DataError(f"{path}: not a DICOM segmentation (SEG); use one, or a NIfTI mask")
    check_decodable(path, header)
    kind = str(header.get("SegmentationType", ""))
    if kind not in ("BINARY", "FRACTIONAL"):
        raise DataError(f"{path}: segmentation type {kind!r} is not read; export it as BINARY")
    most = float(header.get("MaximumFractionalValue", 255))
    return Segmentation(
        path=path,
        shape=(int(needed(path, header, "Columns")), int(needed(path, header, "Rows"))),
        segments=tuple(_segments(path, header)),
        frames=tuple(_frames(path, header)),
        threshold=1.0 if kind == "BINARY" else most / 2,
    )


def _segments(path: Path, header: Dataset) -> Iterator[Segment]:
    for item in needed(path, header, "SegmentSequence"):
        kinds = item.get("SegmentedPropertyTypeCodeSequence") or [{}]
        number = int(needed(path, item, "SegmentNumber"))
        yield Segment(
            number, str(item.get("SegmentLabel", "")), str(kinds[0].get("CodeMeaning", ""))
        )


def _frames(path: Path, header: Dataset) -> Iterator[Frame]:
    shared = (header.get("SharedFunctionalGroupsSequence") or [{}])[0]
    for index, own in enumerate(needed(path, header, "PerFrameFunctionalGroupsSequence")):
        segment = _group(path, "SegmentIdentificationSequence", own, shared)
        number = int(needed(path, segment, "ReferencedSegmentNumber"))
        yield Frame(index, number, _plane(path, own, shared))


def _plane(path: Path, own: Any, shared: Any) -> Matrix:
    direction = directions(path, _group(path, "PlaneOrientationSequence", own, shared))
    measures = _group(path, "PixelMeasuresSequence", own, shared)
    between_rows, between_columns = vector(path, measures, "PixelSpacing", 2)
    position = _group(path, "PlanePositionSequence", own, shared)
    plane = np.zeros((4, 4))
    plane[:3, 0] = direction[:3] * between_columns
    plane[:3, 1] = direction[3:] * between_rows
    plane[:3, 3] = vector(path, position, "ImagePositionPatient", 3)
    plane[3, 3] = 1.0
    return np.asarray(TO_RAS @ plane)


def _group(path: Path, name: str, own: Any, shared: Any) -> Any:
    """A frame's own functional group, or the one it shares with all frames."""
    found = own.get(name) or shared.get(name)
    if not found:
        raise DataError(f"{path}: a frame lacks {name}; export the segmentation again")
    return found[0]
