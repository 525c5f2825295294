"""UI-PRMD's repetitions and the scored deep squat."""

from __future__ import annotations

import gzip
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests.spine.public_sets import write_scored, write_uiprmd

from vitruvian.core.errors import DataError
from vitruvian.spine.data.uiprmd import (
    REPETITIONS,
    is_repetitions,
    is_scored,
    read_repetitions,
    read_scored,
)


@pytest.mark.parametrize("packed", [True, False])
def test_repetitions_are_read_with_person_exercise_and_rating(tmp_path: Path, packed: bool) -> None:
    clips = list(read_repetitions(write_uiprmd(tmp_path, people=3, frames=30, packed=packed)))
    assert [clip.name for clip in clips[:2]] == ["m01_s01_e01_correct", "m01_s02_e01_correct"]
    assert Counter((clip.participant, clip.rating) for clip in clips) == Counter(
        {(f"s{p:02d}", rating): 1 for p in (1, 2, 3) for rating in (0.0, 100.0)}
    )
    assert {clip.exercise for clip in clips} == {"deep squat"}
    assert [len(clip.landmarks) for clip in clips[:3]] == [31, 32, 33]
    assert clips[0].landmarks.points.shape == (31, 22, 3)
    assert clips[0].landmarks.fps == pytest.approx(30)
    assert (clips[0].index, clips[-1].index) == (0.0, 1.0)


def test_lengths_are_the_waist_and_the_bones(tmp_path: Path) -> None:
    write_uiprmd(tmp_path, people=1)
    whole, lengths = (next(read_repetitions(tmp_path, lengths=how)) for how in (False, True))
    points, columns = whole.landmarks.points, lengths.landmarks.points[..., 0]
    assert lengths.landmarks.skeleton == "kinect_lengths"
    np.testing.assert_array_equal(columns[:, :3], points[:, 0])
    np.testing.assert_allclose(columns[:, 3:], np.linalg.norm(points[:, 1:], axis=2))


def test_scored_sequences_belong_to_the_ten_people(tmp_path: Path) -> None:
    clips = list(read_scored(write_scored(tmp_path)))
    assert len({clip.name for clip in clips}) == 180
    counts = Counter(clip.participant for clip in clips)
    assert list(counts.values()) == [2 * count for count in REPETITIONS]
    assert clips[0].landmarks.points.shape == (12, 4, 1)
    assert clips[0].rating > 95 > 81 > clips[-1].rating


def test_channels_are_interleaved(tmp_path: Path) -> None:
    write_scored(tmp_path, frames=3)
    row = ",".join(str(value) for value in range(12))
    text = "\n".join([row] * sum(REPETITIONS))
    (tmp_path / "Autoencoder_Output_Correct.csv.gz").write_bytes(gzip.compress(text.encode()))
    points = next(iter(read_scored(tmp_path))).landmarks.points[..., 0]
    np.testing.assert_array_equal(points, np.arange(12).reshape(3, 4))


def test_what_a_folder_holds_is_told(tmp_path: Path) -> None:
    kinect, scored = write_uiprmd(tmp_path / "a", 1), write_scored(tmp_path / "b")
    assert (is_repetitions(kinect), is_scored(kinect)) == (True, False)
    assert (is_repetitions(scored), is_scored(scored)) == (False, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,2,3\n4,5,6\n", r"e01_positions\.txt: 3 columns, expected 66 \(22 joints x 3\)"),
        ("a,b\n", r"e01_positions\.txt cannot be read as a table of numbers"),
        ("1,2\n3\n", r"e01_positions\.txt cannot be read as a table of numbers"),
    ],
)
def test_a_faulty_repetition_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "m01_s01_e01_positions.txt").write_text(content)
    with pytest.raises(DataError, match=message):
        list(read_repetitions(tmp_path))


def test_faulty_scores_are_named(tmp_path: Path) -> None:
    write_scored(tmp_path)
    (tmp_path / "Labels_Correct.csv").write_text("0.9\n0.8\n")
    with pytest.raises(DataError, match=r"Labels_Correct\.csv must hold 90 sequences"):
        list(read_scored(tmp_path))
    (tmp_path / "Labels_Correct.csv").unlink()
    with pytest.raises(DataError, match=r"Labels_Correct\.csv \(or .*\.gz\) is missing"):
        list(read_scored(tmp_path))


@pytest.mark.real_data
def test_the_real_set(real_data: Path) -> None:
    root = real_data / "pose_uiprmd"
    clips = list(read_repetitions(root))
    assert Counter(clip.rating for clip in clips) == {100.0: 400, 0.0: 400}
    assert len({clip.participant for clip in clips}) == 10
    assert {len(clip.landmarks) for clip in clips} <= set(range(28, 180))
    scored = list(read_scored(root))
    assert len(scored) == 180
    assert min(clip.rating for clip in scored[:90]) >= 90.2
    jumps = [
        float(np.abs(b.landmarks.points - a.landmarks.points).mean())
        for a, b in pairwise(scored[:90])
    ]  # from one person to the next the squat changes more than within a person
    edges = set(np.cumsum(REPETITIONS)[:-1] - 1)
    within = [jump for i, jump in enumerate(jumps) if i not in edges]
    assert min(jumps[i] for i in edges) > np.quantile(within, 0.9)
