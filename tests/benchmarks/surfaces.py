"""ASSD, HD and HD95 of one whole case, 75 slices of 512x512 at full scale."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics import HausdorffDistanceMetric, SurfaceDistanceMetric

from tests.benchmarks.data import records
from tests.benchmarks.harness import Row, Scale, Work, side_by_side
from vitruvian.core.cost import one_thread
from vitruvian.liver.surfaces import surface_distances

Mask = npt.NDArray[np.bool_]
SLICES_PER_SLICE = 75 / 40  # of the simulated scan, so that it becomes as long as a usual one
SPACING_MM = (3.0, 0.7, 0.7)


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """A simulated liver, and the same one a little displaced, with a false positive far away."""
    truth = _liver(scale, folder)
    prediction = np.roll(truth, (1, 3, -2), (0, 1, 2))
    prediction[:2, :5, :5] = True

    def ours() -> int:
        figures = surface_distances(prediction, truth, SPACING_MM)
        assert np.isfinite(list(figures.values())).all()
        return 1

    with one_thread():
        ratio = side_by_side(ours, _theirs(prediction, truth), scale.repetitions)
    yield Row("surfaces: ASSD, HD, HD95 with MONAI", ratio, "s")


def _liver(scale: Scale, folder: Path) -> Mask:
    label = records(scale, folder)[0].read("label") > 0
    count = round(len(label) * SLICES_PER_SLICE)
    return label[np.linspace(0, len(label) - 1, count).round().astype(int)]


def _theirs(prediction: Mask, truth: Mask) -> Work:
    masks = [torch.from_numpy(mask)[None, None] for mask in (prediction, truth)]
    metrics = (
        SurfaceDistanceMetric(include_background=True, symmetric=True),
        HausdorffDistanceMetric(include_background=True),
        HausdorffDistanceMetric(include_background=True, percentile=95),
    )

    def work() -> int:
        for metric in metrics:
            assert metric(*masks, spacing=SPACING_MM).isfinite().all()
            metric.reset()
        return 1

    return work
