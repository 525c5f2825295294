"""Pictures: joints where they belong, no face where none is wanted, and a panel that tells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.spine.live.fakes import SIZE, STANDING
from vitruvian.spine.live.drawing import (
    LEFT,
    MIDDLE,
    RED,
    RIGHT,
    draw_panel,
    draw_person,
    draw_whole,
    pieces,
    pixels,
)
from vitruvian.spine.live.readings import Reading
from vitruvian.spine.skeletons import BLAZEPOSE

WIDE = (1280, 720)
VISIBLE = np.ones(33, np.float32)
HISTORY = [(t / 10, 0.5 + 0.4 * math.sin(t / 30)) for t in range(400)]


def room(size: tuple[int, int] = WIDE, grey: int = 90) -> npt.NDArray[np.uint8]:
    return np.full((size[1], size[0], 3), grey, np.uint8)


def person(
    points: npt.NDArray[Any] | None = STANDING,
    visibility: npt.NDArray[Any] | None = VISIBLE,
    show_image: bool = True,
) -> npt.NDArray[np.uint8]:
    return draw_person(room(), points, visibility, BLAZEPOSE, show_image)


def reading(value: float = 0.3, windows: int = 2, seen: bool = True) -> Reading:
    return Reading(400, 40.0, 29.9, value, value, windows, seen)


def has(picture: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    return bool((picture == colour).all(axis=-1).any())


# -- the person -----------------------------------------------------------------------------------


def test_every_joint_is_drawn_in_the_colour_of_its_side() -> None:
    picture = person()
    for joint, place in enumerate(pixels(STANDING, *WIDE)):
        assert place is not None
        name = BLAZEPOSE.joints[joint]
        expected = LEFT if "left" in name else RIGHT if "right" in name else MIDDLE
        if joint not in (4, 5, 1, 2):  # neighbours in the face overlap
            assert tuple(picture[place[1], place[0]]) == expected, name


def test_bones_join_them() -> None:
    (left, right) = (pixels(STANDING, *WIDE)[joint] for joint in (11, 12))
    assert left is not None
    assert right is not None
    assert tuple(person()[left[1], (left[0] + right[0]) // 2]) == MIDDLE


def test_the_image_itself_is_left_alone() -> None:
    image = room()
    draw_person(image, STANDING, VISIBLE, BLAZEPOSE)
    assert (image == 90).all()


def test_nobody_is_shown_where_that_is_asked_for() -> None:
    picture = person(show_image=False)
    assert not has(picture, (90, 90, 90))
    assert has(picture, LEFT)


def test_frame_without_a_person_stays_empty() -> None:
    assert (person(points=None, visibility=None) == 90).all()


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 1e30, -1e30, 7.0], ids=lambda value: str(value)
)
def test_joint_that_is_nowhere_near_the_frame(value: float) -> None:
    points = STANDING.copy()
    points[13] = value
    places = pixels(points, *WIDE)
    assert places[13] is None or max(map(abs, places[13])) <= 4 * WIDE[0]
    assert has(person(points=points), RIGHT)


def test_a_whole_person_may_be_missing_as_nan() -> None:
    assert (person(points=np.full((33, 3), np.nan), visibility=np.full(33, np.nan)) == 90).all()


def test_hidden_joints_are_hollow_and_their_bones_thin() -> None:
    visibility = VISIBLE.copy()
    visibility[[13, 15]] = 0.2
    drawn, hidden = person(), person(visibility=visibility)
    elbow = pixels(STANDING, *WIDE)[13]
    assert elbow is not None
    assert tuple(hidden[elbow[1], elbow[0]]) != LEFT
    assert (hidden == LEFT).all(axis=-1).sum() < (drawn == LEFT).all(axis=-1).sum()


def test_small_image_is_enlarged_before_it_is_drawn_on() -> None:
    picture = draw_person(room(SIZE), STANDING, VISIBLE, BLAZEPOSE)
    assert picture.shape == (360, 640, 3)


# -- the panel ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [WIDE, (1920, 1080), (720, 1280), (321, 181), (64, 48)])
def test_whole_picture_has_even_sides_and_all_of_the_person(size: tuple[int, int]) -> None:
    drawn = draw_person(room(size), None, None, BLAZEPOSE)
    whole = draw_whole(drawn, reading(), HISTORY, simulated=True)
    assert whole.shape[0] % 2 == whole.shape[1] % 2 == 0
    assert whole.shape[0] > drawn.shape[0]
    assert (whole[: drawn.shape[0], : drawn.shape[1]] == 90).all()


def test_panel_shows_the_red_flag_only_when_it_is_raised() -> None:
    low = [(t, 0.2) for t, _ in HISTORY]
    corner = slice(0, 300)  # left of the chart, whose threshold is red as well
    raised = draw_panel(1280, reading(0.9), low, simulated=False)[:, corner]
    clear = draw_panel(1280, reading(0.2), low, simulated=False)[:, corner]
    assert has(raised, RED)
    assert not has(clear, RED)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (reading(0.3), reading(0.4)),
        (reading(seen=True), reading(seen=False)),
        (reading(windows=0), reading(windows=1)),
        (reading(), Reading(400, 40.0, 12.0, 0.3, 0.3, 2, True)),
    ],
    ids=["index", "person", "windows", "rate"],
)
def test_panel_tells_them_apart(one: Reading, other: Reading) -> None:
    panels = [draw_panel(1280, shown, HISTORY, simulated=False) for shown in (one, other)]
    assert (panels[0] != panels[1]).any()


def test_panel_says_that_the_model_is_from_simulated_data() -> None:
    real, simulated = (draw_panel(1280, reading(), HISTORY, flag) for flag in (False, True))
    assert (real != simulated).any()


@pytest.mark.parametrize("history", [[], [(0.0, 0.5)], [(0.0, math.nan), (1.0, math.nan)]])
def test_panel_of_a_session_that_has_just_begun(history: list[tuple[float, float]]) -> None:
    begun = Reading(1, 0.0, math.nan, math.nan, math.nan, 0, False)
    assert draw_panel(640, begun, history, simulated=True).shape[1] == 640


# -- the line of the chart ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([0.1, 0.2], [[0.1, 0.2]]),
        ([0.1, math.nan, 0.3], [[0.1], [0.3]]),
        ([math.nan, 0.3], [[0.3]]),
        ([0.3, 0.7], [[0.3, 0.5], [0.5, 0.7]]),
        ([0.7, 0.3, 0.6], [[0.7, 0.5], [0.5, 0.3, 0.5], [0.5, 0.6]]),
        ([0.4, 0.5, 0.4], [[0.4, 0.5, 0.4]]),
    ],
)
def test_line_is_cut_at_gaps_and_at_the_threshold(
    values: list[float], expected: list[list[float]]
) -> None:
    found = list(pieces(enumerate(values)))
    assert len(found) == len(expected)
    for piece, wanted in zip(found, expected, strict=True):
        assert [value for _, value in piece] == pytest.approx(wanted)


def test_crossing_lies_between_its_neighbours() -> None:
    (_, crossing), *_ = (piece for piece in pieces([(0.0, 0.3), (1.0, 0.8)]))
    assert crossing == pytest.approx((0.4, 0.5))
