"""Boxes of arrays in `.npy` files: read without mapping a file and without keeping one open."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import DataError

Array = npt.NDArray[Any]
Bounds = list[tuple[int, int]]  # start and stop on every axis

# NumPy parses headers with `ast`, which Python 3.11 may fail at in two threads at once (a
# SystemError about the recursion depth of the AST constructor).
_PARSING = threading.Lock()


@dataclass(frozen=True)
class Layout:
    """Where an array lies in its `.npy` file.

    Attributes:
        dtype: numpy's short name with the byte order, such as `<i2`.
        shape: of the array, in C order.
        offset: of the first element, in bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int


@contextmanager
def opened(path: Path | str, flags: int = os.O_RDONLY) -> Iterator[int]:
    """A file descriptor, closed at the end and not inherited."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def layout_of(path: Path) -> Layout:
    """Read the header of a `.npy` file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, or does not have the size that its header states.
    """
    with path.open("rb") as stream:
        np.lib.format.read_magic(stream)
        with _PARSING:
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        offset = stream.tell()
        if os.fstat(stream.fileno()).st_size != offset + math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{path} does not have the size that its header states")
    return Layout(dtype.str, shape, offset)


def bounds_of(shape: tuple[int, ...], ranges: Sequence[slice]) -> Bounds:
    """Start and stop on every axis; axes without a range are taken whole.

    Raises:
        ValueError: more ranges than axes, or one with a step.
    """
    if len(ranges) > len(shape) or any(r.step not in (None, 1) for r in ranges):
        raise ValueError(f"ranges must be at most {len(shape)} slices without a step: {ranges}")
    full = [*ranges, *[slice(None)] * (len(shape) - len(ranges))]
    limits = [r.indices(n)[:2] for r, n in zip(full, shape, strict=True)]
    return [(start, max(start, stop)) for start, stop in limits]


def fill(block: Array, path: str, layout: Layout, bounds: Bounds) -> None:
    """Read a box of the array in a file into `block`, which has the shape of the box.

    Raises:
        DataError: the file ends too early.
    """
    # Per 256x256 int16 crop of a 512x512 slice in the page cache: open + preadv + close 27 us;
    # np.load(mmap_mode="r") 112 us; np.memmap 50 us; an LRU of maps 57 us where it misses; all
    # maps kept open 22 us, but then the memory of the process grows with the number of cases.
    plane, row = math.prod(layout.shape[1:]), math.prod(layout.shape[2:])
    whole = len(bounds) == 1 or bounds[1] == (0, layout.shape[1])
    first = bounds[0][0] * plane + (0 if whole else bounds[1][0] * row)
    with opened(path) as descriptor:
        for i, piece in enumerate([block] if whole else block):
            start = layout.offset + (first + i * plane) * piece.itemsize
            if not _read_into(descriptor, piece, start):
                raise DataError(f"{path} is truncated: start again and it is rebuilt")


def _read_into(descriptor: int, piece: Array, position: int) -> bool:
    view = piece.data.cast("B")
    done = 0
    while done < len(view):  # the kernel may give less than asked, and at most 2 GiB at once
        count = os.preadv(descriptor, [view[done:]], position + done)
        if not count:
            return False
        done += count
    return True
