"""A short causal memory over the last frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitruvian.muscle.nets.checks import (
    require,
    require_choice,
    require_counts,
    require_images,
    require_probability,
)
from vitruvian.muscle.nets.cnn import MuscleCNN

Head = Literal["gru", "tcn"]
_TAPS = 3  # of the convolutions in time


def small_cnn(channels: int, outputs: Sequence[str], size: Sequence[int]) -> MuscleCNN:
    """A `MuscleCNN` that is light enough to encode every step of a window."""
    return MuscleCNN(channels, outputs, size, filters=(16, 32, 64, 64), dense=128, dropout=0.0)


class TemporalNet(nn.Module):
    """An encoder of every frame or pair of frames, then a causal head over their features.

    The answer is for the last frame of the window, so no later frame is looked at: it is causal. A
    stream reads the whole window anew for each frame, since the mask of its last frame serves all.

    Args:
        channels: frames of the window in their order, such as 8 to 16; at least 2 with `pairs`.
        outputs: names of the numbers.
        size: (height, width) of the images.
        encoder: builds the encoder: any net of this package, whose outputs are then features.
        pairs: encode each frame together with the one before (so that motion can be seen), or
            alone.
        features: numbers that the encoder says of a step.
        head: "gru": one layer of gated recurrent units; "tcn": dilated causal convolutions, as
            many as it takes to see the whole window.
        hidden: units of the head.
        dropout: probability of dropping a feature before the head and before the outputs, in
            [0, 1).

    Raises:
        ConfigError: an argument is not legal, or `encoder` refuses one.
    """

    def __init__(
        self,
        channels: int,
        outputs: Sequence[str],
        size: Sequence[int],
        *,
        encoder: Callable[..., nn.Module] = small_cnn,
        pairs: bool = True,
        features: int = 64,
        head: Head = "gru",
        hidden: int = 64,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        require_images(channels, outputs, size)
        require(channels > pairs, "channels", "at least 2 for TemporalNet with pairs", channels)
        require_counts(features=features, hidden=hidden)
        require_choice("head", head, Head)
        require_probability("dropout", dropout)
        self.pairs, self.steps = pairs, channels - pairs
        names = [f"feature {number}" for number in range(features)]
        self.encoder = encoder(channels=1 + pairs, outputs=names, size=size)
        self.dropout = nn.Dropout(dropout)
        self.memory: nn.Module = (
            Recurrent(features, hidden)
            if head == "gru"
            else Convolved(features, hidden, self.steps)
        )
        self.last = nn.Linear(hidden, len(outputs))

    def forward(self, images: Tensor) -> Tensor:
        """Map windows (n, channels, height, width) to (n, outputs) at their last frames."""
        if self.pairs:
            steps = torch.stack([images[:, :-1], images[:, 1:]], dim=2)
        else:
            steps = images.unsqueeze(2)
        features = self.encoder(steps.flatten(0, 1)).unflatten(0, (-1, self.steps))
        values: Tensor = self.last(self.dropout(self.memory(self.dropout(features))))
        return values


class Recurrent(nn.Module):
    """Gated recurrent units over the steps of a window (Cho et al. 2014)."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.cells = nn.GRU(features, hidden, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, steps, features) to (n, hidden) after the last step."""
        # The state is made of the input: else an export keeps the number of windows it was shown.
        start = x.new_zeros(1, 1, self.cells.hidden_size) + 0 * x[None, :, 0, :1]
        last: Tensor = self.cells(x, start)[0][:, -1]
        return last


class Convolved(nn.Module):
    """Residual causal convolutions whose dilation doubles until they see the whole window."""

    def __init__(self, features: int, hidden: int, steps: int) -> None:
        super().__init__()
        self.embedding = nn.Conv1d(features, hidden, 1)
        self.layers = nn.ModuleList()
        seen = 1
        while seen < steps or not self.layers:
            dilation = 1 << len(self.layers)
            self.layers.append(nn.Conv1d(hidden, hidden, _TAPS, dilation=dilation))
            seen += (_TAPS - 1) * dilation

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, steps, features) to (n, hidden) at the last step."""
        x = self.embedding(x.transpose(1, 2))
        for index, layer in enumerate(self.layers):
            x = x + F.relu(layer(F.pad(x, ((_TAPS - 1) << index, 0))))
        return x[:, :, -1]
