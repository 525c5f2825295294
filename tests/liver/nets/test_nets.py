"""What every net promises: shapes, sizes it refuses, layouts and types, compilation, imports."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vitruvian.liver.nets import EASUNet, UNet2D, VNet3D

SMALL = {"width": 4, "depth": 2}
Shape = tuple[int, ...]


def noise(shape: Shape) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


SHAPES: list[tuple[type[nn.Module], dict[str, Any], Shape, Shape]] = [
    (UNet2D, {"width": 4}, (2, 1, 32, 48), (2, 2, 32, 48)),
    (UNet2D, {**SMALL, "in_channels": 5, "num_classes": 3}, (2, 5, 8, 20), (2, 3, 8, 20)),
    (UNet2D, {**SMALL, "upsampling": "bilinear"}, (1, 1, 16, 16), (1, 2, 16, 16)),
    (EASUNet, {"width": 4}, (2, 1, 32, 48), (2, 2, 32, 48)),
    (EASUNet, {**SMALL, "in_channels": 3, "num_classes": 4}, (1, 3, 8, 20), (1, 4, 8, 20)),
    (EASUNet, {**SMALL, "depth": 1, "eas_placement": "stage4"}, (1, 1, 6, 4), (1, 2, 6, 4)),
    (VNet3D, {"width": 2, "kernel_size": 3}, (2, 1, 16, 32, 16), (2, 2, 16, 32, 16)),
    (
        VNet3D,
        {"width": 4, "in_channels": 2, "num_classes": 3},
        (1, 2, 16, 16, 32),
        (1, 3, 16, 16, 32),
    ),
]


@pytest.mark.parametrize(("net", "kwargs", "size", "expected"), SHAPES)
def test_shapes(net: type[nn.Module], kwargs: dict[str, Any], size: Shape, expected: Shape) -> None:
    model = net(**kwargs).eval()
    with torch.no_grad():
        logits = model(noise(size))
        again = model(noise(size))
    assert logits.shape == expected
    assert torch.equal(logits, again)


@pytest.mark.parametrize(
    ("net", "spatial_dims", "divisor"),
    [
        (UNet2D(width=1, depth=3), 2, 8),
        (EASUNet(width=4, depth=4), 2, 16),
        (VNet3D(width=1, kernel_size=1), 3, 16),
    ],
)
def test_what_a_patch_sampler_asks(net: Any, spatial_dims: int, divisor: int) -> None:
    assert (net.spatial_dims, net.divisor) == (spatial_dims, divisor)


@pytest.mark.parametrize(
    ("net", "size", "message"),
    [
        (UNet2D(**SMALL), (1, 1, 8, 10), "input size 8x10 must be a multiple of 4"),
        (EASUNet(**SMALL), (1, 1, 6, 8), "input size 6x8 must be a multiple of 4"),
        (VNet3D(width=1), (1, 1, 16, 16, 8), "input size 16x16x8 must be a multiple of 16"),
        (
            UNet2D(**SMALL),
            (1, 8, 8),
            "must have 4 dimensions (n, c and 2 spatial); got shape (1, 8",
        ),
        (VNet3D(width=1), (1, 1, 16, 16), "must have 5 dimensions (n, c and 3 spatial)"),
    ],
)
def test_bad_inputs(net: nn.Module, size: Shape, message: str) -> None:
    with pytest.raises(ValueError, match="input") as caught:
        net(noise(size))
    assert message in str(caught.value)


NETS: list[tuple[type[nn.Module], dict[str, Any], Shape]] = [
    (UNet2D, SMALL, (2, 1, 16, 16)),
    (EASUNet, {**SMALL, "eas_dropout": 0.0}, (2, 1, 16, 16)),
    (VNet3D, {"width": 2, "kernel_size": 3}, (2, 1, 16, 32, 32)),
]


def first(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    return outputs if isinstance(outputs, Tensor) else outputs[0]


@pytest.mark.parametrize(("net", "kwargs", "size"), NETS)
def test_channels_last_gives_the_same(
    net: type[nn.Module], kwargs: dict[str, Any], size: Shape
) -> None:
    model = net(**kwargs).eval()
    expected = model(noise(size))
    layout = torch.channels_last if len(size) == 4 else torch.channels_last_3d
    actual = model.to(memory_format=layout)(noise(size).to(memory_format=layout))
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("net", "kwargs", "size"), NETS)
def test_bf16_autocast_trains(net: type[nn.Module], kwargs: dict[str, Any], size: Shape) -> None:
    model = net(**kwargs)
    # oneDNN's bf16 conv3d leaves garbage in one of ten gradients (torch 2.13): measured, 7 of 60
    # with it, none without.
    with torch.backends.mkldnn.flags(enabled=len(size) == 4):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = first(model(noise(size)))
        logits.float().mean().backward()
    assert logits.dtype == torch.bfloat16
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(("net", "kwargs", "size"), NETS)
def test_compiles_to_one_graph(net: type[nn.Module], kwargs: dict[str, Any], size: Shape) -> None:
    model = net(**kwargs)
    expected = first(model(noise(size)))
    torch.compiler.reset()
    model.compile(backend="eager", fullgraph=True)
    torch.testing.assert_close(first(model(noise(size))), expected)


@pytest.mark.parametrize(
    ("net", "kwargs", "message"),
    [
        (UNet2D, {"in_channels": 0}, "in_channels must be an integer >= 1; got 0"),
        (UNet2D, {"num_classes": 0}, "num_classes must be an integer >= 1; got 0"),
        (UNet2D, {"width": 32.0}, "width must be an integer >= 1; got 32.0"),
        (UNet2D, {"depth": 0}, "depth must be an integer >= 1; got 0"),
        (
            UNet2D,
            {"upsampling": "cubic"},
            "upsampling must be one of transposed, bilinear; got 'cubic'",
        ),
        (EASUNet, {"width": -1}, "width must be an integer >= 1; got -1"),
        (EASUNet, {"upsampling": "cubic"}, "upsampling must be one of transposed, bilinear"),
        (EASUNet, {"eas_rates": []}, "eas_rates must be one or more integers >= 1; got []"),
        (
            EASUNet,
            {"eas_placement": "skip"},
            "eas_placement must be one of bottleneck, stage4, every",
        ),
        (
            EASUNet,
            {"eas_eca": "all"},
            "eas_eca must be one of branch1x1, concat, output, every_branch",
        ),
        (EASUNet, {"eca_kernel": 2}, "eca_kernel must be 'adaptive' or an odd integer >= 1; got 2"),
        (EASUNet, {"eca_kernel": "auto"}, "eca_kernel must be 'adaptive' or an odd integer >= 1"),
        (EASUNet, {"eas_dropout": -0.1}, "eas_dropout must be in [0, 1); got -0.1"),
        (EASUNet, {"fusion_mode": "sum"}, "fusion_mode must be one of concat, add; got 'sum'"),
        (
            EASUNet,
            {"fusion": False, "fusion_mode": "sum"},
            "fusion_mode must be one of concat, add",
        ),
        (
            EASUNet,
            {"depthwise_activation": "elu"},
            "depthwise_activation must be one of leaky_relu",
        ),
        (
            EASUNet,
            {"pointwise_activation": "elu"},
            "pointwise_activation must be one of leaky_relu",
        ),
        (VNet3D, {"width": 0}, "width must be an integer >= 1; got 0"),
        (VNet3D, {"kernel_size": 4}, "kernel_size must be an odd integer >= 1; got 4"),
        (VNet3D, {"normalization": "layer"}, "normalization must be one of batch, instance, none"),
        (
            VNet3D,
            {"in_channels": 3},
            "width must be a multiple of in_channels; got width=16, in_ch",
        ),
    ],
)
def test_ill_formed_arguments(net: type[nn.Module], kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="must be") as caught, torch.device("meta"):
        net(**kwargs)
    assert message in str(caught.value)


def test_nets_need_torch_alone() -> None:
    code = (
        "import sys, vitruvian.liver.nets\n"
        "heavy = {'lightning', 'pytorch_lightning', 'monai', 'hydra', 'omegaconf', 'nibabel'}\n"
        "print([m for m in sys.modules if m in heavy or m.startswith('vitruvian.core')])\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"
