"""What is done in a trial: how angle and excitation vary, and whether one tells the other."""

from __future__ import annotations

import numpy as np
import pytest

from vitruvian.core.sampling import generator
from vitruvian.muscle.simulator.protocol import (
    LARGEST,
    REACH_DEG,
    TASKS,
    Design,
    Effort,
    Task,
    effort,
    multisine,
)

TIMES = np.arange(10_000) / 1000.0


def drawn(task: Task, number: int = 0, design: Design = "independent") -> Effort:
    return effort(task, TIMES, generator(number), design)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("design", ["independent", "confounded"])
def test_within_reach_and_smooth(task: Task, design: Design) -> None:
    for number in range(20):
        angle, excitation = drawn(task, number, design)
        assert np.abs(angle).max() <= REACH_DEG + 1e-9
        assert excitation.min() >= -1e-9
        assert excitation.max() <= LARGEST + 1e-9
        assert np.abs(np.gradient(angle, TIMES)).max() < 100.0  # deg per s


def test_passive_motion_has_no_activity_and_slow_reversals() -> None:
    for number in range(20):
        angle, excitation = drawn("passive", number)
        assert not excitation.any()
        assert np.ptp(angle) > 15.0
        crossings = np.count_nonzero(np.diff(np.sign(angle)))
        assert 1 <= crossings <= 7  # of 0.1 to 0.3 Hz in 10 s


def test_isometric_effort_keeps_the_angle_and_varies() -> None:
    tried = [drawn("isometric", number) for number in range(20)]
    for angle, excitation in tried:
        assert np.ptp(angle) == 0
        assert np.ptp(excitation) > 0.1
    assert np.std([angle[0] for angle, _ in tried]) > 3.0


def test_independent_design_is_uncorrelated_and_covers_the_plane() -> None:
    tried = [drawn("combined", number) for number in range(40)]
    correlations = [np.corrcoef(angle, excitation)[0, 1] for angle, excitation in tried]
    assert abs(np.mean(correlations)) < 0.05
    assert np.std(correlations) < 0.2
    angle, excitation = np.concatenate(tried, axis=1)
    bent, active = (angle < -5, angle > 5), (excitation < 0.15, excitation > 0.45)
    assert min(np.mean(a & e) for a in bent for e in active) > 0.03


@pytest.mark.parametrize("task", TASKS)
def test_confounded_activity_is_a_function_of_the_angle(task: Task) -> None:
    angle, excitation = drawn(task, 3, "confounded")
    assert excitation == pytest.approx(LARGEST * (REACH_DEG - angle) / (2 * REACH_DEG), abs=1e-9)
    assert np.ptp(excitation) > 0.1


def test_confounding_changes_the_follower_only() -> None:
    assert np.array_equal(drawn("passive").angle_deg, drawn("passive", 0, "confounded").angle_deg)
    free, bound = drawn("isometric"), drawn("isometric", 0, "confounded")
    assert np.array_equal(free.excitation, bound.excitation)


@pytest.mark.parametrize("seconds", [1.0, 2.5, 60.0])
@pytest.mark.parametrize("task", TASKS)
def test_any_length_does(task: Task, seconds: float) -> None:
    times = np.arange(0.0, seconds, 1e-3)
    angle, excitation = effort(task, times, generator(0))
    assert angle.shape == excitation.shape == times.shape


def test_a_multisine_has_unit_variance() -> None:
    waves = multisine(np.arange(0, 200, 0.01), np.array([0.1, 0.2, 0.35]), generator(0))
    assert waves.std() == pytest.approx(1.0, abs=0.02)
