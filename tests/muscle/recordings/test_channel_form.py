"""Units, gain, scale and offset."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitruvian.core.errors import DataError
from vitruvian.muscle.recordings.channel_form import ChannelForm, own_unit, unit_factor

MEANINGS = [
    ("angle_deg", ChannelForm(), 3.0, 3.0),
    ("angle_deg", ChannelForm("rad"), math.pi, 180.0),
    ("angle_deg", ChannelForm("rad", scale=-1.0, offset=90.0), math.pi / 2, 0.0),
    ("angle_deg", ChannelForm("V", scale=30.0, offset=-5.0), 2.0, 55.0),
    ("angle_deg", ChannelForm("mV", scale=30.0), 2000.0, 60.0),
    ("torque_nm", ChannelForm("Ncm"), 100.0, 1.0),
    ("torque_nm", ChannelForm("V", scale=50.0, offset=1.0), 2.0, 101.0),
    ("torque_nm", ChannelForm("counts", scale=0.1), 25.0, 2.5),
    ("emg_v", ChannelForm("mV", gain=1000.0), 2.0, 2e-6),
    ("emg_v", ChannelForm("µV"), 5.0, 5e-6),  # the micro sign
    ("emg_v", ChannelForm("\u03bcV"), 5.0, 5e-6),  # the Greek letter
    ("force_n", ChannelForm("kN"), 0.2, 200.0),
    ("trigger", ChannelForm("mV"), 7.0, 7.0),  # no unit of its own: as it is
    ("trigger", ChannelForm("furlong"), 7.0, 7.0),
]

MISTAKES = [
    ("angle_deg", ChannelForm("Deg"), "unit: 'Deg' is not known; did you mean deg?"),
    ("emg_v", ChannelForm("volts", scale=2.0), "unit: 'volts' is not known"),
    ("torque_nm", ChannelForm("V"), "scale: missing; say how many Nm one V is"),
    ("emg_v", ChannelForm("deg"), "scale: missing; say how many V one deg is"),
    ("emg_v", ChannelForm(gain=0.0), "gain: must not be 0"),
    ("torque_nm", ChannelForm("V", scale=0.0), "scale: must not be 0"),
]


@pytest.mark.parametrize(("channel", "form", "number", "value"), MEANINGS)
def test_what_a_number_means(channel: str, form: ChannelForm, number: float, value: float) -> None:
    form.check(channel)
    np.testing.assert_allclose(form.values(np.array([number]), channel), [value], atol=1e-12)


@pytest.mark.parametrize(("channel", "form", "message"), MISTAKES)
def test_mistakes_name_the_key(channel: str, form: ChannelForm, message: str) -> None:
    with pytest.raises(DataError) as raised:
        form.check(channel)
    assert message in str(raised.value)


@given(
    value=st.floats(-1e3, 1e3),
    gain=st.floats(0.1, 1e4),
    scale=st.floats(0.1, 100.0),
    offset=st.floats(-100, 100),
)
def test_numbers_and_values_are_inverses(
    value: float, gain: float, scale: float, offset: float
) -> None:
    form = ChannelForm("mV", gain, scale, offset)
    numbers = form.numbers(np.array([value]), "torque_nm")
    np.testing.assert_allclose(form.values(numbers, "torque_nm"), [value], atol=1e-9)


@pytest.mark.parametrize(
    ("channel", "unit"),
    [("angle_deg", "deg"), ("fascicle_angle_deg", "deg"), ("emg_v", "V"), ("trigger", "")],
)
def test_a_channel_names_its_unit(channel: str, unit: str) -> None:
    assert own_unit(channel) == unit


def test_factors_between_other_units_than_the_plain_ones() -> None:
    assert unit_factor("ms", "s") == 1e-3
    assert unit_factor("", "s") == 1.0
