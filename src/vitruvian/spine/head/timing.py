"""How long the paper's head takes for one window: it claims at most 11 ms and names no hardware."""

from __future__ import annotations

import statistics
import time

import torch

from vitruvian.core.cost import one_thread
from vitruvian.spine.nets import PoseLSTM

CHANNELS = 99  # 33 landmarks of three coordinates
_WARMUP = 5


class HeadTime:
    """Milliseconds of the paper's LSTM for one window, on one core; the weights do not matter.

    Args:
        frames: of the window; 150 are the paper's 5 s at 30 fps.
        calls: of which the median is told.
    """

    def __init__(self, frames: int = 150, calls: int = 40) -> None:
        if frames < 1 or calls < 1:
            raise ValueError(f"frames and calls must be at least 1, not {frames} and {calls}")
        self.frames, self.calls = frames, calls

    def __call__(self) -> tuple[float, str]:
        """Median milliseconds, and how they were measured."""
        net, window = PoseLSTM(CHANNELS).eval(), torch.rand(1, self.frames, CHANNELS)
        with one_thread(), torch.inference_mode():
            for _ in range(_WARMUP):
                net(window)
            seconds = sorted(self._timed(net, window) for _ in range(self.calls))
        slow = 1000 * seconds[int(0.95 * len(seconds))]
        about = (
            f"the median of {self.calls} windows of {self.frames} frames on one core of this "
            f"machine (95 % within {slow:.1f} ms)"
        )
        return 1000 * statistics.median(seconds), about

    def _timed(self, net: PoseLSTM, window: torch.Tensor) -> float:
        start = time.perf_counter()
        net(window)
        return time.perf_counter() - start
