"""The images of the TimTrack paper, with fascicle angles drawn by three observers.

Source: van der Zee and Kuo, "TimTrack" (github timvanderzee/ultrasound-automated-algorithm, folder
"Example images/raw"). Two of its sets are sequences of one person:

- set 3 (Drazan, Hullfish and Baxter, Zenodo 2598553, CC BY 4.0): 100 frames of the medial
  gastrocnemius in five conditions on a dynamometer, 20 each, from two pushes of each condition.
  The pictures are of a mirrored screen, writing included; so were the observers'.
- set 2 (van der Zee, CC0): 56 frames of the lateral gastrocnemius, range of motion and jumping.

An observer's table holds the angle of the fascicles against the image's horizontal in its second
column. Traps: side tables stand below and beside the main ones, with the same names again or none;
tables hold rows, and whole sheets, of images that were not published.

The frames are seconds apart and come without times: their recordings give one sample for each
frame at a made-up 1 Hz, and changes between them mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.muscle.adapters.stills import Screen, Stills
from vitruvian.muscle.quantities import FASCICLE_ANGLE
from vitruvian.muscle.recording import ClockSource, Recording, Signal

OBSERVER_SD = "observer_sd_deg"
_MADE_UP_RATE_HZ = 1.0


@dataclass(frozen=True)
class _Set:
    """One of the paper's data sets.

    Attributes:
        person: its only participant; sets are of different people.
        muscle: which one.
        screen: measured on the pictures: 142 pixels between the depth scale's centimetres in set
            3, and 115.25 pixels/cm by the authors' own tables in set 2.
        tasks: by sheet of the tables: folder of the images.
        prefix: what an image's name has before the name of its row.
    """

    person: str
    muscle: str
    screen: Screen
    tasks: Mapping[str, str]
    prefix: Mapping[str, str]


_CONDITIONS = {
    "p6_isokinetic030_01": "030",
    "p6_isokinetic120_01": "120",
    "p6_isokinetic210_01": "210",
    "p6_isokinetic500_01": "500",
    "p6_isometric_max_01": "isometric",
}
_SETS = {
    2: _Set(
        "P2",
        "lateral gastrocnemius",
        Screen(top=62, left=112, height=458, width=576, mm_per_pixel=10 / 115.25),
        {"range_of_motion": "range-of-motion", "jumping": "jumping"},
        {"range_of_motion": "gastroc_range_of_motion_", "jumping": "gastroc_jumping_"},
    ),
    3: _Set(
        "P1",
        "medial gastrocnemius",
        Screen(top=96, left=378, height=706, width=908, mm_per_pixel=10 / 142.0),
        _CONDITIONS,
        {sheet: f"{sheet}_" for sheet in _CONDITIONS},
    ),
}


def is_timtrack(root: Path) -> bool:
    """Whether a folder is laid out as the paper's images are."""
    return any((Path(root) / f"dataset {n}").is_dir() for n in _SETS)


def read_timtrack(root: Path, dataset: Literal[2, 3] = 3) -> list[Recording]:
    """One recording for each condition, with the angle of the fascicles in every frame.

    Args:
        root: the folder that holds `dataset 2` and `dataset 3`.
        dataset: 3 for the medial gastrocnemius on the dynamometer, 2 for the lateral one.

    Returns:
        Recordings named after their task, such as `P1_isokinetic_030`; their signals are
        `fascicle_angle_deg`, the mean of the observers, and `observer_sd_deg`, the standard
        deviation of one observer among the three. Images are read when they are iterated.

    Raises:
        ConfigError: there is no such data set.
        DataError: files are missing, or a frame lacks an observer's angle.
    """
    if dataset not in _SETS:
        raise ConfigError(f"dataset: 2 or 3, not {dataset}")
    chosen, folder = _SETS[dataset], Path(root) / f"dataset {dataset}"
    tables = [folder / f"dataset{dataset}_for_manual_estimation_obs{n}.xlsx" for n in (1, 2, 3)]
    observed = [_read_table(table) for table in tables]
    return [_recording(chosen, folder, sheet, tables, observed) for sheet in chosen.tasks]


def _recording(
    chosen: _Set,
    folder: Path,
    sheet: str,
    tables: Sequence[Path],
    observed: Sequence[Mapping[tuple[str, str], float]],
) -> Recording:
    files = _images(folder / chosen.tasks[sheet], chosen.prefix[sheet])
    by_observer = zip(tables, observed, strict=True)
    angles = np.array([_angles(files, sheet, chosen, *observer) for observer in by_observer])
    task = _task(chosen.tasks[sheet])
    return Recording(
        name=f"{chosen.person}_{task}",
        participant=chosen.person,
        task=task,
        frames=Stills(files, chosen.screen),
        frame_count=len(files),
        signals={
            FASCICLE_ANGLE.name: Signal(angles.mean(axis=0), _MADE_UP_RATE_HZ, unit="deg"),
            OBSERVER_SD: Signal(angles.std(axis=0, ddof=1), _MADE_UP_RATE_HZ, unit="deg"),
        },
        clock=ClockSource("frames"),
        mm_per_pixel=(chosen.screen.mm_per_pixel, chosen.screen.mm_per_pixel),
        raw=(),
        person={"muscle": chosen.muscle},
        sources=(*files, *tables),
        notes=(f"the frames came without times: {_MADE_UP_RATE_HZ:g} Hz are made up",),
    )


def _task(folder: str) -> str:
    """Folders named after a speed in deg/s hold isokinetic pushes."""
    return f"isokinetic_{folder}" if folder.isdigit() else folder.replace("-", "_")


def _images(folder: Path, prefix: str) -> list[Path]:
    """Images by push and frame number."""
    found = [f for f in folder.glob(f"{prefix}*") if f.suffix in (".jpg", ".png")]
    if not found:
        raise DataError(f"{folder}: no image named {prefix}*; root must hold `dataset 2` and 3")
    return sorted(found, key=lambda file: [int(p) for p in file.stem.split("_") if p.isdigit()])


def _angles(
    files: Iterable[Path],
    sheet: str,
    chosen: _Set,
    table: Path,
    observed: Mapping[tuple[str, str], float],
) -> list[float]:
    rows = [file.stem.removeprefix(chosen.prefix[sheet]) for file in files]
    absent = [row for row in rows if (sheet, _row_name(row)) not in observed]
    if absent:
        raise DataError(f"{table}: sheet {sheet} has no angle of {', '.join(absent)}")
    return [observed[sheet, _row_name(row)] for row in rows]


def _read_table(table: Path) -> dict[tuple[str, str], float]:
    """Angles by sheet and row of one observer; where a name comes again, the first is the one."""
    import openpyxl

    if not table.is_file():
        raise DataError(f"{table}: no such table; root must hold `dataset 2` and `dataset 3`")
    angles: dict[tuple[str, str], float] = {}
    for sheet in openpyxl.load_workbook(table, read_only=True, data_only=True):
        for name, angle in sheet.iter_rows(max_col=2, values_only=True):
            if name is not None and isinstance(angle, int | float):
                angles.setdefault((sheet.title, _row_name(name)), float(angle))
    return angles


def _row_name(name: Any) -> str:
    """Set 2 numbers its rows 2, 32, ... and its images 002, 032, ..."""
    text = str(name).strip()
    return str(int(text)) if text.isdigit() else text
