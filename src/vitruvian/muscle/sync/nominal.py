"""The frame rate that a recording claims, and by how much it is wrong."""

from __future__ import annotations

import numpy as np

from vitruvian.muscle.recording import Recording

_WRONG = 0.01  # share of the nominal rate from which a person should be told


def nominal_rate_hz(recording: Recording) -> float | None:
    """Frame rate that the recording claims; None where it claims none."""
    if recording.clock.rate_hz is not None or recording.frames is None:
        return recording.clock.rate_hz
    return recording.frames.claimed_rate_hz


def drift_ppm(rate: float, nominal: float | None) -> float:
    """By how much a measured rate is off the nominal one; NaN without one."""
    return np.nan if nominal is None else (rate / nominal - 1) * 1e6


def rate_notes(rate: float, nominal: float | None) -> list[str]:
    """A warning if the nominal rate is clearly wrong."""
    if nominal is None or not abs(rate / nominal - 1) > _WRONG:
        return []
    return [f"the nominal {nominal:.4g} Hz are wrong: measured {rate:.5g} Hz"]
