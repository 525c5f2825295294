"""A task whose answer is known: liver is what is bright enough, tumour what is brighter still."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from vitruvian.liver.inference import Inference
from vitruvian.liver.segmenter import LiverSegmenter

LOW, HIGH = 100, 180  # whole HU; liver is LOW and more, with three classes tumour HIGH and more


class Threshold(nn.Module):
    """Logits from the windowed middle slice alone; its one parameter learns nothing."""

    spatial_dims, divisor = 2, 16

    def __init__(self, classes: int = 2, window: tuple[float, float] = (-200.0, 250.0)) -> None:
        super().__init__()
        self.idle = nn.Parameter(torch.zeros(1))
        self.classes, self.window = classes, window

    def forward(self, image: Tensor) -> Tensor:
        low, high = self.window
        middle = image.shape[1] // 2
        hu = image[:, middle : middle + 1] * (high - low) + low
        liver, tumour = hu - (LOW - 0.5), hu - (HIGH - 0.5)
        if self.classes == 2:
            return torch.cat([-liver, liver], 1)
        return torch.cat([torch.zeros_like(hu), liver.sign(), 2 * tumour.sign()], 1)


def threshold_task(classes: int = 2, **changes: object) -> LiverSegmenter:
    """A segmenter around `Threshold`; `changes` are its other arguments."""
    arguments = {
        "net": Threshold(classes),
        "loss": nn.CrossEntropyLoss(),
        "optimizer": partial(torch.optim.SGD, lr=0.1),
        "inference": Inference(batch_size=2),
        "classes": classes,
    }
    return LiverSegmenter(**{**arguments, **changes}).eval()


def expected_mask(hu: np.ndarray, classes: int = 2) -> np.ndarray:
    """What the task answers, for HU in any order of axes."""
    return (hu >= LOW).astype(np.uint8) + ((hu >= HIGH) & (classes == 3))
