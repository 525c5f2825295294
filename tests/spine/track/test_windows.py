"""Windows: they cover a clip, padding is marked, and training draws are functions of numbers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vitruvian.core.errors import DataError
from vitruvian.core.sampling import EpochOrder
from vitruvian.spine.track.cleaning import Track
from vitruvian.spine.track.windows import Windows, WindowSamples


def track(frames: int, clip: int = 0) -> Track:
    """One joint whose x is the number of the frame from 1, and y that of the clip."""
    points = np.stack([np.arange(1.0, frames + 1), np.full(frames, clip)], 1)[:, None]
    visibility = np.ones((frames, 1), np.float32)
    return Track(points.astype(np.float32), visibility, np.arange(frames) / 30)


# -- where they lie -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "arguments", "starts"),
    [
        (1, (10, 4), [0]),
        (9, (10, 4), [0]),
        (10, (10, 4), [0]),
        (11, (10, 4), [0]),  # one frame left over: less than half a stride
        (12, (10, 4), [0, 2]),
        (14, (10, 4), [0, 4]),
        (17, (10, 4), [0, 4, 7]),
        (17, (10, 4, False), [0, 4]),
        (12, (10, 4, False), [0]),
        (4, (1, 1), [0, 1, 2, 3]),
        (1800, (150, 75), list(range(0, 1651, 75))),
    ],
)
def test_starts(frames: int, arguments: tuple[Any, ...], starts: list[int]) -> None:
    assert Windows(*arguments).starts(frames) == starts


@given(st.integers(1, 400), st.integers(1, 60), st.data())
def test_windows_cover_the_clip(frames: int, length: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, length))
    starts = Windows(length, stride).starts(frames)
    assert starts[0] == 0
    assert all(0 < b - a <= stride for a, b in pairwise(starts))
    assert starts[-1] == 0 or starts[-1] + length <= frames
    left_over = frames - starts[-1] - length
    assert 2 * left_over < stride
    regular = Windows(length, stride, tail=False).starts(frames)
    assert regular == starts[: len(regular)]
    assert regular == list(range(0, len(regular) * stride, stride))


def test_cut() -> None:
    cut = Windows(4, 2).cut(track(7))
    assert cut.starts.tolist() == [0, 2, 3]
    assert cut.points[..., 0, 0].tolist() == [[1, 2, 3, 4], [3, 4, 5, 6], [4, 5, 6, 7]]
    assert cut.points.shape == (3, 4, 1, 2)
    assert cut.visibility.shape == (3, 4, 1)
    assert cut.mask.all()


def test_a_short_clip_is_padded_at_its_end() -> None:
    cut = Windows(4, 2).cut(track(3))
    assert cut.points[..., 0, 0].tolist() == [[1, 2, 3, 0]]
    assert cut.visibility[..., 0].tolist() == [[1, 1, 1, 0]]
    assert cut.mask.tolist() == [[True, True, True, False]]


# -- training samples -----------------------------------------------------------------------------

CLIPS = [3, 9, 30]


def samples(jitter: bool = True, seed: int = 0) -> WindowSamples:
    tracks = [track(frames, clip) for clip, frames in enumerate(CLIPS)]
    return WindowSamples(tracks, [0.1, 0.2, 0.3], Windows(6, 4), seed, jitter)


def keys(*indices: int, epoch: int = 0) -> np.ndarray[Any, Any]:
    return np.array([[epoch, position, index] for position, index in enumerate(indices)])


def test_items_are_the_windows_of_all_clips() -> None:
    dataset = samples(jitter=False)
    assert dataset.clip.tolist() == [0, 1, 1, *[2] * 7]
    assert dataset.start.tolist() == [0, 0, 3, 0, 4, 8, 12, 16, 20, 24]
    batch = dataset.__getitems__(keys(*range(len(dataset))))
    assert batch["points"][:, 0, 0, 0].tolist() == (dataset.start + 1).tolist()
    assert batch["points"][:, 0, 0, 1].tolist() == dataset.clip.tolist()
    assert batch["target"].tolist() == pytest.approx([0.1, 0.2, 0.2, *[0.3] * 7])
    assert batch["mask"].sum(1).tolist() == [3, *[6] * 9]
    shapes = {name: (tuple(x.shape), x.dtype) for name, x in batch.items()}
    assert shapes == {
        "points": ((10, 6, 1, 2), torch.float32),
        "visibility": ((10, 6, 1), torch.float32),
        "mask": ((10, 6), torch.bool),
        "target": ((10,), torch.float32),
        "seed": ((10,), torch.int64),
    }


def test_windows_without_jitter_are_those_of_cut() -> None:
    dataset = samples(jitter=False)
    batch = dataset.__getitems__(keys(*range(3, 10)))
    cut = Windows(6, 4).cut(track(30, 2))
    assert torch.equal(batch["points"], cut.points)
    assert torch.equal(batch["mask"], cut.mask)


def test_jitter_stays_near_and_within_the_clip() -> None:
    dataset = samples()
    seen: dict[int, set[int]] = {}
    for epoch in range(200):
        batch = dataset.__getitems__(keys(*range(10), epoch=epoch))
        starts = batch["points"][:, 0, 0, 0].int() - 1
        for item, start in enumerate(starts.tolist()):
            seen.setdefault(item, set()).add(start)
        assert batch["mask"].sum(1).tolist() == [3, *[6] * 9]
        assert batch["points"][:, 0, 0, 1].tolist() == dataset.clip.tolist()
        steps = batch["points"][1:, :, 0, 0].diff(dim=1)
        assert (steps == 1).all()
    assert seen[0] == {0}
    assert seen[1] == {0, 1, 2}
    assert seen[5] == {6, 7, 8, 9, 10}
    assert seen[9] == {22, 23, 24}


def test_a_batch_is_a_function_of_its_keys() -> None:
    order = EpochOrder(10, 4, seed=3)
    for rows in order.batches(2):
        one, other = samples().__getitems__(rows), samples().__getitems__(rows)
        assert all(torch.equal(one[name], other[name]) for name in one)
        alone = samples().__getitems__(rows[1:2])
        assert all(torch.equal(alone[name], one[name][1:2]) for name in one)


def test_seeds_differ_by_position_epoch_and_run() -> None:
    drawn = [
        samples(seed=seed).__getitems__(keys(5, 5, epoch=epoch))["seed"].tolist()
        for seed in (0, 1)
        for epoch in (0, 1)
    ]
    assert len({seed for pair in drawn for seed in pair}) == 8


def test_the_tracks_are_left_alone() -> None:
    clips = [track(3)]
    dataset = WindowSamples(clips, [0.5], Windows(6, 4))
    dataset.__getitems__(keys(0))["points"].fill_(-1)
    Windows(6, 4).cut(clips[0]).points.fill_(-1)
    assert clips[0].points[:, 0, 0].tolist() == [1, 2, 3]
    assert dataset.__getitems__(keys(0))["points"][0, 0, 0, 0] == 1


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1), "length must be at least 1, not 0"),
        ((10, 0), "stride must be from 1 to length=10, not 0"),
        ((10, 11), "stride must be from 1 to length=10, not 11"),
    ],
)
def test_bad_windows(arguments: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Windows(*arguments)


def test_a_clip_without_frames() -> None:
    with pytest.raises(ValueError, match="at least 1 frame, not 0"):
        Windows().starts(0)


@pytest.mark.parametrize(
    ("tracks", "targets", "error", "message"),
    [
        ([], [], DataError, "there is no training clip"),
        ([track(3)], [0.1, 0.2], ValueError, r"targets must be \(1,\), one per clip, not \(2,\)"),
        ([track(3)] * 2, [0.1, np.nan], DataError, r"without a rating: numbers \[1\]"),
    ],
)
def test_bad_samples(
    tracks: list[Track], targets: list[float], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        WindowSamples(tracks, targets, Windows())


# -- stretching -----------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2, 7, 20, 33])
def test_a_stretched_clip_is_one_window_from_end_to_end(frames: int) -> None:
    points = np.arange(frames, dtype=np.float32)[:, None, None] * np.ones((1, 3, 2), np.float32)
    whole = Track(points, points[..., 0] / 100, np.arange(frames) / 30)
    cut = Windows(20, 20, stretch=True).cut(whole)
    assert cut.points.shape == (1, 20, 3, 2)
    assert cut.mask.all()
    expected = np.linspace(0, frames - 1, 20)
    np.testing.assert_allclose(cut.points[0, :, 0, 0], expected, atol=1e-5)
    np.testing.assert_allclose(cut.visibility[0, :, 0], expected / 100, atol=1e-6)
    fitted = Windows(20, 20, stretch=True).fitted(whole)
    assert fitted.times_s[-1] == pytest.approx(whole.times_s[-1])
    assert Windows(20, 20, stretch=True).fitted(fitted) is fitted


def test_stretched_clips_train_as_one_window_each() -> None:
    tracks = [
        Track(np.zeros((n, 3, 2), np.float32), np.ones((n, 3), np.float32), np.arange(n) / 30)
        for n in (5, 50)
    ]
    samples = WindowSamples(tracks, [0.1, 0.2], Windows(20, 20, stretch=True))
    assert len(samples) == 2
    assert samples.__getitems__(np.array([[0, 0, 0], [0, 1, 1]]))["mask"].all()
