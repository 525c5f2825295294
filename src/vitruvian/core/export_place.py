"""Where an export goes, and what it may replace there: an earlier export of it, nothing else.

Imports no torch, so that the command line can name the places.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from vitruvian.core.errors import ConfigError
from vitruvian.core.files import unwritable
from vitruvian.core.onnx_files import metadata_in
from vitruvian.core.rundir import RunDirectory

if TYPE_CHECKING:
    from vitruvian.core.exporting import Format

NAMES: dict[Format, str] = {
    "onnx": "model.onnx",
    "torchscript": "model_torchscript.ts",
    "bundle": "bundle",
}
BUNDLED = Path("models", "model.ts")  # MONAI's place for the TorchScript of a bundle
TEXTS = "vitruvian.json"  # what a TorchScript says of itself
PROVENANCE = "provenance"  # the same in ONNX
_SUFFIXES: dict[Format, tuple[str, ...]] = {
    "onnx": (".onnx",),
    "torchscript": (".ts", ".pt"),
    "bundle": (),
}


def card_of(target: Path, format: Format) -> Path:
    """Where the card goes: beside a file, inside a bundle."""
    if format == "bundle":
        return target / "docs" / "README.md"
    return target.with_name(f"{target.stem}_card.md")


def card_line(target: Path, format: Format) -> str:
    """The line of a card that says which export it tells of."""
    return f"- format: {format}, `{target.name}`"


def check_place(target: Path, format: Format, run: RunDirectory) -> None:
    """Refuse a place where an export would destroy something, or would not be found again.

    Args:
        target: of the file, or the folder of a bundle.
        format: of it.
        run: whose net is exported; there may be none.

    Raises:
        ConfigError: the name does not fit the format, the place is one of the run's, or something
            that is no earlier export of the kind, or no card of it, is there.
        RunError: onnx is needed to look at what is there, and is not installed; or the place
            cannot be looked at.
    """
    try:
        _check_name(target, format)
        _check_outside(target, format, run)
        _check_free(target, format)
    except OSError as error:
        raise unwritable(target, error) from error


def _check_free(target: Path, format: Format) -> None:
    if format == "bundle":
        if target.exists() and not _is_torchscript(target / BUNDLED):
            raise ConfigError(
                f"output={target} exists, and is no bundle of Vitruvian; choose another folder"
            )
        return
    if target.exists() and not _is_export(target, format):
        raise ConfigError(
            f"output={target} exists, and is no earlier export; choose another name, or remove it"
        )
    card = card_of(target, format)
    if card.exists() and not _is_card(card, target, format):
        raise ConfigError(
            f"output={target}: its card would replace {card}, which is not the card of an earlier "
            "export of it; choose another name"
        )


def _check_name(target: Path, format: Format) -> None:
    fits, suffix = _SUFFIXES[format], target.suffix.lower()
    if not fits:
        others = {ending for endings in _SUFFIXES.values() for ending in endings}
        if suffix in others:
            raise ConfigError(f"output={target}: a bundle is a folder, name it without {suffix}")
    elif target.is_dir():
        inside = target / NAMES[format]
        raise ConfigError(f"output={target} is a folder; name a file, such as {inside}")
    elif suffix not in fits:
        raise ConfigError(
            f"output={target}: the name of a file of format={format} ends in {' or '.join(fits)}"
        )


def _check_outside(target: Path, format: Format, run: RunDirectory) -> None:
    """Files may lie beside what the run wrote; its folders are its own."""
    place, usual = target.parent.resolve() / target.name, run.path / NAMES[format]
    beside = place == usual or (place.parent == run.path and format != "bundle")
    if run.exists and not beside and (place == run.path or run.path in place.parents):
        raise ConfigError(
            f"output={target} is a place of the run; leave output out for {usual}, or name a place "
            "outside the run"
        )


def _is_export(path: Path, format: Format) -> bool:
    return PROVENANCE in metadata_in(path) if format == "onnx" else _is_torchscript(path)


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False
    return any(name.endswith(f"/extra/{TEXTS}") for name in names)


def _is_card(card: Path, target: Path, format: Format) -> bool:
    try:
        text = card.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return card_line(target, format) in text.splitlines()
