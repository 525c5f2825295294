"""Simulated people: repeatable, plausible, mostly healthy, and their severity can be seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from vitruvian.spine.landmarks import Clip
from vitruvian.spine.simulator.body import Array
from vitruvian.spine.simulator.exercises import EXERCISES
from vitruvian.spine.simulator.simulator import SIGNS, Person, severities, truth

SEVERITIES = severities(60, 0)


def someone(number: int, severity: float | None = None, seed: int = 0) -> Person:
    known = SEVERITIES[number] if severity is None else severity
    return Person.drawn(number, seed, float(known))


@pytest.fixture(scope="module")
def people() -> list[Person]:
    return [someone(number) for number in range(60)]


@pytest.fixture(scope="module")
def clips(people: list[Person]) -> dict[str, list[Clip]]:
    return {name: [person.clip(name, 110) for person in people] for name in EXERCISES}


# -- chance ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("exercise", EXERCISES)
def test_same_seed_same_bits(exercise: str) -> None:
    one, again = (someone(3).clip(exercise, 100).landmarks for _ in range(2))
    for name in ("times_s", "points", "visibility", "world"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))


@pytest.mark.parametrize(
    "other", [someone(4, 0.3), someone(3, 0.3, seed=1), someone(3, 0.8)], ids=str.__name__.format
)
def test_other_people_seeds_and_severities_move_otherwise(other: Person) -> None:
    one, another = (who.clip("walk", 60).landmarks.points for who in (someone(3, 0.3), other))
    assert np.nanmax(np.abs(one - another)) > 0.01


def test_severity_changes_the_signs_and_nothing_else() -> None:
    well, ill = someone(5, 0.1), someone(5, 0.9)
    assert (well.body, well.setting, well.bias, well.step) == (
        ill.body,
        ill.setting,
        ill.bias,
        ill.step,
    )
    signs = ("lean", "shoulder", "rotation", "bend", "guard", "sway")
    blank = dict.fromkeys(signs, 0.0)
    assert replace(well.manner, **blank) == replace(ill.manner, **blank)
    for name in signs:
        assert getattr(well.manner, name) < getattr(ill.manner, name)


def test_the_three_exercises_are_filmed_one_after_another() -> None:
    clips = [someone(2).clip(exercise, 60) for exercise in EXERCISES]
    assert len({clip.name for clip in clips}) == 3
    assert {clip.participant for clip in clips} == {"simulated-002"}
    assert {clip.exercise for clip in clips} == {"touch toes", "walk", "jump"}
    assert all(clip.simulated for clip in clips)


# -- clips ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize("frames", [2, 100, 500])
def test_clips_have_the_frames_asked_for(exercise: str, frames: int) -> None:
    landmarks = someone(1).clip(exercise, frames, fps=25.0).landmarks
    assert len(landmarks) == frames
    assert landmarks.fps == pytest.approx(25.0)
    assert landmarks.size == (1280, 720)
    assert landmarks.world is not None
    assert {landmarks.points.dtype, landmarks.visibility.dtype, landmarks.world.dtype} == {
        np.dtype(np.float32)
    }


@pytest.mark.parametrize(
    ("exercise", "frames", "message"),
    [
        ("swim", 100, "exercise must be one of touch toes, walk, jump, not 'swim'"),
        ("walk", 1, "frames must be at least 2, not 1"),
    ],
)
def test_bad_clips(exercise: str, frames: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        someone(0).clip(exercise, frames)


def test_landmarks_are_mostly_in_the_picture_and_visible(clips: dict[str, list[Clip]]) -> None:
    for made in clips.values():
        points = np.concatenate([clip.landmarks.points for clip in made])
        visibility = np.concatenate([clip.landmarks.visibility for clip in made])
        there = ~np.isnan(visibility)
        assert there.mean() > 0.99
        assert ((points[there][:, :2] > 0) & (points[there][:, :2] < 1)).mean() > 0.99
        assert np.abs(points[there][:, 2]).max() < 0.5
        assert 0.005 < (visibility[there] < 0.6).mean() < 0.08
        assert visibility[there].min() >= 0
        assert visibility[there].max() <= 1


def test_the_spells_of_a_clip_can_be_asked_for() -> None:
    person = someone(0, 0.9)
    spells = person.spells("walk", 500)
    assert spells == person.spells("walk", 500)
    assert spells != person.spells("jump", 500)
    calm = replace(person, manner=replace(person.manner, shoulder=0.0, lean=0.0))
    apart = np.abs(
        person.clip("walk", 500).landmarks.points - calm.clip("walk", 500).landmarks.points
    )
    gain = spells.gain(np.arange(500) / 30.0)
    moved = np.nanmean(apart[:, 11:13, 1], axis=1)
    keep = ~np.isnan(moved)
    assert np.corrcoef(moved[keep], gain[keep])[0, 1] > 0.2


# -- severity and rating --------------------------------------------------------------------------


@pytest.mark.parametrize("people", [1, 2, 7, 20, 150, 500])
@pytest.mark.parametrize("seed", [0, 1])
def test_at_least_the_share_asked_for_is_healthy(people: int, seed: int) -> None:
    drawn = severities(people, seed)
    assert len(drawn) == people
    assert (drawn <= 0.5).mean() >= 0.79 - 0.5 / people
    assert drawn.min() >= 0.1
    assert drawn.max() <= 0.95
    if people >= 7:
        assert (drawn > 0.5).any()


def test_all_may_be_healthy() -> None:
    assert severities(10, 0, healthy=1.0).max() <= 0.46
    assert (severities(400, 0, healthy=0.5) <= 0.5).mean() == 0.5


def test_ratings_report_the_severity_with_an_error_of_five_points() -> None:
    drawn = severities(300, 1)
    people = [Person.drawn(number, 1, float(severity)) for number, severity in enumerate(drawn)]
    ratings = np.array([[p.clip(name, 2).rating for name in EXERCISES] for p in people])
    assert ratings.min() >= 0
    assert ratings.max() <= 100
    assert (ratings % 1 == 0).all()
    assert 0.4 < (ratings % 5 == 0).all(axis=1).mean() < 0.7
    error = ratings - 100 * (1 - drawn[:, None])
    assert 4.0 < error.std() < 6.5
    assert abs(error.mean()) < 1.0
    assert np.corrcoef(error[:, 0], error[:, 1])[0, 1] > 0.1  # some always say more
    index = 1 - ratings / 100
    assert (index <= 0.5).mean() > 0.78
    assert ((index > 0.5) == (drawn[:, None] > 0.5)).mean() > 0.97


def test_the_truth_is_told_of_everyone() -> None:
    person = someone(7, 0.8)
    told: dict[str, Any] = truth(person)
    assert told["severity"] == 0.8
    assert set(SIGNS) < set(told["signs"])
    assert all(0 <= value <= 1 for value in told["signs"].values())
    assert told["side"] in ("left", "right")
    assert told["sex"] in ("female", "male")
    assert 1.3 < told["stature_m"] < 2.1


def test_signs_are_mixed_and_follow_the_severity(people: list[Person]) -> None:
    for name in SIGNS:
        values = [truth(person)["signs"][name] for person in people]
        assert 0.5 < spearmanr([p.severity for p in people], values).statistic < 0.98
    ill = [person.manner for person in (someone(n, 0.8) for n in range(100))]
    assert np.corrcoef([m.lean for m in ill], [m.bend for m in ill])[0, 1] < -0.5
    assert np.corrcoef([m.lean for m in ill], [m.shoulder for m in ill])[0, 1] > 0.5


def test_people_differ_as_people_do() -> None:
    people = [someone(n, 0.3) for n in range(300)]
    assert 0.2 < np.mean([person.female for person in people]) < 0.4
    statures = {
        sex: np.mean([p.body.stature for p in people if p.female is sex]) for sex in (True, False)
    }
    assert 1.5 < statures[True] + 0.08 < statures[False] < 1.8
    assert 0.35 < np.mean([person.manner.side > 0 for person in people]) < 0.65


# -- what can be seen of it -----------------------------------------------------------------------


def _trunk(clip: Clip) -> tuple[Array, Array, Array]:
    """Shoulders, and both middles, in pixels (T, 2)."""
    pixels = clip.landmarks.points[..., :2].astype(np.float64) * (1280, 720)
    return pixels[:, 11] - pixels[:, 12], pixels[:, 11:13].mean(1), pixels[:, 23:25].mean(1)


def tilt(clip: Clip) -> float:
    """How askew shoulders and trunk are, on average over the clip, whichever the side."""
    across, upper, lower = _trunk(clip)
    slope, lean = across[:, 1] / np.abs(across[:, 0]).clip(20), upper[:, 0] - lower[:, 0]
    length = np.nanmax(np.linalg.norm(upper - lower, axis=-1))
    return abs(float(np.nanmedian(slope))) + abs(float(np.nanmedian(lean))) / float(length)


def shallow(clip: Clip) -> float:
    """Least height of the shoulders above the hips in a forward bend, against standing."""
    _, upper, lower = _trunk(clip)
    height = lower[:, 1] - upper[:, 1]
    return float(np.nanmin(height) / np.nanmax(height))


def jump_height(clip: Clip) -> float:
    """Rise of the hips, in trunks."""
    _, upper, lower = _trunk(clip)
    rise = np.nanmedian(lower[:10, 1]) - np.nanmin(lower[:, 1])
    return float(rise / np.nanmedian(np.linalg.norm(upper - lower, axis=-1)))


SEEN = [
    ("walk", tilt, 1),
    ("jump", tilt, 1),
    ("touch toes", shallow, 1),
    ("jump", jump_height, -1),
]


@pytest.mark.parametrize(("exercise", "measure", "way"), SEEN)
def test_severity_can_be_measured_but_not_read_off(
    clips: dict[str, list[Clip]], people: list[Person], exercise: str, measure: Any, way: float
) -> None:
    values = [way * measure(clip) for clip in clips[exercise]]
    known = np.array([person.severity for person in people])
    assert 0.25 < spearmanr(known, values).statistic < 0.95
    random = np.random.default_rng(0)
    shuffled = [spearmanr(random.permutation(known), values).statistic for _ in range(50)]
    assert abs(np.mean(shuffled)) < 0.1


def test_a_single_frame_tells_little(clips: dict[str, list[Clip]], people: list[Person]) -> None:
    """Someone who stands and waits, as in the first frame, shows less than the whole clip."""
    known = [person.severity for person in people]
    whole = [tilt(clip) for clip in clips["touch toes"]]
    first = [tilt(replace(clip, landmarks=_only(clip, 1))) for clip in clips["touch toes"]]
    assert spearmanr(known, first).statistic < spearmanr(known, whole).statistic + 0.1


def _only(clip: Clip, frames: int) -> Any:
    marks = clip.landmarks
    return replace(
        marks,
        times_s=marks.times_s[:frames],
        points=marks.points[:frames],
        visibility=marks.visibility[:frames],
        world=None,
    )
