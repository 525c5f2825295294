"""A small recording in memory, and folders with a `recording.yaml` written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vitruvian.muscle.recording import ClockSource, Recording, Signal

FRAMES, HEIGHT, WIDTH = 4, 14, 22

MINIMAL = """\
participant: P01
task: passive
frames: {count: 4}
signals: {file: signals.csv, rate_hz: 100}
channels: {angle_deg: Angle}
clock: {kind: frames}
"""


def images(count: int = FRAMES) -> list[np.ndarray]:
    """Noise, every frame another."""
    generator = np.random.default_rng(3)
    return list(generator.integers(0, 256, (count, HEIGHT, WIDTH)).astype(np.uint8))


def simulated(**changes: Any) -> Recording:
    """A recording with two sampling rates."""
    generator = np.random.default_rng(4)

    def noise(size: float) -> Signal:
        return Signal(size * generator.normal(size=300), 999.7)

    signals = {
        "angle_deg": noise(10.0),
        "torque_nm": noise(20.0),
        "emg_v": noise(1e-4),
        "emg_soleus_v": noise(1e-4),
        "trigger": Signal(5.0 * generator.integers(0, 2, 500), 2000.0, 0.25, "V"),
    }
    recording = Recording(
        name="P01_passive",
        participant="012",
        task="passive",
        frames=None,
        frame_count=FRAMES,
        signals=signals,
        clock=ClockSource("pulses", "trigger", None, 25.0),
        mm_per_pixel=(0.1, 0.125),
        masks=generator.random((FRAMES, HEIGHT, WIDTH)) < 0.5,
        emg_mvc_v=4e-5,
        raw=("emg_v",),
        person={"sex": "F", "age": 27.0},
        simulated=True,
    )
    return replace(recording, **changes)


def described(folder: Path, text: str, tables: Mapping[str, str] | None = None) -> Path:
    """A folder with this description and these text files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recording.yaml").write_text(text, encoding="utf-8")
    for name, content in (tables or {}).items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder
