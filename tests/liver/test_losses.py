"""Losses against values worked out by hand and against MONAI's DiceCELoss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from monai.losses import DiceCELoss
from torch import Tensor, nn

from vitruvian.liver.losses import CEDice, DeepSupervised

LN2 = math.log(2)
FULL, EMPTY, CORNER = [[1, 1], [1, 1]], [[0, 0], [0, 0]], [[1, 0], [0, 0]]


def random_case(shape: tuple[int, ...], classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(classes, shape, generator=generator)
    return torch.randn((shape[0], classes, *shape[1:]), generator=generator), target


def certain(target: Tensor, classes: int, margin: float = 40.0) -> Tensor:
    """Logits of a prediction that is sure of `target`."""
    return margin * nn.functional.one_hot(target, classes).movedim(-1, 1).float()


@pytest.mark.parametrize(
    ("kwargs", "target", "expected"),
    [
        # Undecided logits: every probability is 1/2, cross-entropy ln 2.
        ({}, [CORNER], LN2 + 2 / 3),  # overlap 1/2, volumes 2 + 1: Dice 1/3
        ({"dice_weight": 0}, [CORNER], LN2),
        ({"ce_weight": 0}, [CORNER], 2 / 3),
        ({"ce_weight": 2, "dice_weight": 3}, [CORNER], 2 * LN2 + 2),
        ({"ce_weight": 0, "include_background": True}, [CORNER], (2 / 3 + 2 / 5) / 2),
        ({"ce_weight": 0}, [FULL, EMPTY], 1 / 2),  # pooled: 2 * 2 / (4 + 4)
        ({"ce_weight": 0, "batch_dice": False}, [FULL, EMPTY], (1 / 3 + 1) / 2),
        ({"ce_weight": 0, "epsilon": 1.0}, [CORNER], 1 - 2 / 4),
    ],
)
def test_by_hand(kwargs: dict[str, Any], target: list[Any], expected: float) -> None:
    labels = torch.tensor(target)
    loss = CEDice(**kwargs)(torch.zeros(len(target), 2, 2, 2), labels)
    torch.testing.assert_close(loss, torch.tensor(expected), atol=1e-5, rtol=0)


@pytest.mark.parametrize("target", [[CORNER], [FULL], [EMPTY], [FULL, EMPTY]])
@pytest.mark.parametrize("batch_dice", [True, False])
def test_a_perfect_prediction_costs_nothing(target: list[Any], batch_dice: bool) -> None:
    labels = torch.tensor(target)
    assert CEDice(batch_dice=batch_dice)(certain(labels, 2), labels) < 1e-5


@pytest.mark.parametrize("margin", [0.0, -200.0, 200.0])
@pytest.mark.parametrize("target", [EMPTY, FULL])
def test_extremes_stay_finite(margin: float, target: list[list[int]]) -> None:
    labels = torch.tensor([target])
    logits = certain(labels, 2, margin).requires_grad_()
    loss = CEDice()(logits, labels)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("shape", [(3, 8, 6), (2, 4, 8, 6)])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("batch_dice", [True, False])
@pytest.mark.parametrize("include_background", [True, False])
def test_equals_monai(
    shape: tuple[int, ...], classes: int, batch_dice: bool, include_background: bool
) -> None:
    logits, target = random_case(shape, classes)
    theirs = DiceCELoss(
        to_onehot_y=True, softmax=True, batch=batch_dice, include_background=include_background
    )
    ours = CEDice(batch_dice=batch_dice, include_background=include_background)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target.unsqueeze(1)))


def test_computes_in_float32_under_autocast() -> None:
    logits, target = random_case((2, 64, 64), 2)
    half = logits.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = CEDice()(half, target)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, CEDice()(half.float(), target))


def test_takes_masks_as_stored() -> None:
    logits, target = random_case((2, 8, 8), 3)
    assert torch.equal(CEDice()(logits, target.to(torch.uint8)), CEDice()(logits, target))


class Mean(nn.Module):
    """A loss whose value shows which logits it was given."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        assert logits.shape[2:] == target.shape[1:]
        return logits.mean()


def constant(value: float, *size: int) -> Tensor:
    return torch.full((1, 2, *size), float(value))


@pytest.mark.parametrize(
    ("kwargs", "outputs", "expected"),
    [
        ({}, constant(3, 4, 4), 3.0),
        ({}, (constant(3, 4, 4),), 3.0),
        ({}, (constant(1, 4, 4), constant(2, 4, 4), constant(4, 4, 4)), 1 + 2 / 2 + 4 / 4),
        ({}, [constant(1, 4, 4), constant(2, 4, 4), constant(4, 2, 2)], 3.0),
        ({"decay": 1.0}, (constant(1, 4, 4), constant(2, 4, 4), constant(4, 1, 1)), 7.0),
        ({"sides": False}, (constant(1, 4, 4), constant(2, 4, 4)), 1.0),
    ],
)
def test_deep_supervision(kwargs: dict[str, Any], outputs: Any, expected: float) -> None:
    loss = DeepSupervised(Mean(), **kwargs)(outputs, torch.zeros(1, 4, 4, dtype=torch.long))
    torch.testing.assert_close(loss, torch.tensor(expected))


def test_deep_supervision_enlarges_small_sides_in_3d() -> None:
    outputs = (constant(1, 4, 4, 8), constant(2, 2, 2, 4))
    loss = DeepSupervised(Mean())(outputs, torch.zeros(1, 4, 4, 8, dtype=torch.long))
    torch.testing.assert_close(loss, torch.tensor(2.0))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CEDice(ce_weight=-1), "ce_weight must be >= 0; got -1"),
        (lambda: CEDice(dice_weight=-1), "dice_weight must be >= 0; got -1"),
        (lambda: CEDice(ce_weight=0, dice_weight=0), "must not both be 0"),
        (lambda: CEDice(epsilon=0), "epsilon must be > 0; got 0"),
        (lambda: DeepSupervised(CEDice(), decay=0), "decay must be in (0, 1]; got 0"),
        (lambda: DeepSupervised(CEDice(), decay=1.5), "decay must be in (0, 1]; got 1.5"),
        (
            lambda: CEDice()(torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 4, 4)),
            "target (n, *spatial); got (1, 2, 4, 4) and (1, 1, 4, 4)",
        ),
        (lambda: CEDice()(torch.zeros(1, 1, 4, 4), torch.zeros(1, 4, 4)), "with k >= 2"),
    ],
)
def test_ill_formed_arguments(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        build()
    assert message in str(caught.value)
