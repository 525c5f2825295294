"""What every net promises: shapes, parameters, blindness to padding, training, weights, errors."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vitruvian.spine.nets import (
    LITE,
    STGCN,
    TCN,
    BiLSTMAttention,
    PoseGRU,
    PoseLSTM,
    PoseRNN,
    Rocket,
    WindowNet,
)
from vitruvian.spine.skeletons import BLAZEPOSE, KINECT, skeleton_named

THREE = skeleton_named("joints3x2")
RECURRENT = {"embedding": 7, "hidden": 8, "dense": 9}
# Every net and every choice that changes what it computes, small, for 3 joints of 2 coordinates.
SMALL: list[tuple[type[WindowNet], dict[str, Any]]] = [
    (PoseLSTM, RECURRENT),
    (PoseLSTM, {**RECURRENT, "embedding": None, "layers": 1, "dense": [8, 9]}),
    (PoseLSTM, {**RECURRENT, "pooling": "mean", "output": "sigmoid"}),
    (PoseRNN, RECURRENT),
    (PoseRNN, {**RECURRENT, "pooling": "mean"}),
    (PoseGRU, {**RECURRENT, "output": "none"}),
    (PoseGRU, {**RECURRENT, "pooling": "mean", "dense": []}),
    (BiLSTMAttention, {"hidden": 4, "attention": 3, "dense": 3}),
    (BiLSTMAttention, {"hidden": 4, "attention": 3, "dense": [], "layers": 1}),
    (TCN, {"width": 4, "dilations": [1, 2, 4], "dense": 3}),
    (TCN, {"width": 4, "dilations": [3], "kernel_size": 2, "pooling": "mean"}),
    (LITE, {"filters": 4}),
    (LITE, {"filters": 4, "kernel_size": 9, "multivariate": False}),
    (Rocket, {"kernels": 6}),
    (Rocket, {"kernels": 3, "dilations": [2], "thresholds": 1, "dropout": 0.1}),
    (STGCN, {"widths": [4, 6, 6], "strides": [1, 2, 2]}),
    (STGCN, {"widths": [4], "strides": [3], "kernel_size": 3}),
]
every_net = pytest.mark.parametrize(("kind", "kwargs"), SMALL)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def built(kind: type[WindowNet], kwargs: dict[str, Any]) -> WindowNet:
    """A small net, with statistics as after some training."""
    torch.manual_seed(0)
    net = kind(6, THREE, **kwargs)
    for name, buffer in net.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            buffer.uniform_(-0.1, 0.1)
    return net.eval()


def learned(net: WindowNet) -> dict[str, nn.Parameter]:
    """All parameters, but those that a net of random kernels leaves alone."""
    return {name: p for name, p in net.named_parameters() if p.requires_grad}


def padded(x: Tensor, frames: int, filling: float) -> tuple[Tensor, Tensor]:
    """`x` with `frames` more, and its mask."""
    mask = torch.arange(x.shape[1] + frames) < x.shape[1]
    tail = torch.full((x.shape[0], frames, x.shape[2]), filling)
    return torch.cat([x, tail], dim=1), mask.expand(x.shape[0], -1)


# Parameters by hand: of the LSTM 99 * 193 + 193 for the embedding, 4 * 128 * (193 + 128 + 2) and
# 4 * 128 * (128 + 128 + 2) for its layers, 128 * 193 + 193 and 193 + 1 for the rest. The public
# benchmark gives 88k for LITEMV and 182k for its GRU, both of which are so at 75 channels.
@pytest.mark.parametrize(
    ("kind", "channels", "kwargs", "parameters"),
    [
        (PoseLSTM, 99, {}, 19_300 + 165_376 + 132_096 + 24_897 + 194),
        (PoseRNN, 99, {}, 19_300 + (165_376 + 132_096) // 4 + 24_897 + 194),
        (PoseGRU, 99, {}, 19_300 + (165_376 + 132_096) * 3 // 4 + 24_897 + 194),
        (PoseGRU, 75, {"embedding": None, "dense": 30}, 181_693),
        (PoseLSTM, 132, {"embedding": None, "hidden": 64, "layers": 1}, 63_427),
        (BiLSTMAttention, 99, {}, 200_449),
        (TCN, 99, {}, 159_617),
        (LITE, 75, {}, 87_989),
        (LITE, 99, {}, 114_005),
        (LITE, 99, {"multivariate": False}, 229_367),
        (STGCN, 99, {}, 114_512),
    ],
)
def test_parameters(
    kind: type[WindowNet], channels: int, kwargs: dict[str, Any], parameters: int
) -> None:
    with torch.device("meta"):
        net = kind(channels, BLAZEPOSE, **kwargs)
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters


@every_net
@pytest.mark.parametrize(("n", "frames"), [(1, 1), (2, 7), (3, 40)])
def test_windows_become_values(
    kind: type[WindowNet], kwargs: dict[str, Any], n: int, frames: int
) -> None:
    net = built(kind, kwargs)
    x, mask = noise(n, frames, 6), torch.ones(n, frames, dtype=torch.bool)
    values = net(x)
    assert values.shape == (n,)
    assert torch.equal(values, net(x)), "deterministic"
    torch.testing.assert_close(values, net(x, mask), atol=1e-6, rtol=0)
    if n > 1:
        assert values.std() > 1e-5, "windows can be told apart"


@every_net
@pytest.mark.parametrize("filling", [0.0, 1e3, float("nan")])
def test_padding_is_not_seen(kind: type[WindowNet], kwargs: dict[str, Any], filling: float) -> None:
    net, x = built(kind, kwargs), noise(3, 12, 6)
    torch.testing.assert_close(net(*padded(x, 9, filling)), net(x), atol=1e-6, rtol=0)


@every_net
def test_windows_of_a_batch_do_not_meddle(kind: type[WindowNet], kwargs: dict[str, Any]) -> None:
    net, x = built(kind, kwargs), noise(3, 20, 6)
    lengths = torch.tensor([20, 3, 11])
    together = net(x, torch.arange(20) < lengths[:, None])
    alone = torch.cat([net(x[i : i + 1, :length]) for i, length in enumerate(lengths)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


@every_net
def test_every_parameter_learns(kind: type[WindowNet], kwargs: dict[str, Any]) -> None:
    net = built(kind, kwargs).train()
    net(*padded(noise(4, 70, 6), 5, float("nan"))).square().sum().backward()
    for name, parameter in learned(net).items():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@every_net
def test_a_batch_of_one_trains(kind: type[WindowNet], kwargs: dict[str, Any]) -> None:
    net = built(kind, kwargs).train()
    net(noise(1, 9, 6)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learned(net).values())


@pytest.mark.parametrize(("kind", "kwargs"), SMALL[::2])
def test_how_far_someone_moves_is_learnt(kind: type[WindowNet], kwargs: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net = kind(6, THREE, **{**kwargs, "dropout": 0.0})
    amplitude = torch.rand(32, 1, 1)
    x = amplitude * torch.sin(torch.arange(24.0) / 3)[:, None] * torch.ones(6)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        loss = nn.functional.mse_loss(net(x), amplitude.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * float(amplitude.var())


@every_net
def test_weights_round_trip(kind: type[WindowNet], kwargs: dict[str, Any]) -> None:
    net, file = built(kind, kwargs), io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other = kind(6, THREE, **kwargs).eval()
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(noise(2, 9, 6)), net(noise(2, 9, 6)))


@every_net
def test_half_precision_trains(kind: type[WindowNet], kwargs: dict[str, Any]) -> None:
    net = built(kind, kwargs).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        net(*padded(noise(4, 20, 6), 3, 0.0)).float().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learned(net).values())


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("leaky_relu", [-0.02, 3.0]),  # equation 2
        ("relu", [0.0, 3.0]),
        ("sigmoid", [0.1192, 0.9526]),
        ("none", [-2.0, 3.0]),
    ],
)
def test_the_last_neuron(output: str, expected: list[float]) -> None:
    net = PoseLSTM(6, hidden=1, dense=[], output=output, dropout=0.0)
    last = net.head.layers[1]
    assert isinstance(last, nn.Linear)
    start = 0.0 if output == "sigmoid" else 0.5
    assert last.bias.item() == start, "the first values stand in the middle of the index"
    nn.init.ones_(last.weight)
    nn.init.zeros_(last.bias)
    values = net.head(torch.tensor([[-2.0], [3.0]]))
    torch.testing.assert_close(values, torch.tensor(expected), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("kind", "causal"),
    [
        (PoseLSTM, True),
        (PoseRNN, True),
        (PoseGRU, True),
        (TCN, True),
        (BiLSTMAttention, False),
        (LITE, False),
        (STGCN, False),
    ],
)
def test_which_nets_can_stream(kind: type[WindowNet], causal: bool) -> None:
    assert kind.causal == causal
    assert hasattr(kind, "step") == causal


@every_net
@pytest.mark.parametrize(
    ("x", "mask", "message"),
    [
        ((2, 5, 7), None, r"input must have the shape \(n, frames, 6\); got \(2, 5, 7\)"),
        ((2, 6), None, r"input must have the shape \(n, frames, 6\); got \(2, 6\)"),
        ((2, 0, 6), None, r"input must have the shape \(n, frames, 6\); got \(2, 0, 6\)"),
        ((2, 5, 6), torch.ones(2, 4, dtype=torch.bool), r"mask must be \(2, 5\) booleans; got"),
        ((2, 5, 6), torch.ones(2, 5), r"mask must be \(2, 5\) booleans; got .* torch.float32"),
    ],
)
def test_ill_formed_inputs(
    kind: type[WindowNet],
    kwargs: dict[str, Any],
    x: tuple[int, ...],
    mask: Tensor | None,
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        built(kind, kwargs)(torch.zeros(x), mask)


@pytest.mark.parametrize(
    ("kind", "channels", "kwargs", "message"),
    [
        (PoseLSTM, 0, {}, "channels must be an integer >= 1; got 0"),
        (PoseLSTM, 99, {"embedding": 0}, "embedding must be an integer >= 1; got 0"),
        (PoseLSTM, 99, {"hidden": 12.0}, "hidden must be an integer >= 1; got 12.0"),
        (PoseLSTM, 99, {"layers": True}, "layers must be an integer >= 1; got True"),
        (PoseLSTM, 99, {"dense": 0}, "dense must be integers >= 1; got 0"),
        (PoseLSTM, 99, {"dense": [8, -1]}, "dense must be integers >= 1; got [8, -1]"),
        (PoseLSTM, 99, {"dropout": 1.0}, "dropout must be in [0, 1); got 1.0"),
        (
            PoseRNN,
            99,
            {"output": "tanh"},
            "output must be one of leaky_relu, relu, sigmoid, none; got 'tanh'",
        ),
        (PoseGRU, 99, {"pooling": "max"}, "pooling must be one of last, mean; got 'max'"),
        (BiLSTMAttention, 99, {"attention": 0}, "attention must be an integer >= 1; got 0"),
        (BiLSTMAttention, 99, {"dropout": -0.1}, "dropout must be in [0, 1); got -0.1"),
        (TCN, 99, {"kernel_size": 1}, "kernel_size must be at least 2; got 1"),
        (TCN, 99, {"dilations": []}, "dilations must be one or more integers >= 1; got []"),
        (TCN, 99, {"dilations": [1, 0]}, "dilations must be one or more integers >= 1; got [1, 0]"),
        (LITE, 99, {"kernel_size": 7}, "kernel_size must be at least 8; got 7"),
        (LITE, 99, {"filters": 0}, "filters must be an integer >= 1; got 0"),
        (STGCN, 99, {"kernel_size": 4}, "kernel_size must be an odd integer >= 1; got 4"),
        (STGCN, 99, {"widths": []}, "widths must be one or more integers >= 1; got []"),
        (STGCN, 99, {"strides": [1, 2]}, "strides must be 3, as widths are; got [1, 2]"),
        (
            STGCN,
            107,
            {},
            "channels must be those of 33 joints (blazepose33), 3 of each, and no others; got 107;"
            " leave angles out",
        ),
        (STGCN, 132, {"joint_channels": 3}, "33 joints (blazepose33), 3 of each, and no others"),
        (STGCN, 20, {}, "33 joints (blazepose33), 1 of each, and no others; got 20"),
    ],
)
def test_ill_formed_arguments(
    kind: type[WindowNet], channels: int, kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match="must be") as caught, torch.device("meta"):
        kind(channels, BLAZEPOSE, **kwargs)
    assert message in str(caught.value)


@pytest.mark.parametrize("skeleton", [BLAZEPOSE, KINECT, skeleton_named("joints18x2")])
@pytest.mark.parametrize("each", [1, 3, 7])
def test_any_skeleton_will_do(skeleton: Any, each: int) -> None:
    for kind in (PoseLSTM, BiLSTMAttention, TCN, LITE, STGCN):
        channels = each * len(skeleton)
        assert kind(channels, skeleton).eval()(noise(1, 3, channels)).shape == (1,)


def test_nets_need_torch_alone() -> None:
    code = (
        "import sys, vitruvian.spine.nets\n"
        "heavy = {'lightning', 'pytorch_lightning', 'hydra', 'omegaconf', 'cv2', 'mediapipe',\n"
        "         'onnx', 'onnxruntime', 'sqlalchemy', 'matplotlib', 'av', 'pyarrow'}\n"
        "print([m for m in sys.modules if m in heavy])\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"
