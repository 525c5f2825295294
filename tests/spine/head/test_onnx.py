"""ONNX: the same values as torch, whatever the sizes; steps with their state; files and errors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as runtime
import pytest
import torch
from torch import Tensor, nn

from vitruvian.core.errors import RunError
from vitruvian.spine.head.onnx import (
    compile_step,
    example_landmarks,
    example_window,
    export_onnx,
    export_step,
)
from vitruvian.spine.head.onnx_runtime import OnnxIndex, OnnxStep
from vitruvian.spine.nets import (
    LITE,
    STGCN,
    TCN,
    BiLSTMAttention,
    CausalNet,
    PoseGRU,
    PoseLSTM,
    PoseRNN,
    WindowNet,
)
from vitruvian.spine.skeletons import skeleton_named

SKELETON = skeleton_named("joints3x2")
RECURRENT = {"embedding": 7, "hidden": 8, "dense": 9}
CAUSAL: list[tuple[type[CausalNet], dict[str, Any]]] = [
    (PoseLSTM, RECURRENT),
    (PoseLSTM, {**RECURRENT, "embedding": None, "layers": 3, "pooling": "mean"}),
    (PoseRNN, RECURRENT),
    (PoseGRU, {**RECURRENT, "pooling": "mean"}),
    (TCN, {"width": 4, "dilations": [1, 2]}),
    (TCN, {"width": 4, "dilations": [2], "pooling": "mean"}),
]
NETS: list[tuple[type[WindowNet], dict[str, Any]]] = [
    *CAUSAL,
    (BiLSTMAttention, {"hidden": 4, "attention": 3, "dense": 3}),
    (LITE, {"filters": 4}),
    (LITE, {"filters": 4, "multivariate": False}),
    (STGCN, {"widths": [4, 6], "strides": [1, 2]}),
]


def built(kind: type[WindowNet], kwargs: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    net = kind(6, SKELETON, **kwargs)
    with torch.no_grad():
        for parameter in net.head.parameters():
            parameter.mul_(3)
    return net


def windows(n: int, frames: int, padding: int) -> dict[str, Tensor]:
    x = torch.randn(n, frames, 6, generator=torch.Generator().manual_seed(2))
    mask = torch.arange(frames) < torch.tensor([frames] + [frames - padding] * (n - 1))[:, None]
    return {"x": x, "mask": mask}


def arrays(tensors: dict[str, Tensor]) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


@pytest.mark.parametrize(("kind", "kwargs"), NETS)
def test_windows_of_any_size(kind: type[WindowNet], kwargs: dict[str, Any], tmp_path: Path) -> None:
    net, file = built(kind, kwargs), tmp_path / "net.onnx"
    export_onnx(net, file, example_window(6), metadata={"what": "a screening index"})
    assert net.training, "the net is left as it was"
    assert net.state_dict().keys() == built(kind, kwargs).state_dict().keys()
    found = OnnxIndex(file)
    for size in ((1, 1, 0), (5, 33, 12), (2, 150, 75)):
        batch = windows(*size)
        with torch.no_grad():
            expected = net.eval()(**batch)
        np.testing.assert_allclose(found(**arrays(batch)), expected, atol=1e-5)
    assert expected.std() > 1e-4, "windows can be told apart"


@pytest.mark.parametrize(("kind", "kwargs"), CAUSAL)
def test_streams(kind: type[CausalNet], kwargs: dict[str, Any], tmp_path: Path) -> None:
    net, file = built(kind, kwargs).eval(), tmp_path / "step.onnx"
    example = {"x": torch.rand(2, 6)}
    export_step(net, file, example)
    x = windows(3, 30, 0)["x"]
    for stream in (OnnxStep(file), compile_step(net, example)):
        state, values = stream.initial_state(3), []
        for frame in x.unbind(1):
            value, state = stream.step(state, x=frame.numpy())
            values.append(value)
        for length in (1, 7, 30):
            expected = net(x[:, :length]).detach()
            np.testing.assert_allclose(values[length - 1], expected, atol=1e-5)


class Seen(NamedTuple):
    """A state with a flag, a count and something that is never looked at."""

    started: Tensor
    previous: Tensor
    idle: Tensor


class WholeHead(nn.Module):
    """Landmarks in: motion as features, then a net; does not look at visibility."""

    def __init__(self) -> None:
        super().__init__()
        self.net = built(PoseLSTM, RECURRENT)

    def forward(self, points: Tensor, visibility: Tensor, mask: Tensor) -> Tensor:
        x = points.flatten(2)
        values: Tensor = self.net(x - torch.cat([x[:, :1], x[:, :-1]], dim=1), mask)
        return values

    def initial_state(self, n: int) -> tuple[Seen, tuple[Tensor, ...]]:
        seen = Seen(torch.zeros(n, dtype=torch.bool), torch.zeros(n, 6), torch.zeros(n, 2))
        return seen, self.net.initial_state(n)

    def step(
        self, points: Tensor, visibility: Tensor, state: tuple[Seen, tuple[Tensor, ...]]
    ) -> tuple[Tensor, Any]:
        seen, carried = state
        x = points.flatten(1)
        motion = torch.where(seen.started[:, None], x - seen.previous, 0.0)
        value, carried = self.net.step(motion, carried)
        return value, (Seen(torch.ones_like(seen.started), x, x.new_zeros(len(x), 2)), carried)


def test_a_head_with_nested_state_and_inputs_that_it_ignores(tmp_path: Path) -> None:
    head = WholeHead().eval()
    export_onnx(head, tmp_path / "head.onnx", example_landmarks(3, 2))
    stream = compile_step(head, {"points": torch.rand(2, 3, 2), "visibility": torch.ones(2, 3)})
    landmarks = arrays(example_landmarks(3, 2, frames=25))
    expected = OnnxIndex(tmp_path / "head.onnx")(**landmarks)[:1]
    state = stream.initial_state()
    assert sorted(state) == [f"state_{i}" for i in (0, 1, 3, 4, 5, 6)], "all but the idle one"
    for i in range(25):
        frame = {name: landmarks[name][:1, i] for name in ("points", "visibility")}
        value, state = stream.step(state, **frame)
    np.testing.assert_allclose(value, expected, atol=1e-5)


def test_files_carry_metadata_and_run_without_this_package(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "net.onnx"
    export_onnx(built(TCN, {"width": 4}), file, example_window(6), metadata={"unit": "0 to 1"})
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"unit": "0 to 1"}
    assert {put.name: put.shape for put in session.get_inputs()} == {
        "x": ["n", "frames", 6],
        "mask": ["n", "frames"],
    }
    assert [(put.name, put.shape) for put in session.get_outputs()] == [("index", ["n"])]
    assert [path.name for path in file.parent.iterdir()] == ["net.onnx"]


class Fickle(nn.Module):
    """Gives another value at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        self.calls += 1
        return x.sum((1, 2)) + self.calls


class Rigid(nn.Module):
    """Has taken the number of frames of its example for a constant."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        places = torch.arange(int(x.shape[1]))
        return x[:, places].sum((1, 2))


class Exotic(nn.Module):
    """Uses what ONNX does not have."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x.cummax(dim=1).values.sum((1, 2))


class Primed(nn.Module):
    """A stream that does not begin with zeros."""

    def initial_state(self, n: int) -> tuple[Tensor, ...]:
        return (torch.ones(n, 1),)

    def step(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        return x.sum(1), state


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Fickle(), "index of onnxruntime differs from torch's by"),
        (Rigid(), "onnxruntime cannot run the net with as many windows or frames"),
        (Exotic(), "ONNX cannot express this net: .*cummax"),
    ],
)
def test_what_cannot_be_exported(module: nn.Module, message: str, tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_text("an older export")
    with pytest.raises(RunError, match=message):
        export_onnx(module, file, example_window(6))
    assert file.read_text() == "an older export"
    assert list(tmp_path.iterdir()) == [file]


def test_a_state_must_begin_with_zeros() -> None:
    with pytest.raises(RunError, match="a state that is not zero at first cannot be exported"):
        compile_step(Primed(), {"x": torch.rand(2, 6)})


def test_a_file_that_is_no_net(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_text("nothing")
    with pytest.raises(RunError, match=r"onnxruntime cannot read .*net\.onnx"):
        OnnxIndex(file)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_missing_packages(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    message = rf"{package} is not installed: pip install 'vitruvian\[onnx\]'"
    with pytest.raises(RunError, match=message):
        export_onnx(built(TCN, {"width": 4}), tmp_path / "net.onnx", example_window(6))
    assert not list(tmp_path.iterdir())
