"""Displacements within a pixel, measured on a texture that is moved by a known amount."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, shift

from vitruvian.muscle.nets.tissue_motion import TissueMotion


def texture(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(48, 64))
    return gaussian_filter(noise, 1.5) * 5


def moved(x: float, y: float) -> torch.Tensor:
    """What is measured in the inner patches when the texture moves x right and y down."""
    first = texture()
    pair = [torch.tensor(image[8:40, 8:56])[None, None] for image in (first, shift(first, (y, x)))]
    return TissueMotion(8)(*pair)[0]


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (0.1, 0.0), (0.0, -0.1), (0.3, 0.2), (-0.5, 0.4)])
def test_displacement_is_measured_within_a_pixel(x: float, y: float) -> None:
    found = moved(x, y)
    assert found.shape == (2, 4, 6)
    assert found[0].mean().item() == pytest.approx(x, abs=0.02 + 0.15 * abs(x))
    assert found[1].mean().item() == pytest.approx(y, abs=0.02 + 0.15 * abs(y))


def test_nothing_to_see_is_still() -> None:
    flat = torch.full((1, 1, 16, 16), 3.0)
    assert TissueMotion(8)(flat, flat + 1).abs().max() == 0


def test_gradients_stay_finite() -> None:
    before = torch.zeros(2, 3, 16, 16, requires_grad=True)
    TissueMotion(8)(before, torch.rand(2, 3, 16, 16)).sum().backward()
    assert torch.isfinite(before.grad).all()


def test_moves_are_bounded() -> None:
    found = TissueMotion(8)(torch.rand(1, 1, 16, 16), 100 * torch.rand(1, 1, 16, 16))
    assert found.abs().max() <= 2
