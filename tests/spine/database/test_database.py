"""The landmark database: bit by bit, once, whatever happens to the process or the file."""

from __future__ import annotations

import json
import math
import os
import pickle
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.spine.fake_clips import IDENTITY, fake_clip, fake_landmarks, same_clip

import vitruvian
from vitruvian.core.errors import DataError
from vitruvian.spine.database import database
from vitruvian.spine.database.database import LandmarkDatabase, landmarks_sha256, pose_sha256
from vitruvian.spine.landmarks import Clip, Landmarks
from vitruvian.spine.tables.ratings import Rating

ROOT = Path(vitruvian.__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "landmarks.db"


@pytest.fixture
def db(path: Path) -> LandmarkDatabase:
    return LandmarkDatabase(path)


# -- bits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "landmarks",
    [
        fake_landmarks(),
        fake_landmarks(world=False, size=None),
        fake_landmarks(frames=1),
        fake_landmarks(skeleton="kinect22", world=False, size=None),
        fake_landmarks(skeleton="joints4x1", world=False, size=None),
        fake_landmarks(skeleton="joints18x2", world=False),
        replace(fake_landmarks(), points=np.full((12, 33, 3), np.nan, np.float32)),
    ],
    ids=["full", "no world", "one frame", "kinect", "1-d", "2-d", "nobody"],
)
def test_a_clip_comes_back(db: LandmarkDatabase, landmarks: Landmarks) -> None:
    clip = Clip("a.mp4", "p1", "walk", landmarks, 71.25)
    assert db.add(clip, IDENTITY, "c" * 64)
    (back,) = db.read_all()
    assert same_clip(back, clip)


@settings(max_examples=25, deadline=None)
@given(
    bits=st.lists(st.integers(0, 2**32 - 1), min_size=3, max_size=3),
    step=st.floats(1e-6, 1e6),
    rating=st.one_of(st.just(math.nan), st.floats(0, 100)),
)
def test_every_bit_pattern_comes_back(
    tmp_path_factory: pytest.TempPathFactory, bits: list[int], step: float, rating: float
) -> None:
    landmarks = fake_landmarks(frames=3)
    landmarks.points[2, 5] = np.array(bits, "<u4").view("<f4")  # any NaN, infinity or denormal
    timed = replace(landmarks, times_s=np.array([0, step / 3, step]))
    clip = Clip("é b/walk.mp4", "Ω'; --", "", timed, rating, simulated=True)
    db = LandmarkDatabase(tmp_path_factory.mktemp("bits") / "x.db")
    db.add(clip, IDENTITY, "c")
    assert same_clip(db.read("é b/walk.mp4"), clip)


def test_other_floats_and_orders_are_stored_as_float32(db: LandmarkDatabase) -> None:
    landmarks = fake_landmarks()
    odd = replace(
        landmarks,
        points=np.asfortranarray(landmarks.points.astype(">f4")),
        visibility=landmarks.visibility.astype(np.float64),
    )
    db.add(replace(fake_clip(), landmarks=odd), IDENTITY, "c")
    assert same_clip(db.read("p001/walk.mp4"), replace(fake_clip(), landmarks=landmarks))


def test_arrays_are_writable(db: LandmarkDatabase) -> None:
    db.add(fake_clip(), IDENTITY, "c")
    db.read("p001/walk.mp4").landmarks.points[0] = 0


def test_a_clip_is_described(db: LandmarkDatabase) -> None:
    identity = {**IDENTITY, "mediapipe": "0.10.31", "thresholds": [0.5, 0.5]}
    db.add(fake_clip(), identity, "c" * 64, broken="broke off after 12 frames")
    (info,) = db.clips()
    assert (info.name, info.participant, info.exercise) == ("p001/walk.mp4", "p001", "walk")
    assert (info.frames, info.size, info.skeleton) == (12, (1280, 720), "blazepose33")
    assert (info.rating, info.simulated) == (62.5, False)
    assert info.fps == pytest.approx(30)
    assert (info.broken, info.content_sha256) == ("broke off after 12 frames", "c" * 64)
    assert info.identity == identity
    assert info.created.year > 2020


def test_sql_sees_what_it_needs(db: LandmarkDatabase, path: Path) -> None:
    db.add(fake_clip(), IDENTITY, "c")
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT name, frame, time_s, length(points) FROM clips "
            "JOIN landmarks ON clip_id = id WHERE variant = 'lite' AND frame >= 10 ORDER BY frame"
        ).fetchall()
    assert rows == [("p001/walk.mp4", 10, 10 / 30, 396), ("p001/walk.mp4", 11, 11 / 30, 396)]


# -- once -----------------------------------------------------------------------------------------


def test_same_clip_and_model_is_there_once(db: LandmarkDatabase) -> None:
    assert not db.has("c", IDENTITY)
    assert db.add(fake_clip(), IDENTITY, "c")
    again = dict(reversed(IDENTITY.items()))
    assert not db.add(fake_clip("p001/renamed.mp4"), again, "c")
    assert db.has("c", again)
    assert len(db.clips()) == 1


@pytest.mark.parametrize(
    ("content", "identity"),
    [("d", IDENTITY), ("c", {**IDENTITY, "variant": "full"}), ("c", {**IDENTITY, "trim": False})],
    ids=["content", "model", "setting"],
)
def test_another_content_or_model_is_another_clip(
    db: LandmarkDatabase, content: str, identity: dict[str, Any]
) -> None:
    db.add(fake_clip(), IDENTITY, "c")
    assert not db.has(content, identity)
    assert db.add(fake_clip("p001/jump.mp4"), identity, content)
    assert len(db.clips()) == 2


def test_a_name_stands_for_one_recording(db: LandmarkDatabase) -> None:
    db.add(fake_clip(), IDENTITY, "c")
    with pytest.raises(DataError, match=r"another recording named p001/walk\.mp4.*replace=true"):
        db.add(fake_clip(seed=1), IDENTITY, "d")
    with pytest.raises(DataError, match="another recording named"):
        db.check_name("p001/walk.mp4", IDENTITY)
    db.check_name("p001/walk.mp4", {**IDENTITY, "variant": "full"})
    assert db.add(fake_clip(seed=1), IDENTITY, "d", replace=True)
    assert same_clip(db.read("p001/walk.mp4"), fake_clip(seed=1))
    assert len(db.clips()) == 1


def test_simulated_clips_are_written_together(
    db: LandmarkDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_TOGETHER", 4)
    clips = [fake_clip(f"p{i:03d}/walk", i, simulated=True) for i in range(10)]
    identity = {"variant": "simulator", "seed": 0}
    assert db.add_many(iter(clips), identity) == 10
    assert db.add_many(clips, identity) == 0
    assert all(map(same_clip, db.read_all(simulated=True), clips))
    assert db.clips()[3].content_sha256 == landmarks_sha256(clips[3])


def test_a_group_with_a_namesake_is_told_one_by_one(db: LandmarkDatabase) -> None:
    db.add_many([fake_clip("b", 7)], IDENTITY)
    clips = [fake_clip("a", 1), fake_clip("b", 2), fake_clip("c", 3)]
    with pytest.raises(DataError, match="another recording named b"):
        db.add_many(clips, IDENTITY)
    assert [info.name for info in db.clips()] == ["a", "b"]
    assert db.add_many(clips, IDENTITY, replace=True) == 2
    assert all(map(same_clip, db.read_all(), clips))


def test_the_hash_of_landmarks_sees_every_part() -> None:
    landmarks = fake_landmarks()
    others = [
        replace(landmarks, times_s=landmarks.times_s * 2),
        replace(landmarks, points=landmarks.points + 1),
        replace(landmarks, visibility=landmarks.visibility / 2),
        replace(landmarks, world=None),
    ]
    hashes = {landmarks_sha256(replace(fake_clip(), landmarks=each)) for each in others}
    assert len(hashes | {landmarks_sha256(fake_clip())}) == 5


# -- reading --------------------------------------------------------------------------------------


@pytest.fixture
def filled(db: LandmarkDatabase) -> LandmarkDatabase:
    names = ["p002/walk.mp4", "p001/walk.mp4", "p001/jump.mp4", "p010/jump.mp4"]
    for i, name in enumerate(names):
        db.add(fake_clip(name, i), IDENTITY, f"content {name}")
    return db


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ({}, ["p001/jump.mp4", "p001/walk.mp4", "p002/walk.mp4", "p010/jump.mp4"]),
        ({"participant": "p001"}, ["p001/jump.mp4", "p001/walk.mp4"]),
        ({"exercise": ["walk", "toes"]}, ["p001/walk.mp4", "p002/walk.mp4"]),
        ({"variant": "lite", "exercise": "jump"}, ["p001/jump.mp4", "p010/jump.mp4"]),
        ({"mirrored": None, "participant": ("p010",)}, ["p010/jump.mp4"]),
        ({"simulated": True}, []),
        ({"pose_sha256": pose_sha256(IDENTITY), "name": ["p010/jump.mp4"]}, ["p010/jump.mp4"]),
    ],
    ids=str,
)
def test_clips_are_selected_and_in_order(
    filled: LandmarkDatabase, where: dict[str, Any], names: list[str]
) -> None:
    assert [info.name for info in filled.clips(**where)] == names
    assert [clip.name for clip in filled.read_all(**where)] == names


def test_small_queries_give_the_same_clips(
    filled: LandmarkDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(filled.read_all())
    monkeypatch.setattr(database, "_FRAMES_AT_ONCE", 15)
    assert all(map(same_clip, filled.read_all(), whole))


def test_a_clip_is_read_by_name_or_id(filled: LandmarkDatabase) -> None:
    for info in filled.clips():
        assert filled.read(info.name).name == filled.read(info.id).name == info.name


def test_a_clip_under_two_models_must_be_chosen(filled: LandmarkDatabase) -> None:
    full = {**IDENTITY, "variant": "full"}
    filled.add(fake_clip("p001/walk.mp4", 9), full, "content p001/walk.mp4")
    with pytest.raises(
        DataError, match=r"p001/walk\.mp4 is there as variant=lite and variant=full"
    ):
        filled.read_all()
    (only,) = filled.read_all(variant="full")
    assert same_clip(only, fake_clip("p001/walk.mp4", 9))


def test_a_clip_under_two_settings_must_be_chosen(filled: LandmarkDatabase) -> None:
    filled.add(fake_clip("p001/walk.mp4"), {**IDENTITY, "trim": False}, "content p001/walk.mp4")
    with pytest.raises(DataError, match="lite with different settings"):
        filled.read_all()


def test_a_database_can_be_sent_to_a_process(filled: LandmarkDatabase) -> None:
    sent = pickle.loads(pickle.dumps(filled))
    assert [info.name for info in sent.clips()] == [info.name for info in filled.clips()]


def test_nothing_stays_open(filled: LandmarkDatabase, path: Path) -> None:
    list(filled.read_all())
    assert [p.name for p in path.parent.iterdir()] == ["landmarks.db"]
    assert str(path) not in {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}


# -- corrections ----------------------------------------------------------------------------------


def test_labels_are_corrected_without_extraction(filled: LandmarkDatabase) -> None:
    before = filled.read("p002/walk.mp4")
    ratings = [
        Rating("p002/walk.mp4", "p007", "stroll", 12),
        Rating("p010/jump.mp4", "p010", "jump"),
        Rating("p001/jump.mp4", "p001", "jump", 62.5),
    ]
    assert filled.relabel(ratings) == 2
    assert filled.relabel(ratings) == 0
    after = filled.read("p002/walk.mp4")
    assert (after.participant, after.exercise, after.rating) == ("p007", "stroll", 12)
    assert math.isnan(filled.read("p010/jump.mp4").rating)
    assert np.array_equal(after.landmarks.points, before.landmarks.points, equal_nan=True)


def test_correction_of_an_unknown_clip_changes_nothing(filled: LandmarkDatabase) -> None:
    ratings = [Rating("p002/walk.mp4", "p7", "x", 1), Rating("p02/walk.mp4", "p7", "x", 1)]
    with pytest.raises(DataError, match=r"no clip 'p02/walk\.mp4'; did you mean 'p002/walk\.mp4'"):
        filled.relabel(ratings)
    assert filled.read("p002/walk.mp4").participant == "p002"


def test_a_clip_is_renamed(filled: LandmarkDatabase) -> None:
    (info,) = filled.clips(name="p002/walk.mp4")
    filled.rename(info.id, "elsewhere/walk.mp4")
    assert filled.read("elsewhere/walk.mp4").participant == "p002"
    with pytest.raises(DataError, match=r"another recording named p001/walk\.mp4"):
        filled.rename(info.id, "p001/walk.mp4")


def test_a_person_is_forgotten(db: LandmarkDatabase, path: Path) -> None:
    for name in ("Erika_M/walk", "Erika_M/jump", "p002/walk"):
        db.add(fake_clip(name, seed=len(name)), IDENTITY, name.upper())
    mine = fake_clip("Erika_M/walk", seed=12).landmarks.points[5].tobytes()
    kept = fake_clip("p002/walk", seed=9).landmarks.points[5].tobytes()
    assert mine in path.read_bytes()
    assert db.delete("Erika_M") == 2
    content = path.read_bytes()
    assert mine not in content
    assert b"Erika" not in content
    assert kept in content
    assert [info.participant for info in db.clips()] == ["p002"]
    with pytest.raises(DataError, match="no participant 'p02'; did you mean 'p002'"):
        db.delete("p02")


def test_an_identity_is_stored_as_json(filled: LandmarkDatabase, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        (text,) = connection.execute("SELECT identity FROM clips LIMIT 1").fetchone()
    assert json.loads(text) == IDENTITY
