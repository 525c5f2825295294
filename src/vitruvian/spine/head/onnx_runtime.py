"""Exported nets in onnxruntime, which takes less time than torch, above all frame by frame.

Needs onnxruntime (extra `onnx`), and neither torch nor the net's code.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from vitruvian.core.onnx_files import session

Array = npt.NDArray[Any]
_KINDS = {"tensor(bool)": np.bool_, "tensor(int64)": np.int64, "tensor(float)": np.float32}


class OnnxIndex:
    """The index of windows, from a file of `export_onnx`.

    Args:
        model: the file, or its content.
        threads: of onnxruntime.

    Raises:
        RunError: onnxruntime is not installed, or cannot read the file.
    """

    def __init__(self, model: Path | bytes, threads: int = 1) -> None:
        self.session = session(model, threads)

    def __call__(self, **windows: Array) -> Array:
        """Map windows, by the names of the export, to (n,) values."""
        read = {put.name: windows[put.name] for put in self.session.get_inputs()}
        return cast(Array, self.session.run(["index"], read)[0])


class OnnxStep:
    """The index of a stream, from a file of `export_step`.

    Args:
        model: the file, or its content.
        threads: of onnxruntime.

    Raises:
        RunError: onnxruntime is not installed, or cannot read the file.
    """

    def __init__(self, model: Path | bytes, threads: int = 1) -> None:
        self.session = session(model, threads)
        inputs = self.session.get_inputs()
        self._frame = [put.name for put in inputs if not put.name.startswith("state_")]
        self._states = {put.name: put for put in inputs if put.name.startswith("state_")}
        self._outputs = ["index", *(name.replace("state", "next") for name in self._states)]

    def initial_state(self, n: int = 1) -> dict[str, Array]:
        """Zeros: the state before the first frame of `n` people."""
        return {
            name: np.zeros((n, *put.shape[1:]), _KINDS[put.type])
            for name, put in self._states.items()
        }

    def step(self, state: Mapping[str, Array], **frame: Array) -> tuple[Array, dict[str, Array]]:
        """Map a state and a frame, by the names of the export, to (n,) values and the new state."""
        read = {name: frame[name] for name in self._frame}
        value, *after = self.session.run(self._outputs, {**read, **state})
        return value, dict(zip(self._states, after, strict=True))
