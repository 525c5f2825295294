"""The physics head: its equations, by hand, and that they can be found from data."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitruvian.muscle.nets import PhysicsNet

OUTPUTS = ["torque_nm", "fascicle_angle_deg", "emg_v", "angle_deg"]


class Said(nn.Module):
    """Says what the first pixels of the image are, in the order of its outputs."""

    def __init__(self, channels: int, outputs: Sequence[str], size: Sequence[int]) -> None:
        super().__init__()
        self.outputs = list(outputs)

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, 0, : len(self.outputs)]


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_equations_by_hand() -> None:
    net = PhysicsNet(1, OUTPUTS, (1, 4), net=Said)
    given = {
        "upper": 2.0,
        "lower": -0.6,
        "slack": 0.3,
        "log_bend": math.log(1.5),
        "strength": 0.7,
        "optimum": -0.2,
        "log_width": math.log(1.2),
        "torque_rest": -0.4,
        "emg_rest": -0.9,
    }
    assert {name for name, _ in net.named_parameters()} == set(given)
    with torch.no_grad():
        for name, value in given.items():
            getattr(net, name).fill_(value)
    assert net.net.outputs == ["activity", "fascicle_angle_deg", "angle_deg"]
    activity, angle = softplus(0.5), 0.8
    torque = -0.4 + 2.0 * softplus(1.5 * (0.8 - 0.3)) - 0.6 * softplus(-1.5 * (0.8 - 0.3))
    torque += 0.7 * activity * math.exp(-(((0.8 + 0.2) / 1.2) ** 2))
    values = net(torch.tensor([0.5, 11.0, angle, 0.0]).view(1, 1, 1, 4))
    expected = torch.tensor([[torque, 11.0, -0.9 + activity, angle]])
    torch.testing.assert_close(values, expected)


def test_active_torque_is_largest_at_the_optimum() -> None:
    net = PhysicsNet(1, OUTPUTS, (1, 4), net=Said)
    angles = torch.linspace(-3, 3, 61)
    share = net.active(angles).detach()
    assert abs(float(angles[share.argmax()])) < 1e-5
    assert float(share.max()) == 1
    assert (share > 0).all()


def test_at_first_torque_says_its_mean() -> None:
    net = PhysicsNet(1, OUTPUTS, (1, 4), net=Said)
    values = net(torch.randn(8, 1, 1, 4, generator=torch.Generator().manual_seed(0)))
    assert not values[:, 0].any()
    assert values[:, 1:].std(0).min() > 0.1


def test_extreme_answers_stay_finite() -> None:
    net = PhysicsNet(1, OUTPUTS, (1, 4), net=Said)
    x = torch.tensor([[1e4, 0.0, 1e4, 0], [-1e4, 0.0, -1e4, 0]]).view(2, 1, 1, 4).requires_grad_()
    values = net(x)
    values.sum().backward()
    assert torch.isfinite(values).all()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


@pytest.mark.parametrize(("spring", "muscle"), [(1, 1), (-1, -1), (1, -1)])
@pytest.mark.parametrize("angle_sign", [1, -1])
def test_its_scalars_can_be_found(spring: int, muscle: int, angle_sign: int) -> None:
    """From exact angle and activity, whatever the signs of a dynamometer."""
    draws = torch.Generator().manual_seed(0)
    net = PhysicsNet(1, OUTPUTS, (1, 4), net=Said)
    latent, angle = torch.randn(2, 256, generator=draws)
    active = 0.6 * F.softplus(latent) * torch.exp(-(((angle - 0.4) / 1.5) ** 2))
    truth = muscle * active + spring * 0.9 * F.softplus(2 * (angle_sign * angle - 0.5))
    nothing = torch.zeros(256)
    images = torch.stack([latent, nothing, angle, nothing], dim=1).view(256, 1, 1, 4)
    optimizer = torch.optim.Adam(net.parameters(), 0.1)
    for _ in range(150):
        loss = F.mse_loss(net(images)[:, 0], truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.02 * float(truth.var())
