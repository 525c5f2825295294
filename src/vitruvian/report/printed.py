"""Numbers as papers print them: rounded to their last digit, or given as a limit."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Literal

Unit = Literal["percent", "fraction"]

_LIMITS = {"": "=", ">=": ">=", "≥": ">=", "<=": "<=", "≤": "<="}
_FORM = re.compile(r"(>=|<=|≥|≤|)\s*(.*?)\s*(%?)", re.DOTALL)


@dataclass(frozen=True)
class Printed:
    """A number and half a unit of its last digit; shares as fractions.

    Attributes:
        exact: the number as it stands there.
        half: what rounding may have added or taken away.
        bound: whether it is meant as it is, as a lower or as an upper limit.
        share: whether it is a share, which lies between 0 and 1.
    """

    exact: Fraction
    half: Fraction = Fraction(0)
    bound: str = "="
    share: bool = False

    @property
    def value(self) -> float:
        """The number as it stands there."""
        return float(self.exact)

    @property
    def ends(self) -> tuple[float, float]:
        """What it may have been before it was rounded."""
        low, high = float(self.exact - self.half), float(self.exact + self.half)
        if self.bound == ">=":
            high = 1.0 if self.share else math.inf
        if self.bound == "<=":
            low = 0.0 if self.share else -math.inf
        return low, high

    @property
    def places(self) -> int:
        """Decimals it was printed with; of a share, in percent."""
        unit = self.half * 2 * (100 if self.share else 1)
        return max(0, round(-math.log10(unit))) if unit else 4

    def __str__(self) -> str:
        """As it was printed; shares in percent."""
        limit = "" if self.bound == "=" else f"{self.bound} "
        if not self.half:
            return f"{limit}{self.value * 100:g} %" if self.share else f"{limit}{self.value:g}"
        if self.share:
            return f"{limit}{self.value * 100:.{self.places}f} %"
        return f"{limit}{self.value:.{self.places}f}"


def read(value: str | float, unit: Unit | None = None) -> Printed | None:
    """Read a number; text counts as rounded to its last digit, a float as exact.

    Args:
        value: such as "89.13", "98.4 %" or ">= 79".
        unit: of a share; None: the number is none.

    Returns:
        The number; None for empty text and NaN.

    Raises:
        ValueError: it is no number, or no finite one.
    """
    form = _FORM.fullmatch(str(value).strip().replace("\N{MINUS SIGN}", "-"))
    assert form is not None  # it fits any text
    limit, digits, sign = form.groups()
    if sign and unit is None:
        raise ValueError(f"{value!r} is no share")
    try:
        number = Decimal(digits or "nan")
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is not a number") from error
    if number.is_nan():
        return None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"{value!r} is not finite")
    scale = 100 if sign or unit == "percent" else 1
    half = Fraction(10) ** exponent / 2 if isinstance(value, str) else Fraction(0)
    share = unit is not None
    return Printed(Fraction(number) / scale, half / scale, _LIMITS[limit], share)
