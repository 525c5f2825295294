"""Padding at the end: picking, averaging and reversing frames, and statistics without it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vitruvian.spine.nets.masking import (
    MaskedBatchNorm,
    blank,
    last_frame,
    mean_frame,
    reversed_frames,
)

X = torch.tensor([[[1.0], [2.0], [3.0], [9.0]], [[4.0], [5.0], [6.0], [7.0]]])
MASK = torch.tensor([[True, True, True, False], [True, True, True, True]])


def test_frames_by_hand() -> None:
    assert last_frame(X, MASK).flatten().tolist() == [3, 7]
    assert last_frame(X, None).flatten().tolist() == [9, 7]
    assert mean_frame(X, MASK).flatten().tolist() == [2, 5.5]
    assert mean_frame(X, None).flatten().tolist() == [3.75, 5.5]
    assert reversed_frames(X, MASK)[0, :3].flatten().tolist() == [3, 2, 1]
    assert reversed_frames(X, None)[1].flatten().tolist() == [7, 6, 5, 4]
    assert blank(X, MASK[..., None]).flatten().tolist() == [1, 2, 3, 0, 4, 5, 6, 7]


def test_reversing_twice_gives_the_real_frames_back() -> None:
    twice = reversed_frames(reversed_frames(X, MASK), MASK)
    assert torch.equal(twice[MASK], X[MASK])


def test_a_window_without_a_frame_is_no_catastrophe() -> None:
    nothing = torch.zeros(2, 4, dtype=torch.bool)
    for result in (last_frame(X, nothing), mean_frame(X, nothing), reversed_frames(X, nothing)):
        assert result.isfinite().all()


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(4, 3, 10), (4, 3, 5, 10)])
def test_batch_normalisation_is_torchs_where_all_is_real(size: tuple[int, ...]) -> None:
    ours = MaskedBatchNorm(3)
    theirs = nn.BatchNorm1d(3) if len(size) == 3 else nn.BatchNorm2d(3)
    for net in (ours, theirs):
        nn.init.constant_(net.weight, 1.5)
        nn.init.constant_(net.bias, -0.5)
    x = 5 + 2 * noise(*size)
    for _ in range(3):
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("offset", [0.0, 20.0])
def test_padding_leaks_into_no_statistic(offset: float) -> None:
    x = offset + noise(4, 3, 10)
    padded = torch.cat([x, torch.zeros(4, 3, 25)], dim=2)
    mask = (torch.arange(35) < 10).expand(4, 1, -1)
    plain, masked = MaskedBatchNorm(3), MaskedBatchNorm(3)
    leaves = [x.clone().requires_grad_(), padded.clone().requires_grad_()]
    expected, found = plain(leaves[0]), masked(leaves[1], mask)[..., :10]
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(masked.running_mean, plain.running_mean)
    torch.testing.assert_close(masked.running_var, plain.running_var, atol=1e-4, rtol=1e-3)
    for values in (expected, found):
        (values * noise(4, 3, 10)).sum().backward()
    assert leaves[0].grad is not None
    assert leaves[1].grad is not None
    torch.testing.assert_close(leaves[1].grad[..., :10], leaves[0].grad, atol=1e-3, rtol=0)


def test_a_single_frame_trains() -> None:
    norm = MaskedBatchNorm(3)
    assert norm(noise(1, 3, 1)).isfinite().all()
    assert norm.running_var.isfinite().all()
