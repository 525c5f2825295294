"""The task of the liver study: train a net on slices, judge it by whole volumes in millimetres."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from vitruvian.core.evaluation import Row
from vitruvian.core.exporting import Exported, Format
from vitruvian.core.gallery import Gallery
from vitruvian.core.task import Optimizer, Scheduler, Task, require
from vitruvian.liver.baselines import empty_mask, threshold_component
from vitruvian.liver.components import Mask
from vitruvian.liver.inference import Inference, Scan, pad_to_multiple
from vitruvian.liver.metrics import evaluate_case, global_dice, overlap, stratified_dice

if TYPE_CHECKING:
    from vitruvian.liver.datamodule import LiverCase


class HUWindow(nn.Module):
    """Clip HU to a window and scale it to [0, 1] (paper 004, section III.B: [-200, 250]).

    The window is kept as a buffer: a checkpoint carries it.
    """

    limits: Tensor

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        if not low < high:
            raise ValueError(f"window must be [low, high] with low < high, not [{low}, {high}]")
        self.register_buffer("limits", torch.tensor([float(low), float(high)]))

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Refuse weights of another window: they would see other grey values."""
        trained = state_dict.get(f"{prefix}limits", self.limits)
        require(
            torch.equal(trained.to(self.limits), self.limits),
            f"model.window: the weights were trained with {trained.tolist()}, "
            f"not {self.limits.tolist()}",
        )
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, hu: Tensor) -> Tensor:
        """Float image in [0, 1] of the same shape."""
        low, high = self.limits
        image = hu.to(low.dtype, copy=True)  # then in place: a batch on a CPU is page faults
        return image.sub_(low).div_(high - low).clamp_(0, 1)


class LiverSegmenter(Task):
    """Slices in, liver mask out.

    Args:
        net: 2-D or 3-D segmentation net with logits (n, classes, ...); in training it may return a
            tuple (fused, side outputs...) if the loss takes it.
        inference: how the net is applied to a whole volume.
        window: HU window [low, high].
        classes: 2 (background, liver with tumour) or 3 (background, liver, tumour).
        context: neighbouring slices that a 2-D net sees as channels.
        spatial_dims: 2 or 3; null: what the net says of itself.
        divisor: the net's input size must be a multiple of it (images are padded); null: what the
            net says of itself.
        paper_slices: also report the metrics on slices with at least 1.5 % liver, as paper 004
            filters them; it uses the truth to choose slices, so it flatters.
        loss, optimizer, scheduler, augment, channels_last, compile: see `Task`.
    """

    reported: tuple[str, ...] = (
        "dice",
        "jaccard",
        "voe",
        "voe_paper",
        "rvd",
        "assd_mm",
        "hd95_mm",
        "hd_mm",
        "precision",
        "recall",
    )
    threshold_hu: Tensor

    def __init__(
        self,
        net: nn.Module,
        loss: nn.Module,
        optimizer: Optimizer,
        inference: Inference,
        window: Sequence[float] = (-200.0, 250.0),
        classes: int = 2,
        context: int = 1,
        spatial_dims: int | None = None,
        divisor: int | None = None,
        paper_slices: bool = False,
        scheduler: Scheduler | None = None,
        augment: nn.Module | None = None,
        channels_last: bool = False,
        compile: bool = False,
    ) -> None:
        super().__init__(net, loss, optimizer, scheduler, augment, channels_last, compile)
        if len(window) != 2:
            raise ValueError(f"window must be [low, high], not {list(window)}")
        if classes not in (2, 3):
            raise ValueError(f"classes must be 2 or 3, not {classes}")
        if context < 1 or context % 2 == 0:
            raise ValueError(f"context must be an odd number of slices, not {context}")
        self.inference, self.window = inference, HUWindow(*window)
        self.classes, self.context, self.paper_slices = classes, context, paper_slices
        self.validated = ("liver_dice", "liver_global_dice", *(["tumour_dice"] * (classes == 3)))
        self.spatial_dims = _declared(net, "spatial_dims", spatial_dims)
        self.divisor = _declared(net, "divisor", divisor)
        self.register_buffer("threshold_hu", torch.tensor([40.0, 200.0]))

    # -- agreement with the data --------------------------------------------------------------

    def fits(self, datamodule: pl.LightningDataModule) -> None:
        """Refuse patches or neighbours that the net cannot read."""
        patch, context, classes = datamodule.patch, datamodule.context, datamodule.classes
        want = "[32, 256, 256]" if self.spatial_dims == 3 else "[256, 256]"
        require(
            len(patch) == self.spatial_dims,
            f"datamodule.patch: this model needs {self.spatial_dims}-D patches such as {want}, "
            f"not {list(patch)}",
        )
        require(
            not any(size % self.divisor for size in patch),
            f"datamodule.patch: {list(patch)} must be multiples of {self.divisor} for this net",
        )
        require(
            context == self.context,
            f"datamodule.context: the model sees {self.context} slices, the data have {context}",
        )
        require(
            self.spatial_dims == 2 or context == 1,
            f"datamodule.context: a 3-D net sees its neighbours by itself; use 1, not {context}",
        )
        require(
            classes == self.classes,
            f"datamodule.classes: the model tells {self.classes} classes, the data {classes}",
        )

    def fit_statistics(self, datamodule: pl.LightningDataModule) -> None:
        """Fit the HU range of the threshold baseline on the training cases."""
        self.threshold_hu = torch.tensor(datamodule.liver_hu_range(), dtype=torch.float32)

    # -- training -----------------------------------------------------------------------------

    def training_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Window, augment, forward, loss.

        Args:
            batch: `image` int16 HU (n, c, ...), `label` uint8 (n, ...), `seed` int64 (n,).
        """
        image, label = self.window(batch["image"]), batch["label"]
        if self.augment is not None:
            image, label = self.augment(image, label, batch["seed"])
        if self.channels_last and image.dim() == 4:
            image = image.contiguous(memory_format=torch.channels_last)
        return self.loss(self.net(image), self._target(label))

    def _target(self, label: Tensor) -> Tensor:
        """Liver is label >= 1 (tumours belong to it) unless tumours are a class of their own."""
        return (label.clamp(max=1) if self.classes == 2 else label).long()

    # -- evaluation ---------------------------------------------------------------------------

    def logits(self, hu: Tensor) -> Tensor:
        """Logits of HU images of any size: padded to what the net takes, and cropped back."""
        size = hu.shape[2:]
        image = pad_to_multiple(self.window(hu), self.divisor, 0.0)
        output = self.net(image)
        output = output if isinstance(output, Tensor) else output[0]
        for axis, length in enumerate(size, start=2):
            output = output.narrow(axis, 0, length)
        return output

    def segment(self, scan: Scan) -> Mask:
        """Classes (z, y, x) of a whole volume, before post-processing."""
        self.eval()
        device = next(self.parameters()).device
        return self.inference.segment(self.logits, scan, self.spatial_dims, self.context, device)

    def evaluate_case(self, case: LiverCase, split: str) -> list[Row]:
        """Metrics of one case; at the test also surfaces, baselines and the variants."""
        truth = case.truth(self.classes)
        raw = self.segment(case.scan())
        masks = {"model": self.inference.clean(raw)}
        if split == "val":
            return [{**_who(case, "model"), **self._figures(case, masks["model"], truth, False)}]
        if self.inference.largest_component:
            masks["model, all components"] = raw
        rows = [self._full_row(case, name, mask, truth) for name, mask in masks.items()]
        rows += [
            self._full_row(case, name, mask, truth) for name, mask in self._baselines(case).items()
        ]
        return rows + self._paper_rows(case, masks["model"], truth)

    def _figures(
        self, case: LiverCase, mask: Mask, truth: Mask, surfaces: bool
    ) -> dict[str, float]:
        figures = evaluate_case(mask > 0, truth > 0, case.spacing_mm, surfaces)
        if self.classes == 3:
            figures["tumour_dice"] = overlap(mask == 2, truth == 2)["dice"]
        return figures

    def _full_row(self, case: LiverCase, name: str, mask: Mask, truth: Mask) -> Row:
        thirds = stratified_dice(mask > 0, truth > 0)
        return {**_who(case, name), **self._figures(case, mask, truth, True), **thirds}

    def _baselines(self, case: LiverCase) -> dict[str, Mask]:
        """No number stands alone: what costs nothing to predict."""
        hu = case.voxels()
        low, high = self.threshold_hu.tolist()
        return {
            "baseline: empty mask": empty_mask(hu),
            "baseline: HU threshold": threshold_component(hu, low, high),
        }

    def _paper_rows(self, case: LiverCase, mask: Mask, truth: Mask) -> list[Row]:
        """The paper's test side: only slices that hold liver, chosen by the truth."""
        if not self.paper_slices:
            return []
        kept = (truth > 0).mean(axis=(1, 2)) >= 0.015  # paper 004, section III.B
        if not kept.any():
            return []
        figures = self._figures(case, mask[kept], truth[kept], False)
        return [{**_who(case, "model, slices with liver only (paper)"), **figures}]

    def headline(self, rows: Sequence[Row]) -> dict[str, float]:
        """Mean per-case and pooled Dice; tumour Dice where tumours are a class."""
        figures = {
            "liver_dice": float(np.mean([row["dice"] for row in rows])),
            "liver_global_dice": global_dice(rows),
        }
        if self.classes == 3:
            figures["tumour_dice"] = float(np.nanmean([row["tumour_dice"] for row in rows]))
        return figures

    def pooled(self, rows: Sequence[Row]) -> dict[str, float]:
        """The challenge's second score: Dice of all cases taken as one large volume."""
        return {"global_dice": global_dice(row for row in rows if "tp" in row)}

    def illustrate(self, cases: Sequence[Any], rows: Sequence[Row], gallery: Gallery) -> None:
        """Overlays of the best, the median and the worst case, and charts of all of them."""
        from vitruvian.liver.figures import draw_figures

        draw_figures(self, cases, rows, gallery)

    # -- prediction ---------------------------------------------------------------------------

    def predict_path(
        self, source: Path, target: Path, provenance: dict[str, Any]
    ) -> Iterator[Path]:
        """Masks, volumes and overlays of NIfTI or DICOM scans; see `vitruvian.liver.predict`."""
        from vitruvian.liver.predict import predict_path

        return predict_path(self, source, target, provenance)

    def export(
        self, target: Path, format: Format, stream: bool, provenance: dict[str, Any]
    ) -> Exported:
        """Write window and net as one model, or a MONAI bundle."""
        from vitruvian.liver.exporting import export

        return export(self, target, format, stream, provenance)


def _who(case: LiverCase, predictor: str) -> Row:
    return {"case": case.case, "predictor": predictor}


def _declared(net: nn.Module, name: str, given: int | None) -> int:
    """A property of the net: from the config, or from the net itself."""
    value = given if given is not None else getattr(net, name, None)
    if value is None:
        raise ValueError(f"{name} is needed: {type(net).__name__} does not say it of itself")
    return int(value)
