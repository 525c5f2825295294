"""What is measured of a muscle: names, units, and when it counts as varying."""

from __future__ import annotations

from dataclasses import dataclass

from vitruvian.core.errors import ConfigError


@dataclass(frozen=True)
class Quantity:
    """A measured quantity.

    Attributes:
        name: of its channel, ending in its unit, such as `angle_deg`.
        word: of the quantity alone, as metrics are named.
        unit: of its values, as metrics are named.
        symbol: of that unit, for people.
        varies: smallest range within a trial, in the unit, that counts as variation; below it
            correlations and ratios say nothing and are NaN.
        paper: the error that paper 001 reports as "as little as", in the unit; None: no claim.
    """

    name: str
    word: str
    unit: str
    symbol: str
    varies: float
    paper: float | None = None


ANGLE = Quantity("angle_deg", "angle", "deg", "deg", varies=1.0, paper=0.022)
TORQUE = Quantity("torque_nm", "torque", "nm", "Nm", varies=1.0, paper=0.256)
EMG = Quantity("emg_v", "emg", "v", "V", varies=1e-5, paper=0.0001)
FASCICLE_ANGLE = Quantity("fascicle_angle_deg", "fascicle_angle", "deg", "deg", varies=1.0)

QUANTITIES = {q.name: q for q in (ANGLE, TORQUE, EMG, FASCICLE_ANGLE)}


def quantity(name: str) -> Quantity:
    """The quantity called `name`.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in QUANTITIES:
        raise ConfigError(f"datamodule.quantities: {name!r} is none of {', '.join(QUANTITIES)}")
    return QUANTITIES[name]
