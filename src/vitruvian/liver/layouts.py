"""Finding the cases in a folder: LiTS, Medical Segmentation Decathlon, DICOM, or named by globs."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.liver.dicom import DicomObject, identify, is_dicom
from vitruvian.liver.nifti import is_nifti

LAYOUTS = ("auto", "lits", "msd", "dicom", "pairs", "files")

_EXPECTED = (
    "volume-N.nii[.gz] with segmentation-N.nii[.gz] (LiTS), imagesTr/liver_N.nii.gz with labelsTr "
    "(MSD Task03), or DICOM series; other names: layout=pairs with image_glob and label_glob"
)


@dataclass(frozen=True)
class Case:
    """A case as found on the disk; `readers.check_case` says whether it is sound.

    Attributes:
        id: what the case is called everywhere else, such as `0` for `volume-0.nii`.
        images: one NIfTI file, or the slices of one DICOM series. More NIfTI files than one, or
            none, is a fault of the folder.
        masks: files with the reference mask; one in a sound labelled case.
        format: how the image is stored.
        labelled: whether a mask is expected.
    """

    id: str
    images: tuple[Path, ...]
    masks: tuple[Path, ...] = ()
    format: Literal["nifti", "dicom"] = "nifti"
    labelled: bool = True

    @property
    def label(self) -> Path | None:
        """The mask's file, or None."""
        return self.masks[0] if self.masks else None


@dataclass(frozen=True)
class _Names:
    """How a layout names its NIfTI files, relative to the root; group `id` is the case's id."""

    image: re.Pattern[str]
    mask: re.Pattern[str] | None


_LITS = _Names(
    re.compile(r"(?:.*/)?volume-(?P<id>\d+)\.nii(?:\.gz)?"),
    re.compile(r"(?:.*/)?segmentation-(?P<id>\d+)\.nii(?:\.gz)?"),
)
_MSD = _Names(
    re.compile(r"(?:.*/)?imagesTr/liver_(?P<id>\d+)\.nii(?:\.gz)?"),
    re.compile(r"(?:.*/)?labelsTr/liver_(?P<id>\d+)\.nii(?:\.gz)?"),
)
_FILES = _Names(re.compile(r"(?:.*/)?(?P<id>[^/]+?)\.nii(?:\.gz)?"), None)


def find_cases(
    root: Path,
    layout: str = "auto",
    labelled: bool = True,
    image_glob: str | None = None,
    label_glob: str | None = None,
) -> list[Case]:
    """List the cases of a folder in natural order of their ids (2 before 10).

    Only names are judged here, and DICOM headers as far as grouping needs them: a case that lacks
    its image or its mask is listed as well, for `readers.survey` to report with all other faults.

    Args:
        root: the folder; its sub-folders are searched too, hidden files (`._x`) never. Without
            labels it may be a single NIfTI file.
        layout: `lits` (`volume-N`, `segmentation-N`), `msd` (`imagesTr/liver_N`, `labelsTr`),
            `dicom` (series grouped by SeriesInstanceUID; masks beside as DICOM-SEG,
            `segmentation.nii.gz` in the series' folder or `segmentation-NAME.nii.gz` anywhere),
            `pairs` (named by the globs), `files` (every NIfTI file is an unlabelled case), or
            `auto`: the one of the first three that is found, and `files` where no mask is needed.
        labelled: whether every case must have a mask; without, masks are ignored.
        image_glob: for `pairs`: path of the images relative to `root`, with one `*` for the case id
            (`imagesTr/*_0000.nii.gz`, `*/ct.nii.gz`) or none for a single case.
        label_glob: for `pairs`: the same for the masks.

    Raises:
        DataError: no such folder, no case in it, or several layouts at once.
        ConfigError: an unknown layout, or globs that do not fit it.
    """
    root = Path(root)
    if layout not in LAYOUTS:
        raise ConfigError(f"layout={layout!r} is unknown; choose one of {', '.join(LAYOUTS)}")
    if (layout == "pairs") != (image_glob is not None):
        raise ConfigError("image_glob and label_glob belong to layout=pairs; give both or neither")
    if root.is_file():
        return [_single(root, labelled)]
    names = list(_file_names(root))
    chosen = _recognised(root, names, labelled) if layout == "auto" else layout
    if chosen == "dicom":
        cases = _DicomTree(root, names).cases(labelled)
    else:
        cases = _nifti_cases(root, names, _patterns(chosen, image_glob, label_glob), labelled)
    if not cases:
        raise DataError(f"{root}: no case of layout {chosen} found; expected {_EXPECTED}")
    return sorted(cases, key=lambda case: natural_order(case.id))


def natural_order(text: str) -> list[tuple[int, int, str]]:
    """A sort key that orders numbers inside a text by value: `liver_2` before `liver_10`."""
    parts = re.findall(r"\d+|\D+", text)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def _single(path: Path, labelled: bool) -> Case:
    match = _FILES.image.fullmatch(path.name)
    if labelled or match is None:
        what = "a folder with images and masks" if labelled else "a NIfTI file or a folder"
        raise DataError(f"{path}: a single file; give {what} (for DICOM, the series' folder)")
    return Case(match["id"], (path,), labelled=False)


def _file_names(root: Path) -> Iterator[str]:
    """Yield all files below `root` as sorted relative paths, without hidden ones."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; set the data root to where the scans are")
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back up would never end
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        here = Path(folder).relative_to(root)
        yield from sorted((here / name).as_posix() for name in files if not name.startswith("."))


def _recognised(root: Path, names: Sequence[str], labelled: bool) -> str:
    """Name the layout of a folder by the images it holds."""
    nifti = {"lits": _LITS, "msd": _MSD}
    found = [key for key, p in nifti.items() if any(p.image.fullmatch(name) for name in names)]
    if len(found) > 1:
        raise DataError(f"{root}: holds layouts {' and '.join(found)}; choose one with layout=")
    if found:
        return found[0]
    if any(_is_dicom_name(root, name) for name in names):
        return "dicom"
    if not labelled and any(is_nifti(Path(name)) for name in names):
        return "files"
    examples = ", ".join(names[:3]) or "nothing"
    raise DataError(f"{root}: no cases found (it holds {examples}); expected {_EXPECTED}")


# --- NIfTI ---------------------------------------------------------------------------------------


def _patterns(layout: str, image_glob: str | None, label_glob: str | None) -> _Names:
    if image_glob is None:
        return {"lits": _LITS, "msd": _MSD, "files": _FILES}[layout]
    if label_glob is not None and label_glob.count("*") != image_glob.count("*"):
        raise ConfigError(
            f"image_glob={image_glob!r} and label_glob={label_glob!r} must both have one * (the "
            "case id) or both none"
        )
    image = _glob_pattern("image_glob", image_glob)
    return _Names(image, None if label_glob is None else _glob_pattern("label_glob", label_glob))


def _glob_pattern(key: str, glob: str) -> re.Pattern[str]:
    if glob.count("*") > 1 or not glob.endswith((".nii", ".nii.gz")):
        raise ConfigError(
            f"{key}={glob!r}: one * at most, for the case id, and .nii or .nii.gz at the end"
        )
    return re.compile(re.escape(glob).replace(r"\*", "(?P<id>[^/]+)"))


def _nifti_cases(root: Path, names: Iterable[str], rule: _Names, labelled: bool) -> list[Case]:
    if labelled and rule.mask is None:
        raise ConfigError("masks are needed: give label_glob, or choose a layout that has masks")
    images: dict[str, list[Path]] = defaultdict(list)
    masks: dict[str, list[Path]] = defaultdict(list)
    for name in names:
        if match := rule.image.fullmatch(name):
            images[match.groupdict().get("id", root.name)].append(root / name)
        elif labelled and rule.mask and (match := rule.mask.fullmatch(name)):
            masks[match.groupdict().get("id", root.name)].append(root / name)
    return [
        Case(key, tuple(images[key]), tuple(masks[key]), labelled=labelled)
        for key in {**images, **masks}
    ]


# --- DICOM ---------------------------------------------------------------------------------------


def _is_dicom_name(root: Path, name: str) -> bool:
    path = root / name
    return not is_nifti(path) and is_dicom(path)


_SeriesKey = tuple[Path, str]  # folder and SeriesInstanceUID


class _DicomTree:
    """The DICOM files below a folder, grouped into series, and the masks that belong to them."""

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self.root = root
        self.nifti = [root / name for name in names if is_nifti(Path(name))]
        self.objects = [identify(root / name) for name in names if _is_dicom_name(root, name)]
        self.series: dict[_SeriesKey, list[DicomObject]] = defaultdict(list)
        for item in self.objects:
            if item.kind == "slice":
                self.series[item.path.parent, item.series].append(item)
        self._add_broken()
        self.series_in = Counter(folder for folder, _ in self.series)

    def _add_broken(self) -> None:
        """Make files too damaged to name their series a fault of every series of their folder."""
        for item in [item for item in self.objects if item.kind == "broken"]:
            keys = [key for key in self.series if key[0] == item.path.parent]
            for key in keys or [(item.path.parent, "")]:
                self.series[key].append(item)

    def cases(self, labelled: bool) -> list[Case]:
        if not self.series:
            seen = ", ".join(sorted({item.modality for item in self.objects})) or "none"
            raise DataError(f"{self.root}: no CT series in DICOM found (modalities: {seen})")
        return [self._case(key, case_id, labelled) for key, case_id in self._ids().items()]

    def _case(self, key: _SeriesKey, case_id: str, labelled: bool) -> Case:
        slices = tuple(item.path for item in self.series[key])
        masks = tuple(self._masks(key, case_id)) if labelled else ()
        return Case(case_id, slices, masks, "dicom", labelled)

    def _ids(self) -> dict[_SeriesKey, str]:
        """The folder's name, or path where names repeat; and the number where it holds several."""
        same_name = Counter(folder.name for folder in self.series_in)
        ids = {}
        for (folder, uid), slices in self.series.items():
            path = "-".join(folder.relative_to(self.root).parts)
            name = folder.resolve().name if same_name[folder.name] == 1 or not path else path
            ids[folder, uid] = name
            if self.series_in[folder] > 1:
                ids[folder, uid] += f"-{slices[0].number or uid}"
        repeated = Counter(ids.values())
        return {k: name if repeated[name] == 1 else f"{name}-{k[1]}" for k, name in ids.items()}

    def _masks(self, key: _SeriesKey, case_id: str) -> Iterator[Path]:
        """Yield the masks that refer to a series, bear its id, or lie beside it, the only one."""
        folder, uid = key
        for item in self.objects:
            refers = item.series == uid if item.series else self._alone(folder, item.path)
            if item.kind == "mask" and refers:
                yield item.path
        for path in self.nifti:
            stem = path.name.removesuffix(".gz").removesuffix(".nii")
            beside = stem == "segmentation" and self._alone(folder, path)
            if stem == f"segmentation-{case_id}" or beside:
                yield path

    def _alone(self, folder: Path, mask: Path) -> bool:
        return mask.parent == folder and self.series_in[folder] == 1
