"""The task of the segmenter: train the U-Net on frames, judge it beside what costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from vitruvian.core.errors import ConfigError
from vitruvian.core.evaluation import Row
from vitruvian.core.gallery import Gallery
from vitruvian.core.task import Optimizer, Scheduler, Task, require
from vitruvian.muscle.normalising import inside
from vitruvian.muscle.recording import Floats, Image, Mask
from vitruvian.muscle.roi.finders import RegionFinder
from vitruvian.muscle.roi.masks import dice
from vitruvian.muscle.segmentation.masks import border_distances, muscle_of, reduced

if TYPE_CHECKING:
    from vitruvian.muscle.segmentation.samples import MaskCase


class MuscleSegmenter(Task):
    """Frames in, the mask of the muscle out.

    Args:
        net: maps (n, 1, h, w) to logits of the same shape; its `divisor` must divide h and w.
        classical: a finder that needs no training, as a baseline.
        size: (height, width) to which every frame is brought.
        loss: of logits and truth, both (n, 1, h, w) floats, such as `BCEWithLogitsLoss`.
        optimizer, scheduler, augment, channels_last, compile: see `Task`; `augment` is called with
            images in [0, 1], the bounds of the muscle (n, 2, w) and seeds (n,).
    """

    reported: tuple[str, ...] = ("dice", "upper_mm", "lower_mm", "found")
    validated = ("roi_dice",)
    mean_mask: Tensor

    def __init__(
        self,
        net: nn.Module,
        classical: RegionFinder,
        loss: nn.Module,
        optimizer: Optimizer,
        size: Sequence[int] = (128, 160),
        scheduler: Scheduler | None = None,
        augment: nn.Module | None = None,
        channels_last: bool = False,
        compile: bool = False,
    ) -> None:
        super().__init__(net, loss, optimizer, scheduler, augment, channels_last, compile)
        self.size = _checked_size(size, int(getattr(net, "divisor", 1)))
        self.classical = classical
        self.register_buffer("mean_mask", torch.zeros(self.size))

    # -- agreement with the data --------------------------------------------------------------

    def fits(self, datamodule: pl.LightningDataModule) -> None:
        """Refuse frames of another size."""
        require(
            tuple(datamodule.size) == self.size,
            f"datamodule.size: {list(datamodule.size)} but the model reads {list(self.size)}",
        )

    def fit_statistics(self, datamodule: pl.LightningDataModule) -> None:
        """Keep the mean mask of the training people: the baseline that does not look."""
        self.mean_mask = torch.from_numpy(datamodule.mean_mask())

    # -- training -----------------------------------------------------------------------------

    def training_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Augment, forward, loss.

        Args:
            batch: `image` uint8 (n, 1, h, w), `bounds` int16 (n, 2, w), `seed` int64 (n,).
        """
        image, bounds = batch["image"].float() / 255, batch["bounds"]
        if self.augment is not None:
            image, bounds = self.augment(image, bounds, batch["seed"])
        if self.channels_last:
            image = image.contiguous(memory_format=torch.channels_last)
        logits = self.net(image)
        return self.loss(logits, inside(bounds, image.shape[2])[:, None].to(logits.dtype))

    # -- finding ------------------------------------------------------------------------------

    @torch.inference_mode()
    def find(self, frame: Image) -> Mask | None:
        """The muscle in a frame (h, w) uint8 of any size; None where there is none."""
        if self.training:  # a tenth of a millisecond that a stream need not spend on each frame
            self.eval()
        image = torch.from_numpy(reduced(frame, self.size)).to(self.mean_mask.device)
        logits = self.net(image[None, None].float() / 255)[0, 0]
        return muscle_of(logits.float().cpu().numpy(), frame.shape)

    # -- evaluation ---------------------------------------------------------------------------

    def evaluate_case(self, case: MaskCase, split: str) -> list[Row]:
        """Metrics of one recording; at the test also the baselines'."""
        finders: dict[str, Callable[[Image], Mask | None]] = {"model": self.find}
        if split != "val":
            mean = (self.mean_mask > 0.5).cpu().numpy()
            finders["baseline: mean mask"] = lambda image: mean
            if case.mm_per_pixel is not None:
                finders["baseline: classical"] = partial(self._found_anew, case.mm_per_pixel)
        return [
            {"case": case.case, "participant": case.participant, "predictor": name}
            | judged(case, finder)
            for name, finder in finders.items()
        ]

    def _found_anew(self, mm_per_pixel: tuple[float, float], image: Image) -> Mask | None:
        """What the classical finder sees in a frame by itself.

        The frames of a case lie too far apart to be followed: between them the muscle may move
        more than the finder's `motion_mm`, which is meant for neighbours.
        """
        return self.classical.follow(mm_per_pixel, None)(image)

    def headline(self, rows: Sequence[Row]) -> dict[str, float]:
        """Mean Dice of the recordings in which it is defined."""
        return {"roi_dice": _mean([row["dice"] for row in rows])}

    def illustrate(self, cases: Sequence[Any], rows: Sequence[Row], gallery: Gallery) -> None:
        """Masks of the best, the median and the worst recording, and a chart of all of them."""
        from vitruvian.muscle.segmentation.figures import draw_figures

        draw_figures(self, cases, rows, gallery)

    # -- prediction ---------------------------------------------------------------------------

    def predict_path(
        self, source: Path, target: Path, provenance: dict[str, Any]
    ) -> Iterator[Path]:
        """Masks of images and recordings; see `vitruvian.muscle.segmentation.predict`."""
        from vitruvian.muscle.segmentation.predict import predict_path

        return predict_path(self, source, target, provenance)


def judged(case: MaskCase, finder: Callable[[Image], Mask | None]) -> dict[str, float]:
    """How well a finder does on the frames of a recording, fed to it in their order.

    Returns:
        `dice`, mean over the frames, 0 where the muscle was missed, and frames left out in which
        there is none and none was found; `upper_mm` and `lower_mm`, mean distance of the borders
        where something was found, NaN without a scale; `found`, share of the frames in which
        something was found.
    """
    overlaps, distances = [], []
    for image, truth in zip(case.images(), case.truths(), strict=True):
        found = finder(image)
        overlaps.append(dice(np.zeros_like(truth) if found is None else found, truth))
        if found is not None:
            distances.append(border_distances(found, truth))
    mm_per_row = float("nan") if case.mm_per_pixel is None else case.mm_per_pixel[0]
    upper, lower = np.array(distances, np.float64).reshape(-1, 2).T
    return {
        "dice": _mean(overlaps),
        "upper_mm": _mean(upper) * mm_per_row,
        "lower_mm": _mean(lower) * mm_per_row,
        "found": len(distances) / len(overlaps),
    }


def _mean(values: Sequence[float] | Floats) -> float:
    """Mean of those that are defined; NaN where none is."""
    known = np.asarray(values)[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _checked_size(size: Sequence[int], divisor: int) -> tuple[int, int]:
    if len(size) != 2 or min(size) < 1:
        raise ConfigError(f"size: must be (height, width), not {list(size)}")
    if any(length % divisor for length in size):
        raise ConfigError(f"size: {list(size)} must be multiples of {divisor} for this net")
    return size[0], size[1]
