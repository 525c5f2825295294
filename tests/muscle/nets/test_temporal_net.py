"""The temporal net: a stream says what the window says, and later frames change nothing."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from vitruvian.muscle.nets import MuscleCNN, TemporalNet
from vitruvian.muscle.nets.temporal import Convolved, Past

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
def test_a_stream_equals_the_sliding_window(kwargs: dict[str, Any]) -> None:
    net, frames = built(**kwargs), noise(14, 3, 8, 10)
    k = kwargs["channels"]
    # Before the first frame the muscle counts as having stood still.
    padded = torch.cat([frames[:1].expand(k - 1, -1, -1, -1), frames])
    expected = [net(padded[i : i + k].transpose(0, 1)) for i in range(14)]
    values = torch.stack(list(net.stream(frames)))
    torch.testing.assert_close(values, torch.stack(expected), atol=1e-5, rtol=1e-4)
    assert values.std(0).min() > 1e-3


@every_kind
def test_a_frame_costs_one_pass_of_the_encoder(kwargs: dict[str, Any]) -> None:
    net = built(**kwargs)
    seen: list[int] = []
    net.encoder.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    past: Past | None = None
    for frame in noise(6, 1, 8, 10):
        _, past = net.step(frame, past)
    assert seen == [1] * 6


def test_a_step_leaves_the_past_as_it_was() -> None:
    net, frames = built(5), noise(3, 2, 8, 10)
    _, past = net.step(frames[0])
    kept = [tensor.clone() for tensor in past]
    one, _ = net.step(frames[1], past)
    two, _ = net.step(frames[2], past)
    assert all(torch.equal(a, b) for a, b in zip(kept, past, strict=True))
    assert torch.equal(net.step(frames[1], past)[0], one)
    assert not torch.equal(one, two)


@pytest.mark.parametrize("head", ["gru", "tcn"])
@pytest.mark.parametrize("pairs", [True, False])
def test_every_frame_of_the_window_counts(head: str, pairs: bool) -> None:
    net = built(8, head=head, pairs=pairs)
    x = noise(2, 8, 8, 10).requires_grad_()
    net(x).sum().backward()
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
