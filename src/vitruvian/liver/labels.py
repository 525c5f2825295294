"""What the numbers of a mask file mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.liver.dicom_seg import Segment
from vitruvian.liver.volume import Voxels

BACKGROUND, LIVER, TUMOUR = 0, 1, 2

LABEL_TOLERANCE = 1e-3  # a stored label further than this from a whole number is no label

_UNKNOWN = 255
_TUMOUR_WORDS = ("tumor", "tumour", "lesion", "mass", "metasta", "neoplasm", "carcinoma")


@dataclass(frozen=True)
class Labels:
    """Which numbers of a mask file mean liver and tumour.

    The default is that of LiTS, and strict: other numbers than 0, 1 and 2 are an error. Where the
    user names other numbers, the rest is background, as in TotalSegmentator's masks (liver = 5).

    Attributes:
        liver: numbers of the liver, its tumours included.
        tumour: those among them that are tumours; may be none.

    Raises:
        ConfigError: no liver label, one that is no positive whole number, or a tumour label that is
            not among those of the liver.
    """

    liver: tuple[int, ...] = (1, 2)
    tumour: tuple[int, ...] = (2,)

    def __post_init__(self) -> None:
        for name in ("liver", "tumour"):
            numbers = tuple(getattr(self, name))
            if any(type(n) is not int or not 0 < n < 1 << 16 for n in numbers):
                raise ConfigError(f"{name}_labels={list(numbers)}: use whole numbers of 1 to 65535")
            object.__setattr__(self, name, numbers)
        if not self.liver:
            raise ConfigError("liver_labels=[] names no label; LiTS has [1, 2]")
        if not set(self.tumour) <= set(self.liver):
            raise ConfigError(
                f"tumour_labels={list(self.tumour)} are not among liver_labels={list(self.liver)}; "
                "a liver includes its tumours: add them there, or set tumour_labels=[]"
            )

    @property
    def strict(self) -> bool:
        """Whether an unnamed number is an error."""
        return set(self.liver) == {1, 2}

    def classes(self, values: Voxels) -> npt.NDArray[np.uint8]:
        """Turn stored labels into uint8 classes: 0 background, 1 liver, 2 tumour.

        Raises:
            DataError: labels that are no whole numbers, or (strict) none of 0, 1 and 2.
        """
        whole = _whole_numbers(values)
        table = self._table()
        found: npt.NDArray[np.uint8] = table[np.clip(whole, -1, len(table) - 2)]
        unknown = np.unique(whole[found == _UNKNOWN])
        if unknown.size:
            raise DataError(
                f"holds labels {_listed(unknown)} besides 0, 1 and 2; set liver_labels (and "
                "tumour_labels) to the numbers that mean liver"
            )
        return found

    def segments(self, segments: Sequence[Segment]) -> dict[int, int]:
        """Map segment numbers of a DICOM-SEG file to classes: by name if strict, else by number.

        Raises:
            DataError: no segment is the liver; the message lists those there are.
        """
        found = {segment.number: self._segment_class(segment) for segment in segments}
        if LIVER not in found.values():
            listed = ", ".join(f"{segment.number}: {segment.label}" for segment in segments)
            raise DataError(
                f"none of its segments is the liver ({listed}); set liver_labels to the number of "
                "the one that is, and tumour_labels=[]"
            )
        return {number: label for number, label in found.items() if label != BACKGROUND}

    def _segment_class(self, segment: Segment) -> int:
        if not self.strict:
            return int(self.classes(np.array([segment.number]))[0])
        names = {segment.label.strip().casefold(), segment.shows.strip().casefold()}
        if any(word in name for name in names for word in _TUMOUR_WORDS):
            return TUMOUR
        return LIVER if "liver" in names else BACKGROUND

    def _table(self) -> npt.NDArray[np.uint8]:
        """Class of each number from 0; the last two entries stand for larger and negative ones."""
        table = np.full(max(self.liver) + 3, _UNKNOWN if self.strict else BACKGROUND, np.uint8)
        table[BACKGROUND] = BACKGROUND
        table[list(self.liver)] = LIVER
        table[list(self.tumour)] = TUMOUR
        return table


LITS = Labels()


def _whole_numbers(values: Voxels) -> npt.NDArray[np.int64]:
    if values.dtype.kind != "f":
        return values.astype(np.int64)
    rounded = np.rint(values)
    broken = np.abs(values - rounded) > LABEL_TOLERANCE
    if broken.any():
        raise DataError(
            f"holds labels that are no whole numbers ({_listed(np.unique(values[broken]))}); was "
            "the mask resampled with interpolation? Use nearest neighbour"
        )
    return rounded.astype(np.int64)


def _listed(values: Voxels) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:8].tolist())
    return shown + (" ..." if len(values) > 8 else "")
