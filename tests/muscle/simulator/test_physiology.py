"""State to torque, shape and EMG: directions, sizes and delays that physiology knows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from vitruvian.muscle.recording import Floats
from vitruvian.muscle.simulator.person import Electrode, Muscle, Person, Strength
from vitruvian.muscle.simulator.physiology import (
    Shape,
    activation,
    emg,
    length_curve,
    shape,
    torque,
)

MUSCLE, STRENGTH, ELECTRODE = Muscle(), Strength(), Electrode()
ANGLES = np.linspace(-15.0, 15.0, 31)
RISING = np.linspace(0.0, 1.0, 31)
STILL = np.zeros(31)


def test_at_rest_the_muscle_is_as_the_person_says() -> None:
    rest = shape(MUSCLE, STRENGTH, np.zeros(1), np.zeros(1))
    assert rest.thickness_mm == pytest.approx([18.0])
    assert rest.pennation_deg == pytest.approx([21.0])
    assert rest.deep_mm == rest.superficial_mm == rest.bulge_mm == rest.bow_mm == [0.0]


def test_dorsiflexion_stretches_the_muscle_and_hardly_thins_it() -> None:
    passive = shape(MUSCLE, STRENGTH, ANGLES, STILL)
    assert np.all(np.diff(passive.pennation_deg) < 0)
    per_deg = (passive.pennation_deg[-1] - passive.pennation_deg[0]) / 30.0
    assert -0.6 < per_deg < -0.3
    assert np.ptp(passive.thickness_mm) < 0.5
    assert np.all(np.diff(passive.deep_mm) > 0.3)  # distally, mm per deg
    assert np.all(passive.bow_mm == 0)
    assert passive.wave_mm[0] > 0.8 > 0.1 > passive.wave_mm[-1]


def test_activity_thickens_bulges_and_curves() -> None:
    active = shape(MUSCLE, STRENGTH, STILL, RISING)
    for values in (active.thickness_mm, active.pennation_deg, active.bulge_mm, active.bow_mm):
        assert np.all(np.diff(values) > 0)
    assert 1.0 < np.ptp(active.thickness_mm) < 2.0
    assert 7.0 < np.ptp(active.pennation_deg) < 13.0
    assert -9.0 < active.deep_mm[-1] < -3.0  # proximally: the tendon gives
    assert np.all(np.diff(active.deep_mm) < 0)


@given(st.integers(0, 200), st.booleans())
def test_everybody_is_plausible(number: int, female: bool) -> None:
    person = Person.drawn(number, 0, female)
    assert person == Person.drawn(number, 0, female)
    assert 13.0 < person.muscle.thickness_mm < 23.0
    assert 2e-4 < person.electrode.mvc_v < 6.5e-4
    strongest = shape(person.muscle, person.strength, np.array([-15.0]), np.ones(1))
    assert person.muscle.pennation_deg + 5.0 < strongest.pennation_deg[0] < 65.0
    rows, columns = person.scanner.shape
    pixel = person.scanner.mm_per_pixel
    assert rows * pixel > person.muscle.fat_mm + person.muscle.thickness_mm + 10.0
    assert 45.0 < columns * pixel < 54.0


def test_torque_is_a_spring_and_activity_times_a_length_curve() -> None:
    passive = torque(STRENGTH, ANGLES, STILL)
    assert torque(STRENGTH, np.zeros(1), np.zeros(1)) == pytest.approx([3.5])
    assert np.all(np.diff(passive, 2) > 0)  # stiffens
    assert passive[0] > 0
    active = torque(STRENGTH, ANGLES, STILL + 0.4) - passive
    assert active == pytest.approx(0.4 * 125.0 * length_curve(STRENGTH, ANGLES))
    assert ANGLES[np.argmax(active)] == pytest.approx(STRENGTH.optimum_deg)
    assert np.all(np.diff(torque(STRENGTH, STILL, RISING)) > 0)


def test_women_are_less_strong_on_average() -> None:
    def mean(female: bool) -> Floats:
        people = [Person.drawn(n, 0, female) for n in range(30)]
        return np.mean([person.strength.maximum_nm for person in people])

    assert mean(True) + 20.0 < mean(False)


def test_activity_follows_excitation_by_the_electromechanical_delay() -> None:
    rate = 1000.0
    ramp = np.clip(np.arange(3000) / rate - 1.0, 0.0, 1.0)
    lag = np.interp(0.5, activation(ramp, rate), np.arange(3000) / rate) - 1.5
    assert 0.04 < lag < 0.06
    assert activation(np.full(100, 0.3), rate) == pytest.approx(0.3)


def test_emg_is_in_volts_of_its_electrode_and_in_its_band() -> None:
    rate = 1000.0
    raw = emg(ELECTRODE, np.ones(20_000), rate, np.random.default_rng(0))
    assert np.abs(raw - ELECTRODE.offset_v).mean() == pytest.approx(ELECTRODE.mvc_v, rel=0.03)
    frequency, power = signal.welch(raw, rate, nperseg=1000)
    within, below = (frequency > 30) & (frequency < 400), (frequency > 0) & (frequency < 5)
    assert power[within].min() > 50 * power[below].max()


def test_emg_grows_with_excitation_from_the_noise_of_the_electrode() -> None:
    def size(excitation: float) -> float:
        raw = emg(ELECTRODE, np.full(5000, excitation), 1000.0, np.random.default_rng(1))
        return float(raw.std())

    assert 3e-6 < size(0.0) < 6e-6
    assert size(0.2) == pytest.approx(2.0 * size(0.1), rel=0.02)


def test_one_row_of_a_shape_is_a_shape() -> None:
    rows = zip(*shape(MUSCLE, STRENGTH, ANGLES, RISING), strict=True)
    assert Shape(*next(rows)).pennation_deg > 21.0
