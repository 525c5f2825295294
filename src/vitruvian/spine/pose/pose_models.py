"""Model files of BlazePose: found or fetched, checked by their sha256, and trimmed for use.

The hashes are those of Google's published bundles; a bundle is a zip archive of a person detector
and a landmark net, both TensorFlow Lite.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import struct
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.files import atomic

log = logging.getLogger(__name__)

OFFICIAL: Final = "https://storage.googleapis.com/mediapipe-models/pose_landmarker"
VARIABLE: Final = "VITRUVIAN_POSE_MODELS"
TIMEOUT_S: Final = 30.0

DETECTOR: Final = "pose_detector.tflite"
LANDMARK_NET: Final = "pose_landmarks_detector.tflite"

_ZIP_HEADER: Final = 30  # bytes before the name of a member
_ZIP_ALIGNMENT: Final = 0xD935  # mark of an extra field that is only there for its length


@dataclass(frozen=True)
class _Published:
    """A bundle as Google publishes it; copies that differ in time stamps have other hashes."""

    size: int
    sha256: tuple[str, ...]


_PUBLISHED: Final = {
    "lite": _Published(
        5_777_746, ("59929e1d1ee95287735ddd833b19cf4ac46d29bc7afddbbf6753c459690d574a",)
    ),
    "full": _Published(
        9_398_198,
        (
            "5134a3aad27a58b93da0088d431f366da362b44e3ccfbe3462b3827a839011b1",  # float16/1
            "4eaa5eb7a98365221087693fcc286334cf0858e2eb6e15b506aa4a7ecdcec4ad",  # float16/latest
        ),
    ),
    "heavy": _Published(
        30_664_242, ("64437af838a65d18e5ba7a0d39b465540069bc8aae8308de3e318aad31fcbc7b",)
    ),
}
VARIANTS: Final = tuple(_PUBLISHED)


@dataclass(frozen=True)
class PoseModel:
    """A model file whose content is known.

    Attributes:
        path: of the bundle.
        sha256: of the bundle.
        variant: lite, full or heavy.
    """

    path: Path
    sha256: str
    variant: str

    @property
    def official(self) -> bool:
        """Whether it is Google's file, byte for byte."""
        return self.sha256 in _PUBLISHED[self.variant].sha256

    def bundle(self, trim: bool = True) -> bytes:
        """The content for MediaPipe.

        Args:
            trim: leave out the silhouette that the landmark net also draws and nobody reads. The
                landmarks stay the same to the bit and take half to two thirds of the time. A model
                that is not Google's is never trimmed.

        Raises:
            DataError: the file is gone or is no bundle.
        """
        members = _members(self.path)
        if trim and self.official:
            members[LANDMARK_NET] = without_silhouette(members[LANDMARK_NET])
        return _packed(members)


# -- finding the file -----------------------------------------------------------------------------


def model_file(variant: str, path: Path | str | None = None, url: str = OFFICIAL) -> PoseModel:
    """Find a model: the path that is given, else `VITRUVIAN_POSE_MODELS`, the cache, a download.

    Args:
        variant: lite, full or heavy.
        path: the user's own file. One that is not Google's is taken with a warning.
        url: of the folder of bundles from which a missing one is fetched.

    Raises:
        ValueError: there is no such variant.
        ConfigError: the path or the variable leads nowhere, or to another variant.
        DataError: the file is damaged, or is nowhere and cannot be fetched; says where to put it.
    """
    if variant not in _PUBLISHED:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, not {variant!r}")
    if path is not None:
        return _own(variant, Path(path).expanduser())
    for place in (_named_by_variable(variant), cached(variant)):
        if place is not None and place.is_file():
            return _official(variant, place)
    return _fetched(variant, cached(variant), address(variant, url))


def address(variant: str, url: str = OFFICIAL) -> str:
    """Where a model is fetched from."""
    return f"{url}/pose_landmarker_{variant}/float16/1/{_name(variant)}"


def cached(variant: str) -> Path:
    """Where a model that was fetched is kept."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The standard asks for an absolute path, and for any other to be ignored.
    root = given if given.is_absolute() else Path.home() / ".cache"
    return root / "vitruvian" / "pose" / _name(variant)


def _name(variant: str) -> str:
    return f"pose_landmarker_{variant}.task"


def _named_by_variable(variant: str) -> Path | None:
    value = os.environ.get(VARIABLE)
    if not value:
        return None
    path = Path(value).expanduser()
    if not path.exists():
        raise ConfigError(f"{VARIABLE}={value}: no such file or folder")
    return path / _name(variant) if path.is_dir() else path


def _own(variant: str, path: Path) -> PoseModel:
    """The user's own file: only that it is a bundle is certain."""
    if not path.is_file():
        raise ConfigError(f"pose.model={path}: {'a folder' if path.is_dir() else 'no such file'}")
    model = PoseModel(path, _sha256(path), variant)
    if other := _variant_of(model.sha256, variant):
        raise ConfigError(f"pose.model={path} is the {other} model; set pose.variant={other}")
    if not model.official:
        _check_own(model)
    return model


def _check_own(model: PoseModel) -> None:
    try:
        _members(model.path)
    except DataError as error:
        raise DataError(f"{error}; {_difference(model)}") from error
    log.warning(
        "%s is not Google's %s model; its sha256 is %s", model.path, model.variant, model.sha256
    )


def _official(variant: str, path: Path) -> PoseModel:
    model = PoseModel(path, _sha256(path), variant)
    if not model.official:
        raise DataError(
            f"{path}: {_difference(model)}. Delete it to have it fetched again, "
            f"or name a model of your own with pose.model=PATH"
        )
    return model


def _difference(model: PoseModel) -> str:
    """What is wrong with a file that should be Google's."""
    if other := _variant_of(model.sha256, model.variant):
        return f"this is the {other} model, not {model.variant}"
    expected, size = _PUBLISHED[model.variant], model.path.stat().st_size
    fault = "cut short" if size < expected.size else "damaged or another version"
    return (
        f"the {model.variant} model is {fault}: {size} bytes with sha256 {model.sha256}, "
        f"not {expected.size} bytes with sha256 {' or '.join(expected.sha256)}"
    )


def _variant_of(sha256: str, but: str) -> str | None:
    """Which other variant of Google's has this hash."""
    return next(
        (name for name, file in _PUBLISHED.items() if sha256 in file.sha256 and name != but), None
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# -- fetching it ----------------------------------------------------------------------------------


def _fetched(variant: str, path: Path, source: str) -> PoseModel:
    """Download a model into the cache; a file appears there only once its hash is right."""
    log.info("fetching %s to %s", source, path)
    try:
        with atomic(path) as temporary:
            with temporary.open("wb") as stream:
                stream.writelines(_received(source))
            model = PoseModel(temporary, _sha256(temporary), variant)
            if not model.official:
                raise _NotReceivedError(_difference(model))
    except _NotReceivedError as error:
        raise DataError(_by_hand(variant, path, source, str(error))) from error
    return PoseModel(path, model.sha256, variant)


class _NotReceivedError(Exception):
    """The network, not the disk, is at fault."""


def _received(source: str) -> Iterator[bytes]:
    try:
        with urlopen(source, timeout=TIMEOUT_S) as response:
            while block := response.read(1 << 20):
                yield block
    except (OSError, HTTPException) as error:
        plain = error if isinstance(error, HTTPError) else getattr(error, "reason", error)
        raise _NotReceivedError(str(plain)) from error


def _by_hand(variant: str, path: Path, source: str, reason: str) -> str:
    return (
        f"the {variant} model of BlazePose is not on this computer and could not be fetched "
        f"({reason}). Fetch it elsewhere and put it in its place:\n"
        f"  from    {source}\n"
        f"  sha256  {_PUBLISHED[variant].sha256[0]}\n"
        f"  to      {path}\n"
        f"or name its folder with the variable {VARIABLE}, or the file with pose.model=PATH"
    )


# -- the bundle -----------------------------------------------------------------------------------


def _members(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as bundle:
            return {name: bundle.read(name) for name in (DETECTOR, LANDMARK_NET)}
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: no model bundle of BlazePose, or cut short ({error}); "
            f"one holds {DETECTOR} and {LANDMARK_NET}"
        ) from error


def _packed(members: dict[str, bytes]) -> bytes:
    """Pack the members as MediaPipe wants them: not compressed, and aligned to four bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as bundle:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            padding = -(stream.tell() + _ZIP_HEADER + len(name)) % 4
            info.extra = struct.pack("<HH", _ZIP_ALIGNMENT, padding) + bytes(padding)
            bundle.writestr(info, content)
    return stream.getvalue()


# -- the landmark net -----------------------------------------------------------------------------

SILHOUETTE: Final = [1, 256, 256, 1]  # shape of the output that is left out
_PRESENCE: Final = 1  # an output of one number, which stands in for it: MediaPipe counts to five

# Positions of fields in TensorFlow Lite's schema, version 3.
_SUBGRAPHS, _TENSORS, _OUTPUTS, _OPERATORS = 2, 0, 2, 3
_SHAPE, _TAKEN, _GIVEN = 0, 1, 2


def without_silhouette(model: bytes) -> bytes:
    """Drop the operators of the landmark net that only the silhouette needs.

    The net spends about half of its time on a mask of 256x256, which MediaPipe throws away unless
    it was asked for. All other outputs keep their operators, hence their values, to the bit.

    Args:
        model: the landmark net, TensorFlow Lite.

    Returns:
        A net of the same length and outputs, of which the mask's repeats the presence; the very
        same bytes where there is no such mask.
    """
    data = bytearray(model)
    (graph,) = _root(data).tables(_SUBGRAPHS)
    tensors, outputs = graph.tables(_TENSORS), graph.numbers(_OUTPUTS)
    shapes = [tensors[output].numbers(_SHAPE) for output in outputs]
    if SILHOUETTE not in shapes:
        return model
    outputs[shapes.index(SILHOUETTE)] = outputs[_PRESENCE]
    graph.write_numbers(_OUTPUTS, outputs)
    graph.write_tables(_OPERATORS, _needed(graph.tables(_OPERATORS), outputs))
    return bytes(data)


def _needed(operators: Iterable[_Table], outputs: Iterable[int]) -> list[_Table]:
    """Those operators, in their order, on which the outputs depend."""
    wanted, kept = set(outputs), []
    for operator in reversed(list(operators)):
        if wanted.intersection(operator.numbers(_GIVEN)):
            wanted.update(operator.numbers(_TAKEN))
            kept.append(operator)
    return kept[::-1]


@dataclass(frozen=True)
class _Table:
    """A table of a FlatBuffer, read and changed in place; vectors may only become shorter."""

    data: bytearray
    start: int

    def numbers(self, field: int) -> list[int]:
        """A vector of int32; empty if the field is absent."""
        first, count = self._vector(field)
        return list(struct.unpack_from(f"<{count}i", self.data, first))

    def tables(self, field: int) -> list[_Table]:
        """A vector of tables."""
        first, count = self._vector(field)
        places = range(first, first + 4 * count, 4)
        return [_Table(self.data, _followed(self.data, place)) for place in places]

    def write_numbers(self, field: int, numbers: list[int]) -> None:
        """Replace a vector of int32."""
        first, _ = self._vector(field)
        struct.pack_into(f"<I{len(numbers)}i", self.data, first - 4, len(numbers), *numbers)

    def write_tables(self, field: int, tables: list[_Table]) -> None:
        """Replace a vector of tables; each is stored as its distance from its own entry."""
        first, _ = self._vector(field)
        distances = [table.start - (first + 4 * i) for i, table in enumerate(tables)]
        struct.pack_into(f"<I{len(tables)}I", self.data, first - 4, len(tables), *distances)

    def _vector(self, field: int) -> tuple[int, int]:
        """Place of the first entry, and the number of entries."""
        fields = self.start - _int32(self.data, self.start)
        (size,) = struct.unpack_from("<H", self.data, fields)
        slot = 4 + 2 * field
        (offset,) = struct.unpack_from("<H", self.data, fields + slot) if slot < size else (0,)
        if not offset:
            return 0, 0
        vector = _followed(self.data, self.start + offset)
        return vector + 4, _int32(self.data, vector)


def _root(data: bytearray) -> _Table:
    return _Table(data, _followed(data, 0))


def _followed(data: bytearray, place: int) -> int:
    return place + _int32(data, place)


def _int32(data: bytearray, place: int) -> int:
    (number,) = struct.unpack_from("<i", data, place)
    return int(number)
