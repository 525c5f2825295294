"""A bidirectional LSTM whose frames are weighed by attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vitruvian.spine.nets.base import Head, Output, WindowNet
from vitruvian.spine.nets.checks import require_count, require_probability
from vitruvian.spine.nets.masking import reversed_frames
from vitruvian.spine.skeletons import Skeleton


class BothWays(nn.Module):
    """One LSTM forwards and one backwards in time.

    Two nets rather than a bidirectional one: that would begin its way back in the padding, and
    packed sequences, the usual cure, need the lengths on the host and do not export well.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.forwards = nn.LSTM(inputs, hidden, batch_first=True)
        self.backwards = nn.LSTM(inputs, hidden, batch_first=True)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (n, T, inputs) to (n, T, 2 hidden)."""
        back = self.backwards(reversed_frames(x, mask))[0]
        return torch.cat([self.forwards(x)[0], reversed_frames(back, mask)], dim=2)


class Attention(nn.Module):
    """Additive attention over frames (Bahdanau et al. 2015): their mean with learned weights."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        # The softmax takes no notice of a bias of the scores, which would never learn.
        self.score = nn.Sequential(
            nn.Linear(features, units), nn.Tanh(), nn.Linear(units, 1, bias=False)
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (n, T, F) to (n, F); padding has the weight 0."""
        scores = self.score(x).squeeze(-1)
        if mask is not None:
            scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        return torch.bmm(scores.softmax(1).unsqueeze(1), x).squeeze(1)


class BiLSTMAttention(WindowNet):
    """Bidirectional LSTM layers -> attention over frames -> dense block -> one neuron.

    Args:
        channels: of the input.
        skeleton: of no use to this net; every net of the study takes it.
        hidden: units of each layer in each direction.
        layers: number of bidirectional layers.
        attention: units of the attention.
        dense: neurons of the dense block, or of several.
        dropout: probability of dropping a feature between layers and before the dense block, in
            [0, 1).
        output: activation of the last neuron: "leaky_relu", "relu", "sigmoid" or "none".

    Raises:
        ValueError: an argument is not legal; the message names it and the legal values.
    """

    def __init__(
        self,
        channels: int,
        skeleton: Skeleton | None = None,
        *,
        hidden: int = 64,
        layers: int = 2,
        attention: int = 64,
        dense: int | Sequence[int] = 64,
        dropout: float = 0.2,
        output: Output = "none",
    ) -> None:
        require_count(hidden=hidden, layers=layers, attention=attention)
        require_probability("dropout", dropout)
        super().__init__(channels, Head(2 * hidden, dense, dropout, output))
        widths = [channels, *[2 * hidden] * (layers - 1)]
        self.layers = nn.ModuleList(BothWays(width, hidden) for width in widths)
        self.dropout = nn.Dropout(dropout)
        self.attention = Attention(2 * hidden, attention)

    def encode(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (n, T, channels) to the weighted mean of frames (n, 2 hidden)."""
        for index, layer in enumerate(self.layers):
            x = layer(self.dropout(x) if index else x, mask)
        weighted: Tensor = self.attention(x, mask)
        return weighted
