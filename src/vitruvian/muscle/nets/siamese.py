"""A net for pairs of frames that measures how the tissue moved before it learns what that means."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitruvian.muscle.nets.blocks import begin_for_relu
from vitruvian.muscle.nets.checks import (
    require,
    require_counts,
    require_images,
    require_probability,
)
from vitruvian.muscle.nets.cost_volume import CostVolume
from vitruvian.muscle.nets.tissue_motion import TissueMotion

_STRIDE = 2  # of the features: 1 pixel of movement is half a feature, 0.1 pixels still show
_PATCH = 16  # pixels, so that a patch holds some ten speckles
_MODES = 8  # patterns of motion whose meaning follows from the state
_POOL = 2  # patches, each way, that share one place in the dense layer


class SiamesePair(nn.Module):
    """One encoder for both frames, their local correlation, and the second frame's own features.

    Between neighbouring frames muscle moves by less than a few pixels. The cost volume gives the
    similarity of each patch with itself after every small displacement (as FlowNet's correlation
    layer, Dosovitskiy et al. 2015, but normalised, so that gain and contrast cancel); where it is
    largest the tissue went. `TissueMotion` adds what happens within a pixel. What moved, and so
    what the movement means, is told by the features of the second frame, which also serve absolute
    quantities: the same slide of a deep aponeurosis is a rotation in a slack muscle and torque in a
    tense one. So the state sets the weights of a few modes of motion, which add to the outputs.

    Args:
        channels: must be 2: the frame before and the frame.
        outputs: names of the numbers.
        size: (height, width) of the images, multiples of 32.
        features: maps of the shared encoder.
        reach: largest displacement in steps of 2 pixels, each way.
        context: maps of the second frame's own features.
        width: maps of the convolutions over both.
        dense: neurons of the dense layer.
        dropout: probability of dropping a neuron of the dense layer, in [0, 1).

    Raises:
        ConfigError: an argument is not legal, or `size` is no multiple of 32.
    """

    def __init__(
        self,
        channels: int,
        outputs: Sequence[str],
        size: Sequence[int],
        *,
        features: int = 16,
        reach: int = 2,
        context: int = 32,
        width: int = 64,
        dense: int = 128,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        require_images(channels, outputs, size)
        require(channels == 2, "channels", "2, a pair of frames, for SiamesePair", channels)
        cell = _PATCH * _POOL
        fits = all(length % cell == 0 for length in size)
        require(fits, "size", f"multiples of {cell} for SiamesePair", list(size))
        require_counts(features=features, reach=reach, context=context, width=width, dense=dense)
        require_probability("dropout", dropout)
        self.encoder = _encoder(features)
        self.cost_volume = CostVolume(reach, _PATCH // _STRIDE)
        self.motion = TissueMotion(_PATCH // _STRIDE)
        self.context = _context(features, context)
        places = (size[0] // cell) * (size[1] // cell)
        seen = self.cost_volume.displacements + self.motion.channels + context
        self.head = nn.Sequential(
            nn.Conv2d(seen, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.AvgPool2d(_POOL),
            nn.Flatten(),
            nn.Linear(width * places, dense),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )
        self.values = nn.Linear(dense, len(outputs))
        begin_for_relu(self)
        patches = (size[0] // _PATCH) * (size[1] // _PATCH)
        self.modes = nn.Linear(self.motion.channels * patches, _MODES, bias=False)
        self.meaning = nn.Linear(dense, len(outputs) * _MODES)

    def forward(self, images: Tensor) -> Tensor:
        """Map pairs (n, 2, height, width) to (n, outputs)."""
        # Both frames at once: one call of the encoder on twice the batch.
        encoded = self.encode(images.transpose(0, 1).flatten(0, 1).unsqueeze(1))
        before, after = encoded.unflatten(0, (2, -1)).unbind(0)
        return self.compare(before, after)

    def encode(self, frames: Tensor) -> Tensor:
        """Features of single frames: (n, 1, height, width) to (n, features, height/2, width/2).

        Who shows one frame after the other keeps those of the last one, and encodes each once.
        """
        features: Tensor = self.encoder(frames)
        return features

    def compare(self, before: Tensor, after: Tensor) -> Tensor:
        """Map the features of two frames to (n, outputs)."""
        motion = self.motion(before, after)
        seen = [self.cost_volume(before, after), motion, self.context(after)]
        state = self.head(torch.cat(seen, dim=1))
        values: Tensor = self.values(state)
        meaning = self.meaning(state).unflatten(1, (-1, _MODES))
        return values + (meaning * self.modes(motion.flatten(1))[:, None]).sum(-1)


class ZeroSumConv(nn.Conv2d):
    """A 3x3 convolution without bias whose every kernel sums to zero, so that no level passes.

    The level of a feature is the same wherever the tissue moves, and would make each patch look
    like every other one.
    """

    def __init__(self, source: int, target: int) -> None:
        super().__init__(source, target, 3, padding=1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """Map (n, source, H, W) to (n, target, H, W)."""
        kernels = self.weight - self.weight.mean(dim=(2, 3), keepdim=True)
        return F.conv2d(input, kernels, padding=1)


def _encoder(features: int) -> nn.Sequential:
    """Ends without ReLU: only features of both signs have correlations of both signs."""
    return nn.Sequential(
        nn.Conv2d(1, features, 5, stride=_STRIDE, padding=2),
        nn.ReLU(inplace=True),
        ZeroSumConv(features, features),
    )


def _context(features: int, context: int) -> nn.Sequential:
    """From features at every second pixel to the grid of patches."""
    layers: list[nn.Module] = [nn.ReLU()]
    source = features
    for _ in range((_PATCH // _STRIDE).bit_length() - 1):
        layers += [nn.Conv2d(source, context, 3, stride=2, padding=1), nn.ReLU(inplace=True)]
        source = context
    return nn.Sequential(*layers)
