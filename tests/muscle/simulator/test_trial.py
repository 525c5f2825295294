"""A trial: signals, frames and truth belong together, and the same trial comes again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from vitruvian.muscle.simulator.person import Person
from vitruvian.muscle.simulator.protocol import TASKS, Task
from vitruvian.muscle.simulator.trial import SimulatedTrial

PERSON = Person.drawn(2, 0, True)


def trial(task: Task = "combined", frames: int = 30) -> SimulatedTrial:
    return SimulatedTrial(PERSON, task, frames)


@pytest.mark.parametrize("task", TASKS)
def test_a_recording_says_what_it_is(task: Task) -> None:
    recording = trial(task).recording()
    assert (recording.name, recording.participant, recording.task) == (f"P03_{task}", "P03", task)
    assert recording.simulated
    assert recording.person["sex"] == "F"
    assert recording.clock.kind == "pulses"
    assert recording.clock.rate_hz == 25.0
    assert set(recording.signals) == {"angle_deg", "torque_nm", "emg_v", "trigger"}
    samples = trial(task).clocks.samples
    assert all(len(signal.values) == samples for signal in recording.signals.values())


def test_frames_come_as_often_as_asked_and_fit_the_masks() -> None:
    images, recording = trial(frames=4).rendered()
    assert recording.frames is not None
    assert recording.masks is not None
    assert recording.frames.count == recording.frame_count == len(images) == 4
    for _ in range(2):
        assert all(np.array_equal(a, b) for a, b in zip(images, recording.frames, strict=True))
    assert recording.masks.shape == (4, *images[0].shape)
    assert recording.frames.claimed_rate_hz == 25.0


def test_signals_tell_the_truth_of_each_frame() -> None:
    made = trial("combined", 100)
    truth, signals = made.truth(), made.signals()
    times = np.array(truth["times_s"])
    within = times < signals["angle_deg"].times_s[-1]
    for name, near in (("angle_deg", 0.1), ("torque_nm", 1.0)):
        signal = signals[name]
        at_frames = np.interp(times, signal.times_s, signal.values)
        assert np.abs(at_frames - truth[name])[within].max() < near
    assert json.loads(json.dumps(truth)) == truth


def test_emg_says_when_the_muscle_is_active() -> None:
    made = trial("isometric", 250)
    raw = made.signals()["emg_v"]
    size = np.convolve(np.abs(raw.values - raw.values.mean()), np.ones(200) / 200, "same")
    times, active = np.array(made.truth()["times_s"]), np.array(made.truth()["activity"])
    assert np.corrcoef(np.interp(times, raw.times_s, size), active)[0, 1] > 0.95
    quiet = trial("passive", 100).signals()["emg_v"].values
    assert np.std(quiet) < 1e-5


def test_the_same_again_and_other_tasks_otherwise() -> None:
    one, again = trial(), trial()
    for name, signal in one.signals().items():
        assert np.array_equal(signal.values, again.signals()[name].values)
    assert one.truth() == again.truth()
    assert one.truth() != trial("passive").truth()
    assert one.truth() != replace(one, person=Person.drawn(3, 0, True)).truth()


def test_the_design_changes_what_is_done_but_not_who_does_it() -> None:
    free, bound = trial(), replace(trial(), design="confounded")
    assert free.clocks == bound.clocks
    angle, activity = bound.states()
    assert np.corrcoef(angle, activity)[0, 1] < -0.9
    assert not np.array_equal(activity, free.states()[1])


def test_the_probe_moves_little() -> None:
    probes = np.array(trial("passive", 500).probes())
    for values, most in zip(probes.T, (2.5, 1.0, 1.6), strict=True):
        assert np.std(values) > 0.01
        assert np.abs(values).max() < most
