"""Figures of an evaluation of the segmenter: masks on frames, and every recording's Dice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vitruvian.core.evaluation import Row, by_predictor
from vitruvian.core.gallery import Gallery
from vitruvian.muscle.recording import Image, Mask
from vitruvian.muscle.roi.masks import dice
from vitruvian.report.case_charts import (
    MODEL,
    best_baseline,
    best_median_worst,
    mean_of,
    per_case,
)
from vitruvian.report.charts import BLUE, ORANGE, axis
from vitruvian.report.panels import ORANGE as FOUND
from vitruvian.report.panels import SKY as TRUE
from vitruvian.report.panels import Colour, Panel, grey, outline, write_panels

if TYPE_CHECKING:
    from vitruvian.muscle.segmentation.samples import MaskCase
    from vitruvian.muscle.segmentation.task import MuscleSegmenter

_PANEL = 280  # columns of a frame


def draw_figures(
    task: MuscleSegmenter, cases: Sequence[MaskCase], rows: Sequence[Row], gallery: Gallery
) -> None:
    """Add masks of the best, the median and the worst recording, and a chart of all of them.

    Args:
        task: trained, on its device.
        cases: that were evaluated.
        rows: of their evaluation.
        gallery: takes the figures.
    """
    known = {case.case: case for case in cases}
    model = by_predictor(rows).get(MODEL, [])
    scores = {str(row["case"]): row.get("dice", math.nan) for row in model if row["case"] in known}
    for role, name in best_median_worst(scores).items():
        _add_masks(task, known[name], role, scores[name], gallery)
    if any(math.isfinite(score) for score in scores.values()):
        _add_dice(task, rows, scores, gallery)


def _add_masks(
    task: MuscleSegmenter, case: MaskCase, role: str, score: float, gallery: Gallery
) -> None:
    """The middle frame, its true mask and the one that was found."""
    images, truths = case.images(), case.truths()
    middle = len(images) // 2
    image, truth = images[middle], truths[middle]
    found = task.find(image)
    found = np.zeros_like(truth) if found is None else found
    overlap = dice(found, truth)
    said = "nothing there, nothing found" if math.isnan(overlap) else f"Dice {overlap:.3f}"
    panels = [
        Panel("frame", _drawn(image, {})),
        Panel("truth", _drawn(image, {TRUE: truth}), TRUE),
        Panel(f"found, {said}", _drawn(image, {TRUE: truth, FOUND: found}), FOUND),
    ]
    headed = f"{role.capitalize()} recording: {case.case}, Dice {score:.3f}"
    caption = (
        "The middle frame at the size that the net reads, the true border of the muscle (blue) "
        "and the one that was found (orange, over the truth). The Dice above is the recording's."
    )
    with gallery.picture(f"mask_{role}", headed, caption) as path:
        write_panels(path, headed, panels, gallery.simulated)


def _drawn(image: Image, masks: Mapping[Colour, Mask]) -> Image:
    size = (_PANEL, max(1, round(image.shape[0] * _PANEL / image.shape[1])))
    picture = grey(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8))
    for colour, mask in masks.items():
        inside = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        outline(picture, np.asarray(inside) >= 0.5, colour, 2)
    return picture


def _add_dice(
    task: MuscleSegmenter, rows: Sequence[Row], scores: Mapping[str, float], gallery: Gallery
) -> None:
    compared = [name for name in (MODEL, best_baseline(rows, "dice")) if name is not None]
    data = [
        {"recording": row["case"], "predictor": row["predictor"], "dice": row["dice"]}
        for row in rows
        if row["predictor"] in compared and math.isfinite(row.get("dice", math.nan))
    ]
    order = sorted(
        (name for name, score in scores.items() if math.isfinite(score)),
        key=lambda name: -scores[name],
    )
    seed = task.frozen_config.get("seed", 0)
    mean = mean_of([row for row in rows if row["predictor"] == MODEL], "dice", seed)
    across = axis("dice", "Dice of the muscle (1: perfect)", scale={"zero": False})
    colours = dict(zip(compared, (BLUE, ORANGE), strict=False))
    spec = per_case(data, across, colours, order, mean, who="recording")
    caption = (
        "One line for each recording, best at the top. Blue line and band: the model's mean with "
        "its 95 % confidence interval. Orange: the best trivial baseline. No unit."
    )
    gallery.chart("dice_per_recording", "Dice, recording by recording", caption, spec)
