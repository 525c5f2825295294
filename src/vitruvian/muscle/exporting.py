"""A trained estimator of muscle as an ONNX or a TorchScript file."""

from __future__ import annotations

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
from vitruvian.muscle.data.inputs import output_names
from vitruvian.muscle.normalising import as_grey
from vitruvian.muscle.quantities import quantity

if TYPE_CHECKING:
    from vitruvian.muscle.estimator import MuscleEstimator

NOTE = "research software: not a medical device, not for diagnosis"
_USE = (
    "Research on what ultrasound of a muscle tells of joint angle, torque and EMG. No medical "
    "device, not a diagnosis; not for controlling a machine that a person depends on."
)
_DATA = (
    "Simulated people by default; your own recordings; public sets where you downloaded them, with "
    "their own licences. No picture of anybody is in this file."
)


class Estimates(nn.Module):
    """Bytes of crops in, native units out: grey values, mask, net and target units as one.

    Args:
        task: the trained task.
    """

    target_mean: Tensor
    target_sd: Tensor

    def __init__(self, task: MuscleEstimator) -> None:
        super().__init__()
        self.frontend, self.net = task.frontend, task.net
        self.register_buffer("target_mean", task.target_mean.clone())
        self.register_buffer("target_sd", task.target_sd.clone())

    def forward(self, images: Tensor, bounds: Tensor) -> Tensor:
        """Map (n, context, H, W) bytes and bounds (n, 2, W) to (n, outputs)."""
        scored = self.net(self.frontend(as_grey(images), bounds))
        values: Tensor = scored * self.target_sd + self.target_mean
        return values


def export(
    task: MuscleEstimator, target: Path, format: Format, stream: bool, provenance: dict[str, Any]
) -> Exported:
    """Write normalisation, net and units as one model, and check it against torch.

    Args:
        task: the trained task.
        target: of the file.
        format: "onnx" or "torchscript".
        stream: refused: a stream shows the last frames for each answer.
        provenance: what the file says about the run.

    Raises:
        ConfigError: the format is not one of the study, or a stream is asked for.
        RunError: onnx is not installed, the net cannot be expressed, or the file not be written.
    """
    refuse(format, stream, "onnx", "torchscript")
    names = output_names(task.target, task.quantities)
    metadata = {"outputs": ", ".join(names), **metadata_of(NOTE, provenance)}
    module, trials = Estimates(task), _trials(task)
    if format == "onnx":
        axes = {name: {0: "n"} for name in ("images", "bounds", "values")}
        difference = write_onnx(module, target, trials, "values", axes, metadata)
    else:
        difference = write_torchscript(module, target, trials, metadata)
    return _exported(task, target, format, difference)


def _trials(task: MuscleEstimator) -> list[dict[str, Tensor]]:
    """Noise, other noise with a muscle that slopes, and an image without a muscle."""
    (height, width), context = task.roi.size, task.inputs.context
    generator = torch.Generator().manual_seed(0)
    across = torch.arange(width) * (height // 4) // width
    bands = [
        torch.stack([across + height // 8, height - 1 - across]),
        torch.tensor([[0], [height]]).expand(2, width),
        torch.zeros(2, width, dtype=torch.int64),
    ]
    trials = []
    for n in (2, 1, 3):
        size = (n, context, height, width)
        images = torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)
        bounds = torch.stack([bands[i % 3] for i in range(n)]).to(torch.int16)
        trials.append({"images": images, "bounds": bounds})
    return trials


def _exported(task: MuscleEstimator, target: Path, format: Format, difference: float) -> Exported:
    (height, width), context = task.roi.size, task.inputs.context
    return Exported(
        path=target,
        format=format,
        what=(
            f"{type(task.net).__name__}: {context} frame(s) of ultrasound in a row in, "
            f"{', '.join(task.quantities)} out; grey values, mask and units are inside."
        ),
        inputs=(
            Port("images", f"(n, {context}, {height}, {width}) uint8",
                 f"crops of the region of interest, 0 to 255, the last frame last ({task.roi})"),
            Port("bounds", f"(n, 2, {width}) int16",
                 "of the last frame: in each column the first row of the muscle and the row after "
                 "its last one, pixels; both 0 where there is none"),
        ),
        outputs=(Port("values", f"(n, {len(task.target_mean)}) float32", _columns(task)),),
        difference=difference,
        tolerance=TOLERANCE,
        use=_USE,
        data=_DATA,
        reported=task.reported,
        notes=tuple(_notes(task)),
    )  # fmt: skip


def _columns(task: MuscleEstimator) -> str:
    names = output_names(task.target, task.quantities)
    units = {name: quantity(name.removeprefix("change ")).symbol for name in names}
    return "; ".join(f"{name} ({unit})" for name, unit in units.items())


def _notes(task: MuscleEstimator) -> list[str]:
    notes = [f"Not inside: finding and cropping the muscle ({task.roi})."]
    if task.target in ("change", "both"):
        notes.append("A change is since the frame before.")
    if task.target == "centred":
        notes.append("Values are less the mean of their trial.")
    if task.readout.fusion is not None:
        notes.append("Not inside: the Kalman filter that fuses changes and values.")
    return notes
