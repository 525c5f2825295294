"""The pair net: what its cost volume says of moved tissue, and how soon it learns to read it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitruvian.muscle.nets import MuscleCNN, SiamesePair
from vitruvian.muscle.nets.cost_volume import CostVolume

PAD = 4


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, 0), (-2, 1), (2, -2), (0, -1)])
def test_the_largest_channel_is_the_displacement(down: int, right: int) -> None:
    wide = noise(2, 3, 32 + 8, 40 + 8)
    before = wide[:, :, 4:-4, 4:-4]
    after = wide.roll((down, right), (2, 3))[:, :, 4:-4, 4:-4]
    volume = CostVolume(reach=2, patch=8)(before, after)
    assert volume.shape == (2, 25, 4, 5)
    inner = volume[:, :, 1:-1, 1:-1]
    expected = (2 + down) * 5 + 2 + right
    assert (inner.argmax(1) == expected).all()
    assert (inner[:, expected] > 0.9).all()
    others = inner[:, [i for i in range(25) if i != expected]]
    assert others.abs().mean() < 0.15


def test_cost_volume_by_hand() -> None:
    """One patch, one displacement: the cosine of the angle between two vectors."""
    before, after = noise(1, 2, 9, 9), noise(1, 2, 9, 9, seed=1)
    cost_volume = CostVolume(reach=1, patch=9)
    shifted = torch.zeros_like(after)
    shifted[:, :, :-1, 1:] = after[:, :, 1:, :-1]  # one down, one to the left
    expected = F.cosine_similarity(before.flatten(), shifted.flatten(), dim=0)
    volume = cost_volume(before, after)[0, :, 0, 0]
    torch.testing.assert_close(volume[2 * 3 + 0], expected, atol=1e-5, rtol=0)


def test_reach_beyond_a_patch() -> None:
    field = noise(1, 2, 24 + 12, 24 + 12)
    after = field.roll((-5, 6), (2, 3))
    volume = CostVolume(reach=6, patch=4)(field[:, :, 6:-6, 6:-6], after[:, :, 6:-6, 6:-6])
    assert volume.shape == (1, 169, 6, 6)
    assert (volume[:, :, 2:-2, 2:-2].argmax(1) == 1 * 13 + 12).all()


def test_gain_cancels() -> None:
    before, after = noise(1, 3, 16, 24), noise(1, 3, 16, 24, seed=1)
    cost_volume = CostVolume(reach=2, patch=8)
    torch.testing.assert_close(cost_volume(3 * before, after / 2), cost_volume(before, after))


def test_features_have_no_level() -> None:
    torch.manual_seed(0)
    net = SiamesePair(2, ["a"], (32, 32))
    assert net.encode(torch.ones(1, 1, 32, 32))[:, :, 3:-3, 3:-3].abs().max() < 1e-5
    assert net.encode(noise(1, 1, 32, 32)).abs().max() > 0.1


def test_nothing_to_see_is_like_nothing() -> None:
    volume = CostVolume(reach=1, patch=8)(torch.zeros(1, 2, 8, 8), noise(1, 2, 8, 8))
    assert not volume.any()


def test_half_precision_changes_little() -> None:
    torch.manual_seed(0)
    net = SiamesePair(2, ["a"], (32, 32), dropout=0.0).eval()
    x = noise(4, 2, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        values = net(x)
    torch.testing.assert_close(values.float(), net(x), atol=0.03, rtol=0.05)


def test_kept_features_say_the_same() -> None:
    torch.manual_seed(0)
    net = SiamesePair(2, ["a", "b"], (32, 64)).eval()
    x = noise(3, 2, 32, 64)
    values = net.compare(net.encode(x[:, :1]), net.encode(x[:, 1:]))
    torch.testing.assert_close(values, net(x), atol=1e-5, rtol=1e-4)


def speckle(n: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """Simulated pairs (n, 2, 32, 64) moved by up to 1 pixel each way, and the moves (n, 2)."""
    height, width = 32 + 2 * PAD, 64 + 2 * PAD
    blur = torch.tensor([0.06, 0.24, 0.4, 0.24, 0.06])
    field = torch.randn(n, 1, height, width, generator=draws)
    field = F.conv2d(field, blur.view(1, 1, 5, 1), padding=(2, 0))
    field = F.conv2d(field, blur.view(1, 1, 1, 5), padding=(0, 2)).abs().add(0.05).log()
    moves = 2 * torch.rand(n, 2, generator=draws) - 1
    rows = torch.linspace(-1, 1, height) - moves[:, :1] * 2 / (height - 1)
    columns = torch.linspace(-1, 1, width) - moves[:, 1:] * 2 / (width - 1)
    grid = torch.stack(
        [
            columns[:, None].expand(n, height, width),
            rows[:, :, None].expand(n, height, width),
        ],
        dim=3,
    )
    moved = F.grid_sample(field, grid, "bicubic", "border", align_corners=True)
    return torch.cat([field, moved], 1)[:, :, PAD:-PAD, PAD:-PAD], moves


def ratio_to_zero_change(net: nn.Module, steps: int) -> float:
    """RMSE of the moves over that of "no move", after a short training on simulated speckle."""
    draws = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(steps):
        images, moves = speckle(32, draws)
        loss = F.mse_loss(net(images), moves)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    images, moves = speckle(128, draws)
    with torch.no_grad():
        error = F.mse_loss(net.eval()(images), moves)
    return float((error / moves.square().mean()).sqrt())


@pytest.mark.slow
def test_it_soon_sees_parts_of_a_pixel() -> None:
    torch.manual_seed(0)
    pair = SiamesePair(2, ["down", "right"], (32, 64), dropout=0.0)
    assert ratio_to_zero_change(pair, 60) < 0.5
    plain = MuscleCNN(2, ["down", "right"], (32, 64), dropout=0.0)
    assert ratio_to_zero_change(plain, 60) > 0.6, "a plain net needs longer"
