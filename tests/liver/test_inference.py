"""Whole volumes, slab by slab: nets whose answer is known, and what must not change it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vitruvian.liver.inference import Inference, Scan, pad_to_multiple
from vitruvian.liver.volume import PADDING_HU

CPU = torch.device("cpu")
LIMIT = 100.0


def ct(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1024, 400, shape).astype(np.int16)


def logits_of(score: Tensor) -> Tensor:
    """Two classes; the second wins where `score` is positive."""
    return torch.cat([-score, score], 1)


def above(hu: Tensor) -> Tensor:
    """A voxel-wise net: the middle slice's HU above the limit."""
    middle = hu.shape[1] // 2
    return logits_of(hu[:, middle : middle + 1].float() - LIMIT)


def segment(
    inference: Inference, voxels: np.ndarray, net=above, dims: int = 2, context: int = 1
) -> np.ndarray:
    return inference.segment(net, Scan.of(voxels), dims, context, CPU)


# --- slices --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (9, 17, 16), (4, 64, 33)])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("context", [1, 3])
def test_a_threshold_gives_the_exact_mask(
    shape: tuple[int, ...], mirror: bool, context: int
) -> None:
    voxels = ct(*shape)
    mask = segment(Inference(batch_size=2, mirror=mirror), voxels, context=context)
    np.testing.assert_array_equal(mask, voxels > LIMIT)
    assert mask.dtype == np.uint8


@pytest.mark.parametrize("context", [1, 3, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_neighbours_at_the_ends_are_repeated(context: int, batch_size: int) -> None:
    """A net that adds its slices, each with a weight of its own, must see the right ones."""
    voxels = ct(4, 3, 3)
    weights = torch.arange(1.0, context + 1).view(1, -1, 1, 1)
    mask = segment(
        Inference(batch_size=batch_size),
        voxels,
        lambda hu: logits_of((hu.float() * weights).sum(1, keepdim=True) + 1),
        context=context,
    )
    reach = context // 2
    padded = np.pad(voxels.astype(float), ((reach, reach), (0, 0), (0, 0)), mode="edge")
    expected = sum((k + 1) * padded[k : k + 4] for k in range(context)) + 1 > 0
    np.testing.assert_array_equal(mask, expected)


def test_a_scan_is_read_a_few_slices_at_a_time() -> None:
    voxels, asked = ct(11, 4, 4), []

    def read(z0: int, z1: int) -> np.ndarray:
        asked.append((z0, z1))
        return voxels[z0:z1]

    mask = Inference(batch_size=3).segment(above, Scan(voxels.shape, read), 2, 5, CPU)
    np.testing.assert_array_equal(mask, voxels > LIMIT)
    assert asked == [(0, 5), (1, 8), (4, 11), (7, 11)]


def test_batches_of_a_real_net_agree() -> None:
    torch.manual_seed(0)
    net = nn.Conv2d(3, 2, 5, padding=2, bias=False)
    voxels = ct(7, 12, 10)
    masks = [
        segment(Inference(batch_size=b), voxels, lambda hu: net(hu.float()), context=3)
        for b in (1, 2, 7)
    ]
    assert 0 < masks[0].mean() < 1
    for mask in masks[1:]:
        np.testing.assert_array_equal(mask, masks[0])


def test_mirroring_averages_probabilities() -> None:
    """A net that answers by place, not by HU: four corners, and their mean everywhere."""
    certain = {0.9: (0, 0), 0.6: (0, 1), 0.2: (1, 0), 0.1: (1, 1)}
    field = torch.zeros(2, 2)
    for probability, corner in certain.items():
        field[corner] = math.log(probability / (1 - probability)) / 2

    def net(hu: Tensor) -> Tensor:
        return logits_of(field.expand(len(hu), 1, 2, 2))

    voxels = ct(1, 2, 2)
    assert segment(Inference(), voxels, net).tolist() == [[[1, 1], [0, 0]]]
    # the mean of 0.9, 0.6, 0.2 and 0.1 is 0.45: nowhere liver
    assert not segment(Inference(mirror=True), voxels, net).any()
    scores = Inference(mirror=True)._mirrored(net, torch.zeros(1, 1, 2, 2))
    torch.testing.assert_close(scores[0, 1], torch.full((2, 2), 0.45))


def test_mirroring_makes_a_one_sided_net_symmetric() -> None:
    torch.manual_seed(1)
    net = nn.Conv2d(1, 2, 3, padding=1)
    inference = Inference(mirror=True)
    hu = torch.from_numpy(ct(2, 1, 6, 5)).float()
    for axes in ((-1,), (-2,), (-1, -2)):
        turned = inference._mirrored(net, hu.flip(axes)).flip(axes)
        torch.testing.assert_close(turned, inference._mirrored(net, hu))


# --- slabs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", [(1, 3, 2), (5, 20, 9), (8, 16, 16), (9, 17, 33), (23, 40, 18)], ids=str
)
@pytest.mark.parametrize(
    ("patch", "overlap"),
    [((8, 16, 16), 0.5), ((8, 16, 16), 0.0), ((4, 16, 32), 0.75), ((1, 16, 16), 0.25)],
)
def test_slabs_give_what_the_whole_volume_gives(
    shape: tuple[int, ...], patch: tuple[int, ...], overlap: float
) -> None:
    voxels = ct(*shape)
    for batch_size, mirror in ((1, False), (3, True)):
        inference = Inference(batch_size, mirror, patch=patch, overlap=overlap)
        mask = segment(inference, voxels, dims=3)
        np.testing.assert_array_equal(mask, voxels > LIMIT)


def test_windows_are_filled_up_with_air() -> None:
    seen: list[Tensor] = []

    def net(hu: Tensor) -> Tensor:
        seen.append(hu)
        return logits_of(hu)

    segment(Inference(patch=(4, 8, 8)), np.zeros((2, 4, 8), np.int16), net, dims=3)
    assert [tuple(window.shape) for window in seen] == [(1, 1, 4, 8, 8)]
    assert seen[0].unique().tolist() == [PADDING_HU, 0]
    assert (seen[0] == 0).sum() == 2 * 4 * 8


@pytest.mark.parametrize("overlap", [0.25, 0.5, 0.75])
def test_there_are_no_seams(overlap: float) -> None:
    """Windows that disagree blend smoothly: along z the deciding place lies halfway."""
    depth, calls = 8, itertools.count()

    def opinions(hu: Tensor) -> Tensor:
        liver = next(calls) % 2 == 1  # the second slab says liver, with equal force
        return logits_of(torch.full_like(hu, 1.0 if liver else -1.0))

    step = round(depth * (1 - overlap))
    inference = Inference(patch=(depth, 8, 8), overlap=overlap)
    mask = segment(inference, ct(depth + step, 8, 8), opinions, dims=3)
    halfway = (step + depth) / 2
    z = np.arange(depth + step) + 0.5
    expected = (z > halfway) | (z >= depth)
    assert (mask[:, 0, 0] == expected)[np.abs(z - halfway) > 0.5].all()
    assert (mask == mask[:, :1, :1]).all()


def test_slabs_are_read_one_by_one() -> None:
    voxels, asked = ct(40, 4, 4), []

    def read(z0: int, z1: int) -> np.ndarray:
        asked.append((z0, z1))
        return voxels[z0:z1]

    inference = Inference(patch=(8, 4, 4), overlap=0.5)
    inference.segment(above, Scan(voxels.shape, read), 3, 1, CPU)
    assert asked == [(z, z + 8) for z in range(0, 33, 4)]


# --- the rest ------------------------------------------------------------------------------------


def test_only_the_largest_component_is_kept_if_asked() -> None:
    mask = np.zeros((1, 3, 5), np.uint8)
    mask[0, 0, :3] = mask[0, 2, 4] = 1
    assert Inference().clean(mask).sum() == 4
    assert Inference(largest_component=True).clean(mask).sum() == 3


@pytest.mark.parametrize(
    ("shape", "divisor", "padded"),
    [((5, 7), 4, (8, 8)), ((8, 16), 8, (8, 16)), ((3, 5, 9), 4, (4, 8, 12)), ((1, 1), 1, (1, 1))],
)
def test_padding_to_a_multiple(
    shape: tuple[int, ...], divisor: int, padded: tuple[int, ...]
) -> None:
    x = torch.rand(2, 1, *shape)
    result = pad_to_multiple(x, divisor, -3.0)
    assert tuple(result.shape) == (2, 1, *padded)
    inside = (..., *(slice(length) for length in shape))
    torch.testing.assert_close(result[inside], x)
    assert (result == -3).sum() == result.numel() - x.numel()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"overlap": 1.0}, "overlap must be in"),
        ({"overlap": -0.1}, "overlap must be in"),
        ({"patch": (32, 32)}, "patch must be"),
        ({"patch": (0, 32, 32)}, "patch must be"),
    ],
)
def test_errors(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Inference(**arguments)
