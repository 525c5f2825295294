"""A trained index as an ONNX or a TorchScript file, for programs without Vitruvian."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vitruvian.core.errors import ConfigError
from vitruvian.core.exporting import (
    Exported,
    Format,
    Port,
    metadata_of,
    refuse,
    write_torchscript,
)
from vitruvian.spine.explain.findings import WORDING
from vitruvian.spine.head.onnx import TOLERANCE, example_landmarks, export_onnx, export_step

if TYPE_CHECKING:
    from vitruvian.spine.regressor import SpineRegressor

_USE = (
    f"Research on a spinal health index from movement: {WORDING}. Not for people in pain who need "
    "an examination, not for decisions about treatment, work or insurance."
)
_DATA = (
    "Simulated people by default; your own filmed people; UI-PRMD and the Rehab-Pile collection "
    "where you downloaded them (their licences are those of their sites). No video is in this file."
)


def export(
    task: SpineRegressor, target: Path, format: Format, stream: bool, provenance: dict[str, Any]
) -> Exported:
    """Write features, scaling and net as one model, and check it against torch.

    Args:
        task: the trained task.
        target: of the file.
        format: "onnx" or "torchscript".
        stream: write one step with its state rather than whole windows.
        provenance: what the file says about the run.

    Raises:
        ConfigError: a stream is asked of a net that looks ahead, or of TorchScript; or the format
            is not one of the study.
        RunError: onnx is not installed, or the model cannot be written.
    """
    refuse(format, stream and format != "onnx", "onnx", "torchscript")
    metadata = {"skeleton": task.skeleton.name, **metadata_of(WORDING, provenance)}
    if stream:
        return _exported(task, target, format, stream, _step(task, target, metadata))
    joints, dims = len(task.skeleton), task.skeleton.dims
    example = example_landmarks(joints, dims)
    real = example_landmarks(joints, dims, max(task.windows.length, 2))
    if format == "onnx":
        difference = export_onnx(task.head, target, example, metadata=metadata, also=[real])
    else:
        trials = [example, {k: v[:1, :-1] for k, v in example.items()}, real]
        difference = write_torchscript(task.head, target, trials, metadata, tolerance=TOLERANCE)
    return _exported(task, target, format, stream, difference)


def _step(task: SpineRegressor, target: Path, metadata: dict[str, str]) -> float:
    if not task.head.causal:
        raise ConfigError("stream: this net looks ahead, it needs whole windows; stream=false")
    joints, dims = len(task.skeleton), task.skeleton.dims
    example: dict[str, Tensor] = {
        "points": torch.rand(2, joints, dims),
        "visibility": torch.rand(2, joints),
    }
    return export_step(task.head, target, example, metadata=metadata)


def _exported(
    task: SpineRegressor, target: Path, format: Format, stream: bool, difference: float
) -> Exported:
    joints, dims, cleaning = len(task.skeleton), task.skeleton.dims, task.cleaning
    frames = "" if stream else "frames, "
    where = "shares of the frame" if cleaning.coordinates != "world" else "metres around the hips"
    inputs = [
        Port("points", f"(n, {frames}{joints}, {dims}) float32",
             f"cleaned landmarks of the skeleton {task.skeleton.name}, {where}, no NaN"),
        Port("visibility", f"(n, {frames}{joints}) float32", "0 to 1; 1 where a set has none"),
    ]  # fmt: skip
    if stream:
        inputs.append(Port("state_*", "(n, ...)", "zeros at first, then the `next_*` before"))
    else:
        inputs.append(Port("mask", "(n, frames) bool", "true for real frames, which come first"))
    return Exported(
        path=target,
        format=format,
        what=(
            f"{type(task.net).__name__}: windows of landmarks in, a spinal health index out; "
            "features and their scaling are inside."
        ),
        inputs=tuple(inputs),
        outputs=(
            Port("index", "(n,) float32", "0 (best) to 1 (worst), not clipped: clip it to show it"),
        ),
        difference=difference,
        tolerance=TOLERANCE,
        use=_USE,
        data=_DATA,
        reported=task.reported,
        notes=(
            f"Windows are {task.windows.length} frames long, one every {task.windows.stride}; the "
            "index of a clip is the mean over its windows.",
            f"Not inside: the cleaning of the landmarks ({cleaning}).",
            "An input that the net does not look at may be left out of the file.",
        ),
    )
