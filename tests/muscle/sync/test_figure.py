"""The figure of an alignment: it is drawn for every kind of clock, and equal inputs look equal."""

from __future__ import annotations

import cv2
import numpy as np

from tests.muscle.sync.scenes import recording, trigger
from vitruvian.muscle.recording import ClockSource, Signal
from vitruvian.muscle.sync.alignment import Synchronisation
from vitruvian.muscle.sync.figure import draw_alignment

TIMES = 0.5 + np.arange(50) / 25
T = np.arange(3000) / 1000
SIGNALS = {
    "angle_deg": Signal(np.sin(T), 1000.0, unit="deg"),
    "emg_v": Signal(1e-4 * np.random.default_rng(0).normal(size=3000), 1000.0, unit="V"),
    "trigger": trigger(np.delete(TIMES, 20), 3),
}
VERMILLION = np.array([0x00, 0x5E, 0xD5])  # BGR
PULSES = ClockSource("pulses", "trigger", rate_hz=25.0)
START = ClockSource("start", times_s=TIMES[:1], rate_hz=25.0)


def _drawn(path, clock, simulated):
    trial = recording(clock, 50, SIGNALS, simulated=simulated)
    draw_alignment(trial, Synchronisation().align(trial, ["angle_deg", "emg_v"]), path)
    return cv2.imread(str(path))


def _banner(image):
    return (np.abs(image[:60].astype(int) - VERMILLION).max(-1) < 8).sum()


def test_a_clock_with_one_trigger_is_drawn(tmp_path):
    image = _drawn(tmp_path / "figure.png", START, False)
    assert image.shape[1] == 1500
    assert image.std() > 10
    assert _banner(image) == 0


def test_simulated_is_called_simulated_and_equal_inputs_make_equal_files(tmp_path):
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    assert _banner(_drawn(first, PULSES, True)) > 500
    _drawn(second, PULSES, True)
    assert first.read_bytes() == second.read_bytes()
