"""Fusion: a textbook filter, better than both inputs, and the same frame by frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.sampling import generator
from vitruvian.muscle.fusion import Fused, KalmanFusion

Floats = npt.NDArray[np.float64]
Trial = tuple[Floats, Floats, Floats, npt.NDArray[np.bool_]]
SPREAD = np.array([1.0, 30.0])  # of the two quantities, as different as degrees and millivolts


def trial(number: int, frames: int = 500, memory: float = 0.9, bias: float = 0.0) -> Trial:
    """Truth, changes and readings of a random walk, read with errors that linger."""
    draws = generator(7, number)
    truth = np.cumsum(draws.normal(size=(frames, 2)) * SPREAD, axis=0)
    noise = draws.normal(size=(frames, 2)) * 3 * SPREAD
    for frame in range(1, frames):
        noise[frame] = memory * noise[frame - 1] + np.sqrt(1 - memory**2) * noise[frame]
    absolute = truth + noise + bias * SPREAD
    change = np.diff(truth, axis=0, prepend=np.nan) + draws.normal(size=(frames, 2)) * 0.1 * SPREAD
    follows = np.arange(frames) > 0
    change[~follows] = np.nan
    return truth, change, absolute, follows


def errors(trials: list[Trial]) -> tuple[list[Floats], list[Floats], list[npt.NDArray[np.bool_]]]:
    changes = [c - np.diff(t, axis=0, prepend=np.nan) for t, c, _, _ in trials]
    return changes, [a - t for t, _, a, _ in trials], [f for *_, f in trials]


def fitted(**kwargs: float) -> KalmanFusion:
    fusion = KalmanFusion(["angle_deg", "emg_v"])
    fusion.fit(*errors([trial(number, **kwargs) for number in range(20, 28)]))
    return fusion


def rms(x: Floats) -> Floats:
    return np.sqrt((x**2).mean(axis=0))


def summed(change: Floats, absolute: Floats) -> Floats:
    return absolute[0] + np.cumsum(np.nan_to_num(change), axis=0)


@pytest.mark.parametrize("memory", [0.0, 0.9, 0.97])
def test_it_beats_both_inputs(memory: float) -> None:
    fusion = fitted(memory=memory)
    fused, alone, added = [], [], []
    for number in range(10, 20):
        truth, change, absolute, follows = trial(number, memory=memory)
        fused.append(fusion.fuse(change, absolute, follows)[0] - truth)
        alone.append(absolute - truth)
        added.append(summed(change, absolute) - truth)
    error = rms(np.concatenate(fused))
    assert (error < 0.7 * rms(np.concatenate(alone))).all()
    assert (error < 0.7 * rms(np.concatenate(added))).all()


def test_its_standard_error_is_what_it_misses_by() -> None:
    fusion = fitted()
    missed, said = [], []
    for number in range(10, 20):
        truth, change, absolute, follows = trial(number)
        values, sd = fusion.fuse(change, absolute, follows)
        missed.append(values - truth)
        said.append(sd)
    ratio = rms(np.concatenate(said)) / rms(np.concatenate(missed))
    assert (ratio > 0.7).all()
    assert (ratio < 1.4).all()


def test_lingering_errors_make_readings_count_less() -> None:
    independent, lingering = fitted(memory=0.0), fitted(memory=0.95)
    assert (lingering.r / lingering.q > 3 * independent.r / independent.q).all()


def test_fit_finds_the_variances_of_independent_errors() -> None:
    """Where a Kalman filter's assumptions hold, the search comes out near the true variances."""
    fusion = fitted(memory=0.0)
    np.testing.assert_allclose(fusion.q.sqrt() / SPREAD, 0.1, rtol=0.4)
    np.testing.assert_allclose(fusion.r.sqrt() / SPREAD, 3.0, rtol=0.4)


def test_a_bias_stays_and_is_owned_up_to() -> None:
    fusion = fitted(bias=5.0)
    truth, change, absolute, follows = trial(11, bias=5.0)
    values, sd = fusion.fuse(change, absolute, follows)
    np.testing.assert_allclose(np.sqrt(fusion.bias), 5 * SPREAD, rtol=0.1)
    np.testing.assert_allclose(rms(values - truth), 5 * SPREAD, rtol=0.2)
    assert (sd > 4.5 * SPREAD).all()
    assert (sd < 7 * SPREAD).all()


def test_fitted_values_do_not_depend_on_units() -> None:
    """The second quantity is the first one in another unit."""
    same = [tuple(x[:, :1] * SPREAD if x.ndim == 2 else x for x in trial(n)) for n in range(3)]
    fusion = KalmanFusion(["a", "b"])
    fusion.fit(*errors(same))
    for buffer in (fusion.q, fusion.r, fusion.scatter, fusion.bias):
        np.testing.assert_allclose(buffer[1] / buffer[0], SPREAD[1] ** 2, rtol=1e-5)


def test_against_a_textbook_filter() -> None:
    """In matrices, as Kalman 1960: x = Fx + u; P = FPF' + Q; K = PH'(HPH' + R)^-1."""
    fusion = KalmanFusion(["a", "b"])
    fusion.q.copy_(torch.tensor([0.2, 3.0]))
    fusion.r.copy_(torch.tensor([1.5, 0.7]))
    fusion.scatter.fill_(1e9)
    fusion.bias.zero_()
    _, change, absolute, follows = trial(1, frames=30)
    values, sd = fusion.fuse(change, absolute, follows)
    q, r = np.diag([0.2, 3.0]), np.diag([1.5, 0.7])
    x, p = absolute[0], r
    for frame in range(1, 30):
        x, p = x + change[frame], p + q
        k = p @ np.linalg.inv(p + r)
        x, p = x + k @ (absolute[frame] - x), (np.eye(2) - k) @ p
        np.testing.assert_allclose(values[frame], x, rtol=1e-6)
        np.testing.assert_allclose(sd[frame], np.sqrt(np.diag(p)), rtol=1e-6)


def test_steps_equal_a_whole_trial_with_a_gap() -> None:
    fusion = fitted()
    _, change, absolute, follows = trial(3, frames=60)
    follows[40], change[40] = False, np.nan
    values, sd = fusion.fuse(change, absolute, follows)
    state: Fused | None = None
    for frame in range(60):
        state = fusion.step(state if follows[frame] else None, change[frame], absolute[frame])
        np.testing.assert_array_equal(state.values, values[frame])
        np.testing.assert_array_equal(state.sd, sd[frame])
    np.testing.assert_array_equal(values[40], absolute[40])


def test_later_frames_change_nothing() -> None:
    fusion = fitted()
    _, change, absolute, follows = trial(3, frames=60)
    whole, _ = fusion.fuse(change, absolute, follows)
    part, _ = fusion.fuse(change[:30], absolute[:30], follows[:30])
    np.testing.assert_array_equal(whole[:30], part)


def test_inputs_without_any_error() -> None:
    fusion = KalmanFusion(["a"])
    fusion.fit([np.zeros((5, 1))], [np.zeros((5, 1))], [np.arange(5) > 0])
    values, sd = fusion.fuse(np.ones((5, 1)), np.arange(5.0)[:, None], np.arange(5) > 0)
    np.testing.assert_allclose(values[:, 0], np.arange(5.0))
    assert (sd < 1e-10).all()


def test_buffers_travel_in_the_state() -> None:
    fusion, other = fitted(), KalmanFusion(["angle_deg", "emg_v"])
    assert not list(fusion.parameters())
    other.load_state_dict(fusion.state_dict())
    _, change, absolute, follows = trial(3, frames=20)
    for one, two in zip(
        fusion.fuse(change, absolute, follows), other.fuse(change, absolute, follows), strict=True
    ):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_names_that_it_refuses(names: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"^quantities: must be different names"):
        KalmanFusion(names)


def test_data_that_it_refuses() -> None:
    fusion = KalmanFusion(["a", "b"])
    with pytest.raises(DataError, match="at least one held-out trial"):
        fusion.fit([], [], [])
    with pytest.raises(DataError, match=r"frames x \(a, b\)"):
        fusion.fuse(np.zeros((5, 1)), np.zeros((5, 2)), np.ones(5, bool))
