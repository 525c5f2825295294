"""Building blocks: the order of layers, attention by hand, EAS shapes, ill-formed arguments."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from vitruvian.liver.nets import blocks
from vitruvian.liver.nets.blocks import EAS, ECA, adaptive_eca_kernel, separable_unit, upsampler


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def layers(module: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in module.modules() if not list(layer.children())]


def test_separable_unit_is_the_papers() -> None:
    unit = separable_unit(4, 8)
    depthwise, pointwise = (layer for layer in unit.modules() if isinstance(layer, nn.Conv2d))
    expected = ["Conv2d", "BatchNorm2d", "LeakyReLU", "Conv2d", "BatchNorm2d", "Hardswish"]
    assert layers(unit) == expected
    assert tuple(depthwise.weight.shape) == (4, 1, 3, 3)
    assert tuple(pointwise.weight.shape) == (8, 4, 1, 1)
    assert unit(noise(2, 4, 6, 5)).shape == (2, 8, 6, 5)


@pytest.mark.parametrize(
    ("name", "at_minus_one", "at_one", "at_four"),
    [
        ("relu", 0.0, 1.0, 4.0),
        ("leaky_relu", -0.01, 1.0, 4.0),
        ("hswish", -1 / 3, 2 / 3, 4.0),  # x ReLU6(x + 3) / 6
    ],
)
def test_activations(
    name: blocks.Activation, at_minus_one: float, at_one: float, at_four: float
) -> None:
    values = blocks.activation_layer(name)(torch.tensor([-1.0, 1.0, 4.0]))
    torch.testing.assert_close(values, torch.tensor([at_minus_one, at_one, at_four]))


@pytest.mark.parametrize(
    ("channels", "kernel"), [(1, 1), (16, 3), (64, 3), (128, 5), (256, 5), (512, 5), (1024, 5)]
)
def test_adaptive_eca_kernel(channels: int, kernel: int) -> None:
    assert adaptive_eca_kernel(channels) == kernel
    assert ECA(channels).mix.weight.shape == (1, 1, kernel)


def test_eca_by_hand() -> None:
    attention = ECA(3, kernel=3)
    attention.mix.weight.data = torch.tensor([[[1.0, 2.0, 4.0]]])
    x = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    # means 1, 2, 3 with a zero on both sides: 2*1 + 4*2, 1 + 2*2 + 4*3, 2 + 2*3
    gates = torch.tensor([10.0, 17.0, 8.0]).sigmoid().view(1, 3, 1, 1)
    torch.testing.assert_close(attention(x), x * gates)


@pytest.mark.parametrize(
    ("position", "attentions"),
    [
        ("branch1x1", [8]),
        ("every_branch", [8] * 4),
        ("concat", [32]),
        ("output", [16]),
        ("none", []),
    ],
)
@pytest.mark.parametrize("separable", [True, False])
def test_eas_keeps_the_shape(
    position: blocks.ECAPosition, attentions: list[int], separable: bool
) -> None:
    module = EAS(16, 8, rates=(1, 2), eca_position=position, eca_kernel=3, separable=separable)
    seen: list[int] = []
    for attention in module.modules():
        if isinstance(attention, ECA):
            attention.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    assert module(noise(2, 16, 9, 7)).shape == (2, 16, 9, 7)
    assert seen == attentions


def test_eas_reaches_as_far_as_its_rates() -> None:
    module = EAS(4, 4, rates=(3,), eca_position="none", separable=False).eval()
    module.branches[-1] = nn.Identity()  # image pooling sees everything
    x = noise(1, 4, 15, 15).requires_grad_()
    module(x)[0, :, 7, 7].sum().backward()
    assert x.grad is not None
    rows, columns = x.grad.abs().sum((0, 1)).nonzero(as_tuple=True)
    assert sorted(set(rows.tolist())) == sorted(set(columns.tolist())) == [4, 7, 10]


def test_eas_branches_are_a_quarter_wide() -> None:
    with torch.device("meta"):
        module = EAS(1024)
    widths = [
        branch(torch.empty(1, 1024, 16, 16, device="meta")).shape[1] for branch in module.branches
    ]
    assert widths == [256] * 5


def test_eas_trains_on_a_batch_of_one_and_a_wide_rate() -> None:
    assert EAS(8)(noise(1, 8, 2, 2)).isfinite().all()


def test_bilinear_upsampling_commutes_with_its_convolution() -> None:
    layer = upsampler(4, 2, "bilinear")
    assert isinstance(layer, nn.Sequential)
    convolve, enlarge = layer
    x = noise(1, 4, 5, 6)
    torch.testing.assert_close(layer(x), convolve(enlarge(x)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ECA(0), "channels must be an integer >= 1; got 0"),
        (lambda: ECA(8, kernel=4), "kernel must be 'adaptive' or an odd integer >= 1; got 4"),
        (lambda: EAS(8, 0), "branch_channels must be an integer >= 1; got 0"),
        (lambda: EAS(8, rates=()), "rates must be one or more integers >= 1"),
        (lambda: EAS(8, rates=(1, 0)), "rates must be one or more integers >= 1"),
        (lambda: EAS(8, eca_position="skip"), "eca_position must be one of branch1x1, concat"),
        (lambda: EAS(8, dropout=1.0), "dropout must be in [0, 1); got 1.0"),
        (lambda: blocks.activation_layer("gelu"), "one of leaky_relu, hswish, relu; got 'gelu'"),
        (lambda: upsampler(2, 1, "nearest"), "upsampling must be one of transposed, bilinear"),
    ],
)
def test_ill_formed_arguments(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        build()
    assert message in str(caught.value)
