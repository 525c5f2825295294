"""Paper 003's net alone: a window of 150 frames, and one frame of a stream, on one core.

The paper gives 11 ms for its head and no hardware. Each call is timed by itself, as a person who
waits for it would: the table shows the median, and the text the 95th and the 99th percentile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.benchmarks.harness import Ratio, Row, Scale
from vitruvian.core.cost import one_thread
from vitruvian.spine.head.onnx import compile_step, example_window, export_onnx
from vitruvian.spine.head.onnx_runtime import OnnxIndex
from vitruvian.spine.nets import PoseLSTM

Call = Callable[[], Any]
CHANNELS, FRAMES = 99, 150
PAPER_S = 0.011


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """A window against the paper's 11 ms; a streamed frame against its window computed anew."""
    with one_thread(), torch.inference_mode():
        torch.manual_seed(0)
        net, calls = PoseLSTM(CHANNELS).eval(), 100 * scale.repetitions
        windows = {"torch": _torch_window(net), "onnxruntime": _onnx_window(net, folder)}
        frames = {"torch": _torch_frame(net), "onnxruntime": _onnx_frame(net)}
        for runtime, window in windows.items():
            seconds = _seconds([window], calls)[0]
            ratio = Ratio(seconds, (PAPER_S,) * calls)
            yield _row(f"150 frames, {runtime}", "the paper's 11 ms", ratio)
        for runtime, frame in frames.items():
            ratio = Ratio(*_seconds([frame, windows[runtime]], calls))
            yield _row(f"a streamed frame, {runtime}", "150 frames anew", ratio)


def _row(what: str, against: str, ratio: Ratio) -> Row:
    high, highest = (f"{1000 * s:.2g}" for s in np.percentile(ratio.ours, (95, 99)))
    return Row(f"head: {what} (p95 {high}, p99 {highest} ms), {against}", ratio, "ms")


def _seconds(works: list[Call], calls: int) -> list[tuple[float, ...]]:
    """Seconds of each call of each work, in turns, after some to warm up."""
    for _ in range(calls // 10):
        for work in works:
            work()
    found: list[list[float]] = [[] for _ in works]
    for _ in range(calls):
        for work, times in zip(works, found, strict=True):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    return [tuple(times) for times in found]


def _torch_window(net: PoseLSTM) -> Call:
    return partial(net, _window()["x"])


def _onnx_window(net: PoseLSTM, folder: Path) -> Call:
    file = folder / "head.onnx"
    export_onnx(net, file, example_window(CHANNELS))
    return partial(OnnxIndex(file), **{name: x.numpy() for name, x in _window().items()})


def _torch_frame(net: PoseLSTM) -> Call:
    return partial(net.step, _window()["x"][:, 0].contiguous(), net.initial_state())


def _onnx_frame(net: PoseLSTM) -> Call:
    stream = compile_step(net, {"x": torch.rand(2, CHANNELS)})
    return partial(stream.step, stream.initial_state(), x=_window()["x"][:, 0].numpy())


def _window() -> dict[str, torch.Tensor]:
    return {name: tensor[:1] for name, tensor in example_window(CHANNELS, FRAMES).items()}
