"""Figures of an evaluation: which scans go well, which do not, and what a mask misses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vitruvian.core.evaluation import Row, by_predictor
from vitruvian.core.gallery import Gallery
from vitruvian.liver.case_charts import add_dice, add_thirds, add_volumes
from vitruvian.liver.inference import Scan
from vitruvian.liver.metrics import overlap
from vitruvian.liver.overlay import resized
from vitruvian.report.case_charts import MODEL, best_baseline, best_median_worst
from vitruvian.report.panels import ORANGE as PREDICTED
from vitruvian.report.panels import SKY as TRUE
from vitruvian.report.panels import Panel, Picture, grey, outline, write_panels

if TYPE_CHECKING:
    from vitruvian.liver.datamodule import LiverCase
    from vitruvian.liver.segmenter import LiverSegmenter

Mask = npt.NDArray[np.uint8]

_PANEL = 300  # pixels of the longer side of a slice


def draw_figures(
    task: LiverSegmenter, cases: Sequence[LiverCase], rows: Sequence[Row], gallery: Gallery
) -> None:
    """Add charts of all cases, and pictures of the best, the median and the worst of them.

    Only those three are segmented again, one at a time, and where that does, one slice of them.

    Args:
        task: trained, on its device.
        cases: that were evaluated.
        rows: of their evaluation.
        gallery: takes the figures.
    """
    everyone = by_predictor(rows)
    model = everyone.get(MODEL, [])
    scores = {str(row["case"]): row.get("dice", math.nan) for row in model}
    if not any(math.isfinite(score) for score in scores.values()):
        return
    beside = best_baseline(rows, "dice")
    compared = {name: everyone[name] for name in (MODEL, beside) if name is not None}
    seed = task.frozen_config.get("seed", 0)
    _add_pictures(task, cases, scores, gallery)
    add_dice(compared, "dice", seed, gallery)
    add_dice(compared, "tumour_dice", seed, gallery)
    add_volumes(compared, cases, gallery)
    add_thirds(compared, gallery)


# -- pictures -------------------------------------------------------------------------------------


def _add_pictures(
    task: LiverSegmenter, cases: Sequence[LiverCase], scores: Mapping[str, float], gallery: Gallery
) -> None:
    known = {case.case: case for case in cases}
    chosen = best_median_worst({name: scores[name] for name in scores if name in known})
    for role, name in chosen.items():
        _add_case(task, known[name], role, scores[name], gallery)


def _add_case(
    task: LiverSegmenter, case: LiverCase, role: str, score: float, gallery: Gallery
) -> None:
    """The slice with most liver; of the worst case the one with most mistakes, too."""
    truth = case.truth(task.classes)
    worst = role in ("worst", "only")
    mask, most = _predicted(task, case, truth, worst)
    whole = f"{role.capitalize()} case: {case.case}, Dice {score:.3f}"
    shown = [(f"overlay_{role}", whole, "the one with most liver", most)]
    wrong = [np.count_nonzero((m > 0) != (t > 0)) for m, t in zip(mask, truth, strict=True)]
    if worst and any(wrong):
        title = f"{whole}: where it goes most wrong"
        shown.append(
            ("worst_slice", title, "the one with most wrong voxels", int(np.argmax(wrong)))
        )
    for name, title, which, z in shown:
        panels = _panels(case, z, truth[z], mask[z], task.window.limits.tolist())
        caption = _caption(task, f"Axial slice {z + 1} of {len(truth)}, {which}")
        with gallery.picture(name, title, caption) as path:
            write_panels(path, f"{whole}, slice {z + 1}", panels, gallery.simulated)


def _caption(task: LiverSegmenter, which: str) -> str:
    low, high = task.window.limits.tolist()
    return (
        f"{which}: the scan, the truth (blue) and the prediction (orange, over the truth in blue). "
        f"Window {low:.0f} to {high:.0f} HU; seen from the feet, so that the patient's right (R) "
        f"is at the left.{' Thin lines: tumour.' if task.classes == 3 else ''}"
    )


def _predicted(task: LiverSegmenter, case: LiverCase, truth: Mask, whole: bool) -> tuple[Mask, int]:
    """A mask, and the slice with most liver; the rest of it is empty where one slice will do."""
    most = _most_liver(truth)
    if not (whole or task.inference.largest_component or task.spatial_dims == 3):
        return _only(task, case, most), most
    mask = task.inference.clean(task.segment(case.scan()))
    return mask, most if truth.any() else _most_liver(mask)


def _most_liver(labels: Mask) -> int:
    """The slice with most liver; the middle one where there is none."""
    if not labels.any():
        return len(labels) // 2
    return int(np.count_nonzero(labels, axis=(1, 2)).argmax())


def _only(task: LiverSegmenter, case: LiverCase, z: int) -> Mask:
    """The prediction of one slice of a 2-D net, in an otherwise empty mask: a fraction of time."""
    margin = task.context // 2
    scan = case.scan()
    first, last = max(0, z - margin), min(scan.shape[0], z + margin + 1)
    mask = np.zeros(scan.shape, np.uint8)
    mask[z] = task.segment(Scan.of(scan.read(first, last)))[z - first]
    return mask


def _panels(
    case: LiverCase, z: int, truth: Mask, mask: Mask, window: Sequence[float]
) -> list[Panel]:
    """Scan, truth and prediction of a slice, in true proportions."""
    hu = np.asarray(case.record.read("image", slice(z, z + 1)))[0]
    size = _size(hu.shape, case.spacing_mm)
    low, high = window
    shades = np.clip((hu - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    plain = grey(resized(shades, size))
    right, wrong = plain.copy(), plain.copy()
    _outline(right, truth, size, TRUE)
    _outline(wrong, truth, size, TRUE)
    _outline(wrong, mask, size, PREDICTED)
    score = overlap((mask > 0)[None], (truth > 0)[None])["dice"]
    sides = ("R", "L")
    return [
        Panel("scan", plain, sides=sides),
        Panel("truth", right, TRUE, sides),
        Panel(f"prediction, Dice of slice {score:.3f}", wrong, PREDICTED, sides),
    ]


def _size(shape: Sequence[int], spacing_mm: Sequence[float]) -> tuple[int, int]:
    """Columns and rows of a panel."""
    height, width = shape[0] * spacing_mm[1], shape[1] * spacing_mm[2]
    scale = _PANEL / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _outline(
    picture: Picture, labels: Mask, size: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    """The liver's border, and thinner that of the tumours in it."""
    for label, thickness in ((1, 2), (2, 1)):
        inside = (labels >= label).astype(np.float32)
        # Halfway between two voxels lies the border: smooth, and where the mask has it.
        outline(picture, resized(inside, size) >= 0.5, colour, thickness)
