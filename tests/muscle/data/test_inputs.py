"""What a net is shown and asked for."""

from __future__ import annotations

import pytest
import torch

from vitruvian.core.errors import ConfigError
from vitruvian.muscle.data.inputs import FrameInput, frames_needed, output_names


@pytest.mark.parametrize(
    ("kind", "context", "channels"),
    [("pair", 2, 2), ("single", 1, 1), ("difference", 2, 1), ("stack", 5, 5)],
)
def test_frames_and_channels(kind: str, context: int, channels: int) -> None:
    inputs = FrameInput(kind, 5)
    images = torch.arange(context, dtype=torch.float32)[None, :, None, None].expand(3, -1, 4, 6)
    assert (inputs.context, inputs.channels) == (context, channels)
    made = inputs(images)
    assert made.shape == (3, channels, 4, 6)
    expected = [1.0] if kind == "difference" else list(map(float, range(context)))
    assert made[0, :, 0, 0].tolist() == expected


def test_a_stack_of_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^frames: a stack has at least 2, not 1"):
        FrameInput("stack", 1)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("change", ("change angle_deg", "change emg_v")),
        ("centred", ("angle_deg", "emg_v")),
        ("absolute", ("angle_deg", "emg_v")),
        ("both", ("change angle_deg", "change emg_v", "angle_deg", "emg_v")),
    ],
)
def test_outputs(target: str, expected: tuple[str, ...]) -> None:
    assert output_names(target, ("angle_deg", "emg_v")) == expected


@pytest.mark.parametrize(
    ("kind", "target", "needed"),
    [
        ("single", "absolute", 1),
        ("single", "change", 2),
        ("pair", "absolute", 2),
        ("stack", "both", 4),
    ],
)
def test_frames_needed(kind: str, target: str, needed: int) -> None:
    assert frames_needed(FrameInput(kind, 4), target) == needed
