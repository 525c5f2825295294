"""Augmentation: image and label move together, item by item, as the item's seed says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vitruvian.core.sampling import uniform
from vitruvian.liver.augment import Augment, FlipRotate, Rotate, _by_masks, _by_views

SHAPES = [(16, 1, 12, 12), (16, 3, 12, 12), (16, 1, 4, 12, 12), (16, 1, 8, 12), (16, 1, 4, 8, 12)]
TRANSFORMS = [
    FlipRotate(),
    FlipRotate(1.0, "none"),
    Rotate(45),
    Augment([FlipRotate(), Rotate(15)]),
]


def label_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:1] + shape[2:]


def batch(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(1, 1000, shape, generator=generator).to(dtype)
    label = torch.randint(0, 3, label_shape(shape), generator=generator, dtype=torch.uint8)
    return image, label, torch.arange(shape[0]) * 7919


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: type(t).__name__)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes_and_types_are_kept(transform: Any, shape: tuple[int, ...]) -> None:
    for dtype in (torch.float32, torch.float16):
        image, label, seed = batch(shape, dtype)
        moved, mask = transform(image, label, seed)
        assert (moved.shape, moved.dtype) == (image.shape, image.dtype)
        assert (mask.shape, mask.dtype) == (label.shape, label.dtype)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: type(t).__name__)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_item_depends_on_its_seed_alone(transform: Any, shape: tuple[int, ...]) -> None:
    image, label, seed = batch(shape)
    moved, mask = transform(image, label, seed)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))[:5]
    some, some_mask = transform(image[order], label[order], seed[order])
    assert torch.equal(some, moved[order])
    assert torch.equal(some_mask, mask[order])


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: type(t).__name__)
def test_the_input_is_left_alone(transform: Any) -> None:
    image, label, seed = batch(SHAPES[1])
    before = image.clone(), label.clone(), seed.clone()
    transform(image, label, seed)
    assert all(torch.equal(a, b) for a, b in zip(before, (image, label, seed), strict=True))


# -- flips and quarter turns ----------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.int16, torch.bfloat16])
def test_label_and_image_move_together(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    _, label, seed = batch(shape)
    image = label.unsqueeze(1).expand(shape).to(dtype)
    moved, mask = FlipRotate()(image, label, seed)
    assert torch.equal(moved, mask.unsqueeze(1).expand(shape).to(dtype))
    assert not torch.equal(mask, label)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_are_kept(shape: tuple[int, ...]) -> None:
    image, label, seed = batch(shape)
    moved, _ = FlipRotate()(image, label, seed)
    assert torch.equal(moved.flatten(1).sort(1).values, image.flatten(1).sort(1).values)


def symmetries(image: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """The eight symmetries of the square, in NumPy's own words."""
    turned = [np.rot90(image, k, axes=(-2, -1)) for k in range(4)]
    return turned + [np.flip(t, -1) for t in turned]


def test_all_eight_symmetries_occur_equally_often() -> None:
    one = torch.arange(9.0).view(1, 1, 3, 3)
    image, label = one.repeat(4000, 1, 1, 1), torch.zeros(4000, 3, 3, dtype=torch.uint8)
    moved, _ = FlipRotate()(image, label, torch.arange(4000))
    counts = [
        int((moved == torch.tensor(s.copy())).flatten(1).all(1).sum())
        for s in symmetries(one[0].numpy())
    ]
    assert sum(counts) == 4000
    assert min(counts) > 430


@pytest.mark.parametrize(
    ("transform", "turn"),
    [
        (FlipRotate(0.0, "none"), lambda x: x),
        (FlipRotate(1.0, "none"), lambda x: x.flip(-1, -2)),
        (Augment([]), lambda x: x),
    ],
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_certain_outcomes(transform: Any, turn: Any, shape: tuple[int, ...]) -> None:
    image, label, seed = batch(shape)
    moved, mask = transform(image, label, seed)
    assert torch.equal(moved, turn(image))
    assert torch.equal(mask, turn(label))


def test_crops_that_are_not_square_are_turned_by_half() -> None:
    image, label, seed = batch((64, 1, 4, 6))
    moved, _ = FlipRotate(0.0, "discrete")(image, label, seed)
    halves = [torch.equal(m, i.flip(-1, -2)) for m, i in zip(moved, image, strict=True)]
    rest = [torch.equal(m, i) for m, i in zip(moved, image, strict=True)]
    assert all(h != r for h, r in zip(halves, rest, strict=True))
    assert 16 < sum(halves) < 48


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_ways_of_host_and_device_agree(shape: tuple[int, ...]) -> None:
    image, label, _ = batch(shape)
    symmetry = torch.arange(16) % (8 if shape[-1] == shape[-2] else 4)
    assert torch.equal(_by_views(image, symmetry), _by_masks(image, symmetry))
    assert torch.equal(_by_views(label, symmetry), _by_masks(label, symmetry))


@pytest.mark.parametrize("symmetry", range(8))
def test_every_symmetry_has_an_inverse(symmetry: int) -> None:
    image = torch.arange(25).view(1, 5, 5)
    moved = _by_views(image, torch.tensor([symmetry]))
    back = [_by_views(moved, torch.tensor([s])) for s in range(8)]
    assert sum(torch.equal(b, image) for b in back) == 1


def test_views_that_are_not_contiguous_are_taken() -> None:
    image, label, seed = batch((8, 2, 12, 12))
    last = image.to(memory_format=torch.channels_last)
    assert torch.equal(FlipRotate()(last, label, seed)[0], FlipRotate()(image, label, seed)[0])


# -- any angle ------------------------------------------------------------------------------------


def angled(degrees: float, x: Tensor, padding: float = 0.0) -> tuple[Tensor, Tensor]:
    """Rotate every item of `x` by `degrees`, to 0.01, as image and as label."""
    seeds = torch.arange(200_000)
    angles = (uniform(seeds, 0) * 2 - 1) * 180
    seed = seeds[(angles - degrees).abs().argmin()].expand(len(x))
    return Rotate(180.0, padding)(x, x[:, 0].round().to(torch.uint8), seed)


@pytest.mark.parametrize("turns", [-1, 1])
@pytest.mark.parametrize("shape", [(2, 1, 16, 16), (2, 1, 3, 16, 16)], ids=str)
def test_ninety_degrees_is_a_quarter_turn(turns: int, shape: tuple[int, ...]) -> None:
    image = torch.randint(0, 9, shape, generator=torch.Generator().manual_seed(0)).float()
    moved, mask = angled(90.0 * turns, image)
    turned = torch.rot90(image, turns, (-2, -1))
    assert (moved - turned).abs().max() < 0.05
    assert torch.equal(mask, turned[:, 0].to(torch.uint8))


def test_rotation_keeps_shapes_in_crops_that_are_not_square() -> None:
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(96.0), indexing="ij")
    disc = (((y - 31.5) ** 2 + (x - 47.5) ** 2) < 20**2).float()[None, None]
    for degrees in (30.0, 90.0):
        moved, mask = angled(degrees, disc)
        assert (moved - disc).abs().mean() < 0.01
        assert int((mask != disc[:, 0]).sum()) < 60


def test_rotation_there_and_back() -> None:
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    smooth = torch.exp(-((y - 25) ** 2 + (x - 36) ** 2) / 200)[None, None]
    there, _ = angled(20.0, smooth)
    back, _ = angled(-20.0, there)
    assert (there - smooth).abs().max() > 0.1
    assert (back - smooth).abs().max() < 0.06  # twice interpolated


@pytest.mark.parametrize("padding", [0.0, -1024.0])
def test_padding_comes_in_at_the_corners(padding: float) -> None:
    moved, _ = angled(45.0, torch.full((1, 1, 32, 32), 7.0), padding)
    assert moved[0, 0, 0, 0] == padding
    assert moved[0, 0, 16, 16] == pytest.approx(7.0, abs=1e-3)


def test_label_of_rotation_has_no_new_values() -> None:
    image, label, seed = batch((16, 1, 24, 24))
    _, mask = Rotate(30)(image, label * 2, seed)
    assert set(mask.unique().tolist()) == {0, 2, 4}


def test_rotation_follows_the_image() -> None:
    label, seed = torch.zeros(16, 32, 32, dtype=torch.uint8), torch.arange(16)
    label[:, 8:16, 10:22] = 1
    moved, mask = Rotate(40)(label[:, None].float(), label, seed)
    assert ((moved[:, 0] > 0.5) == (mask > 0)).float().mean() > 0.98
    assert (mask != label).any()


def test_no_angle_is_the_identity() -> None:
    image, label, seed = batch((16, 1, 12, 12))
    moved, mask = Rotate(0.0)(image, label, seed)
    assert torch.allclose(moved, image, atol=1e-2)
    assert torch.equal(mask, label)


def test_transforms_in_a_row_draw_independently() -> None:
    one = torch.arange(9.0).view(1, 1, 3, 3).repeat(2000, 1, 1, 1)
    label = torch.zeros(2000, 3, 3, dtype=torch.uint8)
    flip = FlipRotate(0.5, "none")
    moved, _ = Augment([flip, flip])(one, label, torch.arange(2000))
    unchanged = (moved == one).flatten(1).all(1).float().mean()
    assert 0.2 < unchanged < 0.3  # all of them, if both drew the same


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FlipRotate(1.5), r"flip_probability must be from 0 to 1, not 1\.5"),
        (lambda: FlipRotate(-0.1), r"flip_probability must be from 0 to 1, not -0\.1"),
        (lambda: FlipRotate(rotate="any"), 'rotate must be "discrete" or "none", not \'any\''),
        (lambda: Rotate(-1), "max_degrees must be from 0 to 180, not -1"),
        (lambda: Rotate(181), "max_degrees must be from 0 to 180, not 181"),
        (lambda: Rotate()(*batch(SHAPES[0], torch.int16)), "image must be of floating point"),
    ],
)
def test_refuses(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
