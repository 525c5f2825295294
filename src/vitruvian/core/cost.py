"""What a net costs: parameters, multiply-accumulates, seconds per training step."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vitruvian.core.task import Task


@dataclass(frozen=True)
class Cost:
    """Cost of a task on one batch.

    Attributes:
        parameters: trainable parameters of the net.
        macs: multiply-accumulates of one forward pass of one item.
        step_s: seconds of one training step (forward, backward, optimiser) on one batch, or NaN.
    """

    parameters: int
    macs: int
    step_s: float = float("nan")


def parameters(net: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


def macs(net: nn.Module, shape: Sequence[int]) -> int:
    """Multiply-accumulates of one forward pass.

    Args:
        net: in any mode; evaluated in eval mode.
        shape: of the input, batch included.
    """
    training = net.training
    net.eval()
    device = next(net.parameters()).device
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        net(torch.zeros(*shape, device=device))
    net.train(training)
    return counter.get_total_flops() // 2


def step_seconds(task: Task, batches: Sequence[Mapping[str, Tensor]], warmup: int = 2) -> float:
    """Median seconds of a training step over the batches, after `warmup` of them."""
    optimizer = task.bare_optimizer()
    task.train()
    seconds = []
    for batch in batches:
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        task.training_loss(dict(batch)).backward()
        optimizer.step()
        _wait(next(task.parameters()).device)
        seconds.append(time.perf_counter() - start)
    return median(seconds[warmup:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread, where more of them only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
