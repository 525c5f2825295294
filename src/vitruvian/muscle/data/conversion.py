"""A raw recording into what a net reads: aligned, cropped, kept once in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from vitruvian.core.array_files import Array
from vitruvian.core.errors import DataError
from vitruvian.core.store import Converted, Converter, Store
from vitruvian.muscle.data.cases import MuscleCase
from vitruvian.muscle.features import flow_features, intensity_features
from vitruvian.muscle.images import Crops
from vitruvian.muscle.recording import Aligned, Recording
from vitruvian.muscle.roi.masks import bounds_to_mask
from vitruvian.muscle.roi.region import RegionOfInterest
from vitruvian.muscle.sync.alignment import Synchronisation

VERSION = 3


def stored(
    recording: Recording,
    quantities: Sequence[str],
    synchronisation: Synchronisation,
    region: RegionOfInterest,
    store: Store,
) -> MuscleCase:
    """The case of a recording, converted first if it is not in the store yet.

    Signals and images are records of their own: another filter does not crop the images again, and
    another region does not filter the signals.

    Raises:
        DataError: the recording has no frames, or cannot be aligned or cropped; names it.
    """
    names = {"quantities": list(quantities), "synchronisation": described(synchronisation)}
    signals = Converter("muscle_signals", VERSION, names)
    images = Converter("muscle_images", VERSION, {"region": described(region)})
    try:
        aligned = store.add(
            recording.sources, signals, lambda: align(recording, quantities, synchronisation)
        )
        cropped = store.add(recording.sources, images, lambda: crop(recording, region))
    except DataError as error:
        prefix = "" if recording.name in str(error) else f"{recording.name}: "
        raise DataError(f"{prefix}{error}") from error
    who = (recording.name, recording.participant, recording.task)
    return MuscleCase(*who, tuple(quantities), aligned, cropped, {**aligned.meta, **cropped.meta})


def described(settings: Any) -> Any:
    """Plain data that tell one setting from another: part of a record's key.

    An object tells by its class and attributes, or by its `identity()`, such as the hash of its
    weights.
    """
    if settings is None or isinstance(settings, str | int | float):
        return settings
    if isinstance(settings, list | tuple):
        return [described(item) for item in settings]
    if hasattr(settings, "identity"):
        return settings.identity()
    return {
        "class": type(settings).__name__,
        **{name: described(value) for name, value in vars(settings).items()},
    }


def align(
    recording: Recording, quantities: Sequence[str], synchronisation: Synchronisation
) -> Converted:
    """Bring signals to the times of the frames.

    Returns:
        `values` (T, V) in native units, `times_s` (T,), `frames` (T,) the numbers of the frames
        that are kept; and plain data: the clock, dropped frames, faults.

    Raises:
        DataError: as `stored`.
    """
    aligned = synchronisation.align(recording, quantities)
    arrays: dict[str, Array] = {
        "values": np.stack([aligned.values[name] for name in quantities], axis=1),
        "times_s": aligned.times_s,
        "frames": aligned.frames,
    }
    meta: dict[str, Any] = {
        "simulated": recording.simulated,
        "emg_mvc_v": recording.emg_mvc_v,
        "dropped": aligned.dropped,
        "faults": list(aligned.faults),
        "clock": _clock(aligned),
    }
    return arrays, meta


def crop(recording: Recording, region: RegionOfInterest) -> Converted:
    """Crop all frames around the muscle.

    Returns:
        `images` (n, H, W) uint8, `bounds` (n, 2, W) int16, and of all frames `flow` and `intensity`
        (n, ...) float32; and plain data: frames in which the muscle was lost, and statistics of the
        grey values inside it.

    Raises:
        DataError: as `stored`.
    """
    if recording.frames is None:
        raise DataError(f"{recording.name}: it has no images, so nothing can be learnt from it")
    crops = region.crops(recording.frames, recording.mm_per_pixel, recording.masks)
    follows = np.arange(len(crops.images)) > 0
    arrays: dict[str, Array] = {
        "images": crops.images,
        "bounds": crops.bounds,
        "flow": flow_features(crops.images, crops.bounds, follows),
        "intensity": intensity_features(crops.images, crops.bounds),
    }
    return arrays, {"lost": crops.failures, "grey": grey_sums(crops)}


def _clock(aligned: Aligned) -> dict[str, Any]:
    clock = asdict(aligned.clock)
    del clock["times_s"]
    clock["notes"] = list(clock["notes"])
    return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in clock.items()}


def grey_sums(crops: Crops) -> list[float]:
    """Count, sum and sum of squares of the grey values (0 to 1) inside the muscle."""
    inside = bounds_to_mask(crops.bounds, crops.images.shape[1])
    grey = crops.images[inside].astype(np.float64) / 255
    return [float(grey.size), float(grey.sum()), float((grey**2).sum())]
