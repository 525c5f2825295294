"""Findings: known postures measured in space and in flat pictures, and simulated people."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vitruvian.spine.explain.findings import REFERENCES, WORDING, Finding, findings, why_none
from vitruvian.spine.simulator.simulator import Person
from vitruvian.spine.skeletons import BLAZEPOSE, KINECT, Skeleton, skeleton_named
from vitruvian.spine.track.cleaning import Cleaning, Track

LEAN, SHOULDER, ROTATION, BEND = REFERENCES
FPS = 30.0
TIMES = np.arange(120) / FPS
CYCLE = 2 * np.pi * TIMES  # one stride a second
WIDE = 16 / 9


def person(lean=0.0, tilt=0.0, turn=0.0, bend=0.0, yaw=0.0, step=0.0, roll=0.0) -> Track:
    """A body in metres before a camera; all angles in degrees, each a number or (T,).

    Leans to its left, left shoulder up, shoulders turned, bent forward, turned away from the
    camera, left foot `step` metres in front; the camera rolled.
    """
    # In the body: x to its left, y up, z in front.
    trunk = about("x", bend) * about("z", -np.asarray(lean))
    line = about("y", turn) * about("z", tilt)
    top, across = trunk.apply([0, 0.5, 0]), (trunk * line).apply([0.18, 0, 0])
    feet = np.outer(np.broadcast_to(step, TIMES.shape) / 2, [0, 0, 1]) + np.array([0.1, 0, 0])
    body = np.zeros((len(TIMES), 33, 3))
    places = {
        "shoulder": (top, across),
        "hip": (0 * top, trunk.apply([0.11, 0, 0])),
        "ankle": (np.array([0, -0.85, 0]), feet),
    }
    for joint, (middle, half) in places.items():
        body[:, BLAZEPOSE.index(f"left {joint}")] = middle + half
        body[:, BLAZEPOSE.index(f"right {joint}")] = middle - half
    world = turned(body, about("z", [roll]) * about("y", [yaw])) * (1, -1, -1)
    return Track(world.astype(np.float32), np.ones((len(TIMES), 33), np.float32), TIMES)


def about(axis, degrees) -> Rotation:
    angles = np.broadcast_to(degrees, TIMES.shape)
    return Rotation.from_euler(axis, angles[:, None], degrees=True)


def turned(points, rotation: Rotation):
    return np.stack([rotation.apply(joint) for joint in points.swapaxes(0, 1)], axis=1)


def pictured(track: Track, aspect: float = WIDE, size: float = 0.4) -> Track:
    """The same as shares of a frame; depth made three times as large as it is, as pose nets do."""
    shares = track.points * np.float32(size) * np.array([1 / aspect, 1, 3 / aspect], np.float32)
    return replace(track, points=shares + np.array([0.5, 0.5, 0], np.float32))


def noisy(track: Track, sd: float = 0.01, seed: int = 0) -> Track:
    """With jitter, and with every 13th frame all wrong."""
    rng = np.random.default_rng(seed)
    points = track.points + rng.normal(0, sd, track.points.shape).astype(np.float32)
    points[::13] += rng.normal(0, 0.3, points[::13].shape).astype(np.float32)
    return replace(track, points=points)


def measured(track: Track, name: str, exercise: str = "walk", **options) -> Finding:
    found = findings(track, BLAZEPOSE, exercise, **{"depth": True, **options})
    assert [finding.name for finding in found] == list(REFERENCES)
    return found[list(REFERENCES).index(name)]


def walking(**angles) -> Track:
    return person(step=0.6 * np.sin(CYCLE), **angles)


# -- known postures ------------------------------------------------------------------------------

TOES = np.clip(1.8 * np.sin(np.pi * TIMES / TIMES[-1]) - 0.5, 0, 1)  # stands, bends, stands
POSTURES = {
    # track, finding, exercise, degrees, words
    "upright": (person(), LEAN, "walk", 0.0, "upright"),
    "leans to the left": (person(lean=5), LEAN, "jump", 5.0, "to the left"),
    "leans to the right": (person(lean=-5), LEAN, "jump", 5.0, "to the right"),
    "sways": (walking(lean=4 * np.sin(CYCLE)), LEAN, "walk", 0.0, "8° wide"),
    "sways to one side": (walking(lean=4 + 4 * np.sin(CYCLE)), LEAN, "walk", 4.0, "to the left"),
    "level shoulders": (person(), SHOULDER, "jump", 0.0, "higher"),
    "left shoulder up": (person(tilt=6), SHOULDER, "jump", 6.0, "the left shoulder is 6.0° higher"),
    "right shoulder up": (person(tilt=-6), SHOULDER, "jump", 6.0, "the right shoulder"),
    "up and leaning": (person(tilt=6, lean=8), SHOULDER, "jump", 6.0, "the left shoulder"),
    "turns": (walking(turn=8 * np.sin(CYCLE)), ROTATION, "walk", 15.2, "15° against each other"),
    "turns late": (walking(turn=8 * np.cos(CYCLE + 1)), ROTATION, "gait", 15.2, "in walking"),
    "looks round": (walking(turn=30 * TIMES / TIMES[-1]), ROTATION, "walk", 0.0, "turn 0°"),
    "touches the toes": (person(bend=95 * TOES), BEND, "touch toes", 95.0, "forward by 95°"),
    "hardly bends": (person(bend=20 * TOES), BEND, "Touch your toes", 20.0, "forward by 20°"),
}


@pytest.mark.parametrize("yaw", [0, 35, 180, 215])
@pytest.mark.parametrize("name", POSTURES)
def test_known_postures_in_space(name, yaw):
    track, finding, exercise, degrees, words = POSTURES[name]
    found = measured(away(track, yaw), finding, exercise)
    assert found.measured == pytest.approx(degrees, abs=0.8)
    assert found.value == REFERENCES[finding].value(found.measured)
    assert words in found.text
    assert found.unit == "degrees"


def away(track, yaw):
    """Turned away from the camera."""
    return replace(track, points=turned(track.points, about("y", yaw)).astype(np.float32))


@pytest.mark.parametrize("yaw", [0, 180])
@pytest.mark.parametrize("aspect", [WIDE, 1.0, 9 / 16])
@pytest.mark.parametrize("name", [n for n, (_, f, *_) in POSTURES.items() if f != ROTATION])
def test_known_postures_in_a_picture(name, aspect, yaw):
    track, finding, exercise, degrees, words = POSTURES[name]
    flat = pictured(away(track, yaw), aspect)
    found = measured(flat, finding, exercise, aspect=aspect, depth=False)
    assert found.measured == pytest.approx(degrees, abs=1.5)
    assert words.split("°")[0] in found.text


def test_with_another_aspect_a_picture_is_squeezed():
    flat = pictured(person(lean=5))
    for aspect in (1.4, WIDE):
        found = measured(flat, LEAN, "jump", aspect=aspect, depth=False)
        assert found.measured == pytest.approx(5 * aspect / WIDE, abs=0.05)


@pytest.mark.parametrize("name", [LEAN, SHOULDER])
@pytest.mark.parametrize("depth", [True, False])
def test_a_rolled_camera_leans_nobody(name, depth):
    track = person(lean=4, tilt=5, roll=10)
    shown = track if depth else pictured(track)
    found = measured(shown, name, "jump", aspect=1.0 if depth else WIDE, depth=depth)
    assert found.measured == pytest.approx({LEAN: 4, SHOULDER: 5}[name], abs=0.3)


@pytest.mark.parametrize("name", POSTURES)
def test_jitter_and_wild_frames_change_little(name):
    track, finding, exercise, degrees, _ = POSTURES[name]
    assert measured(noisy(track), finding, exercise).measured == pytest.approx(degrees, abs=3.0)


def test_both_sides_are_one():
    """A mirror image has the same findings on the other side."""
    track = walking(lean=3 + 2 * np.sin(CYCLE), tilt=5, turn=5 * np.sin(CYCLE), yaw=20)
    mirrored = replace(
        track, points=track.points[:, list(BLAZEPOSE.mirror)] * np.float32([-1, 1, 1])
    )
    for one, other in zip(
        *(findings(t, BLAZEPOSE, "walk", depth=True) for t in (track, mirrored)), strict=True
    ):
        assert one.value == pytest.approx(other.value, abs=1e-5, nan_ok=True)
        swapped = {"left": "right", "right": "left"}
        assert other.text == " ".join(swapped.get(word, word) for word in one.text.split())


# -- the frames that show it ---------------------------------------------------------------------


@pytest.mark.parametrize("finding", [LEAN, SHOULDER])
def test_frames_of_the_largest_excursion(finding):
    course = 6 * np.exp(-(((TIMES - 2.0) / 0.3) ** 2))
    track = person(**{"lean" if finding == LEAN else "tilt": 3 + course})
    found = measured(track, finding, "jump")
    assert min(abs(time - 2.0) for time in found.times_s) < 0.1
    assert found.frames == sorted(found.frames)
    assert found.times_s == [TIMES[frame] for frame in found.frames]
    assert np.diff(found.times_s).min() >= 0.4 - 1e-9
    assert len(found.frames) == 3
    assert {type(frame) for frame in found.frames} == {int}


def test_the_deepest_bend_is_shown():
    found = measured(person(bend=80 * np.exp(-(((TIMES - 1.0) / 0.4) ** 2))), BEND, "touch toes")
    assert any(abs(time - 1.0) < 0.1 for time in found.times_s)


def test_both_ends_of_a_rotation_are_shown():
    turn = 8 * np.sin(CYCLE)
    found = measured(walking(turn=turn), ROTATION)
    assert np.abs(turn[found.frames]) == pytest.approx(8, abs=1)


# -- what cannot be assessed ---------------------------------------------------------------------

SHORT = Track(person().points[:14], np.ones((14, 33), np.float32), TIMES[:14])
UNASSESSED = {
    # track, finding, exercise, depth, reason
    "no walk": (person(turn=8 * np.sin(CYCLE)), ROTATION, "jump", True, "does not walk"),
    "walks in place of": (person(), ROTATION, "walk", True, "does not walk"),
    "walk in another exercise": (walking(), ROTATION, "touch toes", True, "does not walk"),
    "no bend": (person(bend=60 * TOES), BEND, "jump", True, "does not bend forward"),
    "hardly a bend": (person(bend=30 * TOES), BEND, "", True, "does not bend forward"),
    "from the side": (person(yaw=90), LEAN, "walk", False, "from the front or from behind"),
    "shoulders from the side": (person(yaw=90), SHOULDER, "walk", False, "from the front"),
    "walk from the side": (walking(yaw=80), ROTATION, "walk", False, "from the front"),
    "always bent": (person(bend=60), LEAN, "walk", True, "not seen upright"),
    "short": (SHORT, SHOULDER, "walk", True, "too briefly"),
}


@pytest.mark.parametrize("name", UNASSESSED)
def test_what_cannot_be_assessed_says_why(name):
    track, finding, exercise, depth, reason = UNASSESSED[name]
    shown, aspect = (track, 1.0) if depth else (pictured(track), WIDE)
    found = measured(shown, finding, exercise, aspect=aspect, depth=depth)
    assert math.isnan(found.value)
    assert math.isnan(found.measured)
    assert not found.assessed
    assert (found.frames, found.times_s) == ([], [])
    assert found.text.startswith("not assessed: ")
    assert reason in found.text


def test_hidden_shoulders_are_not_measured():
    track = person(lean=10)
    hidden = track.visibility.copy()
    hidden[:, BLAZEPOSE.index("left shoulder")] = 0.2
    found = findings(replace(track, visibility=hidden), BLAZEPOSE, depth=True)
    assert all("too briefly" in finding.text for finding in found)
    upright = person().points[:60]
    half = replace(track, points=np.concatenate([upright, track.points[60:]]))
    half.visibility[60:, BLAZEPOSE.index("left hip")] = 0.2
    assert measured(half, LEAN, "jump").measured < 2


@pytest.mark.parametrize("depth", [True, False])
def test_untold_exercises_are_told_from_the_movement(depth):
    def assessed(track):
        shown, aspect = (track, 1.0) if depth else (pictured(track), WIDE)
        found = findings(shown, BLAZEPOSE, "", aspect, depth)
        return [finding.name for finding in found if finding.assessed][2:]

    assert assessed(walking(turn=8 * np.sin(CYCLE))) == [ROTATION]
    assert assessed(person(bend=80 * TOES)) == [BEND]
    assert assessed(person(lean=4 * np.sin(CYCLE))) == []


def test_who_comes_nearer_does_not_bend():
    track = pictured(walking())
    grown = track.points * (np.linspace(0.4, 1, len(TIMES))[:, None, None]).astype(np.float32)
    found = measured(replace(track, points=grown), BEND, "", aspect=WIDE, depth=False)
    assert "does not bend" in found.text


PAIRS = ("shoulder", "hip", "ankle")
FLAT = Skeleton(
    "flat6",
    tuple(
        f"{side} {joint}" for joint in ("shoulder", "hip", "ankle") for side in ("left", "right")
    ),
    dims=2,
)


def test_two_dimensions_are_enough_for_all_but_the_rotation():
    track = pictured(walking(lean=5, tilt=4))
    joints = [BLAZEPOSE.index(name) for name in FLAT.joints]
    flat = replace(
        track, points=track.points[:, joints, :2], visibility=track.visibility[:, joints]
    )
    lean, shoulder, rotation, bend = findings(flat, FLAT, "walk", WIDE, depth=True)
    assert (lean.measured, shoulder.measured) == pytest.approx((5, 4), abs=0.5)
    assert "no depth" in rotation.text
    assert not bend.assessed


def test_a_skeleton_without_ankles_is_told_what_it_does():
    trunk = Skeleton("trunk4", FLAT.joints[:4])
    track = walking(turn=8 * np.sin(CYCLE), lean=5)
    joints = [BLAZEPOSE.index(name) for name in trunk.joints]
    cut = replace(track, points=track.points[:, joints], visibility=track.visibility[:, joints])
    lean, _, rotation, _ = findings(cut, trunk, "walk", depth=True)
    assert (lean.measured, rotation.measured) == pytest.approx((5, 15.2), abs=0.8)
    assert not findings(cut, trunk, "", depth=True)[2].assessed


NONE = [
    (KINECT, "the joints of kinect22 are no points in one space"),
    (skeleton_named("joints18x3"), "the joints of joints18x3 are no points in one space"),
    (Skeleton("legs", ("left hip", "right hip")), "legs has no shoulders and hips"),
]


@pytest.mark.parametrize(("skeleton", "reason"), NONE)
def test_skeletons_without_findings_say_why(skeleton, reason):
    joints = len(skeleton)
    track = Track(
        np.zeros((40, joints, 3), np.float32), np.ones((40, joints), np.float32), TIMES[:40]
    )
    assert findings(track, skeleton) == []
    assert reason in why_none(skeleton)
    assert why_none(BLAZEPOSE) == ""


@pytest.mark.parametrize("aspect", [0.0, -1.0, math.nan])
def test_an_impossible_aspect_is_refused(aspect):
    with pytest.raises(ValueError, match="aspect must be above 0"):
        findings(person(), BLAZEPOSE, aspect=aspect)


# -- reference ranges and words ------------------------------------------------------------------

RANGES = [
    # finding, degrees, value
    (LEAN, 2.6, 0.0),
    (LEAN, 4.3, 0.5),
    (LEAN, 6.0, 1.0),
    (SHOULDER, 1.0, 0.0),
    (SHOULDER, 30.0, 1.0),
    (ROTATION, 20.0, 0.0),
    (ROTATION, 8.8, 0.5),
    (ROTATION, 0.0, 1.0),
    (BEND, 110.0, 0.0),
    (BEND, 55.0, 0.5),
    (BEND, 5.0, 1.0),
    (BEND, math.nan, math.nan),
]


@pytest.mark.parametrize(("name", "degrees", "value"), RANGES)
def test_values_of_measurements(name, degrees, value):
    assert REFERENCES[name].value(degrees) == pytest.approx(value, nan_ok=True)


def test_every_range_has_a_source_and_says_what_is_usual():
    for reference in REFERENCES.values():
        assert "et al." in reference.source
        assert f"{reference.normal:g}°" in reference.usual


def test_the_wording_promises_no_diagnosis():
    assert WORDING == "a screening index trained on self-report, not a diagnosis"
    texts = [
        finding.text
        for track, _, exercise, *_ in (*POSTURES.values(), *UNASSESSED.values())
        for finding in findings(track, BLAZEPOSE, exercise, depth=True)
    ]
    for text in (*texts, *(str(reference) for reference in REFERENCES.values())):
        assert not any(word in text.lower() for word in ("diagnos", "patient", "disease"))


# -- simulated people ----------------------------------------------------------------------------


def simulated(exercise: str, sign: str, strength: float, number: int) -> list[Finding]:
    """Findings of a simulated person who shows one sign only."""
    somebody = Person.drawn(number, seed=0, severity=0.1)
    none = dict.fromkeys(("lean", "shoulder", "rotation", "bend", "guard", "sway"), 0.0)
    manner = replace(
        somebody.manner, **{**none, "tilted_rad": 0.0, "shrugged_rad": 0.0, sign: strength}
    )
    clip = replace(somebody, manner=manner).clip(exercise, 150)
    track = Cleaning(coordinates="world").clean(clip.landmarks)
    return findings(track, BLAZEPOSE, exercise, depth=True)


SIGNS = [
    # exercise, what the simulator calls it, finding
    ("walk", "lean", LEAN),
    ("walk", "shoulder", SHOULDER),
    ("walk", "rotation", ROTATION),
    ("touch toes", "bend", BEND),
    ("touch toes", "shoulder", SHOULDER),
    ("jump", "shoulder", SHOULDER),
]


@pytest.mark.parametrize(("exercise", "sign", "name"), SIGNS)
def test_findings_follow_the_signs_of_simulated_people(exercise, sign, name):
    """In every one of six people, all else being equal, more of the sign is more of the finding."""
    place = list(REFERENCES).index(name)
    for number in range(6):
        side = Person.drawn(number, seed=0, severity=0.1).manner.side
        none, half, full = (
            _signed(simulated(exercise, sign, strength, number)[place], side)
            for strength in (0.0, 0.5, 1.0)
        )
        assert none < half < full
        assert full - none > 1


def _signed(found: Finding, side: float) -> float:
    """Degrees towards the side that leans, or whose shoulder is low; of too little, how little."""
    towards = side if "left" in found.text else -side
    return found.measured * {LEAN: towards, SHOULDER: -towards}.get(found.name, -1.0)
