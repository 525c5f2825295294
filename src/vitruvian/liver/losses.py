"""Losses of the liver study: cross-entropy + soft Dice, and deep supervision of side outputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_INTERPOLATION = {1: "linear", 2: "bilinear", 3: "trilinear"}


def soft_dice(
    probabilities: Tensor, truth: Tensor, *, batch_dice: bool = True, epsilon: float = 1e-5
) -> Tensor:
    """Return the mean soft Dice coefficient, (2 |P G| + e) / (|P| + |G| + e).

    Args:
        probabilities: (n, k, *spatial), floating point.
        truth: the same shape, boolean.
        batch_dice: pool the volume of the whole batch before dividing; otherwise one
            coefficient per sample, which a sample without foreground drags to 0 or 1.
        epsilon: keeps an empty class finite (its coefficient is then 1 if nothing is predicted).
    """
    axes = [axis for axis in range(probabilities.dim()) if axis > 1 or (axis == 0 and batch_dice)]
    overlap = (probabilities * truth).sum(axes)
    total = probabilities.sum(axes) + truth.sum(axes)
    return ((2 * overlap + epsilon) / (total + epsilon)).mean()


class CEDice(nn.Module):
    """Cross-entropy + soft Dice loss (paper 004, section II.C: Loss = CE loss + Dice loss).

    The Dice term is the mean over classes of 1 - soft Dice; both terms are computed in float32
    whatever the logits' type, because half-precision sums over a batch lose small organs.

    Args:
        ce_weight: weight of the cross-entropy, >= 0; 0 leaves it out.
        dice_weight: weight of the Dice loss, >= 0; 0 leaves it out.
        batch_dice: pool the batch before dividing (default), or average over samples.
        include_background: count class 0 in the Dice loss.
        epsilon: added to numerator and denominator of Dice, > 0.

    Raises:
        ValueError: an argument is not legal; the message names it and the legal values.
    """

    def __init__(
        self,
        ce_weight: float = 1.0,
        dice_weight: float = 1.0,
        batch_dice: bool = True,
        include_background: bool = False,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        _require_weights(ce_weight, dice_weight, epsilon)
        self.ce_weight = ce_weight
        self.dice_weight = dice_weight
        self.batch_dice = batch_dice
        self.include_background = include_background
        self.epsilon = epsilon

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss.

        Args:
            logits: (n, k, *spatial) with k >= 2 classes.
            target: (n, *spatial), integer labels 0 .. k - 1.

        Raises:
            ValueError: the shapes do not fit each other.
        """
        _require_shapes(logits, target)
        logits = logits.float()
        loss = logits.new_zeros(())
        if self.ce_weight:
            # CUDA's own mean reduction is not deterministic; a mean taken afterwards is.
            entropy = F.cross_entropy(logits, target.long(), reduction="none")
            loss = loss + self.ce_weight * entropy.mean()
        if self.dice_weight:
            loss = loss + self.dice_weight * self._dice_loss(logits, target)
        return loss

    def _dice_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        first = 0 if self.include_background else 1
        labels = torch.arange(first, logits.shape[1], device=target.device)
        truth = target.unsqueeze(1) == labels.view(-1, *[1] * (target.dim() - 1))
        probabilities = logits.softmax(dim=1)[:, first:]
        score = soft_dice(probabilities, truth, batch_dice=self.batch_dice, epsilon=self.epsilon)
        return 1 - score


class DeepSupervised(nn.Module):
    """Apply a loss to a net's main output and, with falling weights, to its side outputs.

    loss(main) + sum over k = 1, 2, ... of decay^k loss(side_k). A net that returns one tensor
    (every net does in evaluation) gets the plain loss.

    Args:
        loss: called as `loss(logits, target)`.
        decay: weight of a side relative to the one before it, in (0, 1].
        sides: False scores the main output only ("fused only").

    Raises:
        ValueError: `decay` is not in (0, 1].
    """

    def __init__(self, loss: nn.Module, decay: float = 0.5, sides: bool = True) -> None:
        super().__init__()
        if not 0 < decay <= 1:
            raise ValueError(f"decay must be in (0, 1]; got {decay!r}")
        self.loss = loss
        self.decay = decay
        self.sides = sides

    def forward(self, outputs: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        """Return the scalar loss.

        Args:
            outputs: logits (n, k, *spatial), or the main logits followed by side logits, finest
                first. Logits of another size than the target are interpolated to it: labels
                stay exact, and every side is judged on the same voxels.
            target: (n, *spatial), integer labels.
        """
        main, *sides = [outputs] if isinstance(outputs, Tensor) else outputs
        total: Tensor = self.loss(_resized(main, target), target)
        for k, side in enumerate(sides if self.sides else [], start=1):
            total = total + self.decay**k * self.loss(_resized(side, target), target)
        return total


def _resized(logits: Tensor, target: Tensor) -> Tensor:
    size = target.shape[1:]
    if logits.shape[2:] == size:
        return logits
    return F.interpolate(logits, size=size, mode=_INTERPOLATION[len(size)])


def _require_weights(ce_weight: float, dice_weight: float, epsilon: float) -> None:
    for name, weight in {"ce_weight": ce_weight, "dice_weight": dice_weight}.items():
        if weight < 0:
            raise ValueError(f"{name} must be >= 0; got {weight!r}")
    if ce_weight == dice_weight == 0:
        raise ValueError("ce_weight and dice_weight must not both be 0")
    if epsilon <= 0:
        raise ValueError(f"epsilon must be > 0; got {epsilon!r}")


def _require_shapes(logits: Tensor, target: Tensor) -> None:
    expected = (logits.shape[0], *logits.shape[2:])
    if target.shape != expected or logits.shape[1] < 2:
        raise ValueError(
            "logits must be (n, k, *spatial) with k >= 2 and target (n, *spatial); "
            f"got {tuple(logits.shape)} and {tuple(target.shape)}"
        )
