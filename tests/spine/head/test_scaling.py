"""Scaling: one pass over the frames is as good as all at once; what becomes of outsiders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vitruvian.core.errors import DataError
from vitruvian.spine.head.scaling import Scaling


def frames(m: int = 300, channels: int = 5) -> Tensor:
    drawn = torch.randn(m, channels, generator=torch.Generator().manual_seed(0))
    return drawn * torch.tensor([1.0, 10.0, 0.1, 1e-4, 1e4]) + torch.tensor([0.0, 5, -3, 0, 1e4])


def fitted(kind: Any, x: Tensor, sizes: list[int] | None = None) -> Scaling:
    scaling = Scaling(kind, x.shape[1])
    scaling.fit(iter(x.split(sizes or len(x))))
    return scaling


@pytest.mark.parametrize("sizes", [None, [1, 99, 0, 200], [1] * 300])
def test_minmax_puts_training_frames_between_0_and_1(sizes: list[int] | None) -> None:
    x = frames()
    scaled = fitted("minmax", x, sizes)(x)
    torch.testing.assert_close(scaled.amin(0), torch.zeros(5), rtol=0, atol=1e-5)
    torch.testing.assert_close(scaled.amax(0), torch.ones(5), rtol=0, atol=1e-5)


@pytest.mark.parametrize("sizes", [None, [1, 99, 0, 200], [1] * 300])
def test_zscore_gives_mean_0_and_deviation_1(sizes: list[int] | None) -> None:
    x = frames()
    scaled = fitted("zscore", x, sizes)(x)
    torch.testing.assert_close(scaled.mean(0), torch.zeros(5), rtol=0, atol=1e-4)
    torch.testing.assert_close(scaled.std(0, correction=0), torch.ones(5), rtol=0, atol=1e-4)


def test_the_moments_stand_a_large_offset() -> None:
    x = frames(channels=5)[:, :1] * 1e-3 + 100
    scaling = fitted("zscore", x, [7] * 42 + [6])
    deviation = float(scaling.high - scaling.low)
    assert deviation == pytest.approx(float(x.double().std(correction=0)), rel=1e-2)


@pytest.mark.parametrize("kind", ["minmax", "zscore"])
def test_outsiders_are_not_clipped(kind: str) -> None:
    scaling = fitted(kind, torch.tensor([[0.0], [2.0]]))
    low, high = scaling(torch.tensor([[-2.0], [4.0]])).flatten().tolist()
    assert (low, high) == ((-1.0, 2.0) if kind == "minmax" else (-3.0, 3.0))


@pytest.mark.parametrize("kind", ["minmax", "zscore"])
@pytest.mark.parametrize("noise", [0.0, 1e-8])
def test_constant_channels_become_0(kind: str, noise: float) -> None:
    x = torch.full((10, 2), 0.3)
    x[::2, 0] += noise
    scaling = fitted(kind, x)
    assert scaling(x).abs().max() < 1e-6
    torch.testing.assert_close(scaling(x + 1), torch.ones(10, 2))


def test_none_and_unfitted_change_nothing() -> None:
    x = frames()
    for scaling in (fitted("none", x), Scaling("none", 5), Scaling("minmax", 5)):
        assert torch.equal(scaling(x), x)


@pytest.mark.parametrize("kind", ["minmax", "zscore", "none"])
def test_padding_becomes_0(kind: str) -> None:
    x = frames(6).view(2, 3, 5)
    scaling = fitted(kind, x.flatten(0, 1))
    mask = torch.tensor([[True, True, True], [True, False, False]])
    scaled = scaling(x, mask)
    assert not scaled[~mask].any()
    assert torch.equal(scaled[mask], scaling(x)[mask])
    assert torch.equal(scaling(x[:, 0]), scaling(x)[:, 0])  # frame by frame


def test_the_range_is_saved_with_the_weights() -> None:
    before = fitted("minmax", frames())
    after = Scaling("minmax", 5)
    after.load_state_dict(before.state_dict())
    assert torch.equal(after(frames()), before(frames()))


def test_the_input_is_left_alone() -> None:
    x = frames()
    before = x.clone()
    fitted("minmax", x)(x, torch.zeros(300).bool())
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("kind", "blocks", "error", "message"),
    [
        ("minmax", [], DataError, "no training frame to take the range"),
        ("zscore", [torch.zeros(0, 2)], DataError, "no training frame to take the mean"),
        ("minmax", [torch.zeros(3, 3)], ValueError, r"frames must be \(m, 2\), not \(3, 3\)"),
        ("minmax", [torch.zeros(3)], ValueError, r"frames must be \(m, 2\), not \(3,\)"),
        ("zscore", [torch.full((1, 2), torch.nan)], ValueError, "not finite"),
    ],
)
def test_bad_frames(kind: Any, blocks: list[Tensor], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Scaling(kind, 2).fit(blocks)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("max", 3), "kind must be one of minmax, zscore, window, none, not 'max'"),
        (("minmax", 0), "channels must be at least 1, not 0"),
    ],
)
def test_bad_arguments(arguments: tuple[Any, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scaling(*arguments)


def test_a_window_by_itself_has_no_mean_and_unit_deviation() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 40, 4, generator=generator) * torch.tensor([1.0, 5.0, 0.2, 1.0]) + 7
    mask = torch.arange(40) < torch.tensor([[40], [25], [10]])
    scaling = Scaling("window", 4)
    scaling.fit([x[mask]])
    scaled = scaling(x, mask)
    for window, real in zip(scaled, mask, strict=True):
        np.testing.assert_allclose(window[real].mean(dim=0), 0, atol=1e-5)
        np.testing.assert_allclose(window[real].std(dim=0, correction=0), 1, atol=0.2)
        assert (window[~real] == 0).all()
    moved = scaling(3 * x + 100, mask)[:, :, 1]
    np.testing.assert_allclose(moved, scaled[:, :, 1], atol=0.25)


def test_a_channel_that_stands_still_in_a_window_stays_small() -> None:
    scaling = Scaling("window", 1)
    scaling.fit([torch.linspace(-1, 1, 50)[:, None]])
    still = 0.5 + 1e-4 * torch.sin(torch.arange(30.0))[None, :, None]
    assert scaling(still).abs().max() < 0.01
