"""Augmentation: each window as its own seed says, the geometry kept, the input left alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from vitruvian.core.errors import ConfigError
from vitruvian.spine.head.features import Features
from vitruvian.spine.skeletons import BLAZEPOSE
from vitruvian.spine.track.augment import Compose, Drop, Jitter, Mirror, Scale, TimeWarp

TRANSFORMS = [
    Mirror(),
    Jitter(),
    Scale(),
    Scale(about="zero"),
    TimeWarp(),
    Drop(0.3),
    Compose([Mirror(), Scale(), TimeWarp(), Jitter(), Drop()]),
]


def batch(n: int = 16, frames: int = 20) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(n, frames, 33, 3, generator=generator)
    visibility = torch.rand(n, frames, 33, generator=generator)
    mask = torch.arange(frames) < frames - torch.arange(n)[:, None]
    return points, visibility, mask, torch.arange(n) * 7919


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: type(t).__name__)
def test_shapes_and_types_are_kept(transform: Any) -> None:
    points, visibility, mask, seeds = batch()
    for dtype in (torch.float32, torch.float64):
        moved, shown = transform(points.to(dtype), visibility.to(dtype), mask, seeds)
        assert (moved.shape, moved.dtype) == (points.shape, dtype)
        assert (shown.shape, shown.dtype) == (visibility.shape, dtype)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: type(t).__name__)
def test_an_item_depends_on_its_seed_alone(transform: Any) -> None:
    whole = batch()
    moved, shown = transform(*whole)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))[:5]
    some, some_shown = transform(*(x[order] for x in whole))
    assert torch.equal(some, moved[order])
    assert torch.equal(some_shown, shown[order])


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: type(t).__name__)
def test_the_input_and_the_global_random_state_are_left_alone(transform: Any) -> None:
    whole = batch()
    before = [x.clone() for x in whole]
    state = torch.get_rng_state()
    transform(*whole)
    assert all(torch.equal(a, b) for a, b in zip(before, whole, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("transform", TRANSFORMS[1:], ids=lambda t: type(t).__name__)
def test_other_seeds_other_draws(transform: Any) -> None:
    points, visibility, mask, seeds = batch()
    one, _ = transform(points, visibility, mask, seeds)
    other, _ = transform(points, visibility, mask, seeds + 1)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: type(t).__name__)
def test_what_stands_in_the_padding_does_not_matter(transform: Any) -> None:
    points, visibility, mask, seeds = batch()
    features = Features(origin="hips", visibility=True)
    other = points.masked_fill(~mask[..., None, None], 50.0)
    one = features(*transform(points, visibility, mask, seeds), mask)
    assert torch.equal(features(*transform(other, visibility, mask, seeds), mask), one)


# -- mirror ---------------------------------------------------------------------------------------


def test_a_mirror_swaps_sides() -> None:
    points, visibility, mask, seeds = batch()
    moved, shown = Mirror(axis_at=0.5, probability=1)(points, visibility, mask, seeds)
    for joint, other in enumerate(BLAZEPOSE.mirror):
        torch.testing.assert_close(moved[..., joint, 0], 1 - points[..., other, 0])
        assert torch.equal(moved[..., joint, 1:], points[..., other, 1:])
        assert torch.equal(shown[..., joint], visibility[..., other])


@pytest.mark.parametrize("axis_at", [0.0, 0.5])
def test_two_mirrors_give_the_person_back(axis_at: float) -> None:
    points, visibility, mask, seeds = batch()
    mirror = Mirror(axis_at=axis_at, probability=1)
    moved, shown = mirror(*mirror(points, visibility, mask, seeds), mask, seeds)
    torch.testing.assert_close(moved, points)
    assert torch.equal(shown, visibility)


def test_half_of_the_windows_are_mirrored() -> None:
    points, visibility, mask, seeds = batch(1000, 2)
    moved, _ = Mirror()(points, visibility, mask, seeds)
    mirrored = (moved != points).any(dim=(1, 2, 3))
    assert 0.45 < mirrored.float().mean() < 0.55
    assert torch.equal(moved[~mirrored], points[~mirrored])


def test_joint_angles_of_the_other_side() -> None:
    points, visibility, mask, seeds = batch()
    features = Features(angles=True)
    before = features(points, visibility, mask)
    after = features(*Mirror(probability=1)(points, visibility, mask, seeds), mask)
    left, right = (features.names.index(f"{side} knee angle") for side in ("left", "right"))
    torch.testing.assert_close(after[..., left], before[..., right])


# -- the others -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sd", [0.0, 0.01, 2.0])
def test_jitter_has_its_deviation(sd: float) -> None:
    points, visibility, mask, seeds = batch()
    noise = Jitter(sd)(points, visibility, mask, seeds)[0] - points
    assert float(noise.std()) == pytest.approx(sd, rel=0.01, abs=1e-7)
    assert abs(float(noise.mean())) < 0.02 * sd + 1e-7
    flat = noise.flatten(1)
    if sd:  # neither neighbours nor items resemble each other
        assert (
            abs(
                float(
                    torch.corrcoef(torch.stack([flat[:, 1:].flatten(), flat[:, :-1].flatten()]))[
                        0, 1
                    ]
                )
            )
            < 0.03
        )
        assert torch.corrcoef(flat).fill_diagonal_(0).abs().max() < 0.15


def test_scale_keeps_the_middle_and_the_shape() -> None:
    points, visibility, mask, seeds = batch()
    moved, shown = Scale(0.5, 2.0)(points, visibility, mask, seeds)
    for before, after, real in zip(points, moved, mask, strict=True):
        ratio = (after[real] - after[real].mean((0, 1))) / (
            before[real] - before[real].mean((0, 1))
        )
        factor = ratio.median()
        assert 0.5 <= factor <= 2
        torch.testing.assert_close(after[real].mean((0, 1)), before[real].mean((0, 1)))
        torch.testing.assert_close(
            after[real] - after[real].mean((0, 1)),
            (before[real] - before[real].mean((0, 1))) * factor,
            rtol=1e-4,
            atol=1e-5,
        )
    assert torch.equal(shown, visibility)


def test_scale_about_zero() -> None:
    points, visibility, mask, seeds = batch()
    moved, _ = Scale(0.5, 2.0, about="zero")(points, visibility, mask, seeds)
    ratio = (moved / points).flatten(1)
    assert ((ratio - ratio[:, :1]).abs() < 1e-5).all()
    assert len(ratio[:, 0].unique()) == 16


@pytest.mark.parametrize("stretch", [0.0, 0.2, 0.9])
def test_time_runs_forward_between_its_ends(stretch: float) -> None:
    _, visibility, mask, seeds = batch()
    clock = torch.arange(20.0).expand(16, 20)
    points = clock[..., None, None].expand(16, 20, 33, 3)
    warped = TimeWarp(stretch)(points, visibility, mask, seeds)[0][..., 0, 0]
    for time, real in zip(warped, mask, strict=True):
        inside = time[real]
        assert inside[0] == 0
        assert float(inside[-1]) == pytest.approx(len(inside) - 1, abs=1e-5)
        speed = inside.diff()
        assert (speed >= 1 - stretch - 1e-4).all()
        assert (speed <= 1 + stretch + 1e-4).all()
    assert torch.equal(warped[mask], clock[mask]) == (stretch == 0)


def test_a_dropped_joint_looks_like_one_never_seen() -> None:
    points, visibility, mask, seeds = batch(200)
    visibility = visibility + 0.1
    moved, shown = Drop(0.25)(points, visibility, mask, seeds)
    hidden = (shown == 0).all(dim=1)
    assert torch.equal(hidden, (shown == 0).any(dim=1))
    assert 0.23 < hidden.float().mean() < 0.27
    for item in range(5):
        rest = points[item, 0, ~hidden[item]].mean(0)
        torch.testing.assert_close(
            moved[item][:, hidden[item]], rest.expand(20, int(hidden[item].sum()), 3)
        )
        assert torch.equal(moved[item][:, ~hidden[item]], points[item][:, ~hidden[item]])


def test_not_all_joints_are_dropped() -> None:
    points, visibility, mask, seeds = batch()
    moved, shown = Drop(1.0)(points, visibility, mask, seeds)
    assert torch.equal(moved, points)
    assert torch.equal(shown, visibility)


def test_transforms_in_a_row_draw_independently() -> None:
    points, visibility, mask, seeds = batch(400, 2)
    twice = Compose([Mirror(), Mirror()])
    moved, _ = twice(points, visibility, mask, seeds)
    mirrored = ((moved - points).abs() > 1e-6).any(dim=(1, 2, 3))
    assert 0.4 < mirrored.float().mean() < 0.6  # never, if both drew the same


@pytest.mark.parametrize("skeleton", ["kinect22", "joints4x2"])
def test_relative_joints_have_no_mirror(skeleton: str) -> None:
    with pytest.raises(ConfigError, match=f"the skeleton {skeleton} gives positions relative"):
        Mirror(skeleton)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mirror(probability=1.5), r"probability must be from 0 to 1, not 1\.5"),
        (lambda: Drop(-0.1), r"probability must be from 0 to 1, not -0\.1"),
        (lambda: Jitter(-1), "sd must not be negative, as -1 is"),
        (lambda: Scale(0, 1), "low and high must be above 0 and in order, not 0 and 1"),
        (lambda: Scale(2, 1), "low and high must be above 0 and in order, not 2 and 1"),
        (lambda: Scale(about="hips"), 'about must be "body" or "zero", not \'hips\''),
        (lambda: TimeWarp(1.0), r"max_stretch must be from 0 to below 1, not 1\.0"),
    ],
)
def test_bad_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
