"""Large and small numbers as people say them: `8.66 M parameters`, `8.18 GMAC`, `1.30 s`."""

from __future__ import annotations

import math

_THOUSAND = 1000.0
_LETTERS = ("", "k", "M", "G", "T", "P")
_TENTH = 0.1
_SMALLER = {"s": ("s", "ms"), "V": ("V", "mV", "µV")}  # each a thousandth of the one before
_COUNTS = {"parameters": ("", "parameters"), "multiply-accumulates": ("MAC", "")}


def quantity(value: float, unit: str = "") -> str:
    """Three digits with the unit; a dash where there is no number."""
    return " ".join(part for part in parts(value, unit) if part)


def versus(ours: float, theirs: float, unit: str = "") -> str:
    """Two of them; the unit stands once where both have the same: `1.30 v 2.44 s`."""
    (one, own), (_, other) = parts(ours, unit), parts(theirs, unit)
    return f"{one if own == other else quantity(ours, unit)} v {quantity(theirs, unit)}"


def parts(value: float, unit: str = "") -> tuple[str, str]:
    """The number and what it counts, which share the letter of the thousands."""
    if math.isnan(value):
        return "-", ""
    if unit in _COUNTS:
        own, word = _COUNTS[unit]
        scaled, letter = _thousands(value)
        behind = f"{letter}{own}" if own else word
        return (f"{scaled} {letter}".rstrip() if not own else scaled), behind
    named, *smaller = _SMALLER.get(unit, (unit,))
    while smaller and 0 < abs(value) < _TENTH:
        value, named = value * _THOUSAND, smaller.pop(0)
    return three_digits(value), named


def three_digits(value: float) -> str:
    """Three significant digits; whole numbers keep all of theirs."""
    if math.isnan(value):
        return "-"
    if value == round(value) or _in_thousands(value):
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".")


def _in_thousands(value: float) -> bool:
    """Whether its three digits are: 999.6 is written 1,000."""
    return abs(float(f"{value:.3g}")) >= _THOUSAND


def _thousands(value: float) -> tuple[str, str]:
    step = 0
    while step + 1 < len(_LETTERS) and _in_thousands(value):
        value, step = value / _THOUSAND, step + 1
    shown = three_digits(value) if not step else f"{value:#.3g}".rstrip(".")
    return shown, _LETTERS[step]
