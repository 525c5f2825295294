"""A checkpoint of a segmenter as a training would leave it, without training one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from vitruvian.core.engine import build_task
from vitruvian.core.task import CONFIG_KEY

MODEL: dict[str, Any] = {
    "_target_": "vitruvian.muscle.segmentation.task.MuscleSegmenter",
    "size": [48, 64],
    "net": {"_target_": "vitruvian.muscle.segmentation.unet.MuscleUNet", "width": 2, "depth": 1},
    "classical": {"_target_": "vitruvian.muscle.roi.finders.WholeImage"},
}
CONFIG: dict[str, Any] = {
    "model": MODEL,
    "loss": {"_target_": "torch.nn.BCEWithLogitsLoss"},
    "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1},
    "scheduler": None,
    "augment": None,
}


def write_checkpoint(path: Path, bias: float = 9.0, config: Any = CONFIG) -> Path:
    """Weights that find muscle everywhere, or nowhere with a negative `bias`."""
    task = build_task(CONFIG)
    torch.nn.init.constant_(task.net.head.bias, bias)
    torch.nn.init.zeros_(task.net.head.weight)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": task.state_dict(), CONFIG_KEY: config}, path)
    return path
