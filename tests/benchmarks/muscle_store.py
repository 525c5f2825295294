"""Recordings into the store, against a script as one writes it with OpenCV and SciPy.

The script does less: it believes the nominal frame rate, so that frames and signals drift apart, it
never looks for the muscle, checks nothing, and keeps no features for the baselines. The rows take
this off ours step by step; the last one of a single process does what the script does, and still
finds the clock in the trigger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.signal import butter, filtfilt

from tests.benchmarks.harness import Row, Scale, Work, side_by_side
from tests.benchmarks.muscle_data import configuration, conversion, one_core, recordings
from vitruvian.core.build import build
from vitruvian.core.config import Config
from vitruvian.core.store import Store
from vitruvian.muscle.data.conversion import align, stored
from vitruvian.muscle.recordings.opening import open_recording
from vitruvian.muscle.roi.finders import GivenMask, WholeImage
from vitruvian.muscle.roi.region import RegionOfInterest

EXPERIMENT = "muscle_cnn"  # crops of 128x256
SIGNAL_HZ, NOMINAL_HZ = 1000.0, 25.0
BOX = (0.15, 0.85)  # share of the rows that the script keeps of every image

Convert = Callable[[Sequence[Path], Path], int]  # recordings into a folder; how many frames


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """One thread of torch and OpenCV on both sides, but in the row of the data module."""
    config, found = configuration(EXPERIMENT), recordings(scale, folder)
    region: RegionOfInterest = conversion(config)[2]
    whole = replace(region, finder=WholeImage())
    ours = {
        "muscle found": _stored(config, region),
        "muscle given as masks": _stored(config, replace(region, finder=GivenMask())),
        "whole images": _stored(config, whole),
        "whole images, no features": _bare(config, whole),
    }
    with one_core():
        for name, convert in ours.items():
            yield _row(name, convert, found, scale)
    yield _row("muscle found, data module", _prepared(config), found, scale)


def _row(name: str, convert: Convert, found: Sequence[Path], scale: Scale) -> Row:
    ratio = side_by_side(_afresh(convert, found), _afresh(_plain, found), scale.repetitions)
    return Row(f"muscle_store: {name}, plain OpenCV and SciPy script", ratio, "frames/s")


def _afresh(convert: Convert, found: Sequence[Path]) -> Work:
    def work() -> int:
        with TemporaryDirectory() as place:
            return convert(found, Path(place))

    return work


# -- ours -----------------------------------------------------------------------------------------


def _stored(config: Config, region: RegionOfInterest) -> Convert:
    quantities, synchronisation, _ = conversion(config)

    def convert(found: Sequence[Path], place: Path) -> int:
        store, settings = Store(place), (quantities, synchronisation, region)
        cases = [stored(open_recording(path), *settings, store) for path in found]
        return sum(case.crops.shape("images")[0] for case in cases)

    return convert


def _bare(config: Config, region: RegionOfInterest) -> Convert:
    """Aligned and cropped into files, without the store and what baselines read."""
    quantities, synchronisation, _ = conversion(config)

    def convert(found: Sequence[Path], place: Path) -> int:
        frames = 0
        for path in found:
            recording = open_recording(path)
            assert recording.frames is not None
            crops = region.crops(recording.frames, recording.mm_per_pixel, None)
            values = align(recording, quantities, synchronisation)[0]["values"]
            frames += _saved(place / path.name, crops.images, values)
        return frames

    return convert


def _prepared(config: Config) -> Convert:
    """As a run does it: the data module over the data root, two recordings at a time."""

    def convert(found: Sequence[Path], place: Path) -> int:
        own = {"root": str(found[0].parent), "cache_dir": str(place)}
        data: Any = build(config["datamodule"] | own)
        data.prepare()
        return sum(case.crops.shape("images")[0] for case in data.cases(data.subjects))

    return convert


# -- theirs ---------------------------------------------------------------------------------------


def _plain(found: Sequence[Path], place: Path) -> int:
    frames = 0
    for path in found:
        images = _plain_images(path / "frames.avi")
        values = _plain_values(path / "signals.csv", len(images))
        frames += _saved(place / path.name, images, values)
    return frames


def _plain_images(path: Path) -> npt.NDArray[np.uint8]:
    video = cv2.VideoCapture(str(path))
    images: list[Any] = []
    while True:
        delivered, image = video.read()
        if not delivered:
            return np.array(images)
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        top, bottom = (round(share * len(grey)) for share in BOX)
        images.append(cv2.resize(grey[top:bottom], (256, 128), interpolation=cv2.INTER_AREA))


def _plain_values(path: Path, frames: int) -> npt.NDArray[np.float64]:
    """Columns angle, torque and EMG at the times that the nominal frame rate gives."""
    angle, torque, emg, _ = np.loadtxt(path, delimiter=",", skiprows=1).T
    emg = np.abs(filtfilt(*butter(4, 20.0, "high", fs=SIGNAL_HZ), emg))
    channels = {10.0: (angle, torque), 4.0: (emg,)}
    smooth = [
        filtfilt(*butter(4, limit, fs=SIGNAL_HZ), values)
        for limit, some in channels.items()
        for values in some
    ]
    times, samples = np.arange(frames) / NOMINAL_HZ, np.arange(len(angle)) / SIGNAL_HZ
    return np.stack([np.interp(times, samples, values) for values in smooth], axis=1)


def _saved(place: Path, images: npt.NDArray[Any], values: npt.NDArray[Any]) -> int:
    place.mkdir()
    np.save(place / "images.npy", images)
    np.save(place / "values.npy", values)
    return len(images)
