"""The pose net timed on a drawn person; with a real model where there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vitruvian.core.errors import DataError
from vitruvian.spine.pose.pose_models import VARIABLE
from vitruvian.spine.pose.timing import ModelSize, PoseTime, drawn_person


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080)])
def test_somebody_is_drawn_in_the_middle(width, height):
    image = drawn_person(width, height)
    assert (image.shape, image.dtype) == ((height, width, 3), np.uint8)
    drawn = np.abs(image.astype(int) - image[0, 0]).sum(axis=2) > 60
    columns, rows = np.flatnonzero(drawn.any(axis=0)), np.flatnonzero(drawn.any(axis=1))
    assert columns.mean() == pytest.approx(width / 2, rel=0.02)
    assert np.ptp(rows) > 0.7 * height


@pytest.mark.parametrize("measure", [PoseTime("lite", frames=1), ModelSize("full")])
def test_nothing_is_fetched_for_a_measurement(measure, monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError, match=f"is not on this machine; name its folder: {VARIABLE}"):
        measure()


@pytest.mark.slow
def test_the_pose_net_finds_and_times_the_drawn_person(pose_models: Path):
    milliseconds, about = PoseTime("lite", "1280x720", frames=5)()
    rate, _ = PoseTime("lite", "1280x720", frames=5, rate=True)()
    assert 0 < milliseconds < 10_000
    assert 0.1 < rate < 10_000
    assert "5 frames of 1280x720" in about
    megabytes, _ = ModelSize("lite")()
    assert megabytes == pytest.approx(5.78, abs=0.1)
