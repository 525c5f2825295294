"""From what a dynamometer measures to the torque of the joint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.muscle.recording import Floats, Signal
from vitruvian.muscle.sync.filters import lowpass


@dataclass(frozen=True)
class TorqueFilter:
    """Takes gravity and the passive offset away, and smooths.

    Attributes:
        lowpass_hz: cut-off; 5 to 15.
        gravity_nm: torque of foot and pedal where their arm lies level; 0: gravity is corrected
            already or does not matter.
        gravity_zero_deg: joint angle at which it lies level.
        offset: `none`; `rest`: the median of the first `rest_s` counts as zero, as is right where a
            trial starts relaxed and only what the muscle adds is wanted.
        rest_s: how long the trial starts relaxed.
        causal: use no later sample.

    Raises:
        ConfigError: a value makes no sense.
    """

    lowpass_hz: float = 10.0
    gravity_nm: float = 0.0
    gravity_zero_deg: float = 0.0
    offset: Literal["none", "rest"] = "none"
    rest_s: float = 1.0
    causal: bool = False

    def __post_init__(self) -> None:
        for key in ("lowpass_hz", "rest_s"):
            if not getattr(self, key) > 0:
                raise ConfigError(f"{key}: must be above 0, got {getattr(self, key)}")
        for key in ("gravity_nm", "gravity_zero_deg"):
            if not np.isfinite(getattr(self, key)):
                raise ConfigError(f"{key}: must be a finite number, got {getattr(self, key)}")
        if self.offset not in ("none", "rest"):
            raise ConfigError(f"offset: must be none or rest, got {self.offset!r}")

    def apply(self, torque: Signal, angle: Signal | None = None) -> Signal:
        """The torque of the joint, (n,) finite, in Nm.

        Args:
            torque: as measured, in Nm, finite.
            angle: of the joint, in degrees, finite; may have another rate and start.

        Raises:
            DataError: gravity is to be corrected and there is no angle.
        """
        values = torque.values - self._gravity(torque, angle)
        if self.offset == "rest" and len(values):
            values = values - np.median(values[: max(1, round(self.rest_s * torque.rate_hz))])
        smooth = lowpass(values, torque.rate_hz, self.lowpass_hz, causal=self.causal)
        return replace(torque, values=smooth)

    def _gravity(self, torque: Signal, angle: Signal | None) -> Floats:
        if self.gravity_nm == 0:
            return np.zeros_like(torque.values)
        if angle is None or len(angle.values) == 0:
            raise DataError(
                f"gravity_nm={self.gravity_nm:g} needs the joint angle, which was not recorded; "
                "add angle_deg or set it to 0"
            )
        there = np.interp(torque.times_s, angle.times_s, angle.values)
        weight: Floats = self.gravity_nm * np.cos(np.radians(there - self.gravity_zero_deg))
        return weight
