"""Small made-up trials for tests."""

from __future__ import annotations

import numpy as np

from vitruvian.muscle.features import FLOW_FEATURES, INTENSITY_FEATURES
from vitruvian.muscle.trial import Trial


def trial_of(
    *,
    name="P01_passive",
    participant="P01",
    task="passive",
    follows=None,
    flow=None,
    intensity=None,
    emg_mvc_v=None,
    **values,
):
    """A trial of the given quantities; every frame but the first follows unless told otherwise."""
    values = {key: np.asarray(value, np.float64) for key, value in values.items()}
    n = len(next(iter(values.values())))
    follows = np.arange(n) > 0 if follows is None else np.asarray(follows, bool)
    flow = np.zeros((n, FLOW_FEATURES)) if flow is None else flow
    intensity = np.zeros((n, INTENSITY_FEATURES)) if intensity is None else intensity
    return Trial(
        name=name,
        participant=participant,
        task=task,
        times_s=np.arange(n) / 25,
        values=values,
        follows=follows,
        flow=np.asarray(flow, np.float32),
        intensity=np.asarray(intensity, np.float32),
        rate_hz=25.0,
        emg_mvc_v=emg_mvc_v,
    )
