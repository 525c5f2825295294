"""ONNX files: written by torch's exporter of traced modules, run by onnxruntime.

Needs the extra `onnx` (onnx and onnxruntime), which is imported when it is used; torch only where a
module is traced. The newer exporter of torch would need one package more, onnxscript.
"""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vitruvian.core.errors import RunError
from vitruvian.core.files import atomic

if TYPE_CHECKING:
    from torch import Tensor, nn

OPSET = 17  # the first with layer normalisation


def optional_package(name: str) -> ModuleType:
    """Import one of the packages of the extra `onnx`.

    Raises:
        RunError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise RunError(f"{name} is not installed: pip install 'vitruvian[onnx]'") from error


def session(model: Path | bytes, threads: int = 1) -> Any:
    """An onnxruntime session of a file, or of its content, on the processor.

    Raises:
        RunError: onnxruntime is not installed, or cannot read the model.
    """
    runtime = optional_package("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 3  # errors
    content = model if isinstance(model, bytes) else str(model)
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes, with no base but this
        name = "the model" if isinstance(model, bytes) else model
        raise RunError(f"onnxruntime cannot read {name}: {error}") from error


def traced(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    names: Sequence[str],
    outputs: Sequence[str],
    axes: Mapping[str, Mapping[int, str]],
) -> bytes:
    """A module as the content of an ONNX file.

    Args:
        module: in `eval` mode.
        inputs: what it is called with.
        names: of the inputs.
        outputs: names of what it returns.
        axes: which axes of which of them are free, and their names.

    Raises:
        RunError: onnx is not installed, or cannot express the module.
    """
    optional_package("onnx")
    import torch

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of tracing: that sizes are free is checked afterwards
        file = Path(folder) / "traced.onnx"
        try:
            torch.onnx.export(
                module,
                inputs,
                file,
                input_names=list(names),
                output_names=list(outputs),
                dynamic_axes={name: dict(free) for name, free in axes.items()},
                opset_version=OPSET,
                dynamo=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise RunError(f"ONNX cannot express this net: {error}") from error
        return file.read_bytes()


def metadata_in(path: Path) -> dict[str, str]:
    """The texts that an ONNX file carries; none where it cannot be read as ONNX.

    Raises:
        RunError: onnx is not installed.
    """
    onnx = optional_package("onnx")
    unreadable = optional_package("google.protobuf.message").DecodeError  # comes with onnx
    try:
        proto = onnx.load(str(path), load_external_data=False)
    except (OSError, unreadable):
        return {}
    return {one.key: one.value for one in proto.metadata_props}


def write_model(model: bytes, path: Path, metadata: Mapping[str, str] | None) -> None:
    """Write a checked model with its metadata, whole or not at all.

    Raises:
        RunError: onnx is not installed, or the file cannot be written.
    """
    onnx = optional_package("onnx")
    proto = onnx.load_from_string(model)
    onnx.helper.set_model_props(proto, dict(metadata or {}))
    onnx.checker.check_model(proto)
    with atomic(path) as temporary:
        temporary.write_bytes(proto.SerializeToString())
