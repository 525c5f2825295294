"""What all nets of the muscle study have in common: shapes, errors, gradients, sizes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vitruvian.core.errors import ConfigError
from vitruvian.muscle.nets import (
    MuscleCNN,
    MuscleResNet,
    PhysicsNet,
    SeparateNets,
    SiamesePair,
    TemporalNet,
)

Build = Callable[..., nn.Module]
ALL = ["angle_deg", "torque_nm", "emg_v"]
TWICE = [*ALL, "change angle_deg", "change torque_nm", "change emg_v"]
SMALL = {"filters": [4, 6], "dense": 8}
small_cnn = partial(MuscleCNN, **SMALL)
small_resnet = partial(MuscleResNet, width=4)
small_pair = partial(SiamesePair, features=4, reach=1, context=6, width=8, dense=8)

NETS: list[tuple[str, Build, int, list[str], tuple[int, int]]] = [
    ("cnn", MuscleCNN, 2, ALL, (32, 64)),
    ("cnn normalised", partial(small_cnn, norm=True), 1, ["angle_deg"], (9, 14)),
    ("cnn of one block", partial(MuscleCNN, filters=[3], dense=5), 5, TWICE, (2, 7)),
    ("resnet", small_resnet, 2, ALL, (32, 64)),
    ("resnet of two stages", partial(MuscleResNet, width=4, blocks=[1, 2]), 3, ALL, (20, 31)),
    ("siamese", small_pair, 2, TWICE, (32, 64)),
    ("siamese, wide", small_pair, 2, ALL, (64, 32)),
    ("temporal", partial(TemporalNet, features=6, hidden=5), 4, ALL, (16, 32)),
    ("temporal, tcn", partial(TemporalNet, encoder=small_cnn, head="tcn"), 9, ALL, (8, 8)),
    ("temporal, frames", partial(TemporalNet, encoder=small_cnn, pairs=False), 3, ALL, (8, 8)),
    ("temporal, siamese", partial(TemporalNet, encoder=small_pair), 3, ALL, (32, 32)),
    ("temporal, one pair", partial(TemporalNet, encoder=small_cnn, head="tcn"), 2, ALL, (8, 8)),
    ("physics", partial(PhysicsNet, net=small_cnn), 2, TWICE, (8, 12)),
    ("physics, other order", partial(PhysicsNet, net=small_resnet), 1, ALL[::-1], (32, 32)),
    ("separate", partial(SeparateNets, net=small_cnn), 2, TWICE, (8, 12)),
    ("separate pairs", partial(SeparateNets, net=small_pair), 2, ALL, (32, 32)),
]
every_net = pytest.mark.parametrize(
    ("build", "channels", "outputs", "size"), [row[1:] for row in NETS], ids=[r[0] for r in NETS]
)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def stir(net: nn.Module) -> None:
    """Move the weights that begin at zero: what they multiply shows nowhere and does not learn."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.02 * torch.randn_like(parameter)


@every_net
def test_shapes(build: Build, channels: int, outputs: list[str], size: tuple[int, int]) -> None:
    net = build(channels=channels, outputs=outputs, size=size).eval()
    values = net(noise(3, channels, *size))
    assert values.shape == (3, len(outputs))
    assert values.dtype == torch.float32
    assert torch.isfinite(values).all()


@every_net
def test_channels_last_and_single_items_say_the_same(
    build: Build, channels: int, outputs: list[str], size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    net = build(channels=channels, outputs=outputs, size=size).eval()
    stir(net)
    x = noise(3, channels, *size)
    values = net(x)
    assert torch.equal(net(x), values)
    torch.testing.assert_close(net(x[1:2]), values[1:2], atol=1e-5, rtol=1e-4)
    # in place on purpose: nn.Module.to changes the net itself
    net = net.to(memory_format=torch.channels_last)
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(net(last), values, atol=1e-5, rtol=1e-4)
    assert values.std(0).min() > 1e-6, "different images must get different values"


@every_net
def test_every_parameter_learns(
    build: Build, channels: int, outputs: list[str], size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    net = build(channels=channels, outputs=outputs, size=size).eval()
    stir(net)
    (net(noise(8, channels, *size)) * noise(8, len(outputs))).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@every_net
def test_a_second_net_takes_the_state(
    build: Build, channels: int, outputs: list[str], size: tuple[int, int]
) -> None:
    one, two = (build(channels=channels, outputs=outputs, size=size).eval() for _ in range(2))
    two.load_state_dict(one.state_dict())
    x = noise(2, channels, *size)
    assert torch.equal(one(x), two(x))


@pytest.mark.parametrize(
    ("build", "channels", "outputs", "size", "expected"),
    [
        # torchvision's resnet18 with 3 channels and 1000 classes
        (MuscleResNet, 3, [str(i) for i in range(1000)], (64, 64), 11_689_512),
        # convolutions 608 + 18 496 + 73 856 + 147 584 + 295 168; 8 192 x 512 + 512; 512 x 3 + 3
        (MuscleCNN, 2, ALL, (128, 256), 535_712 + 4_194_816 + 1_539),
    ],
)
def test_numbers_of_parameters(
    build: Build, channels: int, outputs: list[str], size: tuple[int, int], expected: int
) -> None:
    net = build(channels, outputs, size)
    assert sum(p.numel() for p in net.parameters()) == expected


@pytest.mark.parametrize(
    ("build", "kwargs", "message"),
    [
        (MuscleCNN, {"channels": 0}, r"^channels: must be an integer of at least 1, not 0"),
        (MuscleCNN, {"outputs": []}, r"^outputs: must be one or more different names"),
        (MuscleCNN, {"outputs": ["a", "a"]}, r"^outputs: must be one or more different names"),
        (MuscleCNN, {"size": (32,)}, r"^size: must be \(height, width\)"),
        (MuscleCNN, {"size": (16, 64)}, r"^filters: 5 halvings leave nothing of .* 16x64"),
        (MuscleCNN, {"filters": []}, r"^filters: must be one or more integers"),
        (MuscleCNN, {"filters": [8, True]}, r"^filters: must be one or more integers"),
        (MuscleCNN, {"dense": 0}, r"^dense: must be an integer"),
        (MuscleCNN, {"dropout": 1.0}, r"^dropout: must be in \[0, 1\), not 1.0"),
        (MuscleResNet, {"size": (31, 64)}, r"^blocks: 5 halvings leave nothing of .* 31x64"),
        (MuscleResNet, {"blocks": [2, 0]}, r"^blocks: must be one or more integers"),
        (MuscleResNet, {"width": 0}, r"^width: must be an integer"),
        (SiamesePair, {"channels": 3}, r"^channels: must be 2, a pair of frames"),
        (SiamesePair, {"size": (32, 48)}, r"^size: must be multiples of 32 for SiamesePair"),
        (SiamesePair, {"reach": 0}, r"^reach: must be an integer"),
        (TemporalNet, {"channels": 1}, r"^channels: must be at least 2 for TemporalNet"),
        (TemporalNet, {"head": "lstm"}, r"^head: must be one of gru, tcn, not 'lstm'"),
        (TemporalNet, {"features": 0}, r"^features: must be an integer"),
        (TemporalNet, {"size": (8, 8)}, r"^filters: 4 halvings leave nothing"),
        (partial(PhysicsNet, net=small_cnn), {"outputs": ALL[:2]}, r"^outputs: must be with absol"),
        (partial(SeparateNets, net=small_cnn), {"outputs": []}, r"^outputs: must be one or more"),
        (partial(SeparateNets, net=small_cnn), {"size": (3, 3)}, r"^filters: 2 halvings leave"),
    ],
)
def test_what_they_refuse(build: Build, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**{"channels": 2, "outputs": ALL, "size": (32, 64), **kwargs})


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [
        small_cnn,
        small_resnet,
        small_pair,
        partial(TemporalNet, encoder=small_cnn, head="tcn"),
        partial(PhysicsNet, net=small_cnn),
    ],
)
def test_it_compiles_in_one_piece(build: Build) -> None:
    """The GRU is no such net: torch leaves its cells out of the graph and calls them between."""
    net = build(channels=2, outputs=ALL, size=(32, 32)).eval()
    x = noise(2, 2, 32, 32)
    expected = net(x)
    net.compile(backend="eager", fullgraph=True)
    torch.testing.assert_close(net(x), expected)


@pytest.mark.parametrize("build", [MuscleCNN, small_pair, partial(TemporalNet, head="tcn")])
def test_dropout_is_for_training_alone(build: Build) -> None:
    net = build(channels=2, outputs=ALL, size=(32, 32))
    x = noise(2, 2, 32, 32)
    torch.manual_seed(0)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


def test_separate_nets_share_nothing() -> None:
    net = SeparateNets(2, ALL, (8, 8), net=small_cnn).eval()
    x = noise(2, 2, 8, 8)
    before = net(x)
    with torch.no_grad():
        for parameter in net.nets[1].parameters():
            parameter += 1
    after = net(x)
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not torch.equal(before[:, 1], after[:, 1])
