"""A trained liver net as an ONNX or a TorchScript file, or as a MONAI bundle."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from vitruvian.core.exporting import (
    TOLERANCE,
    Exported,
    Format,
    Port,
    metadata_of,
    refuse,
    write_onnx,
    write_torchscript,
)
from vitruvian.liver.predict import NOT_FOR_DIAGNOSIS
from vitruvian.liver.volume import PADDING_HU

if TYPE_CHECKING:
    from vitruvian.liver.segmenter import LiverSegmenter

CLASSES = ("background", "liver", "tumour")
USE = (
    "Research on segmentation of the liver in abdominal CT of adults: reproducing a study, "
    f"measuring volumes whose masks a qualified person looks at. {NOT_FOR_DIAGNOSIS.capitalize()}; "
    "not for planning or guiding a treatment."
)
DATA = (
    "Simulated phantoms by default; LiTS (CC BY-NC-ND 4.0 as published) or MSD Task03 (CC BY-SA "
    "4.0) where you downloaded them; your own scans. No scan is in this file."
)


class Logits(nn.Module):
    """HU in, logits out: whole HU, window and net as one.

    Args:
        task: the trained task.
    """

    def __init__(self, task: LiverSegmenter) -> None:
        super().__init__()
        self.window, self.net = task.window, task.net

    def forward(self, hu: Tensor) -> Tensor:
        """Map HU (n, c, ...) to logits (n, classes, ...); sizes are multiples of the divisor."""
        output = self.net(self.window(hu.round()))
        logits: Tensor = output if isinstance(output, Tensor) else output[0]
        return logits


def export(
    task: LiverSegmenter, target: Path, format: Format, stream: bool, provenance: dict[str, Any]
) -> Exported:
    """Write window and net as one model, or a MONAI bundle, and check it against torch.

    Args:
        task: the trained task.
        target: the file, or the folder of the bundle.
        format: "onnx", "torchscript" or "bundle".
        stream: refused: scans are no stream.
        provenance: what the file says about the run.

    Raises:
        ConfigError: a stream is asked for.
        RunError: onnx is not installed, the net cannot be expressed, or the file not be written.
    """
    refuse(format, stream, "onnx", "torchscript", "bundle")
    metadata = metadata_of(NOT_FOR_DIAGNOSIS, provenance)
    module, trials = Logits(task), scans_to_try(task)
    if format == "bundle":
        from vitruvian.liver.bundle import write_bundle

        difference = write_bundle(task, module, trials, target, provenance, metadata)
    elif format == "onnx":
        free = {0: "n"} | {axis + 2: name for axis, name in enumerate(_axes(task))}
        axes = {"hu": free, "logits": free}
        difference = write_onnx(module, target, trials, "logits", axes, metadata)
    else:
        difference = write_torchscript(module, target, trials, metadata)
    return _exported(task, target, format, difference)


def scans_to_try(task: LiverSegmenter) -> list[dict[str, Tensor]]:
    """Noise of several sizes over all HU, and one input of the size that the net is used at."""
    step, dims = task.divisor, task.spatial_dims
    small = [2 * step] * (dims - 1) + [3 * step]
    real = task.inference.patch if dims == 3 else (256, 256)
    used = [-(-size // step) * step for size in real]
    generator = torch.Generator().manual_seed(0)
    trials = []
    for n, size in ((2, small), (1, small[::-1]), (1, used)):
        shape = (n, task.context, *size)
        hu = torch.randint(-1024, 1500, shape, generator=generator).float()
        trials.append({"hu": hu / 2 if n == 2 else hu})  # halves: whole HU are the net's business
    return trials


def _axes(task: LiverSegmenter) -> tuple[str, ...]:
    return ("z", "y", "x")[-task.spatial_dims :]


def _exported(task: LiverSegmenter, target: Path, format: Format, difference: float) -> Exported:
    low, high = task.window.limits.tolist()
    names = ", ".join(f"{i} {name}" for i, name in enumerate(CLASSES[: task.classes]))
    size = ", ".join(_axes(task))
    axes = f"sizes are multiples of {task.divisor}, free otherwise"
    hu = Port(
        "hu", f"(n, {task.context}, {size}) float32; {axes}",
        f"CT in HU, any range: the net clips to [{low:g}, {high:g}] itself; in LPS order (x to the "
        "left, y to the back, z to the head), on the scan's own spacing, not resampled"
        + (f"; channels are {task.context} neighbouring slices, the last one repeated beyond the "
           "ends of the scan" if task.context > 1 else ""),
    )  # fmt: skip
    out = Port("logits", f"(n, {task.classes}, {size}) float32", f"classes: {names}; take argmax")
    if format == "bundle":
        hu = Port("image", "a CT scan, NIfTI", hu.meaning)
        out = Port("pred", "NIfTI on the scan's own grid, uint8", f"classes: {names}")
    return Exported(
        path=target,
        format=format,
        what=f"{type(task.net).__name__}, {task.spatial_dims}-D: CT in, mask of the liver out.",
        inputs=(hu,),
        outputs=(out,),
        difference=difference,
        tolerance=TOLERANCE,
        use=USE,
        data=DATA,
        reported=task.reported,
        notes=tuple(_notes(task, format)),
    )


def _notes(task: LiverSegmenter, format: Format) -> list[str]:
    notes = ["Tumours belong to the liver."] if task.classes == 2 else []
    if format == "bundle":
        notes.append("Run it, with MONAI and nibabel: see `configs/inference.json`.")
        if task.spatial_dims == 3:
            notes.append(
                "Windows are blended by MONAI's sliding window, not slab by slab as in "
                "vitruvian-predict: masks may differ by single voxels at borders."
            )
        return notes
    notes.append(_padding(task))
    if task.inference.mirror:
        notes.append("Not inside: the average over mirrorings that vitruvian-predict takes.")
    if task.inference.largest_component:
        notes.append("Not inside: keeping the largest connected liver.")
    return notes


def _padding(task: LiverSegmenter) -> str:
    """How a scan of any size becomes one that the net takes: as `LiverSegmenter.logits` does it."""
    outside = min(PADDING_HU, math.floor(float(task.window.limits[0])))
    how = (
        f"Pad other sizes with {outside} HU (air) at the end of each axis, not with copies of the "
        "border, and cut the same off the logits"
    )
    if task.spatial_dims == 2:
        return f"{how}: so does vitruvian-predict."
    windows = " x ".join(str(size) for size in task.inference.patch)
    return (
        f"{how}. Not inside: the overlapping windows of {windows} voxels (z, y, x) that "
        "vitruvian-predict slides over the scan and blends."
    )
