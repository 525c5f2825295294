"""A trained index as an ONNX file, for programs that hold no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from vitruvian.core.errors import ConfigError
from vitruvian.spine.explain.findings import WORDING
from vitruvian.spine.head.onnx import example_landmarks, export_onnx, export_step

if TYPE_CHECKING:
    from vitruvian.spine.regressor import SpineRegressor


def export(task: SpineRegressor, target: Path, stream: bool, provenance: dict[str, Any]) -> Path:
    """Write features, scaling and net as one ONNX model, and check it against torch.

    Args:
        task: the trained task.
        target: of the file.
        stream: write one step with its state rather than whole windows.
        provenance: what the file says about the run.

    Raises:
        ConfigError: a stream is asked of a net that looks ahead.
        RunError: onnx is not installed, or the model cannot be written.
    """
    metadata = {
        "note": WORDING,
        "skeleton": task.skeleton.name,
        "provenance": json.dumps(provenance, default=str),
    }
    joints, dims = len(task.skeleton), task.skeleton.dims
    if not stream:
        export_onnx(task.head, target, example_landmarks(joints, dims), metadata=metadata)
        return target
    if not task.head.causal:
        raise ConfigError("stream: this net looks ahead, it needs whole windows; stream=false")
    example = {"points": torch.rand(2, joints, dims), "visibility": torch.rand(2, joints)}
    export_step(task.head, target, example, metadata=metadata)
    return target
