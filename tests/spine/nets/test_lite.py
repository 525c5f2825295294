"""LITE: the hand-crafted filters, by hand, and the length of what comes out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vitruvian.spine.nets.lite import (
    PEAK_LENGTHS,
    TREND_LENGTHS,
    HandCrafted,
    Multiplexed,
    SameConv,
    peak_filter,
    same_padding,
    trend_filter,
)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_filters_by_hand() -> None:
    assert trend_filter(4).tolist() == [-1, 1, -1, 1]
    assert peak_filter(4).tolist() == [-1, -1, 2, 2, -1, -1]
    assert peak_filter(8).tolist() == [-0.25, -1, -1, -0.25, 0.5, 2, 2, 0.5, -0.25, -1, -1, -0.25]
    for length in TREND_LENGTHS:
        assert trend_filter(length).sum() == 0
    for length in PEAK_LENGTHS:
        assert len(peak_filter(length)) == 1.5 * length
        assert float(peak_filter(length).sum()) == pytest.approx(0, abs=1e-5)


def test_what_the_filters_find() -> None:
    """Rises in the first maps, falls in the next ones, a hump in the maps of its length."""
    frames = torch.arange(200.0)
    rising, hump = frames / 10, (-(((frames - 100) / 3) ** 2)).exp()
    found = HandCrafted()(torch.stack([rising, -rising, hump])[None])[0].view(3, 17, 200)
    inner = found[..., 96:-96]
    rises, falls, peaks = inner[:, :6], inner[:, 6:12], inner[:, 12:]
    assert (rises[0] > 0).all()
    assert not falls[0].any()
    assert (falls[1] > 0).all()
    assert not rises[1].any()
    flat = peaks[0].max()
    assert flat < 1e-3, "a straight line has no peak"
    assert peaks[2].max() > 1


def test_each_channel_is_filtered_by_itself() -> None:
    x = noise(2, 3, 50)
    together = HandCrafted()(x)
    alone = torch.cat([HandCrafted()(x[:, i : i + 1]) for i in range(3)], dim=1)
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize(("taps", "dilation"), [(1, 1), (2, 1), (5, 3), (40, 1), (10, 4)])
def test_lengths_are_kept(taps: int, dilation: int) -> None:
    assert sum(same_padding(taps, dilation)) == (taps - 1) * dilation
    assert SameConv(2, 3, taps, dilation=dilation)(noise(1, 2, 7)).shape == (1, 3, 7)


@pytest.mark.parametrize(("multivariate", "maps"), [(True, 3 * 4 + 5 * 17), (False, 3 * 4 + 17)])
def test_multiplexed_maps(multivariate: bool, maps: int) -> None:
    layer = Multiplexed(5, 4, 40, multivariate)
    assert layer(noise(2, 5, 30)).shape == (2, maps, 30)
    assert layer.channels == maps


def test_fixed_filters_are_neither_learnt_nor_saved() -> None:
    filters = HandCrafted()
    assert not list(filters.parameters())
    assert not filters.state_dict()
    assert filters.count == 17
