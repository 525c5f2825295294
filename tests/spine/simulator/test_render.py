"""Simulated clips as videos: of the right size and length, marked, and a pose net finds them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from vitruvian.core.errors import RunError
from vitruvian.spine.landmarks import Clip, Landmarks
from vitruvian.spine.pose.blazepose import BlazePose
from vitruvian.spine.pose.extraction import extract
from vitruvian.spine.simulator.exercises import EXERCISES
from vitruvian.spine.simulator.render import frames, render
from vitruvian.spine.simulator.simulator import Person


@pytest.fixture(scope="module")
def clip() -> Clip:
    return Person.drawn(1, 0, 0.3).clip("walk", 20)


def decoded(path: Path) -> tuple[list[np.ndarray], float]:
    film = cv2.VideoCapture(str(path))
    pictures = []
    while (read := film.read())[0]:
        pictures.append(read[1])
    return pictures, film.get(cv2.CAP_PROP_FPS)


def test_a_video_has_the_frames_of_its_clip(clip: Clip, tmp_path: Path) -> None:
    path = render(clip, tmp_path / "new" / "clip.mp4", (320, 180), fps=25.0)
    pictures, fps = decoded(path)
    assert len(pictures) == len(clip.landmarks)
    assert {picture.shape for picture in pictures} == {(180, 320, 3)}
    assert fps == pytest.approx(25.0)
    assert [file.name for file in path.parent.iterdir()] == ["clip.mp4"]
    drawn = list(frames(clip, (320, 180)))
    apart = [np.abs(a.astype(int) - b).mean() for a, b in zip(pictures, drawn, strict=True)]
    assert max(apart) < 4


def test_the_figure_is_where_the_landmarks_are(clip: Clip) -> None:
    empty = next(frames(blank(clip)))
    for number, picture in enumerate(frames(clip)):
        figure = np.abs(picture.astype(int) - empty).sum(axis=-1) > 60
        rows, columns = np.nonzero(figure)
        place = clip.landmarks.points[number, :, :2] * (320, 180)
        assert abs(rows.min() - (place[:, 1].min() - 5)) < 8
        assert abs(rows.max() - place[:, 1].max()) < 8
        assert place[:, 0].min() - 12 < columns.min()
        assert columns.max() < place[:, 0].max() + 12
        inside = place[11:25].mean(axis=0).round().astype(int)
        assert figure[inside[1], inside[0]]


def blank(clip: Clip) -> Clip:
    """The clip without any pose."""
    marks = clip.landmarks
    nothing = replace(
        marks, points=marks.points * np.nan, visibility=marks.visibility * np.nan, world=None
    )
    return replace(clip, landmarks=nothing)


def test_frames_without_a_pose_show_the_empty_room(clip: Clip) -> None:
    pictures = list(frames(blank(clip)))
    assert all((picture == pictures[0]).all() for picture in pictures)


def test_every_frame_says_simulated(clip: Clip) -> None:
    for picture in (*frames(clip), *frames(blank(clip))):
        corner = picture[-24:, :110]
        assert (corner.max(axis=-1) < 110).sum() > 60


def test_clips_without_world_landmarks_can_be_drawn(clip: Clip) -> None:
    flat = replace(clip, landmarks=replace(clip.landmarks, world=None, size=None))
    apart = [
        np.abs(one.astype(int) - other).mean()
        for one, other in zip(frames(clip), frames(flat), strict=True)
    ]
    assert max(apart) < 4


@pytest.mark.parametrize("size", [(180, 320), (64, 64), (640, 360)])
def test_any_size_keeps_the_shape_of_the_body(clip: Clip, size: tuple[int, int]) -> None:
    empty, picture = next(frames(blank(clip), size)), next(frames(clip, size))
    assert picture.shape == (size[1], size[0], 3)
    rows, columns = np.nonzero(np.abs(picture.astype(int) - empty).sum(axis=-1) > 60)
    assert 1.8 < np.ptp(rows) / np.ptp(columns) < 5


def test_other_joints_and_tiny_pictures_are_refused(clip: Clip) -> None:
    other = Landmarks(
        np.arange(3.0),
        np.zeros((3, 22, 3), np.float32),
        np.ones((3, 22), np.float32),
        skeleton="kinect22",
    )
    with pytest.raises(ValueError, match="only blazepose33 can be drawn, not kinect22"):
        next(frames(replace(clip, landmarks=other)))
    with pytest.raises(ValueError, match="size must be at least 32 pixels"):
        next(frames(clip, (320, 16)))


def test_a_video_that_cannot_be_written_leaves_nothing(clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot write"):
        render(clip, tmp_path / "file" / "clip.mp4")
    with pytest.raises(RunError, match="no MPEG-4 encoder"):
        render(clip, tmp_path / "clip.mp4", fps=-1.0)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.slow
@pytest.mark.parametrize("exercise", EXERCISES)
def test_blazepose_finds_the_figure(exercise: str, tmp_path: Path, pose_models: Path) -> None:
    clip = Person.drawn(1, 0, 0.3).clip(exercise, 60)
    path = render(clip, tmp_path / "clip.mp4", (640, 360))
    found = extract(path, BlazePose()).landmarks
    there = ~np.isnan(found.visibility[:, 0])
    assert there.mean() > 0.8
    away = (found.points - clip.landmarks.points)[there][:, :, :2] * (1280, 720)
    height = np.nanmax(np.ptp(clip.landmarks.points[..., 1], axis=1)) * 720
    assert np.nanmedian(np.linalg.norm(away, axis=-1)) < 0.05 * height
