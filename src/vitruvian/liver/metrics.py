"""How well a liver mask fits the truth: overlap from voxel counts, and surface distances in mm.

Every metric is of one case; means over cases are `vitruvian.core.evaluation`'s business.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vitruvian.liver.surfaces import Mask, paired, surface_distances

__all__ = ["Counts", "evaluate_case", "global_dice", "overlap", "stratified_dice"]

_AREAS = ("dice_small", "dice_medium", "dice_large")
_POSITIONS = ("dice_inferior", "dice_central", "dice_superior")


@dataclass(frozen=True)
class Counts:
    """Voxels counted; counts of slices or cases add up with `+` (or `sum(counts, Counts())`).

    Attributes:
        tp: true positives, in both masks.
        fp: false positives, in the prediction only.
        fn: false negatives, in the truth only.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0

    @classmethod
    def of(cls, prediction: npt.NDArray[Any], truth: npt.NDArray[Any]) -> Counts:
        """Count the voxels of two binary masks (z, y, x).

        Raises:
            ValueError: shapes differ, or an array is not a 3-D binary mask.
        """
        return cls._of(*paired(prediction, truth))

    @classmethod
    def _of(cls, prediction: Mask, truth: Mask) -> Counts:
        tp = int(np.count_nonzero(prediction & truth))
        predicted, true = int(np.count_nonzero(prediction)), int(np.count_nonzero(truth))
        return cls(tp, predicted - tp, true - tp)

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def predicted(self) -> int:
        """Voxels of the prediction."""
        return self.tp + self.fp

    @property
    def true(self) -> int:
        """Voxels of the truth."""
        return self.tp + self.fn

    def overlap(self) -> dict[str, float]:
        """Compute the overlap metrics; see `overlap`."""
        dice = _ratio(2 * self.tp, self.predicted + self.true)
        jaccard = _ratio(self.tp, self.tp + self.fp + self.fn)
        return {
            "dice": dice,
            "jaccard": jaccard,
            "voe": 1 - jaccard,
            "voe_paper": 1 - dice,
            "rvd": self._rvd(),
            "precision": self._share(self.predicted),
            "recall": self._share(self.true),
        }

    def _share(self, part: int) -> float:
        """Hits among `part`; 0 rather than 0/0 when only one mask is empty, as Dice is."""
        return _ratio(self.tp, part) if part else float(self.predicted == self.true)

    def _rvd(self) -> float:
        if self.true:
            return (self.predicted - self.true) / self.true
        return math.nan if self.predicted else 0.0


def _ratio(numerator: int, denominator: int) -> float:
    """Divide; nothing over nothing is perfect agreement: both masks are empty."""
    return numerator / denominator if denominator else 1.0


def overlap(prediction: npt.NDArray[Any], truth: npt.NDArray[Any]) -> dict[str, float]:
    """Compute the overlap metrics of one case.

    - `dice` = 2 TP / (2 TP + FP + FN); `jaccard` = TP / (TP + FP + FN);
    - `voe`, volumetric overlap error, = 1 - Jaccard, as the LiTS challenge has it;
    - `voe_paper` = 1 - Dice, which paper 004, section III.C, calls VOE;
    - `rvd`, relative volume difference, = (prediction - truth) / truth, signed: above 0 means too
      large a mask. (The challenge's script swaps the two arguments, so its sign is the other way
      round and it divides by the prediction's volume.)
    - `precision` = TP / (TP + FP); `recall` = TP / (TP + FN).

    If one mask is empty, Dice, Jaccard, precision and recall are 0 (RVD is -1, or NaN when it is
    the truth); if both are, they agree: 1, 1, 1, 1 and RVD 0. No LiTS case has an empty liver.

    Args:
        prediction: (z, y, x), bool or integer, 0 background and 1 liver.
        truth: as `prediction`.

    Raises:
        ValueError: shapes differ, or an array is not a 3-D binary mask.
    """
    return Counts.of(prediction, truth).overlap()


def evaluate_case(
    prediction: npt.NDArray[Any],
    truth: npt.NDArray[Any],
    spacing_mm: Sequence[float],
    surfaces: bool = True,
) -> dict[str, float]:
    """Compute every metric of one case.

    Args:
        prediction: (z, y, x), bool or integer, 0 background and 1 liver.
        truth: as `prediction`.
        spacing_mm: voxel size (dz, dy, dx) in mm.
        surfaces: whether to measure the surface distances too (a second or so a case).

    Returns:
        The metrics of `overlap` and, if asked for, of `surface_distances`; `empty_prediction`, 1 or
        0, so that its mean is the share of cases whose distances are NaN; and the voxel counts
        `tp`, `fp`, `fn`, from which `global_dice` is made.

    Raises:
        ValueError: as `overlap` and `surface_distances` do.
    """
    counts = Counts.of(prediction, truth)
    metrics = counts.overlap()
    if surfaces:
        metrics |= surface_distances(prediction, truth, spacing_mm)
    metrics["empty_prediction"] = float(counts.predicted == 0)
    return metrics | {"tp": float(counts.tp), "fp": float(counts.fp), "fn": float(counts.fn)}


def global_dice(rows: Iterable[Mapping[str, Any]]) -> float:
    """Compute the challenge's second score: Dice of all cases taken as one large volume.

    Args:
        rows: results of `evaluate_case`, of one predictor.

    Returns:
        The Dice; NaN without any row.
    """
    counts = [Counts(int(row["tp"]), int(row["fp"]), int(row["fn"])) for row in rows]
    return sum(counts, Counts()).overlap()["dice"] if counts else math.nan


def stratified_dice(prediction: npt.NDArray[Any], truth: npt.NDArray[Any]) -> dict[str, float]:
    """Split a case's liver slices into thirds and average the Dice per slice in each of them.

    Paper 004 (abstract) promises better segmentation of small targets; this puts it to the test.

    Args:
        prediction: (z, y, x), bool or integer, 0 background and 1 liver; z grows to superior.
        truth: as `prediction`. Only slices that hold liver here are counted.

    Returns:
        `dice_small`, `dice_medium`, `dice_large` by the liver's area in the slice, and
        `dice_inferior`, `dice_central`, `dice_superior` by the slice's position; NaN in a case with
        fewer than three liver slices.

    Raises:
        ValueError: shapes differ, or an array is not a 3-D binary mask.
    """
    first, second = paired(prediction, truth)
    slices = [Counts._of(p, t) for p, t in zip(first, second, strict=True) if t.any()]
    by_area = sorted(slices, key=lambda counts: counts.true)
    return _thirds(by_area, _AREAS) | _thirds(slices, _POSITIONS)


def _thirds(slices: Sequence[Counts], names: Sequence[str]) -> dict[str, float]:
    if len(slices) < len(names):
        return dict.fromkeys(names, math.nan)
    dice = np.array([counts.overlap()["dice"] for counts in slices])
    parts = np.array_split(dice, len(names))
    return {name: float(part.mean()) for name, part in zip(names, parts, strict=True)}
