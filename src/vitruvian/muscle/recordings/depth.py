"""Eight bits from pictures of any depth, by one factor for all pictures of a recording."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import DataError

Picture = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]

_BITS = (8, 10, 12, 14, 16)  # of the converters of scanners, stored in 16


@dataclass(frozen=True)
class Depth:
    """By what pictures are multiplied to fill 0 to 255.

    Attributes:
        factor: the same for all pictures, so that they keep their differences in brightness.
        note: for a person; "" where they have eight bits already.
    """

    factor: float = 1.0
    note: str = ""

    @classmethod
    def of(cls, pictures: Iterable[Picture]) -> Depth:
        """The depth that holds all `pictures`; only the first is looked at where it has 8 bits.

        Raises:
            DataError: they are no brightness: negative, beyond 16 bits, or not a number.
        """
        lowest, highest, kind = 0.0, 0.0, "u"
        for picture in pictures:
            if picture.dtype == np.uint8:
                return cls()
            kind = picture.dtype.kind
            if kind not in "biuf" or not np.isfinite(picture).all():
                raise DataError(f"pictures of type {picture.dtype} with values that are no numbers")
            lowest, highest = min(lowest, picture.min()), max(highest, picture.max())
        if lowest < 0:
            raise DataError(f"the darkest pixel is {lowest:g}; brightness cannot be below 0")
        return cls._of_range(kind, float(highest))

    @classmethod
    def _of_range(cls, kind: str, highest: float) -> Depth:
        if kind in "bf" and highest <= 1:
            return cls(255.0, "pictures from 0 to 1 were multiplied by 255")
        bits = next((bits for bits in _BITS if highest <= 2**bits - 1), None)
        if bits is None:
            raise DataError(f"the brightest pixel is {highest:g}; 16 bits end at 65535")
        if bits == 8:
            return cls()
        said = f"the brightest pixel is {highest:g}: read as {bits} bits and brought to 8"
        return cls(255 / (2**bits - 1), said)

    def eight_bits(self, picture: Picture) -> Bytes:
        """A picture as uint8, rounded.

        Raises:
            DataError: it is brighter than the pictures that the depth was made for.
        """
        if picture.dtype == np.uint8:
            return picture
        scaled = np.rint(picture * self.factor)
        if scaled.max() > 255:
            raise DataError(f"{picture.dtype} with {picture.max():g} among pictures of 8 bits")
        return scaled.astype(np.uint8)
