"""Crops of ultrasound into what a net reads: scaled by training people, masked, in channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vitruvian.muscle.data.inputs import FrameInput


class Frontend(nn.Module):
    """Normalise grey values, leave out what is not muscle, make channels.

    Mean and standard deviation are those inside the muscles of training people; they are buffers,
    so a checkpoint carries them. Outside the mask stands 0, which is then the mean grey value: a
    black border would be the strongest edge in the image.

    Args:
        inputs: which frames become which channels.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, inputs: FrameInput) -> None:
        super().__init__()
        self.inputs = inputs
        self.register_buffer("mean", torch.tensor(0.5))
        self.register_buffer("sd", torch.tensor(0.25))

    def fit(self, mean: float, sd: float) -> None:
        """Take the statistics of training people; a constant image is left unscaled."""
        self.mean = torch.tensor(mean)
        self.sd = torch.tensor(sd or 1.0)

    def forward(self, images: Tensor, bounds: Tensor) -> Tensor:
        """Channels, (n, channels, H, W).

        Args:
            images: (n, context, H, W), 0 to 1.
            bounds: (n, 2, W) of the last frame: first row of the muscle and the row after it.
                One mask serves all frames, so that a moving mask cannot pass for motion.
        """
        scaled = (images - self.mean) / self.sd
        return self.inputs(scaled * inside(bounds, images.shape[-2])[:, None])


def inside(bounds: Tensor, height: int) -> Tensor:
    """Masks (n, H, W) of bounds (n, 2, W)."""
    rows = torch.arange(height, device=bounds.device)[None, :, None]
    return (rows >= bounds[:, :1]) & (rows < bounds[:, 1:])


def as_grey(images: Tensor) -> Tensor:
    """Bytes as numbers from 0 to 1."""
    return images.float().div_(255)
