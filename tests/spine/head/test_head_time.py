"""The paper's head timed: what comes back, and what is left as it was."""

from __future__ import annotations

import pytest
import torch

from vitruvian.spine.head.timing import HeadTime


def test_the_median_of_single_windows_on_one_core():
    before = torch.get_num_threads()
    milliseconds, about = HeadTime(frames=20, calls=3)()
    assert 0 < milliseconds < 10_000
    assert "the median of 3 windows of 20 frames on one core" in about
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"calls": 0}])
def test_a_time_of_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match="must be at least 1"):
        HeadTime(**wrong)
