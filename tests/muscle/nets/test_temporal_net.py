"""The temporal net: every frame of the window counts, in its order."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from vitruvian.muscle.nets import MuscleCNN, TemporalNet
from vitruvian.muscle.nets.temporal import Convolved

small = partial(MuscleCNN, filters=[4], dense=6, dropout=0.0, norm=True)
KINDS = [
    {"head": head, "pairs": pairs, "channels": channels}
    for head in ("gru", "tcn")
    for pairs in (True, False)
    for channels in (2, 5, 8)
]
every_kind = pytest.mark.parametrize("kwargs", KINDS, ids=lambda k: " ".join(map(str, k.values())))


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def built(channels: int, **kwargs: Any) -> TemporalNet:
    torch.manual_seed(0)
    outputs = ["angle_deg", "emg_v"]
    return TemporalNet(
        channels, outputs, (8, 10), encoder=small, features=7, hidden=6, **kwargs
    ).eval()


@every_kind
def test_every_frame_of_the_window_counts(kwargs: dict[str, Any]) -> None:
    net, x = built(**kwargs), noise(2, kwargs["channels"], 8, 10).requires_grad_()
    values = net(x)
    assert values.shape == (2, 2)
    values.sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().sum((0, 2, 3)) > 0).all()


@pytest.mark.parametrize(
    ("steps", "layers"), [(1, 1), (3, 1), (4, 2), (7, 2), (8, 3), (15, 3), (16, 4)]
)
def test_convolutions_see_the_whole_window(steps: int, layers: int) -> None:
    assert len(Convolved(2, 3, steps).layers) == layers


def test_pairs_are_neighbours_in_their_order() -> None:
    net = built(4)
    seen: list[Tensor] = []
    net.encoder.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    x = noise(2, 4, 8, 10)
    net(x)
    pairs = seen[0].unflatten(0, (2, 3))
    for step in range(3):
        assert torch.equal(pairs[:, step], x[:, step : step + 2])
