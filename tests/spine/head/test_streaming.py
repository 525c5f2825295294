"""The index of a stream equals that of the windows, and a frame costs the same for ever."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from tests.spine.small import clip, task

from vitruvian.spine.head.features import Features
from vitruvian.spine.head.streaming import (
    CausalWindow,
    CompiledWindow,
    RecomputingWindow,
    StreamingIndex,
    index_over_time,
    window_maker,
)
from vitruvian.spine.nets import LITE, TCN, BiLSTMAttention, PoseGRU, PoseLSTM, PoseRNN
from vitruvian.spine.track.cleaning import Cleaning

CAUSAL = {
    "lstm": partial(PoseLSTM, embedding=8, hidden=6, dense=5),
    "rnn": partial(PoseRNN, embedding=None, hidden=6, dense=5),
    "gru": partial(PoseGRU, embedding=8, hidden=6, dense=5, layers=1),
    "tcn": partial(TCN, width=4, dilations=(1, 2, 4), dense=3),
}
WHOLE = {
    "attention": partial(BiLSTMAttention, hidden=4, layers=1, attention=3, dense=3),
    "lite": partial(LITE, filters=2, kernel_size=8),
}
FEATURES = {
    "plain": {},
    "all": {
        "origin": "hips",
        "scale": "torso",
        "visibility": True,
        "angles": True,
        "velocities": True,
        "aspect": 0.5625,
    },
}


def streamed(model: Any, recording: Any) -> tuple[StreamingIndex, list[Any]]:
    """Push a clip frame by frame, as a camera gives it."""
    index = StreamingIndex(model)
    marks = recording.landmarks
    points = [
        point
        for frame in zip(marks.times_s, marks.points, marks.visibility, strict=True)
        for point in index.push(float(frame[0]), *frame[1:])
    ]
    return index, points + index.finish()


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("net", [*CAUSAL, *WHOLE])
@pytest.mark.parametrize("frames", [7, 20, 65])
def test_full_windows_say_what_they_say_at_once(net: str, features: str, frames: int) -> None:
    model = task({**CAUSAL, **WHOLE}[net], features=Features(**FEATURES[features]))
    recording = clip(frames=frames, hidden=0.1)
    index, points = streamed(model, recording)
    values = model.window_values(Cleaning().clean(recording.landmarks))
    assert len(points) == frames
    if frames < 20:  # no window was filled: the one that is open stands for the clip
        assert index.windows == []
        if net in CAUSAL:
            assert points[-1].mean == pytest.approx(model.reported_index(values), abs=1e-5)
        return
    np.testing.assert_allclose(index.windows, values.numpy(), atol=1e-5)
    assert index.index == pytest.approx(model.reported_index(values), abs=1e-5)


@pytest.mark.parametrize("net", CAUSAL)
def test_every_frame_says_what_the_window_so_far_says(net: str) -> None:
    model = task(CAUSAL[net])
    track = Cleaning().clean(clip(frames=20).landmarks)
    points = index_over_time(model, track)
    for count in (1, 2, 10, 19):
        part = torch.from_numpy(track.points[None, :count])
        seen = torch.from_numpy(track.visibility[None, :count])
        with torch.inference_mode():
            value = model.values(part, seen, torch.ones(1, count, dtype=torch.bool))
        assert points[count - 1].value == pytest.approx(float(value.clamp(0, 1)), abs=1e-5)


def test_a_net_that_looks_ahead_is_asked_again_now_and_then() -> None:
    model = task(WHOLE["lite"], length=40)
    values = [point.value for point in index_over_time(model, Cleaning().clean(clip().landmarks))]
    looks = sum(a != b for a, b in pairwise(values))
    assert looks == 6, "frames 15, 30, 40 of the first window; the second one, its frames 30, 40"
    assert isinstance(window_maker(model)(), RecomputingWindow)


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("net", CAUSAL)
def test_with_and_without_onnxruntime_it_says_the_same(
    net: str, features: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = task(CAUSAL[net], features=Features(**FEATURES[features]))
    track = Cleaning().clean(clip().landmarks)
    assert isinstance(window_maker(model)(), CompiledWindow)
    quick = index_over_time(model, track)
    monkeypatch.setattr("vitruvian.spine.head.streaming.find_spec", lambda _: None)
    assert isinstance(window_maker(model)(), CausalWindow)
    np.testing.assert_allclose(quick, index_over_time(model, track), atol=1e-5)


def test_no_more_windows_are_open_than_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    model = task()
    steps = 0
    once = CompiledWindow.step

    def counted(self: CompiledWindow, frame: Any) -> float:
        nonlocal steps
        steps += 1
        return once(self, frame)

    monkeypatch.setattr(CompiledWindow, "step", counted)
    index_over_time(model, Cleaning().clean(clip(frames=400).landmarks))
    assert steps == 2 * 400 - 10, "more work per frame than length / stride windows"


def test_what_is_shown_lies_between_0_and_1() -> None:
    model = task()
    with torch.no_grad():
        model.net.head.layers[-2].bias.fill_(7.0)
    index, points = streamed(model, clip(frames=30))
    assert {point.value for point in points} == {1.0}
    assert index.windows[0] > 1


def test_nothing_is_said_before_somebody_is_there() -> None:
    index = StreamingIndex(task())
    nobody = np.full((33, 3), np.nan, np.float32)
    assert index.push(0.0, nobody, np.full(33, np.nan, np.float32)) == []
    assert math.isnan(index.value)
    assert math.isnan(index.index)
    assert index.masked == 1.0
