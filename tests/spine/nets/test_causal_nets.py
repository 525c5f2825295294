"""Streams: each frame gives what the whole window up to it gives, at the same cost."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vitruvian.spine.nets import TCN, CausalNet, PoseGRU, PoseLSTM, PoseRNN

RECURRENT = {"embedding": 6, "hidden": 5, "dense": 4}
NETS: list[tuple[type[CausalNet], dict[str, Any]]] = [
    (kind, {**RECURRENT, **more})
    for kind in (PoseLSTM, PoseRNN, PoseGRU)
    for more in ({}, {"pooling": "mean"}, {"embedding": None, "layers": 3, "dense": []})
]
NETS += [
    (TCN, {"width": 5, "dilations": [1, 2, 4]}),
    (TCN, {"width": 5, "dilations": [2, 3], "kernel_size": 4, "pooling": "mean"}),
]
every_net = pytest.mark.parametrize(("kind", "kwargs"), NETS)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def built(kind: type[CausalNet], kwargs: dict[str, Any]) -> CausalNet:
    torch.manual_seed(0)
    net = kind(4, **kwargs).eval()
    with torch.no_grad():
        for parameter in net.head.parameters():
            parameter.mul_(3)
    return net


@every_net
def test_every_prefix(kind: type[CausalNet], kwargs: dict[str, Any]) -> None:
    net, x = built(kind, kwargs), noise(3, 40, 4)
    state = net.initial_state(3)
    assert not any(tensor.any() for tensor in state)
    values = []
    for frame in x.unbind(1):
        value, state = net.step(frame, state)
        values.append(value)
    expected = [net(x[:, : length + 1]) for length in range(40)]
    torch.testing.assert_close(torch.stack(values), torch.stack(expected), atol=1e-5, rtol=0)
    assert torch.stack(values).std() > 1e-2


@every_net
def test_a_state_stays_as_large_as_it_was_and_as_it_is(
    kind: type[CausalNet], kwargs: dict[str, Any]
) -> None:
    net, x = built(kind, kwargs), noise(1, 60, 4)
    state = net.initial_state()
    shapes = [tensor.shape for tensor in state]
    for frame in x.unbind(1):
        before = [tensor.clone() for tensor in state]
        _, after = net.step(frame, state)
        assert all(torch.equal(old, kept) for old, kept in zip(before, state, strict=True))
        state = after
    assert [tensor.shape for tensor in state] == shapes


@every_net
def test_later_frames_change_nothing(kind: type[CausalNet], kwargs: dict[str, Any]) -> None:
    net, x = built(kind, kwargs), noise(2, 30, 4)
    other = torch.cat([x[:, :20], 100 * noise(2, 10, 4)], dim=1)
    torch.testing.assert_close(net.frames(other)[:, :20], net.frames(x)[:, :20])


@every_net
def test_people_in_a_stream_do_not_meddle(kind: type[CausalNet], kwargs: dict[str, Any]) -> None:
    net, x = built(kind, kwargs), noise(2, 5, 4)
    together, alone = net.initial_state(2), net.initial_state(1)
    for frame in x.unbind(1):
        both, together = net.step(frame, together)
        one, alone = net.step(frame[1:], alone)
    torch.testing.assert_close(both[1:], one, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", [PoseLSTM, PoseRNN, PoseGRU])
@pytest.mark.parametrize("embedding", [6, None])
def test_a_folded_embedding_gives_the_same(kind: type[Any], embedding: int | None) -> None:
    net, x = built(kind, {**RECURRENT, "embedding": embedding}), noise(3, 40, 4)
    expected, before = net(x), sum(p.numel() for p in net.parameters())
    net.fold()
    net.fold()  # there is none left
    assert isinstance(net.embedding, nn.Identity)
    assert not net.training
    assert not net.cells.training
    assert (sum(p.numel() for p in net.parameters()) < before) == (embedding is not None)
    torch.testing.assert_close(net(x), expected, atol=1e-5, rtol=0)
    value, _ = net.step(x[:, 0], net.initial_state(3))
    torch.testing.assert_close(value, net(x[:, :1]), atol=1e-5, rtol=0)


def test_lstm_cell_by_hand() -> None:
    """Paper 003's gates (equations 3 to 5), and the update of the cell that it leaves out."""
    net = PoseLSTM(1, embedding=None, hidden=1, layers=1, dense=[], output="none", dropout=0.0)
    weights = {"weight_ih_l0": [1.0, 2.0, 3.0, 4.0], "weight_hh_l0": [0.5, -0.5, 0.25, 1.0]}
    with torch.no_grad():
        for name, values in weights.items():
            getattr(net.cells, name).copy_(torch.tensor(values)[:, None])
        net.cells.bias_ih_l0.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
        net.cells.bias_hh_l0.zero_()
    hidden = memory = torch.tensor(0.0)
    for x in (0.3, -0.2):
        given = 1 * x + 0.5 * hidden + 0.1
        forget = 2 * x - 0.5 * hidden + 0.2
        candidate = 3 * x + 0.25 * hidden + 0.3
        output = 4 * x + 1.0 * hidden + 0.4
        memory = forget.sigmoid() * memory + given.sigmoid() * candidate.tanh()
        hidden = output.sigmoid() * memory.tanh()
    frames = net.frames(torch.tensor([[[0.3], [-0.2]]]))
    torch.testing.assert_close(frames[0, -1, 0], hidden)


@pytest.mark.parametrize(
    ("kwargs", "reach"),
    [({}, 252), ({"kernel_size": 2, "dilations": [1, 5]}, 12), ({"dilations": [1]}, 4)],
)
def test_a_tcn_reaches_as_far_as_it_says(kwargs: dict[str, Any], reach: int) -> None:
    torch.manual_seed(0)
    net = TCN(2, width=4, dense=[], **{"dilations": (1, 2, 4, 8, 16, 32), **kwargs}).eval()
    assert net.reach == reach
    x = noise(1, reach + 5, 2).requires_grad_()
    net(x).sum().backward()
    assert x.grad is not None
    seen = x.grad.abs().sum(2)[0].nonzero().flatten()
    assert int(seen.min()) == 4
    assert int(seen.max()) == reach + 4
