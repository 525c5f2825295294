"""The Rehab-Pile collection of skeleton sequences, in the files that `aeon` downloads.

Ismail-Fawaz, Devanne, Berretti, Weber, Forestier: Deep learning for skeleton based human motion
rehabilitation assessment: a benchmark, 2025. Its folds divide by subject but do not name them: the
fold that is given is the only honest split, and `RehabPileFold` follows it.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.splits import Splits
from vitruvian.spine.landmarks import Clip, Landmarks

FPS = 30.0  # most of the collection; sequences have been resampled to one length per set
SIDES = ("train", "test")
_NAME = re.compile(r"(?P<collection>\w+_(?:clf|reg)(?:_bn|_mc)?)_(?P<exercise>[A-Za-z0-9]+)")
_HARMLESS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),
}

Array = npt.NDArray[Any]


def read_rehab_pile(root: Path, name: str, fold: int) -> Iterator[Clip]:
    """The sequences of one set and fold; what is not below `root` is downloaded there by aeon.

    Args:
        root: folder that holds `regression/NAME/FOLD/x_train_fold0.npy` and so on.
        name: of the set, such as KIMORE_reg_LA.
        fold: of the collection.

    Raises:
        ConfigError: the name is not of the collection's form, or aeon is needed and not installed.
        DataError: a file is missing or ill-formed.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ConfigError(f"datamodule.dataset: {name!r} is no set such as KIMORE_reg_LA")
    folder = root / ("regression" if "_reg" in name else "classification") / name / str(fold)
    sides = {side: _side(root, folder, name, fold, side) for side in SIDES}
    worst = _worst(name, np.concatenate([targets for _, targets in sides.values()]))
    for side, (sequences, targets) in sides.items():
        for number, (sequence, target) in enumerate(zip(sequences, targets, strict=True)):
            rating = 100 * (1 - float(target) / worst if "_clf" in name else float(target) / worst)
            yield Clip(
                name=f"{side}-{number}",
                participant=f"{side}-{number}",  # whose it is, the collection does not say
                exercise=match["exercise"],
                landmarks=_landmarks(sequence, name),
                rating=rating,
            )


def _worst(name: str, targets: Array) -> float:
    """What a target is divided by: a score's maximum (100 unless scores are shares), class 1."""
    if "_clf" in name:
        return max(float(targets.max()), 1.0)
    return 1.0 if targets.max() <= 1 else 100.0


def _landmarks(sequence: Array, name: str) -> Landmarks:
    """From (channels, frames), three channels a joint, to landmarks of nameless joints."""
    channels, frames = sequence.shape
    dims = 3 if channels % 3 == 0 else 2 if channels % 2 == 0 else 1
    points = np.ascontiguousarray(sequence.T.reshape(frames, channels // dims, dims), np.float32)
    visible = np.asarray(np.isfinite(points).all(axis=2), np.float32)
    skeleton = f"joints{channels // dims}x{dims}"
    return Landmarks(np.arange(frames) / FPS, points, visible, skeleton=skeleton)


def _side(root: Path, folder: Path, name: str, fold: int, side: str) -> tuple[Array, Array]:
    files = [folder / f"{what}_{side}_fold{fold}.npy" for what in "xy"]
    if not all(file.is_file() for file in files):
        _download(root, name, fold, side)
    sequences, targets = (_load(file) for file in files)
    if len(sequences) != len(targets):
        raise DataError(f"{files[0]} holds {len(sequences)} sequences, {files[1]} {len(targets)}")
    return sequences, targets.astype(np.float64)


def _download(root: Path, name: str, fold: int, side: str) -> None:
    try:
        from aeon.datasets import load_rehab_pile_dataset
    except ImportError as error:
        raise ConfigError(
            f"datamodule.root: {root} does not hold {name}; "
            "to have it downloaded: pip install 'vitruvian[rehab]'"
        ) from error
    try:
        load_rehab_pile_dataset(name, split=_checked_side(side), fold=fold, extract_path=root)
    except (ValueError, OSError) as error:
        raise DataError(f"{name}, fold {fold}: {error}") from error


def _checked_side(side: str) -> Literal["train", "test"]:
    return "train" if side == "train" else "test"


class _Numbers(pickle.Unpickler):
    """Unpickles arrays of arrays and nothing else: a file from the web must not run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"it would call {module}.{name}")
        return super().find_class(module, name)


def _load(path: Path) -> Array:
    """An array, or an array of arrays of one shape, as the collection stores some."""
    try:
        with path.open("rb") as stream:
            values = _array(stream)
        stacked = np.array(values.tolist()) if values.dtype == object else values
    except (OSError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"{path} is no array of numbers: {error}") from error
    if not np.issubdtype(stacked.dtype, np.number):
        raise DataError(f"{path} holds {stacked.dtype} rather than numbers")
    return stacked


def _array(stream: BinaryIO) -> Array:
    if np.lib.format.read_magic(stream) == (1, 0):
        _, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        _, _, dtype = np.lib.format.read_array_header_2_0(stream)
    if dtype.hasobject:
        found = _Numbers(stream).load()
        return np.asarray(found, dtype=object)
    stream.seek(0)
    return np.load(stream, allow_pickle=False)


@dataclass(frozen=True)
class RehabPileFold:
    """The fold of the collection: its test sequences test; of its training ones a share validates.

    Subjects are divided by the fold; who is who among the training sequences is not known, so the
    validation, which only chooses a checkpoint, may share people with the training.

    Attributes:
        val: share of the training sequences that validates.
        seed: of that choice.
    """

    val: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.val < 1:
            raise ConfigError(f"split.val: a share between 0 and 1, not {self.val}")

    def assign(self, subjects: Sequence[str], strata: Mapping[str, str] | None = None) -> Splits:
        """Divide the sequences by their names.

        Raises:
            DataError: the data are not a fold of the collection.
        """
        test = tuple(sorted(s for s in subjects if s.startswith("test-")))
        train = sorted((s for s in subjects if s.startswith("train-")), key=self._shuffled)
        if len(test) + len(train) != len(subjects) or not test or len(train) < 2:
            raise DataError("split: these are no sequences of a Rehab-Pile fold; use split=kfold")
        count = min(max(round(self.val * len(train)), 1), len(train) - 1)
        kind = "Rehab-Pile's fold by subject; validation by sequence"
        return Splits(tuple(sorted(train[count:])), tuple(sorted(train[:count])), test, kind)

    def _shuffled(self, name: str) -> bytes:
        return hashlib.sha256(f"{self.seed}:{name}".encode()).digest()
