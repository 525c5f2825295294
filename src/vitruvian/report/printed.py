"""Numbers as papers print them: rounded to their last digit, or given as a limit."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Literal

Unit = Literal["percent", "fraction"]

_LIMITS = {"": "=", ">=": ">=", "≥": ">=", "<=": "<=", "≤": "<="}
_LARGEST = 100  # digits before or behind the point: more is a slip, and slow
_FORM = re.compile(r"(>=|<=|≥|≤|)\s*(.*?)\s*(%?)", re.DOTALL)


@dataclass(frozen=True)
class Printed:
    """A number and half a unit of its last digit; shares as fractions.

    Attributes:
        exact: the number as it stands there.
        half: what rounding may have added or taken away.
        bound: whether it is meant as it is, as a lower or as an upper limit.
        share: whether it is a share, which is shown in percent.
        reach: where such a number can lie; what is left of a limit.
    """

    exact: Fraction
    half: Fraction = Fraction(0)
    bound: str = "="
    share: bool = False
    reach: tuple[float, float] = (-math.inf, math.inf)

    @property
    def value(self) -> float:
        """The number as it stands there."""
        return float(self.exact)

    @property
    def ends(self) -> tuple[float, float]:
        """What it may have been before it was rounded."""
        low, high = float(self.exact - self.half), float(self.exact + self.half)
        if self.bound == ">=":
            high = self.reach[1]
        if self.bound == "<=":
            low = self.reach[0]
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
        ValueError: it is no number, no finite one, or of more digits than a table's.
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
    if isinstance(value, str) and max(number.adjusted(), -exponent) > _LARGEST:
        raise ValueError(f"{digits[:20]!r} is too large or too long for a number of a table")
    scale = 100 if sign or unit == "percent" else 1
    half = Fraction(10) ** exponent / 2 if isinstance(value, str) else Fraction(0)
    printed = Printed(Fraction(number) / scale, half / scale, _LIMITS[limit])
    return printed if unit is None else replace(printed, share=True, reach=(0.0, 1.0))
