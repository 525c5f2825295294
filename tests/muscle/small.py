"""Small recordings with known truth, and a small task, for tests of what lies around the nets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vitruvian.core.store import Store
from vitruvian.muscle.data.cases import MuscleCase
from vitruvian.muscle.data.conversion import stored
from vitruvian.muscle.data.inputs import FrameInput
from vitruvian.muscle.estimator import MuscleEstimator
from vitruvian.muscle.nets import MuscleCNN
from vitruvian.muscle.recording import ClockSource, Image, Recording, Signal
from vitruvian.muscle.roi.finders import GivenMask
from vitruvian.muscle.roi.region import RegionOfInterest
from vitruvian.muscle.sync.alignment import Synchronisation

RATE = 25.0
QUANTITIES = ("angle_deg", "torque_nm", "emg_v")
SIZE = (32, 64)
SGD = partial(torch.optim.SGD, lr=0.01)
REGION = RegionOfInterest(GivenMask(), mm_per_pixel=0.5, size=SIZE)


class StoredImages:
    """Frames in memory."""

    claimed_rate_hz = 30.0  # a lie, as files tell it

    def __init__(self, images: npt.NDArray[np.uint8]) -> None:
        self._images = images

    @property
    def count(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[Image]:
        return iter(self._images)


def speckle(frames: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Frames (n, 40, 80) of a noise that moves sideways."""
    field = np.random.default_rng(seed).integers(0, 255, (40, 80 + frames), dtype=np.uint8)
    return np.stack([field[:, n : n + 80] for n in range(frames)])


def recording(folder: Path, frames: int = 30, seed: int = 0, **keys: Any) -> Recording:
    """A trial with an angle of 10 deg/s, its torque, EMG, and one pulse for every frame."""
    source = folder / f"{keys.get('name', 'P01_passive')}.txt"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(f"{frames} {seed} {keys.get('name')}")
    times = np.arange(0, frames / RATE + 1, 1e-3)
    noise = np.random.default_rng(seed).normal(size=times.size)
    signals = {
        "angle_deg": Signal(10 * times, 1000.0, unit="deg"),
        "torque_nm": Signal(5 * np.sin(2 * times) + seed, 1000.0, unit="Nm"),
        "emg_v": Signal(1e-4 * noise * (1 + np.sin(times)), 1000.0, unit="V"),
    }
    mask = np.zeros((1, 40, 80), bool)
    mask[:, 8:32] = True
    pulses = 0.5 + np.arange(frames) / RATE
    made: dict[str, Any] = {
        "name": "P01_passive",
        "participant": "P01",
        "task": "passive",
        "frames": StoredImages(speckle(frames, seed)),
        "frame_count": frames,
        "signals": signals,
        "clock": ClockSource("pulses", times_s=pulses, rate_hz=RATE),
        "mm_per_pixel": (0.5, 0.5),
        "masks": mask,
        "emg_mvc_v": 4e-4,
        "simulated": True,
        "sources": (source,),
    }
    return Recording(**(made | keys))


def case(folder: Path, **keys: Any) -> MuscleCase:
    """A trial in the store."""
    found = recording(folder, **keys)
    return stored(found, QUANTITIES, Synchronisation(), REGION, Store(folder / "store"))


def task(net: Any = None, kind: str = "pair", seed: int = 0, **keys: Any) -> MuscleEstimator:
    """A task whose weights follow from the seed."""
    torch.manual_seed(seed)
    net = net or partial(MuscleCNN, filters=(2, 2, 2, 2, 2), dense=4, dropout=0.0)
    inputs = FrameInput(kind, keys.pop("frames", 8))
    region = keys.pop("roi", REGION)
    made = MuscleEstimator(net, inputs, region, Synchronisation(), nn.MSELoss(), SGD, **keys)
    return made.eval()
