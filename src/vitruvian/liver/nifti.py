"""Reading NIfTI files: headers first, then voxels slab by slab, so that memory stays small."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from vitruvian.core.errors import DataError
from vitruvian.liver.volume import Grid, Voxels, format_shape, to_hu

_SLAB_VOXELS = 1 << 22  # 4 Mi voxels: 16 slices of 512 x 512, at most 32 MB at once
_CHUNK = 1 << 20
_KINDS = "iuf"  # integers and floats; complex numbers and RGB hold no HU
_AGAIN = "copy or download it again"


@dataclass(frozen=True)
class NiftiFile:
    """A NIfTI file whose header was read and found sound; its voxels are still on the disk.

    Attributes:
        path: the `.nii` or `.nii.gz` file.
        grid: its voxel grid.
        dtype: type of the stored voxels, byte order included.
        offset: bytes before the first voxel.
        slope, intercept: what turns a stored value into a real one.
        notes: things the user should know that are no errors.
    """

    path: Path
    grid: Grid
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    notes: tuple[str, ...] = ()

    def read(self, convert: Callable[[Voxels], Voxels], dtype: npt.DTypeLike) -> Voxels:
        """Read all voxels, (i, j, k), each slab through `convert` into an array of `dtype`.

        Raises:
            DataError: the file is cut short or damaged, or holds NaN or infinite voxels.
        """
        stored = np.empty(self.grid.shape[::-1], dtype)
        for part, values in self._slabs():
            stored[part] = convert(values)
        return stored.T

    def read_hu(self) -> npt.NDArray[np.int16]:
        """Read all voxels, (i, j, k), as int16 HU with padding at -1024."""
        return self.read(to_hu, np.int16)

    def _slabs(self) -> Iterator[tuple[slice, Voxels]]:
        """Yield slices of k and their values (k, j, i): the order of the bytes in the file."""
        ni, nj, nk = self.grid.shape
        step = max(1, _SLAB_VOXELS // (ni * nj))
        with _damage_named(self.path), _opened(self.path) as stream:
            stream.seek(self.offset)
            for first in range(0, nk, step):
                part = slice(first, min(first + step, nk))
                stored = self._stored(stream, (part.stop - part.start, nj, ni))
                yield part, self._real(stored, first)
            while stream.read(_CHUNK):  # gzip verifies its checksum at the end of the stream
                pass

    def _stored(
        self, stream: gzip.GzipFile | BufferedReader, shape: tuple[int, int, int]
    ) -> Voxels:
        count = int(np.prod(shape)) * self.dtype.itemsize
        content = stream.read(count)
        if len(content) < count:
            raise EOFError
        return np.frombuffer(content, self.dtype).reshape(shape)

    def _real(self, stored: Voxels, first_slice: int) -> Voxels:
        """Apply slope and intercept, in float32, only where the header has them."""
        if (self.slope, self.intercept) != (1.0, 0.0):
            stored = stored.astype(np.float32) * np.float32(self.slope) + np.float32(self.intercept)
        if stored.dtype.kind == "f" and not np.isfinite(stored).all():
            k, j, i = (int(a[0]) for a in np.nonzero(~np.isfinite(stored)))
            where = (i, j, k + first_slice)
            raise DataError(
                f"{self.path}: NaN or infinite voxels, the first at (i, j, k) = {where}; write a "
                "number there (-1024 HU in an image, 0 in a mask)"
            )
        return stored


def is_nifti(path: Path) -> bool:
    """Whether the name says NIfTI: `.nii` or `.nii.gz`."""
    return path.name.endswith((".nii", ".nii.gz"))


def open_nifti(path: Path) -> NiftiFile:
    """Read and check the header of a NIfTI file, and that the file is as long as the header says.

    Raises:
        DataError: missing, empty, cut short, not NIfTI, not one 3-D volume of real numbers, or a
            singular affine; the message names the file and says what to do.
    """
    image = _load(path)
    proxy = image.dataobj
    dtype = np.dtype(proxy.dtype)
    if dtype.kind not in _KINDS:
        raise DataError(
            f"{path}: voxels are {_kind(dtype)}, not numbers in HU or labels; export the volume as "
            "16-bit integers"
        )
    shape = _three_d(path, proxy.shape)
    _check_length(path, proxy.offset + int(np.prod(shape)) * dtype.itemsize)
    try:
        grid = Grid(shape, image.affine)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    unit = image.header.get_xyzt_units()[0]
    if unit not in ("mm", "unknown"):
        raise DataError(f"{path}: lengths are in {unit}s; rewrite the header in millimetres")
    notes = tuple(_notes(image, grid))
    return NiftiFile(path, grid, dtype, proxy.offset, float(proxy.slope), float(proxy.inter), notes)


def _load(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"{path}: no such file; check the path")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty (0 bytes); {_AGAIN}")
    if path.name.endswith(".gz") != _compressed(path):
        state, name = ("is", "add") if _compressed(path) else ("is not", "remove")
        raise DataError(f"{path}: the content {state} compressed; {name} .gz in the file's name")
    try:
        with _damage_named(path):
            image = nib.load(path)
    except (ImageFileError, HeaderDataError) as error:
        _inflated_length(path)  # nibabel calls a damaged gzip stream an unknown type as well
        raise DataError(f"{path}: not a NIfTI file ({error}); {_AGAIN} or convert it") from error
    if not isinstance(image, nib.Nifti1Image):
        raise DataError(f"{path}: not a NIfTI file but {type(image).__name__}; convert it")
    return image


def _three_d(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Drop trailing axes of length 1."""
    if len(shape) < 3 or any(size != 1 for size in shape[3:]):
        raise DataError(
            f"{path}: {len(shape)}-D, {format_shape(shape)}; one 3-D volume is needed: split or "
            "stack it"
        )
    return int(shape[0]), int(shape[1]), int(shape[2])


def _notes(image: Any, grid: Grid) -> Iterator[str]:
    name = Path(image.get_filename()).name
    if grid.is_placeholder:
        yield f"{name}: its affine says 1 mm, unrotated: mm and orientation may be wrong"
    elif not (image.header["qform_code"] or image.header["sform_code"]):
        yield f"{name}: the header holds no orientation (qform_code = sform_code = 0)"
    if grid.is_sheared:
        yield f"{name}: the axes are not at right angles: distances in mm are approximate"


def _kind(dtype: np.dtype[Any]) -> str:
    return "complex numbers" if dtype.kind == "c" else "colours (RGB)"


def _compressed(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path) if path.name.endswith(".gz") else path.open("rb")


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn the errors of a broken stream into one that names the file."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the file is cut short or damaged; {_AGAIN}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _check_length(path: Path, needed: int) -> None:
    """Compare the file's length with the header's, without inflating a sound `.nii.gz`."""
    found = path.stat().st_size
    if path.name.endswith(".gz"):
        # The last 4 bytes of gzip give the inflated length modulo 2**32. When they do not, the file
        # is cut short, or was joined from several streams: only then read all of it.
        found = needed if _gzip_length(path) == needed % 2**32 else _inflated_length(path)
    if found < needed:
        raise DataError(
            f"{path}: the file is cut short: {found} of {needed} bytes are there; {_AGAIN}"
        )


def _gzip_length(path: Path) -> int:
    with path.open("rb") as stream:
        stream.seek(-4, 2)
        return int.from_bytes(stream.read(4), "little")


def _inflated_length(path: Path) -> int:
    with _damage_named(path), _opened(path) as stream:
        return sum(len(chunk) for chunk in iter(lambda: stream.read(_CHUNK), b""))
