"""Numbers of a session: what is reported, what the chart keeps, and the frame rate."""

from __future__ import annotations

import math

import pytest

from tests.spine.live.fakes import Point
from vitruvian.spine.live.readings import CHART_S, History, Rate, Reading, basis, in_words, shown


def reading(value: float = 0.2, mean: float = 0.3, windows: int = 1) -> Reading:
    return Reading(1, 0.0, 30.0, value, mean, windows, True)


@pytest.mark.parametrize(
    ("value", "flag"),
    [(0.5, False), (0.500001, True), (1.0, True), (0.0, False), (math.nan, False)],
)
def test_flag_is_raised_above_the_threshold_only(value: float, flag: bool) -> None:
    assert reading(value).flag is flag


@pytest.mark.parametrize(
    ("value", "expected"), [(-0.3, 0.0), (0.4, 0.4), (1.7, 1.0), (None, math.nan)]
)
def test_index_is_reported_within_its_limits(value: float | None, expected: float) -> None:
    assert shown(value) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(("value", "text"), [(0.456, "0.46"), (math.nan, "-")])
def test_index_in_words(value: float, text: str) -> None:
    assert in_words(value) == text


@pytest.mark.parametrize(
    ("windows", "text"),
    [
        (0, "first window is filling"),
        (1, "mean of 1 window: 0.30"),
        (7, "mean of 7 windows: 0.30"),
    ],
)
def test_what_the_index_rests_on(windows: int, text: str) -> None:
    assert basis(reading(windows=windows)) == text


# -- history --------------------------------------------------------------------------------------


def test_history_hands_each_point_to_a_reader_once() -> None:
    history = History()
    history.add([Point(0, 0.1), Point(1, 0.2)])
    first, count = history.after(0)
    history.add([Point(2, math.nan), Point(3, 2.0)])
    second, count = history.after(count)
    assert first == [(0.0, 0.1), (1.0, 0.2)]
    assert [time for time, _ in second] == [2.0, 3.0]
    assert math.isnan(second[0][1])
    assert second[1][1] == 1.0
    assert history.after(count) == ([], count)


def test_history_forgets_what_the_chart_no_longer_shows() -> None:
    history = History()
    for frame in range(100_000):
        history.add([Point(frame / 30, 0.5)])
    points, count = history.after(0)
    times = [time for time, _ in points]
    assert times[-1] - times[0] <= CHART_S
    assert times[0] > 99_999 / 30 - CHART_S - 1
    assert len(points) < 1000, "a long session needs no more memory"
    assert history.after(count - 2)[0] == points[-2:]
    assert history.after(5)[0] == points, "a reader that slept long gets what there is"


def test_history_is_as_fine_as_the_chart() -> None:
    history = History()
    history.add([Point(frame / 240, 0.5) for frame in range(2400)])
    assert len(history.after(0)[0]) <= 151


# -- rate -----------------------------------------------------------------------------------------


def test_rate_follows_the_last_frames() -> None:
    rate = Rate()
    assert math.isnan(rate.tick(0.0))
    assert [rate.tick(second) for second in (0.1, 0.2)] == pytest.approx([10, 10])
    slow = [rate.tick(1.0 + frame) for frame in range(60)]
    assert slow[-1] == pytest.approx(1.0)


def test_rate_of_frames_that_came_at_once_is_unknown() -> None:
    rate = Rate()
    rate.tick(1.0)
    assert math.isnan(rate.tick(1.0))
