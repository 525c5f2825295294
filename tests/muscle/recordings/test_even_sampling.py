"""Times that are uneven, rounded, broken; samples that are empty."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitruvian.core.errors import DataError
from vitruvian.muscle.recordings.even_sampling import EvenGrid, bridged


@given(st.floats(1, 5000), st.floats(-100, 100), st.integers(2, 500))
def test_even_times_are_left_alone(rate_hz: float, start_s: float, count: int) -> None:
    grid = EvenGrid.of_times(start_s + np.arange(count) / rate_hz)
    assert grid.rate_hz == pytest.approx(rate_hz, rel=1e-6)
    assert grid.start_s == start_s
    assert (grid.note, grid.given_s) == ("", None)


def test_uneven_times_are_brought_onto_a_grid() -> None:
    generator = np.random.default_rng(1)
    times_s = 3 + np.arange(1000) / 100
    times_s[1:-1] += generator.uniform(-0.004, 0.004, 998)
    grid = EvenGrid.of_times(times_s)
    values = grid.values(np.sin(times_s))
    assert grid.rate_hz == pytest.approx(100)
    np.testing.assert_allclose(values, np.sin(3 + np.arange(1000) / 100), atol=5e-5)
    assert grid.note.startswith("uneven sampling brought onto 100 Hz: steps vary by 3.")


def test_missing_samples_do_not_slow_the_clock() -> None:
    times_s = np.delete(np.arange(200) / 50, np.arange(90, 120))
    grid = EvenGrid.of_times(times_s)
    assert grid.rate_hz == pytest.approx(50)
    np.testing.assert_allclose(grid.values(2 * times_s), 2 * np.arange(200) / 50)
    assert "the longest is 620 ms" in grid.note


def test_one_missing_sample_among_many_does_not_shift_those_after_it() -> None:
    times_s = np.delete(np.arange(100_000) / 1000, 99_990)
    grid = EvenGrid.of_times(times_s)
    np.testing.assert_allclose(grid.values(times_s), np.arange(100_000) / 1000, atol=1e-9)
    assert "the longest is 2 ms" in grid.note


def test_rounded_times_are_even() -> None:
    grid = EvenGrid.of_times(np.floor(np.arange(4001) / 4) / 1000)  # 4 kHz in whole ms
    values = np.arange(4001.0)
    assert grid.rate_hz == pytest.approx(4000, rel=1e-3)
    np.testing.assert_array_equal(grid.values(values), values)
    assert "rounded" in grid.note


@pytest.mark.parametrize(
    ("times_s", "message"),
    [
        ([0.0], "1 times; two samples are needed"),
        ([0.0, 0.1, np.nan], "sample 3 has no time"),
        ([0.0, 0.1, 0.05], "time does not rise: 0.1 s, then 0.05 s at sample 3"),
        ([1.0, 1.0, 1.0], "time does not rise: 1 s, then 1 s at sample 2"),
        ([0.0, 0.1, 0.2, 0.2, 5.0, 5.1], "time does not rise at sample 4: 0.2 s twice"),
    ],
)
def test_times_that_are_none(times_s: list[float], message: str) -> None:
    with pytest.raises(DataError) as raised:
        EvenGrid.of_times(np.array(times_s))
    assert message in str(raised.value)


def test_gaps_are_bridged_and_told() -> None:
    values, note = bridged(np.array([0.0, 1, np.nan, np.nan, 4, *range(5, 30), np.nan]))
    assert values.tolist() == [*range(30), 29]
    assert note == "3 of 31 samples are empty and were bridged linearly"
    assert bridged(np.arange(3.0))[1] == ""


@pytest.mark.parametrize("values", [[], [np.nan], [1.0, np.nan, 3.0]])
def test_too_many_gaps(values: list[float]) -> None:
    with pytest.raises(DataError, match="samples are empty"):
        bridged(np.array(values))
