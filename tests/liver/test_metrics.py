"""Liver metrics against hand-computed cases, an all-pairs reference, and MONAI."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from vitruvian.liver import surfaces
from vitruvian.liver.metrics import (
    Counts,
    evaluate_case,
    global_dice,
    overlap,
    stratified_dice,
)
from vitruvian.liver.surfaces import surface_distances

DISTANCES = ("assd_mm", "hd_mm", "hd95_mm")


def box(shape, low, high):
    """Mask of `shape` with ones from corner `low` up to, not including, `high`."""
    mask = np.zeros(shape, np.uint8)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = 1
    return mask


def voxel(*index):
    return box((8, 8, 8), index, [i + 1 for i in index])


def random_pair(seed):
    """Two random masks of odd shapes, often touching the border, and an anisotropic spacing."""
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 8, 3)
    first, second = (rng.random(shape) < rng.uniform(0.2, 0.98) for _ in range(2))
    first.flat[0] = second.flat[-1] = True
    return first, second, tuple(rng.uniform(0.4, 6.0, 3))


def reference_surface(mask, spacing, steps):
    """Voxels with a background neighbour, found one by one; `steps` 1 is faces, 2 edges too."""
    near = [o for o in itertools.product((-1, 0, 1), repeat=3) if 0 < np.abs(o).sum() <= steps]
    inside = {tuple(index) for index in np.argwhere(mask)}
    surface = [v for v in inside if any(tuple(np.add(v, o)) not in inside for o in near)]
    return np.array(surface) * np.array(spacing)


def reference(first, second, spacing, steps=2):
    """All pairs of surface voxels."""
    a, b = (reference_surface(mask, spacing, steps) for mask in (first, second))
    pairs = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    forth, back = pairs.min(1), pairs.min(0)
    return {
        "assd_mm": np.concatenate([forth, back]).mean(),
        "hd_mm": max(forth.max(), back.max()),
        "hd95_mm": max(np.percentile(forth, 95), np.percentile(back, 95)),
    }


CUBE = ((8, 8, 8), (2, 2, 2), (6, 6, 6))
NESTED = (26 + 54 + 36 * math.sqrt(2) + 8 * math.sqrt(3)) / (26 + 98)
SURFACE_CASES = {
    # name: prediction, truth, spacing, (ASSD, HD, HD95)
    "same": (box(*CUBE), box(*CUBE), (5, 1, 1), (0, 0, 0)),
    # a face of 16 voxels and the 4 inner voxels of the opposite one are off by one voxel, of 56
    "along x": (box(*CUBE), box((8, 8, 8), (2, 2, 3), (6, 6, 7)), (2, 1, 1), (20 / 56, 1, 1)),
    # the same in z: the face is 2 mm off, the inner voxels are nearer within the plane, 1 mm
    "along z": (box(*CUBE), box((8, 8, 8), (3, 2, 2), (7, 6, 6)), (2, 1, 1), (36 / 56, 2, 2)),
    "voxels": (voxel(1, 1, 1), voxel(2, 3, 3), (3, 1, 2), (math.sqrt(29),) * 3),
    "nested": (
        box((7, 7, 7), (2, 2, 2), (5, 5, 5)),
        box((7, 7, 7), (1, 1, 1), (6, 6, 6)),
        (1, 1, 1),
        (NESTED, math.sqrt(3), math.sqrt(3)),
    ),
    # every voxel touches the outside; 95th percentile of 0, 0, 0.5, 1 is 0.925
    "border": (
        box((1, 1, 4), (0, 0, 0), (1, 1, 2)),
        box((1, 1, 4), (0, 0, 0), (1, 1, 4)),
        (9, 9, 0.5),
        (1.5 / 6, 1, 0.925),
    ),
    # a full array has its whole shell as surface: 26 voxels, each 1 mm from the middle at least
    "full": (
        box((3, 3, 3), (0, 0, 0), (3, 3, 3)),
        box((3, 3, 3), (1, 1, 1), (2, 2, 2)),
        (1, 1, 1),
        ((6 + 12 * math.sqrt(2) + 8 * math.sqrt(3) + 1) / 27, math.sqrt(3), math.sqrt(3)),
    ),
}


@pytest.mark.parametrize("name", SURFACE_CASES)
def test_surface_distances_by_hand(name):
    prediction, truth, spacing, expected = SURFACE_CASES[name]
    measured = surface_distances(prediction, truth, spacing)
    assert tuple(measured) == DISTANCES
    assert tuple(measured.values()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(60))
def test_surface_distances_equal_all_pairs(seed):
    first, second, spacing = random_pair(seed)
    measured = surface_distances(first, second, spacing)
    assert measured == pytest.approx(reference(first, second, spacing), abs=1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_surface_distances_properties(seed):
    first, second, spacing = random_pair(seed)
    measured = surface_distances(first, second, spacing)
    assert 0 <= measured["hd95_mm"] <= measured["hd_mm"]
    assert 0 <= measured["assd_mm"] <= measured["hd_mm"]
    assert surface_distances(second, first, spacing) == pytest.approx(measured)
    assert surface_distances(first, first, spacing) == dict.fromkeys(DISTANCES, 0.0)
    doubled = surface_distances(first, second, [2 * size for size in spacing])
    assert doubled == pytest.approx({name: 2 * value for name, value in measured.items()})


@pytest.mark.parametrize("seed", range(20))
def test_the_array_may_end_anywhere(seed):
    first, second, spacing = random_pair(seed)
    padded = surface_distances(np.pad(first, (1, 4)), np.pad(second, (1, 4)), spacing)
    assert padded == pytest.approx(surface_distances(first, second, spacing))


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI's own
@pytest.mark.parametrize("seed", range(20))
def test_monai_differs_by_its_surface_only(seed):
    first, second, spacing = random_pair(seed)
    monai = monai_distances(first, second, spacing)
    faces = surfaces._directed(first, second, spacing, connectivity=1)
    assert surfaces._summary(*faces) == pytest.approx(monai, abs=1e-4)  # MONAI's is float32
    ours = surface_distances(first, second, spacing)
    assert abs(ours["hd_mm"] - monai["hd_mm"]) <= sorted(spacing)[1] + 1e-4


def test_monai_has_fewer_surface_voxels():
    groove = box((5, 5, 5), (0, 0, 0), (5, 5, 5))
    groove[:, 0, 0] = 0  # one edge planed off: behind it 3 voxels touch background by an edge only
    official, faces = (surfaces._surface(groove == 1, (1, 1, 1), steps) for steps in (2, 1))
    assert len(official) == len(faces) + 3


def monai_distances(first, second, spacing):
    import torch
    from monai import metrics

    pair = [torch.from_numpy(mask)[None, None] for mask in (first, second)]
    options = {"include_background": True, "spacing": list(spacing)}
    hausdorff = metrics.compute_hausdorff_distance
    return {
        "assd_mm": float(
            metrics.compute_average_surface_distance(*pair, symmetric=True, **options)
        ),
        "hd_mm": float(hausdorff(*pair, **options)),
        "hd95_mm": float(hausdorff(*pair, percentile=95, **options)),
    }


EMPTY = np.zeros((4, 4, 4), np.uint8)
BLOCK = box((4, 4, 4), (1, 1, 1), (3, 3, 3))  # 8 voxels
HALF = box((4, 4, 4), (1, 1, 1), (3, 3, 2))  # 4 of them
OFF = box((4, 4, 4), (1, 1, 2), (3, 3, 4))  # 8, of which 4 in BLOCK
NAN = math.nan
OVERLAP_CASES = {
    # prediction, truth, (dice, jaccard, voe, voe_paper, rvd, precision, recall)
    "equal": (BLOCK, BLOCK, (1, 1, 0, 0, 0, 1, 1)),
    "shifted": (OFF, BLOCK, (1 / 2, 1 / 3, 2 / 3, 1 / 2, 0, 1 / 2, 1 / 2)),
    "too small": (HALF, BLOCK, (2 / 3, 1 / 2, 1 / 2, 1 / 3, -1 / 2, 1, 1 / 2)),
    "too large": (BLOCK, HALF, (2 / 3, 1 / 2, 1 / 2, 1 / 3, 1, 1 / 2, 1)),
    "missed": (HALF, box((4, 4, 4), (0, 0, 0), (1, 1, 4)), (0, 0, 1, 1, 0, 0, 0)),
    "empty prediction": (EMPTY, BLOCK, (0, 0, 1, 1, -1, 0, 0)),
    "empty truth": (BLOCK, EMPTY, (0, 0, 1, 1, NAN, 0, 0)),
    "both empty": (EMPTY, EMPTY, (1, 1, 0, 0, 0, 1, 1)),
}
NAMES = ("dice", "jaccard", "voe", "voe_paper", "rvd", "precision", "recall")


@pytest.mark.parametrize("name", OVERLAP_CASES)
def test_overlap_by_hand(name):
    prediction, truth, expected = OVERLAP_CASES[name]
    measured = overlap(prediction, truth)
    assert tuple(measured) == NAMES
    assert tuple(measured.values()) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("seed", range(20))
def test_overlap_identities(seed):
    first, second, _ = random_pair(seed)
    m, reverse = overlap(first, second), overlap(second, first)
    assert m["dice"] == pytest.approx(2 * m["jaccard"] / (1 + m["jaccard"]))
    assert m["voe"] == pytest.approx(1 - m["jaccard"])
    assert m["voe_paper"] == pytest.approx(1 - m["dice"])
    assert (m["dice"], m["precision"]) == (reverse["dice"], reverse["recall"])
    if m["precision"]:
        assert m["rvd"] == pytest.approx(m["recall"] / m["precision"] - 1)


def test_counts_of_slices_add_up():
    first, second = (np.random.default_rng(s).random((6, 9, 7)) < 0.4 for s in (0, 1))
    slices = [Counts.of(first[z : z + 1], second[z : z + 1]) for z in range(6)]
    assert sum(slices, Counts()) == Counts.of(first, second)
    assert sum(slices, Counts()).overlap() == overlap(first, second)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int64])
def test_any_binary_dtype(dtype):
    result = evaluate_case(OFF.astype(dtype), BLOCK, (1, 1, 1))
    assert result == evaluate_case(OFF, BLOCK.astype(bool), (1, 1, 1))


def test_views_that_are_not_contiguous():
    prediction, truth = np.repeat(OFF, 2, axis=2)[:, :, ::2], BLOCK.transpose(0, 2, 1)
    assert evaluate_case(prediction, truth, (1, 1, 1))["dice"] == 0.5


def test_evaluate_case_holds_everything():
    result = evaluate_case(HALF, BLOCK, (5.0, 0.7, 0.7))
    counts = {"tp": 4.0, "fp": 0.0, "fn": 4.0}
    distances = surface_distances(HALF, BLOCK, (5.0, 0.7, 0.7))
    assert result == overlap(HALF, BLOCK) | distances | {"empty_prediction": 0.0} | counts
    assert all(isinstance(value, float) for value in result.values())
    without = evaluate_case(HALF, BLOCK, (5.0, 0.7, 0.7), surfaces=False)
    assert set(result) - set(without) == set(DISTANCES)


@pytest.mark.parametrize(
    ("prediction", "truth", "flag"), [(EMPTY, BLOCK, 1), (BLOCK, EMPTY, 0), (EMPTY, EMPTY, 1)]
)
def test_distance_to_nothing_is_nan(prediction, truth, flag):
    result = evaluate_case(prediction, truth, (1, 1, 1))
    assert all(math.isnan(result[name]) for name in DISTANCES)
    assert result["empty_prediction"] == flag


def test_global_dice_is_one_large_volume():
    rows = [evaluate_case(BLOCK, BLOCK, (1, 1, 1)), evaluate_case(EMPTY, HALF, (1, 1, 1))]
    assert global_dice(rows) == pytest.approx(2 * 8 / (8 + 8 + 4))  # mean over cases: 0.5
    assert math.isnan(global_dice([]))


def test_stratified_dice_by_hand():
    truth, prediction = np.zeros((2, 8, 6, 6), np.uint8)
    for z, (area, hit) in enumerate([(6, 6), (4, 0), (2, 1), (3, 3), (1, 1), (5, 5)], start=1):
        truth[z, 0, :area] = 1
        prediction[z, 0, :hit] = 1
    prediction[0] = prediction[7] = 1  # no liver there: not counted
    assert stratified_dice(prediction, truth) == pytest.approx(
        {
            "dice_small": (1 + 2 / 3) / 2,  # areas 1 and 2
            "dice_medium": (1 + 0) / 2,  # areas 3 and 4
            "dice_large": 1.0,  # areas 5 and 6
            "dice_inferior": (1 + 0) / 2,
            "dice_central": (2 / 3 + 1) / 2,
            "dice_superior": 1.0,
        }
    )


def test_too_few_slices_have_no_thirds():
    assert all(math.isnan(value) for value in stratified_dice(HALF, BLOCK).values())


MASK_ERRORS = [
    (BLOCK, BLOCK[:3], "differ in shape"),
    (BLOCK[0], BLOCK[0], "prediction must be"),
    (BLOCK.astype(np.float32), BLOCK, "prediction must be bool or integer"),
    (BLOCK, BLOCK * 2, "truth holds labels"),
    (BLOCK.astype(np.int8) * -1, BLOCK, "prediction holds labels"),
]


@pytest.mark.parametrize(("prediction", "truth", "message"), MASK_ERRORS)
def test_ill_formed_masks(prediction, truth, message):
    for measure in (overlap, stratified_dice, lambda p, t: surface_distances(p, t, (1, 1, 1))):
        with pytest.raises(ValueError, match=message):
            measure(prediction, truth)


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 0), (-1, 1, 1), (1, math.nan, 1), (1, 1, 1, 1)])
def test_ill_formed_spacings(spacing):
    with pytest.raises(ValueError, match="three positive sizes"):
        surface_distances(BLOCK, EMPTY, spacing)


@pytest.mark.real_data
def test_shifted_real_liver(real_data):
    import nibabel as nib

    image = nib.load(real_data / "ct_lits_volume0" / "segmentation-0.nii.gz")
    truth = np.asarray(image.dataobj).astype(np.uint8).transpose(2, 1, 0)
    spacing = image.header.get_zooms()[::-1]
    shifted = np.roll(truth, 2, axis=2)  # by 2 x 0.703 mm
    result = evaluate_case(shifted, truth, spacing)
    assert result["dice"] == pytest.approx(1 - result["fp"] / truth.sum())
    assert result["hd_mm"] == pytest.approx(2 * spacing[2], rel=1e-6)
    assert 0 < result["assd_mm"] < result["hd_mm"]
