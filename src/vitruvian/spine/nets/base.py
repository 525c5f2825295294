"""What every net is: a window's frames become one feature vector, and a head makes it a number.

A causal net looks back only, and so can also be fed frame by frame.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Literal

from torch import Tensor, nn

from vitruvian.spine.nets.checks import (
    is_count,
    require,
    require_choice,
    require_count,
    require_probability,
    require_window,
)
from vitruvian.spine.nets.masking import blank, last_frame, mean_frame

Output = Literal["leaky_relu", "relu", "sigmoid", "none"]
Pooling = Literal["last", "mean"]
State = tuple[Tensor, ...]
"""What a causal net carries from frame to frame: all zero at first, people along the first axis."""

SLOPE = 0.01  # equation 2


def output_layer(name: Output) -> nn.Module:
    """Return the activation of the last neuron by its name."""
    require_choice("output", name, Output)
    layers: dict[str, nn.Module] = {
        "leaky_relu": nn.LeakyReLU(SLOPE),
        "relu": nn.ReLU(),
        "sigmoid": nn.Sigmoid(),
        "none": nn.Identity(),
    }
    return layers[name]


class Head(nn.Module):
    """Dense layers with LeakyReLU, then one neuron (paper 003, section III.B, equation 2).

    Args:
        features: that come in.
        dense: neurons of each dense layer; none: the last neuron reads the features.
        dropout: probability of dropping a feature before the first layer, in [0, 1).
        output: activation of the last neuron. The paper says ReLU and writes LeakyReLU.
    """

    def __init__(
        self, features: int, dense: int | Sequence[int], dropout: float, output: Output
    ) -> None:
        super().__init__()
        widths = [features, *([dense] if isinstance(dense, int) else dense)]
        require(all(map(is_count, widths)), "dense", "integers >= 1", dense)
        require_probability("dropout", dropout)
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        for source, target in pairwise(widths):
            layers += [nn.Linear(source, target), nn.LeakyReLU(SLOPE)]
        self.features = features
        last = nn.Linear(widths[-1], 1)
        # The middle of the index: below zero the rectifiers have next to no gradient, and half of
        # all seeds would begin there.
        nn.init.constant_(last.bias, 0.0 if output == "sigmoid" else 0.5)
        self.layers = nn.Sequential(*layers, last, output_layer(output))

    def forward(self, features: Tensor) -> Tensor:
        """Map (n, F) to (n,)."""
        values: Tensor = self.layers(features)
        return values.squeeze(-1)


class WindowNet(nn.Module, ABC):
    """A net over whole windows; subclasses give `encode`.

    Attributes:
        causal: whether it can also be fed frame by frame.
        channels: of the input.
    """

    causal: ClassVar[bool] = False

    def __init__(self, channels: int, head: Head) -> None:
        super().__init__()
        require_count(channels=channels)
        self.channels = channels
        self.head = head

    @abstractmethod
    def encode(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (n, T, channels), zero in padding, to (n, F)."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Index of each window, not clipped to [0, 1].

        Args:
            x: (n, T, channels); what it holds in padding does not matter.
            mask: (n, T) bool, True for real frames, which come before all padding; None: all real.

        Returns:
            (n,) values.

        Raises:
            ValueError: a shape does not fit.
        """
        require_window(x, self.channels, mask)
        seen = x if mask is None else blank(x, mask[..., None])
        values: Tensor = self.head(self.encode(seen, mask))
        return values


class CausalNet(WindowNet):
    """A net whose features of a frame depend on it and on those before; they are then pooled.

    Args:
        channels: of the input.
        head: what makes an index of the pooled features.
        pooling: "last": features of the last real frame; "mean": of all frames so far.
    """

    causal: ClassVar[bool] = True

    def __init__(self, channels: int, head: Head, pooling: Pooling) -> None:
        super().__init__(channels, head)
        require_choice("pooling", pooling, Pooling)
        self.pooling = pooling

    @abstractmethod
    def frames(self, x: Tensor) -> Tensor:
        """Features of every frame: (n, T, channels) -> (n, T, F)."""

    @abstractmethod
    def before(self, n: int) -> State:
        """What `advance` carries before the first frame, without the pooling's share."""

    @abstractmethod
    def advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Features of the next frame, (n, channels) -> (n, F), equal to those of `frames`."""

    def encode(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (n, T, channels) to the pooled features (n, F)."""
        pool = last_frame if self.pooling == "last" else mean_frame
        return pool(self.frames(x), mask)

    def initial_state(self, n: int = 1) -> State:
        """State before the first frame of `n` people."""
        state = self.before(n)
        if self.pooling == "last":
            return state
        return (*state, *self._zeros(n, self.head.features, 1))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Index after one more frame, in the same time however many came before.

        In `eval` mode it equals `forward` on the frames so far.

        Args:
            x: (n, channels) of the frame.
            state: from `initial_state` or from the step before; it is left as it was.

        Returns:
            (n,) values, and the next state.
        """
        if self.pooling == "last":
            features, state = self.advance(x, state)
            return self.head(features), state
        *state_before, total, count = state
        features, after = self.advance(x, tuple(state_before))
        total, count = total + features, count + 1
        return self.head(total / count), (*after, total, count)

    def _zeros(self, n: int, *widths: int) -> State:
        like = next(self.parameters())
        return tuple(like.new_zeros(n, width) for width in widths)
