"""In which form a file holds a channel: unit, gain, scale and offset."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vitruvian.core.check import nearest
from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import Floats

# By unit: its dimension, and how many of the dimension's own unit it is.
_UNITS = {
    "deg": ("angle", 1.0),
    "°": ("angle", 1.0),
    "rad": ("angle", 180 / math.pi),
    "mrad": ("angle", 0.18 / math.pi),
    "Nm": ("torque", 1.0),
    "N.m": ("torque", 1.0),
    "mNm": ("torque", 1e-3),
    "Ncm": ("torque", 1e-2),
    "kNm": ("torque", 1e3),
    "V": ("voltage", 1.0),
    "mV": ("voltage", 1e-3),
    "uV": ("voltage", 1e-6),
    "µV": ("voltage", 1e-6),  # the micro sign
    "μV": ("voltage", 1e-6),  # the Greek letter, which looks the same
    "nV": ("voltage", 1e-9),
    "N": ("force", 1.0),
    "kN": ("force", 1e3),
    "s": ("time", 1.0),
    "ms": ("time", 1e-3),
    "us": ("time", 1e-6),
    "counts": ("number", 1.0),
    "%": ("number", 1.0),
    "1": ("number", 1.0),
}
_ENDINGS = {"_deg": "deg", "_nm": "Nm", "_v": "V", "_n": "N", "_s": "s"}


def own_unit(channel: str) -> str:
    """The unit that the name of a channel ends in, such as deg of `angle_deg`; "" for none."""
    return next((unit for end, unit in _ENDINGS.items() if channel.endswith(end)), "")


def unit_factor(given: str, own: str) -> float:
    """By what a number in the unit `given` is multiplied to be in `own`, such as 0.001 for mV in V.

    Where they do not measure the same, such as volts of a torque sensor, the number comes into the
    plain unit of what it does measure: V, Nm, deg, N, s.

    Raises:
        DataError: `given` is no unit that is known here.
    """
    if not given or not own:
        return 1.0
    if given not in _UNITS:
        near = nearest(given, _UNITS)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(_UNITS)}"
        raise DataError(f"unit: {given!r} is not known; {hint}")
    dimension, factor = _UNITS[given]
    return factor / _UNITS[own][1] if dimension == _UNITS[own][0] else factor


@dataclass(frozen=True)
class ChannelForm:
    """How the numbers in a file become the values of a channel.

    value = number in plain units / gain * scale + offset

    Attributes:
        unit: of the numbers in the file; "": the unit that the channel's name ends in. A unit of
            the same kind is converted: mV to V, rad to deg.
        gain: of the amplifier: what was recorded is this many times what was there.
        scale: such as Nm per V of a torque sensor; needed where the unit is of another kind than
            the channel's.
        offset: added last, in the unit of the channel.
    """

    unit: str = ""
    gain: float = 1.0
    scale: float | None = None
    offset: float = 0.0

    def check(self, channel: str) -> None:
        """See that numbers in this form can become values of `channel`.

        Raises:
            DataError: the unit is unknown, or of another kind and without a scale; gain or scale is
                0.
        """
        own = own_unit(channel)
        unit_factor(self.unit, own)
        if self.gain == 0 or self.scale == 0:
            raise DataError(f"{'gain' if self.gain == 0 else 'scale'}: must not be 0")
        if self.scale is None and self.unit and own and _UNITS[self.unit][0] != _UNITS[own][0]:
            raise DataError(f"scale: missing; say how many {own} one {self.unit} is")

    def values(self, numbers: npt.NDArray[Any], channel: str) -> Floats:
        """What numbers of a file mean, (n,), in the unit of the channel."""
        return numbers.astype(np.float64) * self._slope(channel) + self.offset

    def numbers(self, values: Floats, channel: str) -> Floats:
        """The numbers that stand for `values` in a file: the inverse of `values`."""
        return (values - self.offset) / self._slope(channel)

    def _slope(self, channel: str) -> float:
        factor = unit_factor(self.unit, own_unit(channel))
        return factor / self.gain * (1.0 if self.scale is None else self.scale)
