"""Times that are uneven, rounded, broken; samples that are empty."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitruvian.core.errors import DataError
from vitruvian.muscle.recordings.even_sampling import EvenGrid, empty_note


@given(st.floats(1, 5000), st.floats(-100, 100), st.integers(2, 500))
def test_even_times_are_left_alone(rate_hz: float, start_s: float, count: int) -> None:
    grid = EvenGrid.of_times(start_s + np.arange(count) / rate_hz)
    assert grid.rate_hz == pytest.approx(rate_hz, rel=1e-6)
    assert grid.start_s == start_s
    assert (grid.note, grid.given_s) == ("", None)
    values = np.where(np.arange(count) % 3, 1.0, np.nan)
    np.testing.assert_array_equal(grid.values(values), values)


def test_uneven_times_are_brought_onto_a_grid() -> None:
    generator = np.random.default_rng(1)
    times_s = 3 + np.arange(1000) / 100
    times_s[1:-1] += generator.uniform(-0.004, 0.004, 998)
    grid = EvenGrid.of_times(times_s)
    values = grid.values(np.sin(times_s))
    assert grid.rate_hz == pytest.approx(100)
    np.testing.assert_allclose(values, np.sin(3 + np.arange(1000) / 100), atol=5e-5)
    assert grid.note.startswith("uneven sampling brought onto 100 Hz: steps vary by 3.")


def test_missing_samples_are_nan_and_do_not_slow_the_clock() -> None:
    times_s = np.delete(np.arange(200) / 50, np.arange(90, 120))
    grid = EvenGrid.of_times(times_s)
    assert grid.rate_hz == pytest.approx(50)
    expected = 2 * np.arange(200) / 50
    expected[90:120] = np.nan
    np.testing.assert_allclose(grid.values(2 * times_s), expected)
    assert "the longest is 620 ms" in grid.note


def test_jitter_is_no_gap_but_a_pause_off_the_beat_is_one() -> None:
    even = np.concatenate([np.arange(300), 345.4 + np.arange(300)]) / 100
    times_s = even + np.random.default_rng(2).uniform(-0.002, 0.002, 600)
    values = EvenGrid.of_times(times_s).values(times_s)
    start_s = times_s[0]
    gone = np.flatnonzero(np.isnan(values)) / 100 + start_s
    assert len(gone) in (45, 46)
    assert times_s[299] < gone.min() < times_s[299] + 0.016
    assert times_s[300] - 0.016 < gone.max() < times_s[300]


def test_one_missing_sample_among_many_does_not_shift_those_after_it() -> None:
    times_s = np.delete(np.arange(100_000) / 1000, 99_990)
    grid = EvenGrid.of_times(times_s)
    values = grid.values(times_s)
    assert np.flatnonzero(np.isnan(values)).tolist() == [99_990]
    there = np.delete(values, 99_990)
    np.testing.assert_allclose(there, times_s, atol=1e-9)
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


def test_empty_samples_are_told() -> None:
    assert empty_note(np.array([0.0, np.nan, np.inf, 4])) == "2 of 4 samples are empty"
    assert empty_note(np.arange(3.0)) == ""


@pytest.mark.parametrize("values", [[], [np.nan], [1.0, np.nan, np.nan]])
def test_too_many_are_empty(values: list[float]) -> None:
    with pytest.raises(DataError, match="samples are empty; a channel that was sampled more"):
        empty_note(np.array(values))
