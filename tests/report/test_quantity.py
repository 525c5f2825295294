"""Numbers as people say them."""

from __future__ import annotations

import math

import pytest

from vitruvian.report.quantity import quantity, versus

MACS = "multiply-accumulates"


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (8661226, "parameters", "8.66 M parameters"),
        (999_950, "parameters", "1.00 M parameters"),
        (7, "parameters", "7 parameters"),
        (8183809280, MACS, "8.18 GMAC"),
        (10, MACS, "10 MAC"),
        (1.2959, "s", "1.30 s"),
        (0.0123, "s", "12.3 ms"),
        (0, "s", "0 s"),
        (1.897, "ms", "1.90 ms"),
        (999.6, "ms", "1,000 ms"),
        (-999.6, "deg", "-1,000 deg"),
        (999.4, "ms", "999 ms"),
        (1.5, "V", "1.50 V"),
        (0.0123, "V", "12.3 mV"),
        (0.0000058, "V", "5.80 µV"),
        (0, "V", "0 V"),
        (123.4, "", "123"),
        (math.nan, "s", "-"),
    ],
)
def test_three_digits_with_the_unit(value: float, unit: str, said: str) -> None:
    assert quantity(value, unit) == said


@pytest.mark.parametrize(
    ("ours", "theirs", "unit", "said"),
    [
        (8183809280, 48096083968, MACS, "8.18 v 48.1 GMAC"),
        (8183809, 48096083968, MACS, "8.18 MMAC v 48.1 GMAC"),
        (1.2959, 2.4404, "s", "1.30 v 2.44 s"),
        (8661226, 31036546, "parameters", "8.66 M v 31.0 M parameters"),
        (0.0000058, 0.0000123, "V", "5.80 v 12.3 µV"),
        (0.0000058, 0.00123, "V", "5.80 µV v 1.23 mV"),
        (0.0123, 2.4404, "s", "12.3 ms v 2.44 s"),
    ],
)
def test_the_unit_stands_once(ours: float, theirs: float, unit: str, said: str) -> None:
    assert versus(ours, theirs, unit) == said
