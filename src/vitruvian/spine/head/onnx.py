"""ONNX: the index outside torch, of whole windows or frame by frame, checked when it is written.

Needs the extra `onnx` (onnx and onnxruntime), which is imported when it is used. It is written by
torch's exporter of traced modules; the newer one would need one package more, onnxscript.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from vitruvian.core.errors import RunError
from vitruvian.core.onnx_files import optional_package, traced, write_model
from vitruvian.spine.head.onnx_runtime import Array, OnnxIndex, OnnxStep
from vitruvian.spine.nets.recurrent import Recurrent

TOLERANCE = 1e-5


class Steppable(Protocol):
    """What can be fed frame by frame; its state is tensors, or tuples of such, zero at first."""

    def initial_state(self, n: int) -> Any:
        """State before the first frame of `n` people, who stand along the first axis."""

    def step(self, *frame_and_state: Any) -> tuple[Tensor, Any]:
        """Map the tensors of a frame and the state to (n,) values and the next state."""


def example_window(channels: int, frames: int = 40) -> dict[str, Tensor]:
    """Noise for a net: two windows, the second of them padded."""
    x = torch.rand(2, frames, channels, generator=torch.Generator().manual_seed(0))
    return {"x": x, "mask": _padded(frames)}


def example_landmarks(joints: int, dims: int = 3, frames: int = 40) -> dict[str, Tensor]:
    """Noise for features and a net: two windows, the second of them padded."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(2, frames, joints, dims, generator=generator)
    visibility = torch.rand(2, frames, joints, generator=generator)
    return {"points": points, "visibility": visibility, "mask": _padded(frames)}


def _padded(frames: int) -> Tensor:
    return torch.arange(frames) < torch.tensor([[frames], [frames * 2 // 3]])


def export_onnx(
    module: nn.Module,
    path: Path,
    example: Mapping[str, Tensor],
    *,
    metadata: Mapping[str, str] | None = None,
    also: Sequence[Mapping[str, Tensor]] = (),
) -> float:
    """Write a module that maps windows to values; numbers of windows and of frames stay free.

    Args:
        module: called with the tensors of `example` in their order, returns (n,). It is left as it
            is; what is written is in `eval` mode.
        path: of the file, written whole or not at all.
        example: inputs by name, each (n, T, ...), with n and T of at least 2; see `example_window`
            and `example_landmarks`.
        metadata: texts that the file carries.
        also: further inputs like `example`, of other sizes, on which both must agree.

    Returns:
        The largest difference from torch, relative to values above 1.

    Raises:
        RunError: onnx or onnxruntime is not installed, the module has an operation that ONNX lacks,
            onnxruntime's values differ from torch's by more than 1e-5, or `path` cannot be written.
    """
    module = _still(module)
    axes = {name: {0: "n", 1: "frames"} for name in example}
    axes["index"] = {0: "n"}
    model = traced(_folded(module), tuple(example.values()), list(example), ["index"], axes)
    net = OnnxIndex(model)
    largest = 0.0
    for windows in (example, {k: tensor[:1, :-1] for k, tensor in example.items()}, *also):
        with torch.no_grad():
            expected = module(*windows.values())
        with _other_sizes():
            found = net(**_arrays(windows))
        largest = max(largest, _agree("index", expected, found))
    write_model(model, path, metadata)
    return largest


def export_step(
    module: nn.Module,
    path: Path,
    example: Mapping[str, Tensor],
    *,
    metadata: Mapping[str, str] | None = None,
) -> float:
    """Write one step of a causal module, with its state as inputs and outputs.

    Inputs are those of `example`, then state_0, state_1, ...; outputs are index, then next_0,
    next_1, ... to be put in for them. A stream begins with zeros. Numbers are left out, and inputs
    too, where a module takes something that it does not look at.

    Args:
        module: with `initial_state` and `step`, as causal nets have.
        path: of the file, written whole or not at all.
        example: inputs of a step by name, each (n, ...), with n of at least 2, such as
            {"x": (2, channels)}.
        metadata: texts that the file carries.

    Returns:
        The largest difference from torch, relative to values above 1.

    Raises:
        RunError: as `export_onnx`, or the state is not zero at first.
    """
    model, largest = _step_model(module, example)
    write_model(model, path, metadata)
    return largest


def compile_step(module: nn.Module, example: Mapping[str, Tensor]) -> OnnxStep:
    """Make the steps of a causal module run in onnxruntime, with the weights of this moment.

    Args:
        module: see `export_step`.
        example: see `export_step`.

    Raises:
        RunError: as `export_step`.
    """
    return OnnxStep(_step_model(module, example)[0])


class _FlatStep(nn.Module):
    """A module's step with tensors alone as inputs and outputs."""

    def __init__(self, module: nn.Module, state: Any, frame: int) -> None:
        super().__init__()
        self.module, self.state, self.frame = module, state, frame

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        state = _rebuilt(self.state, iter(tensors[self.frame :]))
        value, after = cast(Steppable, self.module).step(*tensors[: self.frame], state)
        return value, *_flat(after)


def _step_model(module: nn.Module, example: Mapping[str, Tensor]) -> tuple[bytes, float]:
    """The content of the file, and the largest difference from torch."""
    module = _still(module)
    frame = tuple(example.values())
    state = cast(Steppable, module).initial_state(len(frame[0]))
    tensors = _flat(state)
    if any(tensor.any() for tensor in tensors):
        raise RunError("a state that is not zero at first cannot be exported")
    names = [*example, *(f"state_{i}" for i in range(len(tensors)))]
    outputs = ["index", *(f"next_{i}" for i in range(len(tensors)))]
    flat = _FlatStep(_folded(module), state, len(frame)).eval()
    axes = {name: {0: "n"} for name in [*names, *outputs]}
    model = _without_idle_states(traced(flat, (*frame, *tensors), names, outputs, axes))
    largest = max(
        _agree_step(module, OnnxStep(model), {k: tensor[:n] for k, tensor in example.items()})
        for n in (len(frame[0]), 1)
    )
    return model, largest


def _without_idle_states(model: bytes) -> bytes:
    """Drop the outputs for which there is no input: the exporter leaves out what is not read."""
    proto = optional_package("onnx").load_from_string(model)
    read = {put.name for put in proto.graph.input}
    kept = [put for put in proto.graph.output if put.name.replace("next", "state") in read]
    del proto.graph.output[1:]
    proto.graph.output.extend(kept)
    return cast(bytes, proto.SerializeToString())


def _agree_step(module: nn.Module, net: OnnxStep, example: Mapping[str, Tensor]) -> float:
    """Compare a few frames, so that a state has been through both."""
    largest = 0.0
    steps, n = cast(Steppable, module), len(next(iter(example.values())))
    state, held = steps.initial_state(n), net.initial_state(n)
    for repeat in range(3):
        frame = {name: tensor * (1 + repeat / 10) for name, tensor in example.items()}
        with torch.no_grad():
            value, state = steps.step(*frame.values(), state)
        with _other_sizes():
            found, held = net.step(held, **_arrays(frame))
        largest = max(largest, _agree("index", value, found))
    tensors = _flat(state)
    for name, array in held.items():
        largest = max(largest, _agree(name, tensors[int(name.removeprefix("state_"))], array))
    return largest


def _agree(name: str, expected: Tensor, found: Array) -> float:
    """The largest difference, relative to values above 1."""
    values = expected.double().numpy()
    error = np.abs(values - found) / np.maximum(1, np.abs(values))
    if values.shape != found.shape or not (error <= TOLERANCE).all():
        raise RunError(
            f"{name} of onnxruntime differs from torch's by {error.max():.1e}, more than "
            f"{TOLERANCE:.0e}; nothing was written"
        )
    return float(error.max(initial=0.0))  # a state may hold nothing


@contextmanager
def _other_sizes() -> Iterator[None]:
    """Explain onnxruntime's complaints: tracing may have taken a size for a constant."""
    try:
        yield
    except Exception as error:  # onnxruntime's own classes, with no base but this
        raise RunError(
            f"onnxruntime cannot run the net with as many windows or frames: {error}; "
            "nothing was written"
        ) from error


def _still(module: nn.Module) -> nn.Module:
    """A copy on the processor, in `eval` mode."""
    return copy.deepcopy(module).cpu().eval()


def _folded(module: nn.Module) -> nn.Module:
    """A copy without the embeddings that can be multiplied into the layer after them."""
    module = copy.deepcopy(module)
    for part in module.modules():
        if isinstance(part, Recurrent):
            part.fold()
    return module


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _flat(state: Any) -> list[Tensor]:
    """The tensors of a state, in order."""
    return [state] if isinstance(state, Tensor) else [t for part in state for t in _flat(part)]


def _rebuilt(like: Any, tensors: Iterator[Tensor]) -> Any:
    """A state as `like`, of these tensors."""
    if isinstance(like, Tensor):
        return next(tensors)
    parts = [_rebuilt(part, tensors) for part in like]
    return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)
