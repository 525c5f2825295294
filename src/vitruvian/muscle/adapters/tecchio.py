"""Tecchio et al. 2024: torque, angle and EMG of the tibialis anterior with real frame triggers.

J Appl Physiol, 10.1152/japplphysiol.00845.2023; one typical participant, recorded with Spike2 and
stored as MATLAB v7.3. The images are not public, only what a tracker read off each of them, so the
recordings say how many frames there are and when they were taken, and have no frames.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy import io
from scipy.io.matlab import MatReadError

from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import ClockSource, Floats, Recording, Signal

_RECORDED = Path("Raw_Data")
_TRACKED = _RECORDED / "US_Data" / "Fas_Data"
_CHANNELS = {"angle_deg": ("Angle", "deg"), "torque_nm": ("Torque", "Nm"), "emg_v": ("EMG_TA", "V")}
# Names of the trials: references at the long length; active stretches after preloads of 0, 50 and
# 95 to 100 %.
_TASKS = {"Ref": "isometric", "PL": "combined"}


def read_tecchio(root: Path) -> list[Recording]:
    """Read all trials that have ultrasound, by name.

    The passive trials (`Pas_*`) were recorded without ultrasound: they have no pulses and are left
    out. `ClockSource.rate_hz` is what the tracker's own time axis assumes (30 Hz, in one trial even
    20), which the pulses contradict (33.3 Hz). EMG is in volts after an amplifier of unknown gain.

    Args:
        root: the folder that holds `Raw_Data`.

    Raises:
        DataError: no trial is there, or a file is not as published.
    """
    tracked = sorted((root / _TRACKED).glob("*.mat"))
    trials = [path for path in tracked if (root / _RECORDED / path.name).is_file()]
    if not trials:
        text = f"no trials: {_RECORDED} and {_TRACKED} should hold files of the same names"
        raise DataError(f"{root}: {text}")
    return [_read(root / _RECORDED / path.name, path) for path in trials]


def _read(recorded: Path, tracked: Path) -> Recording:
    signals, pulses = _recorded(recorded)
    frames, assumed_hz = _tracked(tracked)
    return Recording(
        name=recorded.stem,
        participant="tecchio_typical",
        task=_TASKS.get(recorded.stem.split("_")[0], "unknown"),
        frames=None,
        frame_count=frames,
        signals=signals,
        clock=ClockSource("pulses", times_s=pulses, rate_hz=assumed_hz),
        sources=(recorded, tracked),
        notes=("emg_v: in volts after an amplifier of unknown gain",),
    )


def _recorded(path: Path) -> tuple[dict[str, Signal], Floats]:
    """Channels, and the times of the pulses."""
    import h5py

    try:
        with h5py.File(path) as file:
            signals = {name: _channel(file[key], unit) for name, (key, unit) in _CHANNELS.items()}
            times = file["US/times"]
            empty = "MATLAB_empty" in times.attrs  # then it holds a shape, not times
            return signals, np.zeros(0) if empty else times[()].astype(np.float64).ravel()
    except (OSError, KeyError) as error:
        raise DataError(f"{path}: not a recording of this study: {error}") from error


def _channel(group: Any, unit: str) -> Signal:
    values = group["values"][()].astype(np.float64).ravel()
    return Signal(values, 1 / float(group["interval"][0, 0]), float(group["start"][0, 0]), unit)


def _tracked(path: Path) -> tuple[int, float]:
    """Number of frames, and the frame rate that the tracker assumed."""
    try:
        content = io.loadmat(path, squeeze_me=True, struct_as_record=False)
        region = np.atleast_1d(content["Fdat"].Region)[0]
        return len(region.FL), float(1 / np.median(np.diff(region.Time)))
    except (OSError, ValueError, KeyError, AttributeError, MatReadError) as error:
        raise DataError(f"{path}: not a track of this study: {error}") from error
