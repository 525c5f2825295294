"""UI-PRMD: ten people, correct and incorrect exercises, Kinect positions; and computed scores.

Vakanski, Jun, Paul, Baker: A data set of human body movements for physical rehabilitation
exercises, Data 2018, 3, 2. The positions are relative to the parent joint and the files hold no
angles, so that they are trajectories of the waist and lengths of bones rather than a pose in space.
A rating is made of what there is: 100 for a correct and 0 for an incorrect repetition.

Liao, Vakanski, Xian (TNSRE 2020) published scores of the deep squat, computed from a Gaussian
mixture and not given by a clinician, with four channels of an autoencoder per frame.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vitruvian.core.errors import DataError
from vitruvian.spine.landmarks import Clip, Landmarks
from vitruvian.spine.skeletons import KINECT, KINECT_LENGTHS

FPS = 30.0  # Kinect v2
MOVEMENTS = {
    "m01": "deep squat",
    "m02": "hurdle step",
    "m03": "inline lunge",
    "m04": "side lunge",
    "m05": "sit to stand",
    "m06": "straight leg raise",
    "m07": "shoulder abduction",
    "m08": "shoulder extension",
    "m09": "shoulder rotation",
    "m10": "shoulder scaption",
}
_FILE = re.compile(r"(m\d\d)_(s\d\d)_(e\d\d)_positions(_inc)?\.txt(\.gz)?$")

# Repetitions of each person among the 90 sequences of the reduced deep squat, as the authors' code
# for distances within subjects lists them; the largest jumps between neighbours agree with it.
REPETITIONS = (9, 9, 9, 9, 9, 10, 8, 9, 8, 10)
SCORED_SKELETON = "joints4x1"
_SCORED = {
    "correct": ("Autoencoder_Output_Correct.csv", "Labels_Correct.csv"),
    "incorrect": ("Autoencoder_Output_Incorrect.csv", "Labels_Incorrect.csv"),
}

Table = npt.NDArray[np.float64]


def is_repetitions(root: Path) -> bool:
    """Whether a folder holds files of Kinect positions."""
    return any(_FILE.match(path.name) for path in root.rglob("m*_positions*.txt*"))


def is_scored(root: Path) -> bool:
    """Whether a folder holds the deep squat's autoencoder channels and scores."""
    return next(root.rglob("Autoencoder_Output_Correct.csv*"), None) is not None


def read_repetitions(root: Path, lengths: bool = False) -> Iterator[Clip]:
    """Every repetition found below `root`, as `m01_s01_e01_positions.txt`, packed or not.

    Args:
        root: folder to search.
        lengths: the waist and the lengths of bones (skeleton kinect_lengths) rather than all
            positions (kinect22).

    Raises:
        DataError: there is no repetition, or a file does not hold 22 joints of three numbers.
    """
    if not is_repetitions(root):
        raise DataError(f"{root}: no repetition found, such as m01_s01_e01_positions.txt")
    found = ((path, _FILE.match(path.name)) for path in sorted(root.rglob("m*_positions*.txt*")))
    for path, match in found:
        if match is not None:
            yield _repetition(path, match, lengths)


def _repetition(path: Path, match: re.Match[str], lengths: bool) -> Clip:
    movement, person, number, incorrect = match[1], match[2], match[3], bool(match[4])
    values = _table(path)
    if values.shape[1] != 3 * len(KINECT):
        raise DataError(f"{path}: {values.shape[1]} columns, expected 66 (22 joints x 3)")
    points = values.reshape(len(values), len(KINECT), 3).astype(np.float32)
    how = "incorrect" if incorrect else "correct"
    return Clip(
        name=f"{movement}_{person}_{number}_{how}",
        participant=person,
        exercise=MOVEMENTS.get(movement, movement),
        landmarks=_lengths(points) if lengths else _landmarks(points, KINECT.name),
        rating=0.0 if incorrect else 100.0,
    )


def read_scored(root: Path) -> Iterator[Clip]:
    """The 180 scored repetitions of the deep squat, four channels and 240 frames each.

    Raises:
        DataError: a file is missing, or the counts are not those of the ten people.
    """
    people = [f"s{p:02d}" for p, count in enumerate(REPETITIONS, 1) for _ in range(count)]
    numbers = list(chain.from_iterable(range(1, count + 1) for count in REPETITIONS))
    for how, (channels, labels) in _SCORED.items():
        values, scores = _table(_one(root, channels)), _table(_one(root, labels))
        if (len(values), len(scores)) != (len(people), len(people)) or values.shape[1] % 4:
            raise DataError(f"{root}: {channels} and {labels} must hold {len(people)} sequences")
        for person, number, row, score in zip(people, numbers, values, scores[:, 0], strict=True):
            points = row.reshape(-1, 4, 1).astype(np.float32)
            yield Clip(
                name=f"squat_{person}_e{number:02d}_{how}",
                participant=person,
                exercise="deep squat",
                landmarks=_landmarks(points, SCORED_SKELETON),
                rating=100 * float(score),
            )


def _lengths(points: npt.NDArray[np.float32]) -> Landmarks:
    bones = np.linalg.norm(points[:, 1:], axis=2)
    columns = np.concatenate([points[:, 0], bones], axis=1).astype(np.float32)
    return _landmarks(columns[..., None], KINECT_LENGTHS.name)


def _landmarks(points: npt.NDArray[np.float32], skeleton: str) -> Landmarks:
    times = np.arange(len(points)) / FPS
    return Landmarks(times, points, np.ones(points.shape[:2], np.float32), skeleton=skeleton)


def _one(root: Path, name: str) -> Path:
    found = next(root.rglob(f"{name}*"), None)
    if found is None:
        raise DataError(f"{root}: {name} (or {name}.gz) is missing")
    return found


def _table(path: Path) -> Table:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as stream:
            lines = [line.replace(",", " ") for line in stream if line.strip()]
        return np.loadtxt(lines, ndmin=2)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a table of numbers: {error}") from error
