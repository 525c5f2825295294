"""The camera projects, and the pose net that looks through it errs as a real one does."""

from __future__ import annotations

import numpy as np
import pytest

from vitruvian.spine.landmarks import Landmarks
from vitruvian.spine.simulator.body import Array, Body
from vitruvian.spine.simulator.camera import SIZE, Camera, Setting, observe
from vitruvian.spine.simulator.exercises import EXERCISES
from vitruvian.spine.simulator.manner import Manner, Spells
from vitruvian.spine.skeletons import BLAZEPOSE

BODY = Body.of(1.7)
FRONT = Camera(position=(0.0, 1.0, 4.0), yaw=0.0, pitch=0.0, roll=0.0, focal=900.0)
TIMES = np.arange(150) / 30.0


def moving(exercise: str = "walk", frames: int = 150) -> Array:
    pose = EXERCISES[exercise](
        BODY, Manner(), Spells(), np.arange(frames) / 30.0, np.random.default_rng(0)
    )
    return BODY.landmarks(pose)


def seen(points: Array, camera: Camera, clothing: float = 1.0, seed: int = 0) -> Landmarks:
    times = np.arange(len(points)) / 30.0
    return observe(points, camera, 1.7, times, clothing, np.random.default_rng(seed))


POINTS = [
    # camera; point in the room; where it lies in the picture: shares of width and height
    (FRONT, (0.0, 1.0, 0.0), (0.5, 0.5)),
    (FRONT, (0.4, 1.0, 0.0), (0.5 + 90 / 1280, 0.5)),  # the left of who faces it is right
    (FRONT, (0.0, 1.8, 0.0), (0.5, 0.5 - 180 / 720)),
    (FRONT, (0.4, 1.0, 2.0), (0.5 + 180 / 1280, 0.5)),  # nearer is larger
    (Camera((4.0, 1.0, 0.0), np.pi / 2, 0.0, 0.0, 900.0), (0.0, 1.0, 0.0), (0.5, 0.5)),
    (Camera((4.0, 1.0, 0.0), np.pi / 2, 0.0, 0.0, 900.0), (0.0, 1.0, 0.4), (0.5 - 90 / 1280, 0.5)),
    (Camera((0.0, 5.0, 4.0), 0.0, np.pi / 4, 0.0, 900.0), (0.0, 1.0, 0.0), (0.5, 0.5)),
    (Camera((0.0, 1.0, 4.0), 0.0, 0.0, np.pi / 2, 900.0), (0.0, 1.4, 0.0), (0.5 + 90 / 1280, 0.5)),
]


@pytest.mark.parametrize(("camera", "point", "place"), POINTS)
def test_points_are_seen_where_they_are(
    camera: Camera, point: tuple[float, ...], place: tuple[float, float]
) -> None:
    view = camera.view(np.array([point]))
    assert view[0, 2] > 0
    np.testing.assert_allclose(camera.project(view)[0], place, atol=1e-9)


@pytest.mark.parametrize("number", range(40))
@pytest.mark.parametrize("exercise", EXERCISES)
def test_settings_keep_the_whole_exercise_in_the_picture(exercise: str, number: int) -> None:
    random = np.random.default_rng(number)
    setting = Setting.drawn(random)
    camera = setting.camera(1.7, exercise, random)
    place = camera.project(camera.view(moving(exercise)))
    half = 0.5 * camera.shown / camera.size[0]
    inside = (np.abs(place - 0.5) < (half, 0.5)).all(axis=-1)
    assert inside.mean() > 0.97
    assert inside[:, 23:25].all()
    height = np.ptp(place[:, :, 1], axis=1).max()
    assert 0.4 < height < 1.0


def test_settings_differ() -> None:
    settings = [Setting.drawn(np.random.default_rng(number)) for number in range(200)]
    assert 0.15 < np.mean([setting.portrait for setting in settings]) < 0.35
    oblique = [abs(setting.azimuth) > 0.4 for setting in settings]
    assert 0.25 < np.mean(oblique) < 0.55
    assert not any(setting.portrait and abs(setting.azimuth) > 0.6 for setting in settings)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_without_errors_image_and_world_agree(exercise: str) -> None:
    camera = Camera((2.0, 1.2, 4.0), np.arctan2(2.0, 4.0), 0.05, 0.0, 900.0)
    points = moving(exercise)
    landmarks = seen(points, camera, clothing=0.0)
    assert landmarks.world is not None
    view = camera.view(points)
    scale = camera.focal / view[:, 23:25, 2].mean(axis=1)
    hips = landmarks.points[:, 23:25].mean(axis=1, keepdims=True)
    pixels = (landmarks.points - hips) * (SIZE[0], SIZE[1], SIZE[0]) / scale[:, None, None]
    apart = np.abs(pixels - landmarks.world)
    assert apart[..., 2].max() < 1e-2  # depth has no perspective
    assert np.quantile(apart[..., :2], 0.99) < 0.2
    np.testing.assert_allclose(landmarks.world[:, 23:25].mean(axis=1), 0.0, atol=2e-5)
    assert (landmarks.visibility == 1).all()


def test_smaller_is_nearer_and_down_is_more() -> None:
    landmarks = seen(moving()[:2], FRONT, clothing=0.0)
    nose, ear = (landmarks.points[0, BLAZEPOSE.index(name)] for name in ("nose", "left ear"))
    assert nose[2] < ear[2] < 0.02
    assert nose[1] < landmarks.points[0, BLAZEPOSE.index("left heel"), 1]
    assert landmarks.world is not None
    assert landmarks.world[0, 0, 1] < -0.5


def test_errors_are_of_the_size_of_those_of_blazepose() -> None:
    """The noise measured with BlazePose lite: 1.5 to 3 px of a person of 740 px."""
    points = moving("touch toes")
    exact, noisy = seen(points, FRONT, 0.0), [seen(points, FRONT, 1.0, n) for n in range(8)]
    away = np.stack([(one.points - exact.points) * (1280, 720, 1280) for one in noisy])
    height = 1.7 * 900 / 4.0
    planar = np.linalg.norm(away[..., :2], axis=-1) / height
    assert 1.5 / 740 < np.nanmedian(planar) < 4.0 / 740
    spread = [float(np.nanstd(away[..., axis])) for axis in range(3)]
    assert spread[2] > 2 * max(spread[:2])
    trunk, hands = (np.nanmedian(planar[:, :, list(joints)]) for joints in ((11, 12), (17, 18)))
    assert hands > 1.5 * trunk


def test_errors_wander_slowly() -> None:
    still = np.repeat(moving("touch toes")[:1], 150, axis=0)
    error = seen(still, FRONT).points[:, 11:13, :2] - seen(still, FRONT, 0.0).points[:, 11:13, :2]
    error = error - error.mean(axis=0)
    neighbours = np.mean([np.corrcoef(e[1:], e[:-1])[0, 1] for e in error.reshape(150, -1).T])
    assert 0.6 < neighbours < 0.98


def test_clothing_makes_errors_larger() -> None:
    points = moving()
    exact = seen(points, FRONT, 0.0).points
    sizes = [
        np.nanstd(seen(points, FRONT, clothing).points - exact) for clothing in (0.5, 1.0, 2.0)
    ]
    assert sizes[0] * 1.8 < sizes[1] < sizes[2] / 1.8


def test_the_world_is_that_of_a_body_of_average_size() -> None:
    lengths = []
    for stature in (1.5, 1.9):
        body = Body.of(stature)
        pose = EXERCISES["jump"](body, Manner(), Spells(), TIMES, np.random.default_rng(0))
        landmarks = observe(
            body.landmarks(pose), FRONT, stature, TIMES, 0.0, np.random.default_rng(0)
        )
        assert landmarks.world is not None
        lengths.append(float(np.linalg.norm(landmarks.world[0, 25] - landmarks.world[0, 27])))
    assert 1.0 < lengths[1] / lengths[0] < 1.12


def test_few_landmarks_are_hidden_and_those_out_of_the_picture_always_are() -> None:
    shares = [
        float(np.nanmean(seen(moving(exercise), FRONT, seed=number).visibility < 0.6))
        for exercise in EXERCISES
        for number in range(10)
    ]
    assert 0.005 < np.mean(shares) < 0.08
    near = Camera((0.0, 1.6, 1.8), 0.0, 0.0, 0.0, 900.0)  # cuts off the legs
    visibility = seen(moving("touch toes"), near).visibility
    assert np.nanmean(visibility[:, 27:]) < 0.3 < np.nanmean(visibility[:, :11])


def test_the_far_arm_is_hidden_from_the_side() -> None:
    side = Camera((4.0, 1.0, 0.0), np.pi / 2, 0.0, 0.0, 900.0)
    visibility = np.stack([seen(moving("jump")[:20], side, seed=n).visibility for n in range(10)])
    left, right = (float(np.nanmean(visibility[..., list(j)])) for j in ((13, 15), (14, 16)))
    assert right < left - 0.2


def test_now_and_then_the_pose_is_lost_for_some_frames() -> None:
    lost = [np.isnan(seen(moving(), FRONT, seed=n).visibility).all(axis=1) for n in range(120)]
    some = [frames.sum() for frames in lost if frames.any()]
    assert 2 <= len(some) <= 16
    assert max(some) <= 8
    for number in np.flatnonzero([frames.any() for frames in lost])[:3]:
        landmarks = seen(moving(), FRONT, seed=int(number))
        assert landmarks.world is not None
        for array in (landmarks.points, landmarks.world):
            np.testing.assert_array_equal(np.isnan(array).all(axis=(1, 2)), lost[number])
            np.testing.assert_array_equal(np.isnan(array).any(axis=(1, 2)), lost[number])
