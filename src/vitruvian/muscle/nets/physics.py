"""A head that knows how torque comes about: a passive spring, and active muscle."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitruvian.muscle.nets.checks import require, require_outputs
from vitruvian.muscle.quantities import ANGLE, EMG, TORQUE

_EXPLAINED = (ANGLE.name, TORQUE.name, EMG.name)
_ACTIVITY = "activity"


class PhysicsNet(nn.Module):
    """The net says angle and activity; torque and EMG follow from these (docs/muscle.md).

        torque = torque_rest + passive(angle) + strength * activity * active(angle)
        emg    = emg_rest + activity
        passive(angle) = upper * softplus(bend * (angle - slack))
                       + lower * softplus(-bend * (angle - slack))
        active(angle)  = exp(-((angle - optimum) / width)^2)

    All of it is in standardised outputs, so each line holds the affine change to them. Activity is
    not negative, and its unit is one SD of EMG: a gain beside `strength` could not be told from
    it. Passive tissue is a spring at either end of the range, slack, then bent, then straight, as a
    tendon is; their strengths and that of the muscle have either sign, as a dynamometer's have. As
    length follows from the angle, all curves are over it. At first torque says its mean.

    Only for absolute targets: the change of torque does not follow from the change of angle.

    Args:
        channels: images stacked for one answer.
        outputs: names of the numbers; angle_deg, torque_nm and emg_v must be among them. The net
            answers the others directly.
        size: (height, width) of the images.
        net: builds the net from channels, outputs and size.

    Raises:
        ConfigError: an output is missing, or `net` refuses an argument.
    """

    def __init__(
        self,
        channels: int,
        outputs: Sequence[str],
        size: Sequence[int],
        *,
        net: Callable[..., nn.Module],
    ) -> None:
        super().__init__()
        require_outputs(outputs)
        holds = set(_EXPLAINED) <= set(outputs)
        rule = f"with absolute {', '.join(_EXPLAINED)} for PhysicsNet"
        require(holds, "outputs", rule, list(outputs))
        self.outputs = tuple(outputs)
        self._said = (_ACTIVITY, *(name for name in outputs if name not in (TORQUE.name, EMG.name)))
        self.net = net(channels=channels, outputs=self._said, size=size)
        self.upper, self.lower = _scalar(0.0), _scalar(0.0)
        self.slack, self.log_bend = _scalar(0.0), _scalar(0.0)
        self.strength, self.optimum, self.log_width = _scalar(0.0), _scalar(0.0), _scalar(0.5)
        self.torque_rest, self.emg_rest = _scalar(0.0), _scalar(-0.7)

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, channels, height, width) to (n, outputs)."""
        said = dict(zip(self._said, self.net(images).unbind(1), strict=True))
        angle, activity = said[ANGLE.name], F.softplus(said.pop(_ACTIVITY))
        torque = self.torque_rest + self.passive(angle)
        said[TORQUE.name] = torque + self.strength * activity * self.active(angle)
        said[EMG.name] = self.emg_rest + activity
        return torch.stack([said[name] for name in self.outputs], dim=1)

    def passive(self, angle: Tensor) -> Tensor:
        """Torque of both springs at a standardised angle, in SDs of torque."""
        stretch = self.log_bend.exp() * (angle - self.slack)
        return self.upper * F.softplus(stretch) + self.lower * F.softplus(-stretch)

    def active(self, angle: Tensor) -> Tensor:
        """Share of the strength that is there at a standardised angle, at most 1."""
        return (-(((angle - self.optimum) / self.log_width.exp()) ** 2)).exp()


def _scalar(value: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(value))
