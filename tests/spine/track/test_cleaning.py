"""Cleaning: what is masked, where the grid lies, how gaps are filled, and streams equal clips."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruvian.core.errors import DataError
from vitruvian.spine.landmarks import Landmarks
from vitruvian.spine.track.cleaning import Cleaning, Track, TrackFrame

NAN = float("nan")
LOOSE = {"max_masked": 1.0}


def landmarks(
    x: npt.ArrayLike,
    visibility: npt.ArrayLike | None = None,
    fps: float = 30.0,
    times: npt.ArrayLike | None = None,
) -> Landmarks:
    """Joints on a line: x is (T, J)."""
    points = np.asarray(x, np.float32)[..., None]
    shown = np.where(np.isnan(points[..., 0]), NAN, 1.0) if visibility is None else visibility
    seconds = np.arange(len(points)) / fps if times is None else np.asarray(times, np.float64)
    skeleton = f"joints{points.shape[1]}x1"
    return Landmarks(seconds, points, np.asarray(shown, np.float32), skeleton=skeleton)


def streamed(cleaning: Cleaning, clip: Landmarks) -> list[TrackFrame]:
    stream = cleaning.stream()
    rows = zip(clip.times_s.tolist(), clip.points, clip.visibility, strict=True)
    frames = [frame for row in rows for frame in stream.push(*row)]
    return frames + stream.finish()


def same(track: Track, frames: list[TrackFrame]) -> bool:
    return (
        np.array_equal([frame.time_s for frame in frames], track.times_s)
        and np.array_equal([frame.points for frame in frames], track.points)
        and np.array_equal([frame.visibility for frame in frames], track.visibility)
    )


# -- gaps -----------------------------------------------------------------------------------------

_ = NAN  # a joint that is not seen
GAPS: list[tuple[str, int, list[float], list[float]]] = [
    ("nothing missing", 2, [1, 2, 3], [1, 2, 3]),
    ("short: a line", 2, [1, _, _, 4], [1, 2, 3, 4]),
    ("longer: the last good value", 2, [1, _, _, _, 5], [1, 1, 1, 1, 5]),
    ("at the end: the last good value", 2, [1, 2, _], [1, 2, 2]),
    ("short at the start: the first one", 2, [_, _, 3, 4], [3, 3, 3, 4]),
    ("long at the start: the middle", 2, [_, _, _, 4], [8, 8, 8, 4]),
    ("never: the middle", 2, [_, _, _, _], [8, 8, 8, 8]),
    ("never, in a short clip", 5, [_, _], [8, 8]),
    ("none are bridged", 0, [1, _, 3, 4], [1, 1, 3, 4]),
    ("none are bridged at the start", 0, [_, 3, _, 4], [8, 3, 3, 4]),
    ("two gaps", 1, [1, _, 3, _, _, 6, _, 8], [1, 2, 3, 3, 3, 6, 7, 8]),
]


@pytest.mark.parametrize("fps", [None, 30.0], ids=["frames as they are", "grid"])
@pytest.mark.parametrize(
    ("max_gap", "x", "expected"), [g[1:] for g in GAPS], ids=[g[0] for g in GAPS]
)
def test_gaps(max_gap: int, x: list[float], expected: list[float], fps: float | None) -> None:
    clip = landmarks([[value, 7, 9] for value in x])  # two more joints, always seen
    cleaning = Cleaning(max_gap=max_gap, fps=fps, **LOOSE)
    track = cleaning.clean(clip)
    np.testing.assert_allclose(track.points[:, 0, 0], expected, atol=1e-5)
    np.testing.assert_array_equal(track.points[:, 1:, 0], [[7, 9]] * len(x))
    assert same(track, streamed(cleaning, clip))


def test_a_gap_is_a_line_in_time_not_in_frames() -> None:
    clip = landmarks([[0], [NAN], [10]], times=[0, 0.1, 1.0])
    track = Cleaning(fps=None).clean(clip)
    np.testing.assert_allclose(track.points[:, 0, 0], [0, 1, 10], atol=1e-6)


# -- what is masked -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("visibility", "point", "kept", "shown"),
    [
        (0.6, 5.0, True, 0.6),
        (0.59, 5.0, False, 0.59),
        (1.0, NAN, False, 0.0),
        (NAN, 5.0, False, 0.0),
        (1.5, 5.0, True, 1.0),
        (-0.5, 5.0, False, 0.0),
        (1.0, float("inf"), False, 0.0),
    ],
)
def test_what_is_masked(visibility: float, point: float, kept: bool, shown: float) -> None:
    clip = landmarks([[1], [point], [1]], [[1], [visibility], [1]])
    track = Cleaning(min_confidence=0.6, **LOOSE).clean(clip)
    assert (track.points[1, 0, 0] == 5) == kept
    np.testing.assert_allclose(track.visibility[:, 0], [1, shown, 1])
    assert track.masked == pytest.approx(0 if kept else 1 / 3)


@pytest.mark.parametrize(
    ("fps", "x", "expected"),
    [
        (30.0, [[1, 1], [1, 1]], 0.0),
        (30.0, [[1, NAN], [1, 1]], 0.25),
        (30.0, [[NAN, NAN], [1, 1]], 0.5),  # before the first pose
        (None, [[NAN, NAN], [NAN, NAN], [1, 1]], 2 / 3),
        (60.0, [[1, 1], [1, NAN], [1, 1]], 0.2),  # between seen and not: half
    ],
)
def test_masked_share(fps: float | None, x: list[list[float]], expected: float) -> None:
    clip = landmarks(x)
    cleaning = Cleaning(fps=fps, **LOOSE)
    assert cleaning.clean(clip).masked == pytest.approx(expected)
    stream = cleaning.stream()
    assert stream.masked == 1
    for row in zip(clip.times_s.tolist(), clip.points, clip.visibility, strict=True):
        stream.push(*row)
    assert stream.masked == pytest.approx(expected)


def test_the_time_before_the_first_pose_is_left_out() -> None:
    clip = landmarks([[NAN], [NAN], [3], [4]])
    track = Cleaning(**LOOSE).clean(clip)
    np.testing.assert_allclose(track.times_s, [2 / 30, 3 / 30])
    assert track.points.ravel().tolist() == [3, 4]


def test_world_coordinates() -> None:
    points, shown = np.zeros((2, 33, 3), np.float32), np.ones((2, 33), np.float32)
    clip = Landmarks(np.array([0, 1 / 30]), points, shown, world=points + 2)
    assert (Cleaning(coordinates="world").clean(clip).points == 2).all()
    assert (Cleaning().clean(clip).points == 0).all()


def test_the_landmarks_are_left_alone() -> None:
    clip = landmarks([[1, NAN], [2, 2], [3, NAN]])
    before = clip.points.copy(), clip.visibility.copy()
    track = Cleaning(fps=None, **LOOSE).clean(clip)
    track.points[:] = track.visibility[:] = -1
    np.testing.assert_array_equal(clip.points, before[0])
    np.testing.assert_array_equal(clip.visibility, before[1])


# -- the grid -------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [10.0, 24.0, 25.0, 29.97, 30.0, 59.94, 60.0, 120.0])
@pytest.mark.parametrize("fps", [15.0, 30.0, 50.0])
def test_a_straight_movement_stays_one(source: float, fps: float) -> None:
    seconds = np.arange(100) / source + 3.0
    track = Cleaning(fps=fps).clean(landmarks(seconds[:, None], times=seconds))
    np.testing.assert_allclose(track.times_s, 3.0 + np.arange(len(track)) / fps, rtol=1e-12)
    np.testing.assert_allclose(track.points[:, 0, 0], track.times_s, atol=1.01e-3)
    assert abs(track.times_s[-1] - seconds[-1]) < 1 / fps + 1e-3
    assert track.fps == fps


def test_a_frame_within_a_millisecond_is_taken_as_it_is() -> None:
    clip = landmarks([[0], [1], [5], [7]], times=[0, 1 / 30 + 9e-4, 2 / 30 - 9e-4, 3 / 30 + 2e-3])
    track = Cleaning().clean(clip)
    np.testing.assert_allclose(track.points[:3, 0, 0], [0, 1, 5])
    assert 5 < track.points[3, 0, 0] < 7


def test_frames_as_they_are() -> None:
    clip = landmarks([[0], [1], [5]], times=[0, 0.5, 0.6])
    track = Cleaning(fps=None).clean(clip)
    np.testing.assert_array_equal(track.times_s, clip.times_s)
    assert track.points.ravel().tolist() == [0, 1, 5]
    assert track.fps == pytest.approx(2 / 0.6)


@pytest.mark.parametrize(("max_gap", "bridged"), [(4, True), (3, False)])
def test_frames_that_are_far_apart_are_not_connected(max_gap: int, bridged: bool) -> None:
    clip = landmarks([[0], [5], [6]], times=[0, 5 / 30, 6 / 30])  # four grid points between
    track = Cleaning(max_gap=max_gap, **LOOSE).clean(clip)
    expected = [0, 1, 2, 3, 4, 5, 6] if bridged else [0, 0, 0, 0, 0, 5, 6]
    np.testing.assert_allclose(track.points[:, 0, 0], expected, atol=1e-5)
    assert (track.visibility[1:5] == (1 if bridged else 0)).all()


def test_one_frame_is_enough() -> None:
    for fps in (None, 30.0):
        track = Cleaning(fps=fps).clean(landmarks([[4, 5]]))
        assert track.points.ravel().tolist() == [4, 5]


# -- streams --------------------------------------------------------------------------------------


@st.composite
def clips(draw: st.DrawFn) -> Landmarks:
    """Uneven frames, poor visibility, poses that come and go."""
    noise = np.random.default_rng(draw(st.integers(0, 2**32)))
    frames, joints = draw(st.integers(1, 60)), draw(st.integers(1, 4))
    rate = draw(st.sampled_from([7, 24, 25, 29.97, 30, 60, 240, 2000]))
    times = np.cumsum(noise.uniform(draw(st.sampled_from([0.1, 0.99])), 1.01, frames)) / rate
    times += np.cumsum(noise.random(frames) < draw(st.sampled_from([0, 0.05]))) * 0.5
    x = noise.normal(size=(frames, joints))
    poor = noise.random((frames, joints)) < draw(st.floats(0, 1))
    shown = np.where(poor, noise.random((frames, joints)), 0.9)
    x[noise.random(frames) < draw(st.sampled_from([0, 0.1, 0.8]))] = NAN
    shown[noise.random(frames) < draw(st.sampled_from([0, 0.1]))] = NAN
    return landmarks(x, shown, times=times)


@settings(max_examples=150, deadline=None)
@given(clips(), st.integers(0, 12), st.sampled_from([None, 10.0, 30.0, 50.0]))
def test_a_stream_gives_the_frames_of_the_clip(
    clip: Landmarks, max_gap: int, fps: float | None
) -> None:
    cleaning = Cleaning(max_gap=max_gap, fps=fps, **LOOSE)
    frames = streamed(cleaning, clip)
    try:
        track = cleaning.clean(clip)
    except DataError:  # nobody is ever seen
        assert frames == []
        return
    assert same(track, frames)
    assert np.isfinite(track.points).all()
    assert (track.visibility >= 0).all()
    assert (track.visibility <= 1).all()
    assert track.points.dtype == track.visibility.dtype == np.float32
    assert 0 <= track.masked <= 1


@settings(max_examples=50, deadline=None)
@given(clips(), st.integers(0, 12))
def test_a_frame_waits_for_max_gap_others_at_most(clip: Landmarks, max_gap: int) -> None:
    stream = Cleaning(max_gap=max_gap, fps=None, **LOOSE).stream()
    given_frames = returned = 0
    for row in zip(clip.times_s.tolist(), clip.points, clip.visibility, strict=True):
        found = stream.push(*row)
        started = given_frames > 0 or bool(
            np.nan_to_num(row[2] * ~np.isnan(row[1][:, 0])).max() >= 0.6
        )
        given_frames += started
        returned += len(found)
        assert given_frames - max_gap <= returned <= given_frames


def test_frames_leave_at_once_where_all_is_seen() -> None:
    stream = Cleaning().stream()
    clip = landmarks(np.zeros((30, 3)))
    for row in zip(clip.times_s.tolist(), clip.points, clip.visibility, strict=True):
        assert len(stream.push(*row)) == 1
    assert stream.finish() == []


def test_a_frame_that_left_is_not_written_again() -> None:
    stream = Cleaning(max_gap=1, fps=None, **LOOSE).stream()
    clip = landmarks([[float(i)] for i in range(6)])
    left = [
        stream.push(*row)[0]
        for row in zip(clip.times_s.tolist(), clip.points, clip.visibility, strict=True)
    ]
    assert [frame.points[0, 0] for frame in left] == [0, 1, 2, 3, 4, 5]


def test_a_stream_without_a_frame() -> None:
    assert Cleaning().stream().finish() == []


def test_time_must_rise() -> None:
    stream = Cleaning().stream()
    pose = np.zeros((1, 1), np.float32), np.ones(1, np.float32)
    stream.push(1.0, *pose)
    with pytest.raises(ValueError, match=r"time_s must rise: 1\.0 comes after 1\.0"):
        stream.push(1.0, *pose)


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clip", "arguments", "message"),
    [
        (
            landmarks([[1, NAN], [1, NAN]]),
            {},
            r"50% of the landmarks are below min_confidence=0\.6 or missing, more than "
            r"max_masked=0\.4: film one whole person",
        ),
        (
            landmarks(np.ones((9, 1)), fps=5),
            {"max_gap": 2},
            r"5 frames per second are too few for fps=30 with max_gap=2; raise max_gap or lower",
        ),
        (landmarks([[NAN], [NAN]]), LOOSE, r"no landmark reaches min_confidence=0\.6 in any frame"),
        (landmarks(np.ones((0, 1))), LOOSE, "no landmark reaches"),
        (landmarks([[1.0]]), {"coordinates": "world"}, "there are no world landmarks"),
    ],
)
def test_refused_clips(clip: Landmarks, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Cleaning(**arguments).clean(clip)


def test_the_limit_itself_is_accepted() -> None:
    clip = landmarks([[1, 1, 1, NAN, NAN]] * 7)
    assert Cleaning(max_masked=0.4).clean(clip).masked == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_confidence": 1.1}, r"min_confidence must be from 0 to 1, not 1\.1"),
        ({"max_masked": -0.1}, r"max_masked must be from 0 to 1, not -0\.1"),
        ({"max_gap": -1}, "max_gap must not be negative, as -1 is"),
        ({"fps": 0}, "fps must be above 0, or null, not 0"),
        ({"fps": NAN}, "fps must be above 0, or null, not nan"),
        ({"coordinates": "pixels"}, 'coordinates must be "image" or "world", not \'pixels\''),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cleaning(**arguments)
