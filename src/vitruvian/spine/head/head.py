"""The whole way from landmarks to a value in one module: features, scaling, net."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn

from vitruvian.spine.head.features import Features, FeatureState
from vitruvian.spine.head.scaling import Scaling
from vitruvian.spine.nets import CausalNet

State = tuple[FeatureState, Any]


class IndexHead(nn.Module):
    """Features, scaling and net as one, for whole windows and, if the net is causal, by frames.

    Args:
        features: what of the landmarks the net reads.
        scaling: of its channels.
        net: reads them.
    """

    def __init__(self, features: Features, scaling: Scaling, net: nn.Module) -> None:
        super().__init__()
        self.features, self.scaling, self.net = features, scaling, net

    @property
    def causal(self) -> bool:
        """Whether it can be fed frame by frame."""
        return bool(getattr(self.net, "causal", False)) and self.scaling.kind != "window"

    def forward(self, points: Tensor, visibility: Tensor, mask: Tensor) -> Tensor:
        """Value of windows, (n,), not clipped.

        Args:
            points: (n, T, J, D) without NaN.
            visibility: (n, T, J), 0 to 1.
            mask: (n, T) bool, True for real frames, which come first.
        """
        return self.net(self.scaling(self.features(points, visibility, mask), mask), mask)

    def initial_state(self, n: int = 1) -> State:
        """State before the first frame of `n` windows."""
        return self.features.initial_state(n), cast("CausalNet", self.net).initial_state(n)

    def step(self, points: Tensor, visibility: Tensor, state: State) -> tuple[Tensor, State]:
        """Value of the windows so far, (n,), and the state for the next frame.

        Args:
            points: (n, J, D) without NaN.
            visibility: (n, J), 0 to 1.
            state: from `initial_state` or the step before.
        """
        x, features = self.features.step(points, visibility, state[0])
        value, net = cast("CausalNet", self.net).step(self.scaling(x), state[1])
        return value, (features, net)
