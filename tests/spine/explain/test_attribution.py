"""Attributions: they add up, they find what was put in, and they leave no trace."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from vitruvian.spine.explain.attribution import attribute, over_clip, still, top_joints
from vitruvian.spine.nets.recurrent import PoseLSTM
from vitruvian.spine.skeletons import BLAZEPOSE, skeleton_named

N, T, J, D = 3, 20, 5, 3


def points(seed: int = 0, shape=(N, T, J, D)) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Recurrent(nn.Module):
    """A small LSTM on flattened points."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.lstm = nn.LSTM(J * D, 16, 2, batch_first=True, dropout=0.2)
        self.head = nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x.flatten(2))[0][:, -1])[:, 0]


def smooth(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    mlp = nn.Sequential(nn.Flatten(), nn.Linear(T * J * D, 32), nn.Tanh(), nn.Linear(32, 1))
    return nn.Sequential(mlp, nn.Flatten(0))


# -- completeness --------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 3, 16])
def test_linear_functions_add_up_exactly(steps):
    weights, x = points(1, (T, J, D)), points(2)
    found = attribute(lambda p: (p * weights).sum(dim=(1, 2, 3)) + 7, x, steps=steps)
    assert found.shape == (N, T, J)
    assert found.dtype == np.float32
    by_hand = ((x - still(x)) * weights).sum(-1)
    np.testing.assert_allclose(found, by_hand, atol=1e-5)


NETS = {
    "perceptron": smooth,
    "recurrent": lambda seed: Recurrent(seed).eval(),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", NETS)
def test_nets_add_up_within_two_percent(name, seed):
    net, x = NETS[name](seed), points(seed + 10)
    with torch.no_grad():
        change = (net(x) - net(still(x))).numpy()
    total = attribute(net, x, steps=16).sum(axis=(1, 2))
    np.testing.assert_allclose(total, change, atol=0.02 * np.abs(change).max())
    finer = attribute(net, x, steps=128).sum(axis=(1, 2))
    np.testing.assert_allclose(finer, change, atol=0.002 * np.abs(change).max())


def test_the_net_of_the_paper_adds_up():
    torch.manual_seed(0)
    net = PoseLSTM(channels=99, skeleton=BLAZEPOSE).eval()
    x, mask = points(3, (2, 40, 33, 3)), torch.ones(2, 40, dtype=torch.bool)
    mask[1, 25:] = False

    def function(p):
        return net(p.flatten(2), mask)

    with torch.no_grad():
        change = (function(x) - function(still(x, mask))).numpy()
    found = attribute(function, x, mask)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), change, atol=0.02 * np.abs(change).max())
    assert not found[1, 25:].any()


def test_another_baseline():
    weights, x = points(1, (T, J, D)), points(2)
    zero = torch.zeros_like(x)
    found = attribute(lambda p: (p * weights).sum(dim=(1, 2, 3)), x, baseline=zero)
    np.testing.assert_allclose(found, (x * weights).sum(-1), atol=1e-5)


# -- what is attributed to whom ------------------------------------------------------------------


def test_only_the_joint_and_the_time_that_count():
    x = points(4)
    found = attribute(lambda p: p[:, 6:9, 2, 1].pow(2).sum(1), x)
    where = np.argwhere(np.abs(found).max(axis=0) > 1e-6)
    assert {tuple(place) for place in where} == {(6, 2), (7, 2), (8, 2)}


def test_who_holds_still_has_none():
    held = points(5)[:, :1].expand(N, T, J, D)
    assert np.abs(attribute(smooth(0), held)).max() < 1e-6


def test_clips_do_not_mix():
    net, x = Recurrent().eval(), points(6)
    together = attribute(net, x)
    apart = np.concatenate([attribute(net, clip[None]) for clip in x])
    np.testing.assert_allclose(together, apart, atol=1e-6)


def test_the_mean_pose_is_that_of_the_real_frames():
    x, mask = points(7), torch.ones(N, T, dtype=torch.bool)
    mask[0, 12:] = False
    held = still(x, mask)
    torch.testing.assert_close(held[0, :12], x[0, :12].mean(0).expand(12, J, D))
    torch.testing.assert_close(held[0, 12:], x[0, 12:])
    torch.testing.assert_close(held[1:], still(x)[1:])


# -- no trace, no surprise -----------------------------------------------------------------------


def test_within_a_prediction():
    """Predictions run in inference mode, on tensors made there."""
    net, expected = Recurrent().eval(), attribute(Recurrent().eval(), points(8))
    with torch.inference_mode():
        x = points(8)
        np.testing.assert_array_equal(attribute(net, x), expected)
        assert torch.is_inference_mode_enabled()
    with torch.no_grad():
        np.testing.assert_array_equal(attribute(net, points(8)), expected)


def test_net_and_points_stay_as_they_were():
    net, x = Recurrent().eval(), points(9)
    before, cudnn = x.clone(), torch.backends.cudnn.enabled
    attribute(net, x)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not net.training
    assert not x.requires_grad
    assert torch.equal(x, before)
    assert torch.backends.cudnn.enabled == cudnn


def test_cudnn_is_kept_out():
    """Its recurrent nets have no gradient in evaluation."""
    enabled = []

    def function(p):
        enabled.append(torch.backends.cudnn.enabled)
        return p.sum((1, 2, 3))

    attribute(function, points(), steps=2)
    assert enabled == [False, False]


ERRORS = [
    (lambda p: p.sum((1, 2, 3)), points(), {"steps": 0}, "steps must be at least 1, not 0"),
    (lambda p: p.sum(), points(), {}, r"must return \(3,\), one value a clip, not \(\)"),
    (lambda p: p.sum((2, 3)), points(), {}, r"must return \(3,\), one value a clip"),
    (lambda p: p.detach().sum((1, 2, 3)), points(), {}, "the function has no gradient"),
    (lambda p: p.sum(1), points()[0], {}, r"points must be \(n, T, J, D\), not \(20, 5, 3\)"),
    (
        lambda p: p.sum((1, 2, 3)),
        points(),
        {"baseline": points()[:1]},
        r"baseline must have the shape \(3, 20, 5, 3\), not \(1, 20, 5, 3\)",
    ),
    (
        lambda p: p.sum((1, 2, 3)),
        points(),
        {"mask": torch.zeros(N, T, dtype=torch.bool)},
        "without a real frame",
    ),
]


@pytest.mark.parametrize(("function", "x", "options", "message"), ERRORS)
def test_what_is_refused(function, x, options, message):
    with pytest.raises(ValueError, match=message):
        attribute(function, x, **options)


# -- the whole clip, the joints ------------------------------------------------------------------


def test_windows_become_a_clip():
    windows = np.arange(2 * 4 * 1, dtype=np.float32).reshape(2, 4, 1)
    clip = over_clip(windows, [0, 2], 6)
    assert clip[:, 0].tolist() == [0.0, 0.5, 3.0, 4.0, 3.0, 3.5]
    assert clip.sum() == windows.sum(axis=(1, 2)).mean()


def test_padding_is_cut_off():
    window = np.ones((1, 10, 2), np.float32)
    window[:, 7:] = 0
    assert over_clip(window, [0], 7).shape == (7, 2)
    assert over_clip(window, [0], 7).sum() == 14


def test_joints_by_their_share():
    skeleton = skeleton_named("joints4x3")
    attribution = np.zeros((10, 4))
    attribution[:, 1] = 0.1  # evenly: 1 in all
    attribution[4:6, 3] = (-4, 2)  # 6 in all, 4 of it at once
    attribution[9, 0] = 1
    first, second, third = top_joints(attribution, skeleton)
    assert first == ("joint 3", 0.75, (4, 4))
    assert (second.joint, second.share, second.frames) == ("joint 0", 0.125, (9, 9))
    assert (third.joint, third.share, third.frames) == ("joint 1", pytest.approx(0.125), (0, 4))
    assert top_joints(attribution, skeleton, k=1) == [first]


def test_no_attribution_no_joints():
    assert top_joints(np.zeros((10, 33)), BLAZEPOSE) == []


@pytest.mark.parametrize("seed", range(5))
def test_shares_and_runs(seed):
    attribution = np.random.default_rng(seed).normal(size=(30, 33))
    found = top_joints(attribution, BLAZEPOSE, k=33)
    assert sum(one.share for one in found) == pytest.approx(1)
    assert [one.share for one in found] == sorted((one.share for one in found), reverse=True)
    for one in found:
        weight = np.abs(attribution[:, BLAZEPOSE.index(one.joint)])
        first, last = one.frames
        assert weight[first : last + 1].sum() >= weight.sum() / 2 - 1e-9
        length = last - first  # no run that is shorter by a frame holds as much
        shorter = [weight[start : start + length].sum() for start in range(31 - length)]
        assert max(shorter) < weight.sum() / 2


@pytest.mark.parametrize("shape", [(10, 4), (10,), (1, 10, 33)])
def test_other_joints_are_refused(shape):
    with pytest.raises(ValueError, match=r"attribution must be \(T, 33\) for blazepose33, not"):
        top_joints(np.ones(shape), BLAZEPOSE)
