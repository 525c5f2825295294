"""Nets as files for other runtimes: held together with torch when written, and told in a card.

A study says what goes in and out (`Exported`); what all exports share is here: TorchScript and ONNX
of a module, the comparison with torch, and `NAME_card.md` beside the file.
"""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.export_place import PROVENANCE, TEXTS, card_of
from vitruvian.core.files import atomic
from vitruvian.core.onnx_files import session, traced, write_model

if TYPE_CHECKING:
    from collections.abc import Iterator

Format = Literal["onnx", "torchscript", "bundle"]
Inputs = Mapping[str, Tensor]
Run = Callable[..., npt.NDArray[Any]]

TOLERANCE = 1e-4  # single precision in another order of sums, relative to values above 1


@dataclass(frozen=True)
class Port:
    """An input or an output of an exported net.

    Attributes:
        name: in the file.
        shape: of the tensor, with the names of free axes, and its type.
        meaning: what it is, with unit and range.
    """

    name: str
    shape: str
    meaning: str


@dataclass(frozen=True)
class Exported:
    """What was written, and what a reader of its card must know.

    Attributes:
        path: the file, or the folder of a bundle.
        format: of it.
        what: the net in one sentence.
        inputs: of the net.
        outputs: of the net.
        difference: largest from torch, relative to values above 1.
        tolerance: that it was held to.
        use: what the net is for, and what it is not for.
        data: origin and licence of the data it can be trained on.
        reported: metrics of the study that the card shows.
        notes: what else the user must know, such as steps that are not inside.
    """

    path: Path
    format: Format
    what: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    difference: float
    tolerance: float
    use: str
    data: str
    reported: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def card(self) -> Path:
        """Where the card goes: beside a file, inside a bundle."""
        return card_of(self.path, self.format)


def refuse(format: Format, stream: bool, *known: Format) -> None:
    """Refuse a format, or a stream, that a study's nets have not.

    Raises:
        ConfigError: the study lacks it; the message names what there is.
    """
    if format not in known:
        raise ConfigError(f"format={format}: this study's nets are exported as {_or(known)}")
    if stream:
        raise ConfigError("stream: only causal nets of the spine study have a step; stream=false")


def _or(words: Sequence[str]) -> str:
    return " or ".join(words)


@contextmanager
def still(module: nn.Module) -> Iterator[nn.Module]:
    """A copy on the processor, in `eval` mode and in single precision, without gradients."""
    with torch.no_grad():
        yield copy.deepcopy(module).cpu().float().eval()


def write_onnx(
    module: nn.Module,
    target: Path,
    trials: Sequence[Inputs],
    output: str,
    axes: Mapping[str, Mapping[int, str]],
    metadata: Mapping[str, str],
    tolerance: float = TOLERANCE,
) -> float:
    """Write a module with one output as ONNX, if onnxruntime agrees with torch on all trials.

    Args:
        module: called with the tensors of a trial in their order.
        target: of the file, written whole or not at all.
        trials: inputs by name; the first one is traced.
        output: name of what comes out.
        axes: free axes of inputs and output, with their names.
        metadata: texts that the file carries.
        tolerance: largest difference, relative to values above 1.

    Returns:
        The largest difference.

    Raises:
        RunError: they do not agree, onnx is not installed or cannot express the module, or the
            file cannot be written.
    """
    with still(module) as quiet:
        first = trials[0]
        model = traced(quiet, tuple(first.values()), list(first), [output], axes)
        running = session(model)
        read = {put.name for put in running.get_inputs()}

        def run(**given: Tensor) -> npt.NDArray[Any]:
            arrays = {name: tensor.numpy() for name, tensor in given.items() if name in read}
            return running.run([output], arrays)[0]

        largest = agreement(quiet, run, trials, "onnxruntime", tolerance)
    write_model(model, target, metadata)
    return largest


def write_torchscript(
    module: nn.Module,
    target: Path,
    trials: Sequence[Inputs],
    metadata: Mapping[str, str],
    finish: Callable[[torch.jit.ScriptModule], torch.jit.ScriptModule] | None = None,
    tolerance: float = TOLERANCE,
) -> float:
    """Write a module as TorchScript, if the file that was written agrees with it on all trials.

    Args:
        module: called with the tensors of a trial in their order.
        target: of the file, written whole or not at all.
        trials: inputs by name; the first one is traced.
        metadata: texts, kept in the file as `vitruvian.json`.
        finish: makes of the traced module the one to write; the trials compare the traced one.
        tolerance: largest difference, relative to values above 1.

    Returns:
        The largest difference.

    Raises:
        RunError: they do not agree, torch cannot trace the module, or the file cannot be written.
    """
    with still(module) as quiet, atomic(target) as temporary:
        _save(_trace(quiet, trials[0]), temporary, metadata)
        loaded = torch.jit.load(str(temporary))

        def run(**given: Tensor) -> npt.NDArray[Any]:
            return np.asarray(loaded(*given.values()).numpy())

        largest = agreement(quiet, run, trials, "TorchScript", tolerance)
        if finish is not None:
            _save(finish(loaded), temporary, metadata)
    return largest


def _trace(module: nn.Module, first: Inputs) -> torch.jit.ScriptModule:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that sizes are free is checked afterwards
        try:
            return torch.jit.trace(module, tuple(first.values()), check_trace=False)
        except RuntimeError as error:
            line = str(error).strip().splitlines()[0]
            raise RunError(f"torch cannot trace this net: {line}") from error


def _save(module: torch.jit.ScriptModule, path: Path, metadata: Mapping[str, str]) -> None:
    """Save without the places of the source code, which name the folders of this machine."""
    content = io.BytesIO()
    torch.jit.save(module, content, _extra_files={TEXTS: json.dumps(dict(metadata))})
    with zipfile.ZipFile(content) as saved, zipfile.ZipFile(path, "w") as kept:
        for name in saved.namelist():
            if not name.endswith(".debug_pkl"):
                kept.writestr(name, saved.read(name))


def agreement(
    module: nn.Module, run: Run, trials: Sequence[Inputs], runtime: str, tolerance: float
) -> float:
    """The largest difference between a module and its export, relative to values above 1.

    Args:
        module: of torch, ready.
        run: the export, called with a trial's tensors by their names.
        trials: inputs by name.
        runtime: its name, for people.
        tolerance: beyond it the export is refused.

    Raises:
        RunError: the export differs by more, answers in another shape, or does not run.
    """
    largest = 0.0
    for trial in trials:
        expected = module(*trial.values()).double().numpy()
        try:
            found = run(**trial)
        except Exception as error:  # classes of the runtime, with no base but this
            shapes = {name: tuple(tensor.shape) for name, tensor in trial.items()}
            line = str(error).strip().splitlines()[-1]
            raise RunError(
                f"{runtime} cannot run the net with {shapes}: {line}; nothing was written"
            ) from error
        same = expected.shape == found.shape
        errors = np.abs(expected - found) / np.maximum(1, np.abs(expected)) if same else np.inf
        worst = float(np.max(errors))
        if not worst <= tolerance:
            raise RunError(
                f"{runtime} differs from torch by {worst:.1e}, more than {tolerance:.0e}; "
                "nothing was written"
            )
        largest = max(largest, worst)
    return largest


def metadata_of(note: str, provenance: Mapping[str, Any]) -> dict[str, str]:
    """What every exported file carries: a note, and where it comes from."""
    return {"note": note, PROVENANCE: json.dumps(provenance, default=str)}


def passed_on(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The origin that an export tells: exports are given away, folders of this machine are not.

    Args:
        provenance: as `provenance.of_prediction` says it.

    Returns:
        The same with the run's name for its path, without the checkpoint's path (its SHA-256
        stays), and with the names alone of other absolute paths.
    """
    kept = {key: value for key, value in provenance.items() if key != "checkpoint"}
    return {key: _names_alone(value) for key, value in kept.items()}


def _names_alone(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _names_alone(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_names_alone(inner) for inner in value]
    if isinstance(value, str) and value.startswith(("/", "~")):
        return PurePath(value).name
    return value
